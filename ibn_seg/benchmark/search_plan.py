"""Plans of re-identification (`task: reid`): networks to train, and galleries to search in."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from ibn_seg.benchmark.plan_matrix import read_seeds
from ibn_seg.models.specs import MODELS
from ibn_seg.reid.sets.all_sets import PICTURE_SETS
from ibn_seg.retrieval.baseline_recipe import BaselineRecipe
from ibn_seg.retrieval.recipe_files import read_settings
from ibn_seg.scenes.camera_networks.cast import CastPlan
from ibn_seg.yaml_values import Reader

# What a method adds to the name of a backbone.
METHODS: Mapping[str, str] = {"BN": "", "IBN-a": "_ibn_a", "IBN-b": "_ibn_b"}
EMBEDDED = ("cameras_source", "cameras_target")
REQUIRED = ("backbones", "methods", "sources", "targets", "seeds")
SEARCH_KEYS = (*REQUIRED, "task", "recipe", "variants", "upper_bounds", "roots", "cameras")
_CAST = ("train", "test", "seed")


@dataclass(frozen=True)
class Cameras:
    """The embedded camera networks to draw before the first cell (`ibn-seg reid render`).

    Attributes:
        cast: Their size.
        seed: Their seed.
    """

    cast: CastPlan = field(default_factory=CastPlan)
    seed: int = 0


@dataclass(frozen=True)
class SearchMatrix:
    """A full matrix: every combination of sources, variants, networks and seeds is a cell.

    Attributes:
        backbones: Names of networks of `ibn-seg models` with batch norms.
        methods: Keys of `METHODS`.
        sources: Data sets to train on, each alone or some joined by '+'.
        targets: Data sets to search in, beside the sources' own galleries.
        seeds: Training seeds.
        variants: The recipe of each variant, by its name in tables.
        roots: Folders of data sets by name; default `data/NAME`.
        upper_bounds: Whether the first method is trained on each target, too.
        cameras: The embedded networks, if the plan uses them.
    """

    backbones: tuple[str, ...]
    methods: tuple[str, ...]
    sources: tuple[tuple[str, ...], ...]
    targets: tuple[str, ...]
    seeds: tuple[int, ...]
    variants: Mapping[str, BaselineRecipe]
    roots: Mapping[str, str] = field(default_factory=dict)
    upper_bounds: bool = False
    cameras: Cameras | None = None


def read_searches(read: Reader, given: Mapping[str, Any]) -> SearchMatrix:
    """Return the matrix of a plan.

    Raises:
        UserError: A key is missing or wrong.
    """
    for key in REQUIRED:
        if key not in given:
            read.fail(key, "is missing", f"a plan of re-identification needs {', '.join(REQUIRED)}")
    backbones = _names(read, given["backbones"], "backbones", "backbone", MODELS)
    methods = _names(read, given["methods"], "methods", "method", METHODS)
    for backbone in backbones:
        for method in methods:
            name = f"{backbone}{METHODS[method]}"
            read.choice(name, f"backbones.{backbone}: {method}", "model", MODELS)
    sources = _sources(read, given["sources"])
    targets = _names(read, given["targets"], "targets", "data set", PICTURE_SETS)
    used = {*targets, *(name for source in sources for name in source)}
    cameras = _cameras(read, given["cameras"]) if "cameras" in given else None
    if cameras is None and used & set(EMBEDDED):
        read.fail("cameras", "is missing", "write `cameras: {}` to draw the embedded networks")
    return SearchMatrix(
        backbones, methods, sources, targets, read_seeds(read, given["seeds"], "seeds"),
        _variants(read, given), _roots(read, given.get("roots", {}), used),
        read.choice(given.get("upper_bounds", False), "upper_bounds", "value", (True, False)),
        cameras,
    )  # fmt: skip


def _names(read: Reader, value: Any, key: str, kind: str, allowed: Any) -> tuple[str, ...]:
    """Return a list of known names."""
    names = read.unique(value, key, f"[{next(iter(allowed))}]")
    return tuple(read.choice(name, f"{key}.{k}", kind, allowed) for k, name in enumerate(names))


def _sources(read: Reader, value: Any) -> tuple[tuple[str, ...], ...]:
    """Return the sources; several data sets of one are joined by '+'."""
    found = []
    for k, item in enumerate(read.unique(value, "sources", "[market1501, market1501+msmt17]")):
        parts = read.text(item, f"sources.{k}", "market1501").split("+")
        found.append(_names(read, parts, f"sources.{k}", "data set", PICTURE_SETS))
    return tuple(found)


def _variants(read: Reader, given: Mapping[str, Any]) -> dict[str, BaselineRecipe]:
    """Return the recipes by name; without `variants` there is one."""
    recipe = read_settings(read, given.get("recipe", {}), "recipe")
    if "variants" not in given:
        return {"strong baseline": recipe}
    example = " such as {no erasing: {erasing: 0}}"
    variants = read.mapping(given["variants"], "variants", example=example)
    if not variants:
        read.fail("variants", "is empty", f"expected at least one{example}")
    return {
        name: read_settings(read, value or {}, f"variants.{name}", recipe)
        for name, value in variants.items()
    }


def _roots(read: Reader, value: Any, used: set[str]) -> dict[str, str]:
    """Return the folders of data sets."""
    given = read.mapping(value, "roots", sorted(used - set(EMBEDDED)), " such as {msmt17: /data}")
    return {name: read.text(root, f"roots.{name}", "/data") for name, root in given.items()}


def _cameras(read: Reader, value: Any) -> Cameras:
    """Return size and seed of the embedded networks."""
    given = read.mapping({} if value is None else value, "cameras", _CAST, " such as {seed: 1}")
    counts = {name: read.whole(given[name], f"cameras.{name}", 2)
              for name in ("train", "test") if name in given}  # fmt: skip
    return Cameras(CastPlan(**counts), read.whole(given.get("seed", 0), "cameras.seed", 0))
