"""The weights that a new backbone starts from."""

from collections.abc import Iterator, Mapping, MutableMapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import torch

from ibn_seg.errors import UserError
from ibn_seg.models.backbone import Backbone
from ibn_seg.models.factory import create_model
from ibn_seg.models.specs import MODELS, ModelSpec
from ibn_seg.models.weights import adapt_state_dict
from ibn_seg.plugins.checkpoint_names import resolve
from ibn_seg.swap.probe import Probe
from ibn_seg.swap.source import Source
from ibn_seg.type_names import is_named

if TYPE_CHECKING:
    from mmengine.config import Config

NONE = "none"
AS_BEFORE = "as before"
_PRETRAINED = "Pretrained"


@dataclass(frozen=True)
class Weights:
    """A checkpoint and the reason for choosing it.

    Attributes:
        checkpoint: A path, URL or name like 'ibn://resnet50_ibn_a', or None for a random start.
        reason: One line for the user.
        prefix: The beginning of the tensors' names, or None.
    """

    checkpoint: str | None
    reason: str
    prefix: str | None = None

    def init_cfg(self) -> dict[str, Any] | None:
        """Return the `init_cfg` of the backbone."""
        if self.checkpoint is None:
            return None
        settings = {"type": _PRETRAINED, "checkpoint": self.checkpoint}
        return settings if self.prefix is None else {**settings, "prefix": self.prefix}


def choose_weights(
    given: str | None, source: Source, old: Probe, new: Probe, spec: ModelSpec, model: Mapping
) -> Weights:
    """Choose the weights that the new backbone starts from.

    A config without weights stays without. Otherwise the first choice is the published weights, if
    they fit the new backbone. The second is the config's own weights, if they are the batch-norm
    twin's and fit. The third is another library's weights for the batch-norm twin.

    Args:
        given: The user's choice: a checkpoint or 'none'. None leaves the choice to this function.
        source: The old backbone.
        old: The old backbone, without data.
        new: The new backbone, without data.
        spec: The new network.
        model: The `model` of the config.
    """
    if given == NONE:
        return Weights(None, "as asked")
    if given is not None:
        resolve(given)
        return Weights(given, "as asked")
    checkpoint, prefix = _own(source, model)
    if checkpoint is None:
        return Weights(None, AS_BEFORE)
    plain = source.value("style") in (None, "pytorch")
    if spec.weights and plain and published_fit(spec, new):
        return Weights(f"ibn://{spec.name}", "published by the authors of IBN-Net")
    if fits(old.module, new.module):
        return Weights(checkpoint, "the config's own, of the batch-norm twin", prefix)
    for name, twin in _libraries(spec) if plain else ():
        if fits(twin, new.module) and _known(name):
            return Weights(name, "of the batch-norm twin")
    return Weights(None, f"none fit this {spec.title}; --weights names others")


def published_fit(spec: ModelSpec, new: Probe) -> bool:
    """Tell whether the published weights of a model have the keys and shapes of a backbone."""
    return fits(_without_data(spec.name), new.module)


def remove_old(config: "Config", keep_start: bool) -> None:
    """Remove the old weights from a config, wherever they are named.

    Args:
        config: A complete config, changed in place.
        keep_start: Whether `load_from` stays; a training fits these weights when it begins.

    Raises:
        UserError: The config loads weights for the whole network, which no longer fit.
    """
    model = config["model"]
    for key, found in (("load_from", config), ("init_cfg", model)):
        value = found.get(key)
        if value and (not keep_start if key == "load_from" else _pretrained(value)):
            where = key if found is config else f"model.{key}"
            raise UserError(
                f"{where} loads weights of the whole old network",
                f"set {where} = None in a config with this one as its base, and swap that",
            )
    if model.get("pretrained") is not None:
        model["pretrained"] = None


def _own(source: Source, model: Mapping) -> tuple[str | None, str | None]:
    """Return the checkpoint of the old backbone and its prefix."""
    step = _pretrained(source.settings.get("init_cfg"))
    if step:
        return step["checkpoint"], step.get("prefix")
    return source.settings.get("pretrained") or model.get("pretrained"), None


def _pretrained(init_cfg: Any) -> Mapping | None:
    """Return the step of an `init_cfg` that loads weights."""
    steps = [init_cfg] if isinstance(init_cfg, Mapping) else list(init_cfg or ())
    return next((step for step in steps if _loads(step)), None)


def _loads(step: Mapping) -> bool:
    """Tell whether a step of an `init_cfg` loads weights."""
    return is_named(step.get("type"), _PRETRAINED, "PretrainedInit")


def _libraries(spec: ModelSpec) -> Iterator[tuple[str, Backbone]]:
    """Yield other libraries' names for weights of a batch-norm twin, each with the twin."""
    depth = spec.depth
    twin = f"{spec.family}{depth}"
    if twin not in MODELS:  # a family that no library has
        return
    if spec.family == "resnext":
        yield f"torchvision://resnext{depth}_32x4d", _without_data(twin)
    else:
        yield f"torchvision://{twin}", _without_data(twin)
    if spec.family == "resnet":
        yield f"open-mmlab://{twin}_v1c", _without_data(twin, deep_stem=True)


def _without_data(name: str, **options: Any) -> Backbone:
    with torch.device("meta"):
        return create_model(name, **options)


def fits(weights_of: torch.nn.Module, network: Backbone) -> bool:
    """Tell whether the tensors of one network load into the other, by keys and shapes.

    Args:
        weights_of: The network that has the tensors.
        network: The network that they are for.
    """
    try:
        adapt_state_dict(network, weights_of.state_dict())
    except UserError:
        return False
    return True


def _known(name: str) -> bool:
    try:
        resolve(name)
    except UserError:
        return False
    return True


def set_weights(settings: MutableMapping[str, Any], source: Source, weights: Weights) -> None:
    """Put the new weights into the new backbone's dict; other steps of `init_cfg` stay."""
    init_cfg = source.settings.get("init_cfg")
    if weights.checkpoint is None and (init_cfg is None or not _pretrained(init_cfg)):
        if init_cfg is not None:
            settings["init_cfg"] = init_cfg
        return
    if isinstance(init_cfg, (list, tuple)) and weights.checkpoint is not None:
        others = [step for step in init_cfg if not _loads(step)]
        settings["init_cfg"] = [*others, weights.init_cfg()]
        return
    settings["init_cfg"] = weights.init_cfg()
