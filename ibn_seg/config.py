"""Find and load configs: files, names of configs in the package, and `mmseg::` bases."""

import difflib
import importlib
import importlib.metadata
import importlib.util
import os
import sys
import warnings
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ibn_seg.config_errors import explained_reading, import_error
from ibn_seg.config_values import plain_values, restore_tuples
from ibn_seg.errors import EnvError, UserError

if TYPE_CHECKING:
    from mmengine.config import Config

PACKAGE = "ibn_seg"
SCHEME = f"{PACKAGE}::"
_MANY = 20


def config_folder() -> Path:
    """Return the folder of the configs that come with the package.

    In an installed wheel it is `ibn_seg/.mim/configs` (mim's convention). In a checkout it is
    `configs` beside the package.

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
    return _runnable(config_folder())


def _runnable(folder: Path) -> list[str]:
    files = (path.relative_to(folder) for path in folder.rglob("*.py"))
    runnable = (path for path in files if not any(part.startswith("_") for part in path.parts))
    return sorted(path.with_suffix("").as_posix() for path in runnable)


def find_config(source: str | os.PathLike) -> Path:
    """Return the file of a config given as a path or as `PACKAGE::folder/name`.

    The package is ibn_seg, or another one that ships configs for mim, such as mmseg.

    Raises:
        UserError: There is no such config.
        EnvError: The package is not installed, or has no configs.
    """
    text = os.fspath(source)
    package, separator, name = text.partition("::")
    if separator:
        name = name.removesuffix(".py")
        folder = config_folder() if package == PACKAGE else _installed_configs(package)
        path = folder / f"{name}.py"
        if not path.is_file():
            raise UserError(f"no config {text!r}", _nearest_configs(name, package, folder))
        return path
    path = Path(text)
    if path.is_file():
        return path
    if path.is_dir():
        raise UserError(f"{path}: is a folder", "give a config file (.py)")
    raise UserError(f"{path}: no such config file", _nearest_configs(path.stem))


def load_config(
    source: "str | os.PathLike | Config",
    cfg_options: Mapping[str, Any] | None = None,
    custom_imports: bool = True,
) -> "Config":
    """Load a config and apply options to it.

    Args:
        source: A path, `PACKAGE::folder/name`, or a config, which is copied and not changed.
        cfg_options: Values by dotted key, as after mmseg's `--cfg-options`.
        custom_imports: Import the config's `custom_imports`, and the classes of a config in
            mmengine's pure Python style.

    Raises:
        UserError: The config is missing, is not valid, or an option does not fit it.
        EnvError: A package that it imports is not installed.
    """
    from mmengine.config import Config

    if isinstance(source, Config):
        content = plain_values(source, check=False)
        config = Config(content, cfg_text=source.text, filename=source.filename)
    else:
        config = _read(find_config(source), custom_imports)
    if cfg_options:
        try:
            config.merge_from_dict(dict(cfg_options))
        except (KeyError, TypeError, IndexError, AssertionError) as error:
            reason = error.args[0] if error.args else error
            raise UserError(f"--cfg-options do not fit the config: {reason}") from error
    return config


def _read(path: Path, custom_imports: bool) -> "Config":
    """Read one config file with its bases."""
    from mmengine.config import Config

    with explained_reading(path), _installed_packages(), _known_modules(), _no_reports():
        read = Config.fromfile(path, import_custom_modules=False)
        if custom_imports:
            import_modules(path, read.get("custom_imports"))
        content = plain_values(read, check=custom_imports)
        if path.suffix == ".json":
            content = restore_tuples(content)
        return Config(content, cfg_text=read.text, filename=read.filename)


def import_modules(path: str | os.PathLike, given: Any) -> None:
    """Import the modules that a config of either style names under `custom_imports`.

    Args:
        path: The config, for messages.
        given: Its `custom_imports`.

    Raises:
        UserError: mmengine does not accept the entry, or one of its modules fails.
        EnvError: A module's package is not installed.
    """
    if not given:
        return
    names = given.get("imports", ()) if isinstance(given, Mapping) else None
    names = [names] if isinstance(names, str) else names
    known = isinstance(given, Mapping) and not given.keys() - {"imports", "allow_failed_imports"}
    if not known or not isinstance(names, list | tuple) or not all(map(_is_text, names)):
        raise UserError(
            f"{path}: custom_imports={given} is not understood",
            "write custom_imports = dict(imports=['my_package.my_module'])",
        )
    for name in names:
        try:
            importlib.import_module(name)
        except UserError:
            raise
        except (Exception, SystemExit) as error:  # the module is the user's own code
            if given.get("allow_failed_imports") and isinstance(error, ImportError):
                warnings.warn(f"{name} failed to import and is ignored", stacklevel=2)
                continue
            raise import_error(f"{path}: custom_imports", name, error) from error


def _is_text(value: Any) -> bool:
    return isinstance(value, str) and value != ""


@contextmanager
def _installed_packages() -> Iterator[None]:
    """Let `_base_ = 'mmseg::...'` find its package while a config loads.

    mmengine looks a scope up as a *distribution* in its MODULE2PACKAGE table. The maintained fork
    of mmsegmentation has another distribution name. For that fork, this points the scope at the
    module itself and restores the table afterwards.
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
def _known_modules() -> Iterator[None]:
    """Let configs import all of Python's own modules, such as `os`.

    mmengine recognises these modules by their folder. Since Python 3.11 some have none. A config
    with `import os` would then count as pure Python style, where `os` is only a name.
    """
    from mmengine.config import config, utils

    before = utils._is_builtin_module

    def is_builtin(name: str) -> bool:
        return name.partition(".")[0] in sys.stdlib_module_names or before(name)

    config._is_builtin_module = utils._is_builtin_module = is_builtin
    try:
        yield
    finally:
        config._is_builtin_module = utils._is_builtin_module = before


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


def scope_of(cfg: "Config") -> str:
    """Return the framework in which a config's names are looked up; the default is mmseg.

    Configs in mmengine's pure Python style need no scope, and many say `default_scope = None`.
    """
    return cfg.get("default_scope") or "mmseg"


def is_pure_python(path: str | os.PathLike) -> bool:
    """Tell whether a config is in mmengine's pure Python style (`with read_base(): ...`)."""
    from mmengine.config import Config

    with _known_modules():
        return Config._is_lazy_import(str(path))


def _installed_configs(package: str) -> Path:
    """Return the folder of configs in another package."""
    spec = importlib.util.find_spec(package) if package.isidentifier() else None
    places = spec.submodule_search_locations if spec else None
    for place in places or ():
        folder = Path(place) / ".mim" / "configs"
        if folder.is_dir():
            return folder
    problem = "carries no configs" if places else "is not installed"
    raise EnvError(f"{package} {problem}", "give the path of a config file")


def _nearest_configs(name: str, package: str = PACKAGE, folder: Path | None = None) -> str:
    """Return which of a package's configs a wrong name may have meant, as text."""
    names = _runnable(folder or config_folder())
    by_stem = {Path(known).name: known for known in names}
    close = difflib.get_close_matches(name, names, n=2, cutoff=0.4)
    close = close or [by_stem[s] for s in difflib.get_close_matches(name, by_stem, 2, 0.4)]
    shown = close or (names if len(names) <= _MANY else names[:3])
    start = "did you mean" if close else "for example"
    return f"{start} {', '.join(f'{package}::{known}' for known in shown)}"
