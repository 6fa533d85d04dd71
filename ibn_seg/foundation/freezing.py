"""Stages of a network that are not trained."""

from torch import nn

from ibn_seg.errors import UserError


def frozen_modules(network: nn.Module, name: str, stages: int) -> list[nn.Module]:
    """Stop the training of the stem and the first stages or blocks of a network.

    Args:
        network: Of timm, changed in place.
        name: Its name, for messages.
        stages: Number of stages or blocks behind the stem; -1 leaves all as it is.

    Returns:
        The modules that belong in eval mode for good.

    Raises:
        UserError: There are not so many stages.
    """
    if stages < 0:
        return []
    from timm.models import group_parameters

    groups = group_parameters(network, network.group_matcher(coarse=True), reverse=True)
    last = max(groups.values())
    if stages > last:
        raise UserError(f"frozen_stages={stages}", f"{name} has {last} stages behind its stem")
    frozen = {network.get_parameter(key) for key, group in groups.items() if group <= stages}
    for value in frozen:
        value.requires_grad_(False)
    # Whole blocks too, with the drop path inside, which has no parameters.
    return [
        module
        for module in network.modules()
        if module is not network and (own := set(module.parameters())) and own <= frozen
    ]
