"""A method: a named change of a config, with its publication and its requirements.

The config says everything that a method does. Layers and losses are parts of `model`. Transforms
are steps of the pipelines. Hooks act during training. Test-time changes are parts of `model` or of
`test_cfg`. So a method is a mapping from dotted keys to settings. Its components are registered
with mmengine like all others.
"""

from collections.abc import Mapping, MutableMapping
from dataclasses import dataclass, field
from typing import Any

from ibn_seg.errors import UserError
from ibn_seg.type_names import short_name

_BACKBONE = "model.backbone"


@dataclass(frozen=True)
class Method:
    """One method.

    Attributes:
        name: Its name in plans, configs and tables.
        summary: What it does; the report shows "NAME: SUMMARY.".
        paper: Where it was published.
        settings: Values of a config by dotted key; None stands for an absent key.
        spelled: Further keys with which a config may express the same setting.
        excluded: Keys that make no sense with this method; `apply` removes them.
        backbones: Beginnings of the backbone types that it works with; empty: all.
    """

    name: str
    summary: str
    paper: str
    settings: Mapping[str, Any] = field(default_factory=dict)
    spelled: tuple[str, ...] = ()
    excluded: tuple[str, ...] = ()
    backbones: str = ""

    def apply(self, config: MutableMapping[str, Any]) -> None:
        """Turn a config into one of this method, with any method before.

        Args:
            config: A config of mmengine, which is changed.

        Raises:
            UserError: The config has no part that the method changes, or another backbone.
        """
        for key in (*self.spelled, *self.excluded):
            if _find(config, key)[0]:
                parent, last = self._parent(config, key)
                del parent[last]
        for key, value in self.settings.items():
            parent, last = self._parent(config, key)
            # Absent and None mean the same; a config with either stays as it is.
            if value is not None or last in parent:
                parent[last] = value
        self._check_backbone(config)

    def complete(self, config: MutableMapping[str, Any]) -> None:
        """Add the settings that a config with this method lacks; existing settings stay.

        If the backbone is not one of ours, nothing is added. The config may implement this method
        in its own way.

        Args:
            config: A config of mmengine, which is changed.
        """
        if self._said_otherwise(config):
            return
        for key, value in self.settings.items():
            if value is not None and not _find(config, key)[0]:
                parent, last = self._parent(config, key)
                parent[last] = value

    def conflicts(self, config: Mapping[str, Any]) -> dict[str, Any]:
        """Return the config's settings, by key, that differ from this method's."""
        if self._said_otherwise(config):
            return {}
        found = {}
        for key, value in self.settings.items():
            given = _find(config, key)[1]
            if given != value:
                found[key] = given
        return found

    def _parent(self, config: MutableMapping[str, Any], key: str) -> tuple[Any, str]:
        """Return the part of a config that holds a key, and the last word of the key."""
        where, _, last = key.rpartition(".")
        _, part = _find(config, where)
        if not isinstance(part, MutableMapping):
            raise UserError(f"method {self.name} changes {where}, which the config does not have")
        return part, last

    def _said_otherwise(self, config: Mapping[str, Any]) -> bool:
        """Tell whether a config may express this method with other settings."""
        spelled = any(_find(config, key)[0] for key in self.spelled)
        return spelled or not _kind(config).startswith(self.backbones)

    def _check_backbone(self, config: Mapping[str, Any]) -> None:
        kind = _kind(config)
        if not kind.startswith(self.backbones):
            raise UserError(
                f"method {self.name} needs a backbone of ibn_seg, {_BACKBONE} is {kind}",
                "put one into the config by `ibn-seg swap`",
            )


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
