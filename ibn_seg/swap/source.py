"""Reads a config's backbone and all of its options, including those that its class implies."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from ibn_seg.errors import UserError, unknown
from ibn_seg.swap.hosts import class_of, defaults_of
from ibn_seg.type_names import short_name

if TYPE_CHECKING:
    from mmengine.registry import Registry

# The backbones that can be replaced, and the stem and shortcuts that their names imply
# (mmseg.models.backbones; He et al., CVPR 2019).
_V1D = {"deep_stem": True, "avg_down": True}
KINDS: Mapping[str, Mapping[str, Any]] = {
    "ResNet": {},
    "ResNetV1c": {"deep_stem": True},
    "ResNetV1d": _V1D,
    "ResNeXt": {},
    "SEResNet": {},
    "ResNeSt": _V1D,
    "HRNet": {},
    "IBNResNet": {},
    "IBNResNeXt": {},
    "IBNSEResNet": {},
    "IBNDenseNet": {},
}
WEIGHTS = ("pretrained", "init_cfg")
# Networks with a backbone inside. Their own channels are made for that backbone.
_NESTED = "backbone_cfg"


@dataclass(frozen=True)
class Source:
    """A config's backbone.

    Attributes:
        path: Keys from the config to it.
        settings: Its dict.
        kind: Name of its class, without the framework.
        given: Options that the config gives or `kind` implies, without type and weights.
        defaults: The class's values for options that are not given.
    """

    path: tuple[str, ...]
    settings: Mapping[str, Any]
    kind: str
    given: Mapping[str, Any]
    defaults: Mapping[str, Any]

    @property
    def nested(self) -> bool:
        """Whether the backbone is inside another network."""
        return self.path[-1] == _NESTED

    @property
    def title(self) -> str:
        """Class and depth, for messages."""
        depth = self.given.get("depth")
        return f"{self.kind}-{depth}" if depth else self.kind

    def value(self, option: str) -> Any:
        """Return an option's value, given or not."""
        return self.given.get(option, self.defaults.get(option))

    def without(self, options: Iterable[str]) -> "Source":
        """Return the backbone with options given up.

        Raises:
            UserError: One of the options is not given.
        """
        options = set(options)
        for option in sorted(options - set(self.given)):
            raise unknown(f"option to drop from {self.kind}", option, self.given)
        given = {name: value for name, value in self.given.items() if name not in options}
        settings = {name: value for name, value in self.settings.items() if name not in options}
        return Source(self.path, settings, self.kind, given, self.defaults)


def find_source(config: Mapping, registry: "Registry") -> Source:
    """Return the backbone of a config.

    Raises:
        UserError: The config has no backbone, or one that cannot be replaced.
    """
    path = ("model", "backbone")
    model = config.get("model")
    if not isinstance(model, Mapping):
        raise UserError("the config has no model", "give one that has model.backbone")
    settings = model.get("backbone")
    if isinstance(settings, Mapping) and isinstance(settings.get(_NESTED), Mapping):
        path = (*path, _NESTED)
        settings = settings[_NESTED]
    if not isinstance(settings, Mapping) or "type" not in settings:
        raise UserError(f"the config has no {'.'.join(path)}", "give one that has a backbone")
    kind = short_name(settings["type"])
    if kind not in KINDS:
        raise UserError(
            f"{'.'.join(path)} is a {kind}, which cannot be replaced option by option",
            f"known: {', '.join(KINDS)}",
        )
    cls = class_of(registry, settings["type"])
    given = {
        name: value for name, value in settings.items() if name != "type" and name not in WEIGHTS
    }
    return Source(path, settings, kind, {**given, **KINDS[kind]}, defaults_of(cls))
