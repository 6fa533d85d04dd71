"""Takes a run's names out of a config, so the new config does not pass for the same run."""

from collections.abc import Iterator, Mapping, MutableMapping
from typing import Any

from ibn_seg.type_names import is_named

# A run's folder, its name, and the checkpoint that it resumes. None means "not set" for each.
_PLACES = ("work_dir", "experiment_name", "resume_from")
# Entries of `experiment` on data and head. These stay.
_KEPT = ("segmentor", "source", "share")
METHODS: Mapping[str | None, str] = {None: "BN", "a": "IBN-a", "b": "IBN-b"}
_BACKENDS = "vis_backends"
# Keys of drawing backends by which a logging service recognises a run, or that name a folder.
_BACKEND_NAMES = frozenset((
    "save_dir", "name", "id", "run_id", "run_name", "task_name", "with_id", "resume",
))  # fmt: skip
_LABELLED = "ProgressHook"


def replace_identity(
    config: MutableMapping[str, Any], method: str, backbone: str
) -> tuple[str, ...]:
    """Remove, in place, the names of the run that a config was written for.

    `experiment` gets the names of the new network. It gets a method only if the old method is
    nothing but a placement of norms. Any other method has no known name with a new network.

    Args:
        config: A complete config; a key that a base may give is set to None, not removed.
        method: The name of the new network's method.
        backbone: The name of the new network.

    Returns:
        The changes, as 'KEY BEFORE -> AFTER' or 'KEY'.
    """
    changed = []
    for key in _PLACES:
        if config.get(key) is not None:
            changed.append(f"{key} {config[key]} -> None")
            config[key] = None
    if config.get("resume"):
        changed.append("resume True -> False")
        config["resume"] = False
        if config.get("load_from"):
            # With `resume`, `load_from` is a checkpoint of the old run, not weights to begin from.
            changed.append(f"load_from {config['load_from']} -> None")
            config["load_from"] = None
    changed += _rename(config, method, backbone)
    for path, backend in _backends(config):
        changed += _strip(path, backend)
    for index, hook in enumerate(config.get("custom_hooks") or ()):
        if isinstance(hook, MutableMapping) and _is_labelled(hook):
            changed.append(f"custom_hooks.{index}.label")
            hook["label"] = ""
    return tuple(changed)


def _rename(config: MutableMapping[str, Any], method: str, backbone: str) -> list[str]:
    """Give `experiment` the names of the new network."""
    before = config.get("experiment")
    if not isinstance(before, Mapping) or not before:
        return []
    after = {key: before[key] for key in _KEPT if key in before}
    if before.get("method") in METHODS.values():
        after["method"] = method
    if before.get("backbone") is not None:
        after["backbone"] = backbone
    config["experiment"] = after
    return [
        f"experiment.{key} {value} -> {after.get(key)}"
        for key, value in before.items()
        if after.get(key) != value
    ]


def _backends(config: Mapping[str, Any]) -> Iterator[tuple[str, MutableMapping[str, Any]]]:
    """Yield (dotted key, dict) of every part of a config with drawing backends."""
    visualizer = config.get("visualizer")
    if isinstance(visualizer, MutableMapping):
        yield "visualizer", visualizer
    for owner, path in ((config, _BACKENDS), (visualizer, f"visualizer.{_BACKENDS}")):
        found = owner.get(_BACKENDS) if isinstance(owner, Mapping) else None
        for index, backend in enumerate(found or ()):
            if isinstance(backend, MutableMapping):
                yield f"{path}.{index}", backend
                if isinstance(backend.get("init_kwargs"), MutableMapping):
                    yield f"{path}.{index}.init_kwargs", backend["init_kwargs"]


def _strip(path: str, backend: MutableMapping[str, Any]) -> list[str]:
    """Remove a run's names; the visualizer's own name is for mmengine alone and stays."""
    names = {"save_dir"} if path == "visualizer" else _BACKEND_NAMES
    found = [key for key in backend if key in names and backend[key] is not None]
    for key in found:
        del backend[key]
    return [f"{path}.{key}" for key in found]


def _is_labelled(hook: Mapping[str, Any]) -> bool:
    return is_named(hook.get("type"), _LABELLED) and bool(hook.get("label"))
