"""The cells of a plan of re-identification: each trains a network and searches with it."""

import itertools
import os
from collections.abc import Iterator, Mapping
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any

import ibn_seg
from ibn_seg.benchmark.plan import Plan
from ibn_seg.benchmark.planned_cell import SEARCHING, Cell
from ibn_seg.benchmark.search_plan import EMBEDDED, METHODS, SearchMatrix
from ibn_seg.errors import UserError
from ibn_seg.models.specs import MODELS
from ibn_seg.results.identity import cell_id
from ibn_seg.retrieval.baseline_recipe import BaselineRecipe
from ibn_seg.retrieval.recipe_files import recipe_words
from ibn_seg.retrieval.source_selection import selecting

if TYPE_CHECKING:
    from ibn_seg.reid.sets.picture_set import PictureSet

# The folder of the embedded networks in the results.
CAMERAS = "cameras"
# The measures that an index and a progress line name.
SHOWN = ("rank-1", "mAP")


def search_cells(plan: Plan) -> Iterator[Cell]:
    """Yield the cells, with seeds in the outermost loop."""
    matrix = _matrix(plan)
    trained = list(itertools.product(matrix.sources, matrix.methods))
    if matrix.upper_bounds:
        bounds = [((name,), matrix.methods[0]) for name in matrix.targets]
        trained += [one for one in bounds if one not in trained]
    for seed, variant, backbone, (source, method) in itertools.product(
        matrix.seeds, matrix.variants, matrix.backbones, trained
    ):
        targets = tuple(
            name for name in matrix.targets if name not in source and name not in plan.left_out
        )
        recipe = matrix.variants[variant]
        model = f"{backbone}{METHODS[method]}"
        identity = {
            "ibn_seg": ibn_seg.__version__, "task": SEARCHING, "threads": plan.threads,
            "processes": plan.processes, "cameras": _drawn(matrix, (*source, *targets)),
            "model": model, "recipe": _plain(recipe), "source": list(source),
            "targets": list(targets), "seed": seed,
        }  # fmt: skip
        yield Cell(
            id=cell_id(identity), method=method, backbone=MODELS[backbone].title,
            segmentor=variant, source="+".join(source), targets=targets, seed=seed,
            iterations=recipe.epochs, identity=identity, config=_config(identity),
            task=SEARCHING,
        )  # fmt: skip


def search_arguments(plan: Plan, cell: Cell, results: Path) -> tuple[str, ...]:
    """Return the arguments of `ibn-seg` that train a cell's network and search with it."""
    matrix, known = _matrix(plan), cell.identity
    source, *others = known["source"]
    words = ["reid", "train", source, root_of(matrix, source, results), "--model", known["model"]]
    for flag, names in (("--also", others), ("--target", known["targets"])):
        words += [word for name in names
                  for word in (flag, f"{name}={root_of(matrix, name, results)}")]  # fmt: skip
    recipe = matrix.variants[cell.segmentor]
    return (*words, "--seed", str(cell.seed), *recipe_words(recipe))


def root_of(matrix: SearchMatrix, name: str, results: Path) -> str:
    """Return the folder of a data set; embedded networks lie in the results."""
    if name in EMBEDDED:
        return os.fspath(results / CAMERAS)
    return matrix.roots.get(name, f"data/{name}")


def draw_cameras(plan: Plan, results: Path) -> None:
    """Draw the embedded networks of a plan that are missing; a plan may have none."""
    matrix = _matrix(plan)
    if matrix.cameras is None:
        return
    from ibn_seg.progress import progress_callback
    from ibn_seg.scenes.camera_networks.write_networks import write_camera_networks

    with progress_callback("people") as progress:
        write_camera_networks(
            results / CAMERAS, matrix.cameras.cast, seed=matrix.cameras.seed, progress=progress
        )


def search_needs(plan: Plan, cell: Cell, results: Path) -> Iterator[str]:
    """Yield what a cell lacks on this machine: data sets, or a gallery to select by."""
    matrix, source, whole = _matrix(plan), cell.identity["source"], True
    for name in (*source, *cell.identity["targets"]):
        if name in EMBEDDED:
            continue
        try:
            if name in source:
                _check_source(matrix, name, results)
            else:
                _check_target(matrix, name, results)
        except UserError as error:
            whole = False
            yield error.line
    selects = cell.identity["recipe"]["selection"] == "source"
    # The embedded networks have galleries.
    if whole and selects and not set(source) & set(EMBEDDED):
        try:
            selecting([_data_set(matrix, name, results) for name in source])
        except UserError as error:
            yield error.line


def missing_searches(plan: Plan, results: Path) -> dict[str, str]:
    """Return the targets that cannot be searched on this machine, each with the reason."""
    matrix, found = _matrix(plan), {}
    for name in matrix.targets:
        try:
            if name not in EMBEDDED:
                _check_target(matrix, name, results)
        except UserError as error:
            found[name] = error.line
    return found


def _data_set(matrix: SearchMatrix, name: str, results: Path) -> "PictureSet":
    """Return a data set of a plan."""
    from ibn_seg.reid.sets.all_sets import picture_set

    return picture_set(name, root_of(matrix, name, results))


def _check_source(matrix: SearchMatrix, name: str, results: Path) -> None:
    """Raise a `UserError` if a data set cannot be trained on, or its gallery not be searched."""
    from ibn_seg.reid.set_numbers import searchable

    data = _data_set(matrix, name, results)
    data.pictures("train")
    if data.has_search:
        searchable(data)


def _check_target(matrix: SearchMatrix, name: str, results: Path) -> None:
    """Raise a `UserError` if a data set is missing or cannot be searched."""
    from ibn_seg.reid.set_numbers import searchable

    searchable(_data_set(matrix, name, results))


def search_scores(result: Mapping[str, Any]) -> dict[str, dict[str, float]]:
    """Return the measures of a result that are shown, percent, by data set."""
    return {
        name: {measure: found["scores"]["measures"][measure]["value"] for measure in SHOWN}
        for name, found in result["searches"].items()
    }


def summary(result: Mapping[str, Any]) -> str:
    """Return the scores of a result on one line."""
    return "  ".join(
        f"{name} rank-1 {scores['rank-1']:.1f} mAP {scores['mAP']:.1f}"
        for name, scores in search_scores(result).items()
    )


def _matrix(plan: Plan) -> SearchMatrix:
    if plan.searches is None:
        raise ValueError(f"{plan.file}: not a plan of re-identification")
    return plan.searches


def _drawn(matrix: SearchMatrix, names: tuple[str, ...]) -> dict[str, Any] | None:
    """Return the identity of the embedded networks, if a cell uses one."""
    if matrix.cameras is None or not set(names) & set(EMBEDDED):
        return None
    return asdict(matrix.cameras)


def _plain(recipe: BaselineRecipe) -> dict[str, Any]:
    """Return a recipe with lists, as JSON has them."""
    return {key: list(value) if isinstance(value, tuple) else value
            for key, value in asdict(recipe).items()}  # fmt: skip


def _config(identity: Mapping[str, Any]) -> Any:
    """Return a cell's settings as a config, for the file in the results."""
    from mmengine.config import Config

    return Config({"experiment": dict(identity)})
