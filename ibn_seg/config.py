"""Find and load configs: files, names of configs that travel with the package, `mmseg::` bases."""

import difflib
import importlib.metadata
import importlib.util
import os
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ibn_seg.errors import EnvError, UserError

if TYPE_CHECKING:
    from mmengine.config import Config

SCHEME = "ibn_seg::"


def config_folder() -> Path:
    """Return the folder of the configs that come with the package.

    In an installed wheel it is `ibn_seg/.mim/configs` (mim's convention), in a checkout `configs`
    beside the package.

    Raises:
        EnvError: Neither exists.
    """
    package = Path(__file__).resolve().parent
    for folder in (package / ".mim" / "configs", package.parent / "configs"):
        if folder.is_dir():
            return folder
    raise EnvError(f"{package}: the configs of ibn_seg are missing", "install ibn_seg again")


def list_configs() -> list[str]:
    """Return the names of the runnable configs, relative to the config folder, without suffix."""
    folder = config_folder()
    files = (path.relative_to(folder) for path in folder.rglob("*.py"))
    runnable = (path for path in files if not any(part.startswith("_") for part in path.parts))
    return sorted(path.with_suffix("").as_posix() for path in runnable)


def find_config(source: str | os.PathLike) -> Path:
    """Return the file of a config given as a path or as `ibn_seg::folder/name`.

    Raises:
        UserError: There is no such config.
    """
    text = os.fspath(source)
    if text.startswith(SCHEME):
        name = text.removeprefix(SCHEME).removesuffix(".py")
        path = config_folder() / f"{name}.py"
        if not path.is_file():
            raise UserError(f"no config {text!r} in ibn_seg", _nearest_configs(name))
        return path
    path = Path(text)
    if path.is_file():
        return path
    if path.is_dir():
        raise UserError(f"{path}: is a folder", "give a config file (.py)")
    raise UserError(f"{path}: no such config file", _nearest_configs(path.stem))


def load_config(
    source: "str | os.PathLike | Config", cfg_options: Mapping[str, Any] | None = None
) -> "Config":
    """Load a config and apply options to it.

    Args:
        source: A path, `ibn_seg::folder/name`, or a config, which is copied and not changed.
        cfg_options: Values by dotted key, as after mmseg's `--cfg-options`.

    Raises:
        UserError: The config is missing, is not valid, or an option does not fit it.
    """
    from mmengine.config import Config

    if isinstance(source, Config):
        config = Config(source._cfg_dict.to_dict(), cfg_text=source.text, filename=source.filename)
    else:
        config = _read(find_config(source))
    if cfg_options:
        try:
            config.merge_from_dict(dict(cfg_options))
        except (KeyError, TypeError, IndexError, AssertionError) as error:
            reason = error.args[0] if error.args else error
            raise UserError(f"--cfg-options do not fit the config: {reason}") from error
    return config


def _read(path: Path) -> "Config":
    """Read one config file with its bases; the first line of any failure becomes the error."""
    from mmengine.config import Config
    from mmengine.config.config import ConfigParsingError

    problems = (
        ConfigParsingError, SyntaxError, NameError, KeyError, TypeError, ValueError,
        AttributeError, ImportError, FileNotFoundError, AssertionError,
    )  # fmt: skip
    try:
        with _installed_packages(), _no_reports():
            return Config.fromfile(path)
    except UserError:
        raise
    except problems as error:
        reason = " ".join(str(error).split()) or type(error).__name__
        raise UserError(f"{path}: cannot be loaded ({reason})", "mend the config") from error


@contextmanager
def _installed_packages() -> Iterator[None]:
    """Let `_base_ = 'mmseg::...'` find its package while a config loads.

    mmengine looks a scope up as the *distribution* in its MODULE2PACKAGE table. The maintained
    continuation of mmsegmentation has another distribution name, so the scope is pointed at the
    module itself there; the table is put back afterwards.
    """
    from mmengine.config.utils import MODULE2PACKAGE

    before = dict(MODULE2PACKAGE)
    if not _has_distribution("mmsegmentation") and importlib.util.find_spec("mmseg"):
        MODULE2PACKAGE["mmseg"] = "mmseg"
    try:
        yield
    finally:
        MODULE2PACKAGE.clear()
        MODULE2PACKAGE.update(before)


@contextmanager
def _no_reports() -> Iterator[None]:
    """Keep mmengine from reporting every environment variable that a config reads."""
    import logging

    from mmengine.logging import MMLogger

    logger = MMLogger.get_current_instance()
    level = logger.level
    logger.setLevel(logging.WARNING)
    try:
        yield
    finally:
        logger.setLevel(level)


def _has_distribution(name: str) -> bool:
    try:
        importlib.metadata.version(name)
    except importlib.metadata.PackageNotFoundError:
        return False
    return True


def _nearest_configs(name: str) -> str:
    """Say which of the package's configs a wrong name may have meant."""
    names = list_configs()
    by_stem = {Path(known).name: known for known in names}
    close = difflib.get_close_matches(name, names, n=2, cutoff=0.4)
    close = close or [by_stem[s] for s in difflib.get_close_matches(name, by_stem, 2, 0.4)]
    shown = close or names
    start = "did you mean" if close else "the package has"
    return f"{start} {', '.join(SCHEME + known for known in shown)}"
