"""Replaces the backbone in a config's dict."""

import copy
import dataclasses
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from ibn_seg.errors import UserError
from ibn_seg.models.specs import FAMILY_TITLES, ModelSpec
from ibn_seg.swap.backbone_options import Translation, translate
from ibn_seg.swap.channels import Change, retarget
from ibn_seg.swap.hosts import add_import
from ibn_seg.swap.probe import Probe, probe_backbone
from ibn_seg.swap.run_names import METHODS, replace_identity
from ibn_seg.swap.source import Source, find_source
from ibn_seg.swap.start_weights import (
    AS_BEFORE,
    Weights,
    choose_weights,
    fits,
    published_fit,
    remove_old,
    set_weights,
)

if TYPE_CHECKING:
    from mmengine.registry import Registry

_PLUGIN, _ALL = "ibn_seg.plugins.mmengine", "ibn_seg.plugins.mmseg"


@dataclass(frozen=True)
class Rewritten:
    """A config with another backbone, and a record of the changes.

    Attributes:
        config: The config, complete.
        source: The backbone that it had.
        translation: The new backbone, option by option.
        weights: The weights that the new backbone starts from.
        changes: Values of necks and heads that were changed.
        renamed: One text for each changed name of the old run.
    """

    config: dict[str, Any]
    source: Source
    translation: Translation
    weights: Weights
    changes: tuple[Change, ...]
    renamed: tuple[str, ...]

    def rows(self, drop: Sequence[str] = ()) -> dict[str, str]:
        """Return what was done, by title, as text for the user.

        Args:
            drop: The options that the user gave up.
        """
        settings, start = self.translation.settings, self.config.get("load_from")
        return {
            "backbone": f"{self.source.title} -> {settings['type']}-{settings['depth']}"
            f", ibn={settings.get('ibn')!r}",
            "kept": ", ".join(self.translation.kept),
            "replaced": ", ".join(self.translation.replaced),
            "given up": ", ".join(drop),
            "weights": f"{self.weights.checkpoint or 'none'} ({self.weights.reason})",
            "start": f"{start}: a training splits its batch norms" if start else "",
            "channels": "\n".join(map(str, self.changes)),
            "names": "\n".join(self.renamed),
        }


def rewrite(
    config: Mapping[str, Any],
    spec: ModelSpec,
    registry: "Registry",
    drop: Iterable[str] = (),
    weights: str | None = None,
) -> Rewritten:
    """Return a config with its backbone replaced by `spec`.

    The names of the old run are taken out too, see `replace_identity`.

    Args:
        config: A complete config; it is not changed.
        spec: The new backbone.
        registry: The models of the framework that the config is for.
        drop: Options of the old backbone to give up.
        weights: The weights that the new backbone starts from; see `choose_weights`.

    Raises:
        UserError: The new backbone cannot honour an option, or its feature maps differ from the old
            ones. Or it does not fit the rest of the model.
    """
    config = copy.deepcopy(dict(config))
    renamed = replace_identity(
        config, METHODS[spec.ibn], f"{FAMILY_TITLES[spec.family]}-{spec.depth}"
    )
    model = config.get("model")
    source = find_source(config, registry)
    old = probe_backbone(registry, source.settings)
    source = source.without(drop)
    translation = translate(source, spec)
    new = probe_backbone(registry, translation.settings)
    _check_maps(source, spec, old, new)
    _check_parameter_groups(config, source, old, new)
    chosen = choose_weights(weights, source, old, new, spec, model)
    if weights is None:
        chosen = _with_hint(chosen, source, spec, registry)
    settings = dict(translation.settings)
    set_weights(settings, source, chosen)
    remove_old(config, keep_start=fits(old.module, new.module))
    changes = [] if source.nested else retarget(model, old, new, registry)
    place = model["backbone"] if source.nested else model
    place[source.path[-1]] = settings
    add_import(config, _PLUGIN, _ALL)
    return Rewritten(config, source, translation, chosen, tuple(changes), renamed)


def _with_hint(chosen: Weights, source: Source, spec: ModelSpec, registry: "Registry") -> Weights:
    """Name the options to drop so that the published weights fit, if dropping some helps."""
    published = f"ibn://{spec.name}"
    if not spec.weights or chosen.checkpoint == published or chosen.reason == AS_BEFORE:
        return chosen
    stem = [
        option for option in ("deep_stem", "avg_down", "stem_channels") if option in source.given
    ]
    for count in range(1, len(stem) + 1):
        settings = translate(source.without(stem[:count]), spec).settings
        if published_fit(spec, probe_backbone(registry, settings)):
            drops = " ".join(f"--drop {option}" for option in stem[:count])
            hint = f"{chosen.reason}; for {published}, which has a plain stem: {drops}"
            return dataclasses.replace(chosen, reason=hint)
    return chosen


def _check_maps(source: Source, spec: ModelSpec, old: Probe, new: Probe) -> None:
    """Raise unless the new backbone's feature maps can replace the old ones."""
    if old.strides != new.strides:
        before, after = (", ".join(f"{s:g}" for s in probe.strides) for probe in (old, new))
        raise UserError(
            f"{spec.name} would return maps of strides {after}, {source.title} returns {before}",
            "keep strides and out_indices",
        )
    if source.nested and old.channels != new.channels:
        raise UserError(
            f"{'.'.join(source.path)} is inside a network that needs the channels {old.channels}, "
            f"but {spec.name} has {new.channels}",
            "choose a network with these channels",
        )


def _check_parameter_groups(
    config: Mapping[str, Any], source: Source, old: Probe, new: Probe
) -> None:
    """Raise if a learning rate is set for old backbone parameters that the new one lacks."""
    wrapper = config.get("optim_wrapper") or {}
    keys = (wrapper.get("paramwise_cfg") or {}).get("custom_keys") or {}
    prefix = ".".join(source.path[1:])
    before, after = (
        [f"{prefix}.{name}" for name, _ in probe.module.named_parameters()] for probe in (old, new)
    )
    for key in keys:
        if any(key in name for name in before) and not any(key in name for name in after):
            raise UserError(
                f"optim_wrapper.paramwise_cfg.custom_keys names {key!r}, which the new backbone"
                " does not have",
                "change it in a config with this one as its base, and swap that",
            )
