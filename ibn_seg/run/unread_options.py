"""Says which settings of the command line have no effect: variables of a config's own text.

A config often has a value as a variable and puts it into its parts. The parts are made when the
file is read. Then a new value of the variable reaches none of them.
"""

import os
import sys
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

# What mmengine's Runner, mmseg's functions and this package read of a config.
_READ = frozenset((
    "activation_checkpointing", "auto_scale_lr", "channels_last", "classifier", "compile",
    "custom_hooks", "custom_imports", "data_preprocessor", "default_hooks", "default_scope",
    "efficient_conv_bn_eval", "env_cfg", "experiment", "experiment_name",
    "find_unused_parameters", "launcher", "load_from", "log_level", "log_processor", "model",
    "model_wrapper_cfg", "optim_wrapper", "param_scheduler", "quiet", "randomness", "resume",
    "sync_bn", "test_cfg", "test_dataloader", "test_evaluator", "train_cfg", "train_dataloader",
    "tta_model", "tta_pipeline", "val_cfg", "val_dataloader", "val_evaluator",
    "vis_backends", "visualizer", "work_dir",
))  # fmt: skip
# mmengine takes it for a model that has none of its own.
_FALLBACK = "data_preprocessor"
_MANY = 3


def say_unread(
    config: Mapping[str, Any], options: Mapping[str, Any], also: Sequence[str] = ()
) -> None:
    """Print one line on stderr for each option that no command reads.

    A hook of one's own may read it.

    Args:
        config: The config without the options.
        options: Values by dotted key.
        also: Further keys that the caller reads.
    """
    if os.environ.get("RANK", "0") != "0":
        return
    for name in dict.fromkeys(key.partition(".")[0] for key in options):
        model = config.get("model")
        own = name == _FALLBACK and isinstance(model, Mapping) and model.get(name) is not None
        if own or name not in (*_READ, *also):
            print(f"--cfg-options: {_described(config, name)}", file=sys.stderr)


def _described(config: Mapping[str, Any], name: str) -> str:
    if name not in config:
        return f"the config has no {name}, and no command reads it"
    read = {key: value for key, value in config.items() if key in _READ and key != name}
    places = list(_places(read, config[name]))
    if not places:
        return f"no command reads {name} by itself; set the keys that the config makes of it"
    more = f" and {len(places) - _MANY} more" if len(places) > _MANY else ""
    return (
        f"no command reads {name} by itself; its value also stands in {', '.join(places[:_MANY])}"
        f"{more}, which keep it: set these"
    )


def _places(part: Any, wanted: Any, key: str = "") -> Iterator[str]:
    """Yield the dotted keys in a part of a config that have a value, the outermost ones."""
    if key and type(part) is type(wanted) and part == wanted:
        yield key
        return
    items = part.items() if isinstance(part, Mapping) else ()
    items = enumerate(part) if isinstance(part, (list, tuple)) else items
    for name, value in items:
        yield from _places(value, wanted, f"{key}.{name}" if key else str(name))
