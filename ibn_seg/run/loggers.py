"""Sends a training's curves to TensorBoard, Weights & Biases or MLflow, by mmengine's visualizer.

mmengine calls a place that curves go to a backend. `vis_backends` of the visualizer lists them.
"""

import importlib.util
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ibn_seg.errors import EnvError, UserError, unknown
from ibn_seg.type_names import is_named, short_name

if TYPE_CHECKING:
    from mmengine.config import Config

BACKENDS = "vis_backends"
_PROJECT = "ibn_seg"
# mmengine's own: a file of JSON lines in the work dir.
_LOCAL = {"type": "LocalVisBackend"}


@dataclass(frozen=True)
class Logger:
    """A service that shows curves.

    Args:
        backend: The class of mmengine that writes to it.
        package: The package that the class needs, as pip names it.
        settings: Its settings; 'RUN' stands for the name of the work dir.
    """

    backend: str
    package: str
    settings: Mapping[str, Any] = field(default_factory=dict)


LOGGERS: Mapping[str, Logger] = {
    "tensorboard": Logger("TensorboardVisBackend", "tensorboard"),
    "wandb": Logger(
        "WandbVisBackend", "wandb", {"init_kwargs": {"project": _PROJECT, "name": "RUN"}}
    ),
    "mlflow": Logger("MLflowVisBackend", "mlflow", {"exp_name": _PROJECT, "run_name": "RUN"}),
}
# The packages of mmengine's other backends, by class.
_PACKAGES = {
    **{one.backend: one.package for one in LOGGERS.values()},
    "ClearMLVisBackend": "clearml",
    "NeptuneVisBackend": "neptune",
    "DVCLiveVisBackend": "dvclive",
    "AimVisBackend": "aim",
}


def set_loggers(
    cfg: "Config", names: Sequence[str] = (), cfg_options: Mapping[str, Any] | None = None
) -> None:
    """Add the backends of loggers to a config, and check that their packages are there.

    `vis_backends` of the command line replace those of the visualizer. A config file usually names
    that list inside its visualizer, where a changed list alone would have no effect.

    Args:
        cfg: A config, changed in place; its `work_dir` is set.
        names: Names of `LOGGERS`.
        cfg_options: Settings of the command line, by dotted key.

    Raises:
        UserError: A name is unknown, or the backends are not a list of dicts.
        EnvError: The package of a backend is missing.
    """
    for name in names:
        if name not in LOGGERS:
            raise unknown("logger", name, LOGGERS)
    given = any(key.partition(".")[0] == BACKENDS for key in cfg_options or ())
    visualizer = dict(cfg.get("visualizer") or {"type": "Visualizer"})
    holder = cfg if given or not cfg.get("visualizer") else visualizer
    backends = holder.get(BACKENDS)
    backends = _checked([_LOCAL] if backends is None else backends)
    for name in names:
        logger = LOGGERS[name]
        if not any(is_named(one["type"], logger.backend) for one in backends):
            backends.append({"type": logger.backend, **_named(logger.settings, cfg.work_dir)})
    _check_packages(one["type"] for one in backends)
    if given or names:
        cfg.visualizer = {**visualizer, BACKENDS: backends}


def _checked(backends: Any) -> list[dict[str, Any]]:
    """Return backends as a new list; a word, as `--cfg-options` gives it, is a class by its name.

    Raises:
        UserError: They are not a list of dicts with a type, nor of words.
    """
    listed = [backends] if isinstance(backends, str) else backends
    if isinstance(listed, list | tuple):
        dicts = [{"type": one} if isinstance(one, str) else one for one in listed]
        if all(isinstance(one, Mapping) and one.get("type") for one in dicts):
            return [dict(one) for one in dicts]
    raise UserError(
        f"{BACKENDS} is {backends!r}",
        f"name classes of mmengine, {BACKENDS}=[LocalVisBackend,TensorboardVisBackend], or use "
        f"--log {'|'.join(LOGGERS)}",
    )


def _named(settings: Mapping[str, Any], work_dir: str) -> dict[str, Any]:
    """Return settings with the name of the work dir in them."""
    run = Path(work_dir).resolve().name
    return {
        key: _named(value, work_dir) if isinstance(value, Mapping) else run if value == "RUN"
        else value
        for key, value in settings.items()
    }  # fmt: skip


def _check_packages(types: Iterable[Any]) -> None:
    """Raise if a backend's package is missing.

    Raises:
        EnvError: It is missing.
    """
    for kind in types:
        for backend, package in _PACKAGES.items():
            if is_named(kind, backend) and importlib.util.find_spec(package) is None:
                raise EnvError(
                    f"{BACKENDS}: {short_name(kind)} needs the package {package}, "
                    "which is not installed",
                    f"pip install {package}",
                )
