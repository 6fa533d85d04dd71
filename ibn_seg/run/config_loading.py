"""Loads configs for commands, with settings from the command line and named methods."""

import argparse
import os
import re
from collections.abc import Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from ibn_seg.config import load_config
from ibn_seg.errors import UserError
from ibn_seg.methods.all_methods import complete_named
from ibn_seg.run.unread_options import say_unread

if TYPE_CHECKING:
    from mmengine.config import Config

PAIR = re.compile(r"[\w.]+=")
# mmengine removes all blanks from a value, also from names of folders. This character stands for
# one meanwhile; no text has it (Unicode's private use area).
_BLANK = "\ue000"
_AROUND_ITEMS = re.compile(r"\s*(,)\s*|(?<=[\[(])\s+|\s+(?=[\])])")


def read_options(pairs: Iterable[str], flag: str = "--cfg-options") -> dict[str, Any]:
    """Return `--cfg-options` by dotted key, with values parsed by mmengine's rules.

    Args:
        pairs: KEY=VALUE each.
        flag: The option that they came with, for messages.

    Raises:
        UserError: An item is not KEY=VALUE, its brackets do not match, or mmengine cannot read it.
    """
    pairs = list(pairs)
    if not pairs:
        return {}
    from mmengine.config import DictAction

    for pair in pairs:
        if not PAIR.match(pair):
            raise UserError(f"{flag} {pair!r} is not KEY=VALUE", "such as train_cfg.max_iters=100")
        opened, closed = ([pair.count(bracket) for bracket in kind] for kind in ("([", ")]"))
        if opened != closed:
            raise UserError(f"{flag} {pair!r}: brackets do not match", 'write key="[a,b]"')
    parser = argparse.ArgumentParser()
    parser.add_argument("--options", nargs="+", action=DictAction)
    options: dict[str, Any] = {}
    for pair in pairs:
        try:
            given = parser.parse_args(["--options", _with_blanks_kept(pair)]).options
            options |= {key: _with_blanks(value) for key, value in given.items()}
        except RecursionError as error:  # of mmengine, at a comma in brackets behind a word
            raise UserError(
                f"{flag} {pair!r} cannot be read", "write a dict by its keys: a.b=1 a.c=2"
            ) from error
    return options


def _with_blanks_kept(pair: str) -> str:
    """Return KEY=VALUE with a character in place of each blank inside a word of the value."""
    key, _, value = pair.partition("=")
    bare = _AROUND_ITEMS.sub(lambda found: found[1] or "", value.strip())
    return f"{key}={bare.replace(' ', _BLANK)}"


def _with_blanks(value: Any) -> Any:
    """Return a value with its blanks."""
    if isinstance(value, list | tuple):
        return type(value)(map(_with_blanks, value))
    return value.replace(_BLANK, " ") if isinstance(value, str) else value


def load_named(
    config: "str | os.PathLike | Config",
    cfg_options: Mapping[str, Any] | None = None,
    reads: Sequence[str] | None = (),
) -> "Config":
    """Load a config; a config from a file is completed by the method that it names.

    `experiment = dict(method='IBN-a')` is enough to build that method, see `ibn_seg.methods`. The
    config's own settings stay. A config that is already loaded is not completed. A line on stderr
    names the options that nothing reads.

    Args:
        config: A path, an `ibn_seg::` name, or a config, which is copied.
        cfg_options: Values that override the config's, by dotted key.
        reads: Keys of the config that the caller reads, and few others do, such as `test_pipeline`.
            None: print no line.

    Raises:
        UserError: The config is wrong.
    """
    cfg = load_config(config)
    if cfg_options:
        if reads is not None:
            say_unread(cfg, cfg_options, reads)
        cfg = load_config(cfg, cfg_options)
    if isinstance(config, str | os.PathLike):
        complete_named(cfg)
    return cfg
