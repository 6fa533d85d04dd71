"""Read the settings of an earlier run from its checkpoints, and find what differs now.

The text is a config as mmengine prints it. It is read without being executed.
"""

import ast
from collections.abc import Iterable, Mapping
from typing import Any

from ibn_seg.errors import UserError
from ibn_seg.results.identity import counted
from ibn_seg.type_names import short_name

# Keys that every start of a run sets again, besides those that `counted` leaves out.
_OF_A_START = frozenset((
    "experiment_name", "experiment", "quiet", "load_from", "randomness", "model_wrapper_cfg",
    "default_scope", "custom_imports",
))  # fmt: skip
# Hooks that training adds itself.
_OUR_HOOKS = frozenset((
    "LabelsOnlyHook", "LeaseHook", "ProgressHook", "RandomStateHook", "RunRecordHook",
))  # fmt: skip
# Parts of a model that do not change the network: how it starts, is trained and is tested.
_NOT_THE_NETWORK = frozenset((
    "pretrained", "init", "init_cfg", "train_cfg", "test_cfg", "data_preprocessor", "sampler",
    "ignore_index", "norm_eval", "with_cp", "frozen_stages", "requires_grad", "dropout_ratio",
    "drop_rate", "drop_path_rate", "appearances",
))  # fmt: skip
# One layer under the names of several implementations.
_SAME_LAYER: Mapping[str, str] = {"SyncBN": "BN", "MMSyncBN": "BN", "BN2d": "BN"}
_CONSTANTS: Mapping[str, Any] = {"inf": float("inf"), "nan": float("nan")}
_LONG = 40
_MANY = 3


def read_settings(text: object) -> dict[str, Any]:
    """Return the settings in a config's text; settings without plain values are left out.

    Args:
        text: `meta['cfg']` of a checkpoint, or `config` of a result.

    Returns:
        An empty dict if it is not the text of a config.
    """
    try:
        body = ast.parse(text).body if isinstance(text, str) else []
    except (SyntaxError, ValueError):
        return {}
    settings = {}
    for line in body:
        if isinstance(line, ast.Assign) and isinstance(line.targets[0], ast.Name):
            try:
                settings[line.targets[0].id] = _value(line.value)
            except ValueError:
                continue
    return settings


def _value(node: ast.expr) -> Any:
    """Return the value of an expression: as `ast.literal_eval`, with `dict(...)`.

    Raises:
        ValueError: It is something else.
    """
    if isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id == "dict":
        found = _value(node.args[0]) if node.args else {}
        return found | {word.arg: _value(word.value) for word in node.keywords if word.arg}
    if isinstance(node, ast.Dict):
        keys = [_value(key) for key in node.keys if key is not None]
        return dict(zip(keys, map(_value, node.values), strict=True))
    if isinstance(node, (ast.List, ast.Tuple)):
        items = [_value(item) for item in node.elts]
        return items if isinstance(node, ast.List) else tuple(items)
    if isinstance(node, ast.UnaryOp) and isinstance(node.op, ast.USub):
        return -_value(node.operand)
    if isinstance(node, ast.Name) and node.id in _CONSTANTS:
        return _CONSTANTS[node.id]
    return ast.literal_eval(node)


def changed_settings(before: Mapping[str, Any], now: Mapping[str, Any]) -> list[str]:
    """Return the differences between two runs' settings that can change numbers.

    Args:
        before: The result of `read_settings` for the earlier run.
        now: The same for this one.

    Returns:
        'KEY BEFORE -> AFTER' for each; empty if nothing is known of the earlier run.
    """
    if not before:
        return []
    return list(_differences(_counted(before), _counted(now)))


def _counted(settings: Mapping[str, Any]) -> dict[str, Any]:
    kept = {key: value for key, value in settings.items() if key not in _OF_A_START}
    hooks = kept.get("custom_hooks") or []
    kept["custom_hooks"] = [hook for hook in hooks if _kind(hook) not in _OUR_HOOKS]
    try:
        return counted(_bare({key: v for key, v in kept.items() if v not in (None, [])}))
    except UserError:  # it holds values that no text of a config has
        return {}


def _bare(part: Any) -> Any:
    """Return a part of a config with every type named without its module."""
    if isinstance(part, Mapping):
        return {key: _kind(part) if key == "type" else _bare(v) for key, v in part.items()}
    return [_bare(item) for item in part] if isinstance(part, (list, tuple)) else part


def network_changes(before: Mapping[str, Any], now: Mapping[str, Any]) -> list[str]:
    """Return the settings that make two models different networks, as 'KEY BEFORE -> AFTER'.

    Initial weights, losses, and settings for training and testing do not count.

    Args:
        before: The `model` of one config.
        now: That of another.
    """
    return list(_differences(_network(before), _network(now), "model"))


def _network(part: Any) -> Any:
    """Return the part of a model's config that describes the network."""
    if isinstance(part, Mapping):
        return {
            key: _kind(part) if key == "type" else _network(value)
            for key, value in part.items()
            if key not in _NOT_THE_NETWORK and not key.startswith("loss") and value is not None
        }
    return [_network(item) for item in part] if isinstance(part, (list, tuple)) else part


def describe_network(settings: Mapping[str, Any]) -> str:
    """Return the name of a config's network, such as 'IBNResNet-18 (ibn a), FCNHead'."""
    model = settings.get("model") or {}
    backbone, head = model.get("backbone"), model.get("decode_head")
    if not isinstance(backbone, Mapping):
        return str(model.get("model") or _kind(model))
    text = _kind(backbone)
    if backbone.get("depth"):
        text += f"-{backbone['depth']}"
    if backbone.get("ibn"):
        text += f" (ibn {backbone['ibn']})"
    heads = [head] if isinstance(head, Mapping) else list(head or ())
    return ", ".join([text, *map(_kind, heads)])


def _kind(part: Any) -> str:
    """Return the type of a part of a config without its module, SyncBN as BN."""
    name = short_name(part.get("type")) if isinstance(part, Mapping) else ""
    return _SAME_LAYER.get(name, name)


def optimiser_of(settings: Mapping[str, Any]) -> str | None:
    """Return the type of a config's optimiser; None if there is none, or if there are several."""
    wrapper = settings.get("optim_wrapper")
    optimiser = wrapper.get("optimizer") if isinstance(wrapper, Mapping) else None
    return _kind(optimiser) if isinstance(optimiser, Mapping) else None


def _differences(before: Any, now: Any, path: str = "") -> Iterable[str]:
    """Yield 'KEY BEFORE -> AFTER' of every difference, down to the deepest common level."""
    if isinstance(before, Mapping) and isinstance(now, Mapping):
        for key in [*before, *(key for key in now if key not in before)]:
            where = f"{path}.{key}" if path else str(key)
            yield from _differences(before.get(key), now.get(key), where)
    elif isinstance(before, list) and isinstance(now, list) and len(before) == len(now):
        for index, pair in enumerate(zip(before, now, strict=True)):
            yield from _differences(*pair, f"{path}.{index}")
    elif before != now:
        yield f"{path} {_short(before)} -> {_short(now)}"


def _short(value: Any) -> str:
    text = repr(value)
    return text if len(text) <= _LONG else f"{text[:_LONG]}..."


def join_changes(changes: list[str]) -> str:
    """Return the first changes in one line, and the number of further ones."""
    rest = len(changes) - _MANY
    return ", ".join(changes[:_MANY]) + (f" and {rest} more" if rest > 0 else "")
