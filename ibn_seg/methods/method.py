"""A method: a named change of a config, with its publication and its requirements.

The config says everything that a method does. Layers and losses are parts of `model`. Transforms
are steps of the pipelines. Hooks act during training or testing. So a method is a mapping from
dotted keys to settings, with steps and hooks. Its components are registered with mmengine like all
others.
"""

from collections.abc import Mapping, MutableMapping
from dataclasses import dataclass, field
from typing import Any

from ibn_seg.errors import UserError
from ibn_seg.methods.pipeline_steps import Step, add_steps, differing_steps, remove_steps
from ibn_seg.type_names import is_named, short_name

_BACKBONE = "model.backbone"
# Where norms are placed; the other keys by which a config may do so; a share of the channels, which
# only the variant that splits norms has.
_NORMS, _SHARE, _SPLIT = f"{_BACKBONE}.ibn", f"{_BACKBONE}.ibn_ratio", "a"
_PLACEMENT = (f"{_BACKBONE}.ibn_stages", f"{_BACKBONE}.ibn_stem")
KINDS = ("layers", "features", "images", "test time")
# What methods add and no config has of its own: the next method takes it away.
_ADDED_KEYS = tuple(f"{_BACKBONE}.{key}" for key in ("randomise", "self_norm", "semantic"))
_TEST_TIME_HOOK = "TargetAdaptationHook"
_ADDED_HOOKS = (
    "MethodHook", "SensitiveCovarianceHook", "ViewConsistencyHook", _TEST_TIME_HOOK,
)  # fmt: skip
# What labels need in a setting that is a dict; it makes no other method.
_OF_LABELS = ("num_classes", "selected_classes")
_ADDED_STEPS = frozenset(("PASTA", "AmplitudeMix", "FourierStyle"))


@dataclass(frozen=True)
class Method:
    """One method.

    Attributes:
        name: Its name in plans, configs and tables.
        summary: What it does; the report shows "NAME: SUMMARY.".
        paper: Where it was published.
        ibn: The variant of norms in the backbone; None is batch norm throughout.
        settings: Further values of a config by dotted key; None stands for an absent key.
        backbones: Beginnings of the backbone types that it works with; empty: all.
        kind: What it changes, one of `KINDS`. Tables keep test-time methods apart, because they see
            images of the target.
        places: The places that it takes. Methods with a common place cannot be combined.
        hooks: Hooks for `custom_hooks`.
        steps: Transforms for the training pipelines.
    """

    name: str
    summary: str
    paper: str
    ibn: str | None = None
    settings: Mapping[str, Any] = field(default_factory=dict)
    backbones: str = ""
    kind: str = "layers"
    places: tuple[str, ...] = ()
    hooks: tuple[Mapping[str, Any], ...] = ()
    steps: tuple[Step, ...] = ()

    def apply(self, config: MutableMapping[str, Any]) -> None:
        """Turn a config into one of this method, with any method before.

        Steps that change colours replace the protocol's own; a method without such a step leaves
        what is there.

        Args:
            config: A config of mmengine, which is changed.

        Raises:
            UserError: The config has no part that the method changes, or another backbone.
        """
        _clear(config)
        # Backbones refuse a share of channels where no norm is split.
        for key in _PLACEMENT if self.ibn == _SPLIT else (*_PLACEMENT, _SHARE):
            if _find(config, key)[0]:
                parent, last = self._parent(config, key)
                del parent[last]
        for key, value in self.values().items():
            parent, last = self._parent(config, key)
            # Absent and None mean the same; a config with either stays as it is.
            if value is not None or last in parent:
                parent[last] = _copied(value)
        self._check_backbone(config)
        self._add_hooks(config)
        add_steps(config, self.steps, self.name, replace=True)

    def complete(self, config: MutableMapping[str, Any]) -> None:
        """Add the settings that a config with this method lacks; existing settings stay.

        If the backbone is not one of ours, nothing is added. The config may implement this method
        in its own way.

        Args:
            config: A config of mmengine, which is changed.

        Raises:
            UserError: The config has no pipeline for the method's steps.
        """
        if not self._fits(config):
            return
        for key, value in self.values().items():
            said = _find(config, key)[0] or (key == _NORMS and _is_placed(config))
            if value is not None and not said:
                parent, last = self._parent(config, key)
                parent[last] = _copied(value)
        self._add_hooks(config)
        add_steps(config, self.steps, self.name, replace=False)

    def conflicts(self, config: Mapping[str, Any]) -> dict[str, Any]:
        """Return the config's settings, by key, that differ from this method's."""
        if not self._fits(config):
            return {}
        found = {}
        for key, value in self.values().items():
            given = _without_labels(_find(config, key)[1])
            if given != value and not (key == _NORMS and _is_placed(config)):
                found[key] = given
        return found | differing_steps(config, self.steps)

    def values(self) -> dict[str, Any]:
        """Return the values of a config that it sets, by dotted key."""
        return {_NORMS: self.ibn, **self.settings}

    def _add_hooks(self, config: MutableMapping[str, Any]) -> None:
        """Add the hooks whose type the config does not have."""
        if self.hooks:
            present = list(config.get("custom_hooks") or ())
            kinds = [hook.get("type") for hook in present if isinstance(hook, Mapping)]
            config["custom_hooks"] = present + [
                _copied(hook)
                for hook in self.hooks
                if not any(is_named(kind, hook["type"]) for kind in kinds)
            ]

    def _parent(self, config: MutableMapping[str, Any], key: str) -> tuple[Any, str]:
        """Return the part of a config that holds a key, and the last word of the key."""
        where, _, last = key.rpartition(".")
        _, part = _find(config, where)
        if not isinstance(part, MutableMapping):
            raise UserError(f"method {self.name} changes {where}, which the config does not have")
        return part, last

    def _fits(self, config: Mapping[str, Any]) -> bool:
        """Tell whether a config has a backbone that the method works with."""
        return _kind(config).startswith(self.backbones)

    def _check_backbone(self, config: Mapping[str, Any]) -> None:
        if not self._fits(config):
            raise UserError(
                f"method {self.name} needs a backbone of ibn_seg, {_BACKBONE} is {_kind(config)}",
                "put one into the config by `ibn-seg swap`",
            )


def combined(methods: list[Method], name: str) -> Method:
    """Return several methods as one.

    Args:
        methods: The methods, in order.
        name: The name of the combination.

    Raises:
        UserError: Two of them take the same place or set the same key.
    """
    taken: dict[str, str] = {}
    settings: dict[str, Any] = {}
    for method in methods:
        for place in method.places:
            if place in taken:
                raise UserError(
                    f"method {name!r}: {taken[place]} and {method.name} both take the {place}",
                    "use one of them",
                )
            taken[place] = method.name
        for key, value in method.values().items():
            before = settings.get(key)
            if isinstance(before, list) and isinstance(value, list):
                value = [*before, *value]
            elif before is not None and value is not None:
                raise UserError(f"method {name!r}: two methods set {key}", "use one of them")
            settings[key] = before if value is None else value
    return Method(
        name=name,
        summary="; ".join(method.summary for method in methods),
        paper="; ".join(method.paper for method in methods),
        ibn=settings.pop(_NORMS),
        settings=settings,
        backbones=max((method.backbones for method in methods), key=len),
        kind=max((method.kind for method in methods), key=KINDS.index),
        places=tuple(taken),
        hooks=_joined_hooks(methods),
        steps=tuple(step for method in methods for step in method.steps),
    )


def sees_target(config: Mapping[str, Any]) -> bool:
    """Tell whether a config adapts the network to images of the target at test time."""
    hooks = config.get("custom_hooks") or ()
    return any(isinstance(h, Mapping) and is_named(h.get("type"), _TEST_TIME_HOOK) for h in hooks)


def _joined_hooks(methods: list[Method]) -> tuple[Mapping[str, Any], ...]:
    """Return the hooks of all methods; those of one type become one."""
    joined: dict[str, dict[str, Any]] = {}
    for method in methods:
        for hook in method.hooks:
            joined[hook["type"]] = {**joined.get(hook["type"], {}), **hook}
    return tuple(joined.values())


def _clear(config: MutableMapping[str, Any]) -> None:
    """Take away what an earlier method added."""
    for key in _ADDED_KEYS:
        where, _, last = key.rpartition(".")
        part = _find(config, where)[1]
        if isinstance(part, MutableMapping):
            part.pop(last, None)
    hooks = config.get("custom_hooks") or ()
    kept = [hook for hook in hooks if not _is_added(hook)]
    if len(kept) < len(hooks):
        config["custom_hooks"] = kept
    remove_steps(config, _ADDED_STEPS)


def _is_placed(config: Mapping[str, Any]) -> bool:
    """Tell whether a config places norms by other keys."""
    return any(_find(config, key)[0] for key in _PLACEMENT)


def _is_added(hook: Any) -> bool:
    return isinstance(hook, Mapping) and is_named(hook.get("type"), *_ADDED_HOOKS)


def _without_labels(value: Any) -> Any:
    """Return a setting without what says for which labels it is."""
    if not isinstance(value, Mapping):
        return value
    return {key: item for key, item in value.items() if key not in _OF_LABELS}


def _copied(value: Any) -> Any:
    """Return a value that no other config holds."""
    if isinstance(value, Mapping):
        return {key: _copied(item) for key, item in value.items()}
    return [_copied(item) for item in value] if isinstance(value, list | tuple) else value


def _kind(config: Mapping[str, Any]) -> str:
    """Return the name of a config's backbone type."""
    kind = _find(config, f"{_BACKBONE}.type")[1]
    return short_name(kind) if kind else "none"


def _find(config: Mapping[str, Any], key: str) -> tuple[bool, Any]:
    """Return whether a dotted key is in a config, and its value."""
    first, *others = key.split(".")
    # mmengine's Config is no Mapping, but the dicts in it are.
    part: Any = config.get(first)
    found = part is not None
    for word in others:
        found = isinstance(part, Mapping) and word in part
        part = part[word] if found else None
    return found, part
