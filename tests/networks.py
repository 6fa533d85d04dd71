"""Networks with weights that tell: norms that do something, segmentors built by mmseg alone."""

import torch


@torch.no_grad()
def scrambled(network):
    """Give norms and biases values that tell, in evaluation mode."""
    torch.manual_seed(0)
    for key, value in network.state_dict().items():
        if value.dim() == 1 and value.is_floating_point():
            value.uniform_(0.5, 1.5) if key.endswith(("weight", "var")) else value.normal_(std=0.2)
    network.eval()  # mmseg's returns nothing
    return network


def segmentor(config, **options):
    """Build the segmentor of a config through mmseg alone, with random weights."""
    from mmengine.registry import init_default_scope
    from mmseg.registry import MODELS

    from ibn_seg.config import load_config
    from ibn_seg.run.setup import register

    register()
    init_default_scope("mmseg")
    torch.manual_seed(0)
    model = load_config(config, options).model.to_dict()
    for part in (model["backbone"], model["decode_head"], model.get("auxiliary_head") or {}):
        part["norm_cfg"] = {"type": "BN"}
        part.pop("init_cfg", None)
    return scrambled(MODELS.build(model))
