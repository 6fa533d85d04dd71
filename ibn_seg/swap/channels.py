"""Fits necks and heads to the new backbone's outputs."""

from collections.abc import Mapping, MutableMapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from ibn_seg.errors import UserError
from ibn_seg.swap.probe import Probe, probe_necks

if TYPE_CHECKING:
    from mmengine.registry import Registry


@dataclass(frozen=True)
class Change:
    """A changed value of the config: its dotted key, the old and the new value."""

    key: str
    before: Any
    after: Any

    def __str__(self) -> str:
        return f"{self.key} {_short(self.before)} -> {_short(self.after)}"


def retarget(
    model: MutableMapping[str, Any], old: Probe, new: Probe, registry: "Registry"
) -> list[Change]:
    """Set the input channels of a model's necks and heads, in place.

    A head reads the feature maps that its `in_index` names; without `in_index`, the last one. With
    necks, these are the maps after the necks.

    Args:
        model: The `model` of a config.
        old: The backbone that the model was made for.
        new: The backbone that the model gets.
        registry: The host framework's models.

    Raises:
        UserError: A neck does not take the new feature maps.
    """
    if old.channels == new.channels:
        return []
    changes: list[Change] = []
    seen_old, seen_new = old.channels, new.channels
    necks = _parts(model.get("neck"))
    if necks:
        seen_old = probe_necks(registry, necks, old.maps)
        _set_channels(necks[0], _neck_key(model), old.channels, new.channels, changes)
        seen_new = probe_necks(registry, necks, new.maps)
    for name, part in model.items():
        if name.endswith("head"):
            _retarget_head(part, name, seen_old, seen_new, changes)
    return changes


def _neck_key(model: Mapping[str, Any]) -> str:
    return "neck" if isinstance(model["neck"], Mapping) else "neck[0]"


def _parts(part: Any) -> list:
    """Return one dict or a list of dicts as a list."""
    if part is None:
        return []
    return [part] if isinstance(part, Mapping) else list(part)


def _retarget_head(
    head: Any, key: str, old: Sequence[int], new: Sequence[int], changes: list[Change]
) -> None:
    """Set the input channels of a head, of heads in a list, and of heads inside a head."""
    if isinstance(head, (list, tuple)):
        for index, part in enumerate(head):
            _retarget_head(part, f"{key}[{index}]", old, new, changes)
    if not isinstance(head, MutableMapping):
        return
    _set_channels(head, key, old, new, changes)
    # Heads after DeepLabV3+ read the first feature map (mmseg's DepthwiseSeparableASPPHead).
    if head.get("c1_in_channels") == old[0] != new[0]:
        changes.append(Change(f"{key}.c1_in_channels", old[0], new[0]))
        head["c1_in_channels"] = new[0]
    for name, part in head.items():
        if isinstance(part, MutableMapping) and "in_index" in part:
            _retarget_head(part, f"{key}.{name}", old, new, changes)


def _set_channels(
    part: MutableMapping[str, Any],
    key: str,
    old: Sequence[int],
    new: Sequence[int],
    changes: list[Change],
) -> None:
    """Set `in_channels` where it names channels of the old feature maps."""
    before = part.get("in_channels")
    if isinstance(before, int):
        after = _channels(before, part.get("in_index", -1), old, new, key)
    elif isinstance(before, (list, tuple)):
        indices = part.get("in_index", range(len(before)))
        indices = [indices] * len(before) if isinstance(indices, int) else list(indices)
        if len(indices) != len(before):
            raise UserError(
                f"model.{key}: in_channels={before} and in_index={tuple(indices)} do not fit",
                "give one index for each",
            )
        pairs = zip(before, indices, strict=True)
        after = type(before)(_channels(value, i, old, new, key) for value, i in pairs)
    else:
        return
    if after != before:
        changes.append(Change(f"{key}.in_channels", before, after))
        part["in_channels"] = after


def _channels(value: int, index: Any, old: Sequence[int], new: Sequence[int], key: str) -> int:
    """Return the new channels for one feature map."""
    if not isinstance(index, int) or not -len(old) <= index < len(old):
        raise UserError(
            f"model.{key}: in_index={index!r} is none of the {len(old)} feature maps",
            "mend the config",
        )
    return new[index] if value == old[index] else value


def _short(value: Any) -> str:
    return "/".join(map(str, value)) if isinstance(value, (list, tuple)) else str(value)
