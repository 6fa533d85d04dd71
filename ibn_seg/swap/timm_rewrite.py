"""Replaces the backbone in a config's dict by a network of timm."""

import copy
from collections.abc import Mapping, MutableMapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from ibn_seg.errors import UserError
from ibn_seg.foundation.timm_models import Preprocessing, check_name, has_weights, preprocessing
from ibn_seg.swap.channels import Change, retarget
from ibn_seg.swap.hosts import add_import, class_of
from ibn_seg.swap.probe import Probe, probe_backbone
from ibn_seg.swap.run_names import replace_identity
from ibn_seg.swap.start_weights import remove_old
from ibn_seg.type_names import is_named, short_name

if TYPE_CHECKING:
    from mmengine.registry import Registry

_PLUGIN, _ALL = "ibn_seg.plugins.timm_backbone", "ibn_seg.plugins.mmseg"
_NONE = "none"
# Patches of 14 become 16 on loading: crops of 512, 768 and 1024 are multiples of 16.
_OLD_PATCH, _PATCH = "patch14", 16
_LEVELS = 4
_DENSE = (8, 16)


@dataclass(frozen=True)
class Source:
    """What was replaced: a title for messages."""

    title: str


@dataclass(frozen=True)
class TimmRewritten:
    """A config with a network of timm, and a record of the changes.

    Attributes:
        config: The config, complete.
        source: The backbone that it had.
        settings: The new backbone's dict.
        start: Where its weights come from, as text.
        strides: Strides of the maps, before and after.
        changes: Values of necks and heads that were changed.
        renamed: One text for each changed name of the old run.
        own: Mean, deviation and licence of the network.
    """

    config: dict[str, Any]
    source: Source
    settings: Mapping[str, Any]
    start: str
    strides: tuple[tuple[float, ...], tuple[float, ...]]
    changes: tuple[Change, ...]
    renamed: tuple[str, ...]
    own: Preprocessing

    def rows(self, _: Sequence[str] = ()) -> dict[str, str]:
        """Return what was done, by title, as text for the user."""
        before, after = ("/".join(f"{s:g}" for s in each) for each in self.strides)
        return {
            "backbone": f"{self.source.title} -> TimmBackbone, {self.settings['model']}",
            "weights": self.start,
            "licence": self.own.licence,
            "strides": f"{before} -> {after}" if before != after else "",
            "channels": "\n".join(map(str, self.changes)),
            "names": "\n".join(self.renamed),
        }


def rewrite_timm(
    config: Mapping[str, Any],
    name: str,
    registry: "Registry",
    drop: Mapping[str, Any],
    weights: str | None,
) -> TimmRewritten:
    """Return a config whose backbone is a network of timm.

    It has as many maps as the old one. Their strides are the old ones where the network can, else
    its own. Mean and deviation of the network go into `data_preprocessor`. The options of the old
    backbone go with it.

    Args:
        config: A complete config; it is not changed.
        name: The network's name in timm.
        registry: The models of the framework that the config is for.
        drop: Must be empty: every option of the old backbone is given up.
        weights: A file, or 'none'. Default: those that timm publishes.

    Raises:
        UserError: timm has no such network, or it does not fit the rest of the model.
    """
    check_name(name)
    if drop:
        raise UserError("--drop is for backbones of ibn_seg", "leave it out with timm:NAME")
    config = copy.deepcopy(dict(config))
    renamed = replace_identity(config, "full", name)
    model = config.get("model")
    old_settings = model.get("backbone") if isinstance(model, Mapping) else None
    if not isinstance(old_settings, Mapping) or "type" not in old_settings:
        raise UserError("the config has no model.backbone", "give one that has")
    class_of(registry, old_settings["type"])
    old = probe_backbone(registry, old_settings)
    settings, new = _backbone(name, old_settings, model, old, registry)
    start = _set_weights(settings, name, weights)
    remove_old(config, keep_start=False)
    changes = retarget(model, old, new, registry)
    model["backbone"] = settings
    own = preprocessing(name)
    changes += _normalise(model, own)
    add_import(config, _PLUGIN, _ALL)
    return TimmRewritten(
        config,
        Source(short_name(old_settings["type"])),
        settings,
        start,
        (old.strides, new.strides),
        tuple(changes),
        renamed,
        own,
    )


def _backbone(
    name: str, old: Mapping, model: Mapping, probe: Probe, registry: "Registry"
) -> tuple[dict[str, Any], Probe]:
    """Return the new backbone's dict, and its maps."""
    settings: dict[str, Any] = {"type": "TimmBackbone", "model": name}
    args = {}
    if old.get("in_channels", 3) != 3:
        args["in_chans"] = old["in_channels"]
    if _OLD_PATCH in name:
        settings["patch_size"] = _PATCH
    given = settings | ({"timm_args": args} if args else {})
    module = probe_backbone(registry, given).module
    if count := len(probe.channels) - _LEVELS:
        if count > 0:
            raise UserError(
                f"the old backbone gives {len(probe.channels)} maps, TimmBackbone gives four",
                "choose heads of four maps or fewer",
            )
        given["out_indices"] = tuple(module.out_indices)[-len(probe.channels) :]
    if _takes_sizes(module):
        given |= _image_size(model)
    elif probe.strides[-1] in _DENSE and (dense := _dense(given, args, probe, registry)):
        given = dense
    return given, probe_backbone(registry, given)


def _takes_sizes(module: Any) -> bool:
    """Tell whether the network is built for a size of images."""
    return getattr(getattr(module.network, "patch_embed", None), "img_size", None) is not None


def _image_size(model: Mapping) -> dict[str, Any]:
    """Return the size of the training's crops, if the preprocessor has it."""
    size = (model.get("data_preprocessor") or {}).get("size")
    return {"img_size": tuple(size)} if isinstance(size, (list, tuple)) else {}


def _dense(given: dict, args: dict, probe: Probe, registry: "Registry") -> dict | None:
    """Return the backbone with the old output stride; None if timm's network has no such option."""
    stride = int(probe.strides[-1])
    dense = {**given, "timm_args": {**args, "output_stride": stride}}
    try:
        probe_backbone(registry, dense)
    except UserError:
        return None
    return dense


def _set_weights(settings: dict[str, Any], name: str, weights: str | None) -> str:
    """Set `pretrained`, and say where the weights come from."""
    if weights == _NONE:
        return "none"
    if weights is not None:
        settings["pretrained"] = weights
        return weights
    if not has_weights(name):
        return "none (timm publishes none)"
    settings["pretrained"] = True
    return "those of timm, loaded when a training begins"


def _normalise(model: MutableMapping[str, Any], own: Preprocessing) -> list[Change]:
    """Set mean and deviation of the preprocessor."""
    given = model.get("data_preprocessor")
    if not isinstance(given, MutableMapping):
        return []
    changes = []
    for key, values in (("mean", own.mean), ("std", own.std)):
        before, after = given.get(key), list(values)
        if before is None or list(before) != after:
            changes.append(Change(f"data_preprocessor.{key}", before, after))
            given[key] = after
    # timm's values are of red, green and blue; mmseg reads pictures the other way round.
    if is_named(given.get("type"), "SegDataPreProcessor") and not given.get("bgr_to_rgb"):
        changes.append(Change("data_preprocessor.bgr_to_rgb", given.get("bgr_to_rgb"), True))
        given["bgr_to_rgb"] = True
    return changes
