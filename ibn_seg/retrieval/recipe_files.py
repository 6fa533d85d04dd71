"""Reads recipes of re-identification from YAML: those of `configs/reid/`, and those of plans."""

import os
from collections.abc import Mapping
from dataclasses import asdict, dataclass, fields
from pathlib import Path
from typing import Any

from ibn_seg.config import SCHEME, config_folder
from ibn_seg.errors import UserError, unknown
from ibn_seg.models.specs import MODELS
from ibn_seg.reid.sets.all_sets import PICTURE_SETS
from ibn_seg.retrieval.baseline_recipe import BaselineRecipe
from ibn_seg.yaml_values import Reader, read_yaml

_FOLDER = "reid"
_SUFFIXES = (".yaml", ".yml")
_KEYS = ("model", "data", "recipe")


@dataclass(frozen=True)
class NamedRecipe:
    """What a recipe file says.

    Attributes:
        model: The network.
        data: The data set to train on.
        recipe: The settings.
    """

    model: str
    data: str
    recipe: BaselineRecipe


def is_recipe(text: str) -> bool:
    """Tell whether a text names a recipe file: `ibn_seg::reid/NAME` or a YAML file."""
    return text.startswith(SCHEME) or text.endswith(_SUFFIXES)


def read_recipe(source: str | os.PathLike) -> NamedRecipe:
    """Read a recipe: a YAML file, or `ibn_seg::reid/NAME` from the package.

    Raises:
        UserError: There is no such file, or it is no recipe. The line names the key.
    """
    text = os.fspath(source)
    path = _of_the_package(text) if text.startswith(SCHEME) else Path(text)
    read = Reader(path)
    given = read.mapping(read_yaml(path, "recipe"), "", _KEYS)
    for key in _KEYS[:2]:
        if key not in given:
            read.fail(key, "is missing", "a recipe needs model and data")
    return NamedRecipe(
        read.choice(given["model"], "model", "model", MODELS),
        read.choice(given["data"], "data", "data set", PICTURE_SETS),
        read_settings(read, given.get("recipe", {}), "recipe"),
    )


def read_settings(
    read: Reader, value: Any, key: str, start: BaselineRecipe | None = None
) -> BaselineRecipe:
    """Return a recipe from the mapping of a YAML file.

    Args:
        read: The reader of the file.
        value: Settings by name, fields of `BaselineRecipe`.
        key: Where they stand.
        start: The recipe that they change; default that of the strong baseline.

    Raises:
        UserError: A setting is unknown, of another kind, or out of range.
    """
    known = asdict(start or BaselineRecipe())
    example = " such as {epochs: 60}"
    given = read.mapping(value, key, [one.name for one in fields(BaselineRecipe)], example)
    checked = {name: _setting(read, one, f"{key}.{name}", known[name])
               for name, one in given.items()}  # fmt: skip
    recipe = BaselineRecipe(**{**known, **checked})
    try:
        recipe.check()
    except UserError as error:
        raise UserError(f"{read.file}: {key}: {error.line}") from error
    return recipe


def _setting(read: Reader, value: Any, key: str, default: Any) -> Any:
    """Return a value of the kind of its default."""
    if key.endswith(".size"):
        return read.size(value, key)
    if isinstance(default, str):
        return read.text(value, key, default)
    if isinstance(default, bool):
        return read.choice(value, key, "value", (True, False))
    if isinstance(default, tuple):
        return tuple(read.whole(one, key, 1) for one in read.items(value, key, "[40, 70]"))
    if isinstance(default, int):
        return read.whole(value, key, 0)
    return float(value) if value == 0 else read.number(value, key)


def recipe_words(recipe: BaselineRecipe) -> list[str]:
    """Return the options of `ibn-seg reid train` for a recipe, those that differ from defaults."""
    words: list[str] = []
    default: Mapping[str, Any] = asdict(BaselineRecipe())
    for name, value in asdict(recipe).items():
        if value == default[name]:
            continue
        words.append(f"--{name.replace('_', '-')}")
        if name == "size":
            words.append("x".join(map(str, value)))
        elif isinstance(value, tuple):
            words.append(",".join(map(str, value)))
        elif not isinstance(value, bool):
            words.append(str(value))
    return words


def _of_the_package(text: str) -> Path:
    """Return the file of a recipe in the package."""
    folder = config_folder()
    known = {
        f"{SCHEME}{path.relative_to(folder).with_suffix('').as_posix()}": path
        for path in sorted((folder / _FOLDER).glob("*.yaml"))
    }
    name = text.removesuffix(".yaml")
    if name not in known:
        raise unknown("recipe", text, known)
    return known[name]
