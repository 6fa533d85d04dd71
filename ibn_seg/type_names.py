"""Compare the `type` of a config in any of the spellings that mmengine accepts."""

import re

# Packages that register their classes under the bare name. A class of another package may have the
# same name but is a different class.
_HOSTS = frozenset(("ibn_seg", "mmengine", "mmcv", "mmseg", "torch"))


def short_name(kind: object) -> str:
    """Return the name of a class without scope, package and module.

    Args:
        kind: A `type` in a config: a name ('CheckpointHook'), a name with a scope
            ('mmengine.CheckpointHook'), a full name ('mmengine.hooks.CheckpointHook') or a class.

    Returns:
        The bare name, 'CheckpointHook' in these examples; '' if it is no `type`.
    """
    if isinstance(kind, str):
        return re.split(r"[.:]", kind)[-1]
    name = getattr(kind, "__name__", "")
    return name if isinstance(name, str) else ""


def is_named(kind: object, *names: str) -> bool:
    """Tell whether the `type` of a config is one of the given classes, in any spelling.

    Args:
        kind: As for `short_name`.
        names: Bare names of classes of ibn_seg, mmengine, mmcv, mmseg or PyTorch. A class of
            another package with the same name, say 'my_code.CheckpointHook', does not match.
    """
    if short_name(kind) not in names:
        return False
    full = kind if isinstance(kind, str) else f"{kind.__module__}.{kind.__name__}"
    package, dot, _ = full.partition(".")
    return not dot or package in _HOSTS
