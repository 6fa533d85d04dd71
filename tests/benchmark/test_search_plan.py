"""Plans of re-identification: their cells, commands and errors."""

import dataclasses
import json
from pathlib import Path

import pytest

from ibn_seg.benchmark.cells import list_cells
from ibn_seg.benchmark.index import write_index
from ibn_seg.benchmark.plan import read_plan
from ibn_seg.benchmark.run_plan import open_plan
from ibn_seg.benchmark.search_cells import search_arguments, search_needs
from ibn_seg.cli import run as run_cli
from ibn_seg.cli.reid import train as train_command
from ibn_seg.errors import UserError

TINY = {
    "name": "tiny", "task": "reid", "backbones": ["resnet18"], "methods": ["BN", "IBN-a"],
    "sources": ["cameras_source"], "targets": ["cameras_source", "cameras_target"], "seeds": [0],
    "cameras": {"train": 4, "test": 4},
    "recipe": {
        "epochs": 1, "identities": 2, "images": 2, "size": [16, 32], "milestones": [1],
        "warmup_epochs": 0, "erasing": 0, "last_stride": 2,
    },
}  # fmt: skip


def plan_of(tmp_path, **changes):
    """Return a plan, written as YAML (JSON is such); None leaves a key out."""
    content = {key: value for key, value in {**TINY, **changes}.items() if value is not None}
    path = tmp_path / "plan.yaml"
    path.write_text(json.dumps(content))
    return path


def test_the_plans_of_the_package():
    embedded = list_cells(read_plan("ibn_seg::benchmark/reid_embedded"))
    assert len(embedded) == len({cell.id for cell in embedded}) == 2 * 2 * 3 * 3
    assert {(cell.source, *cell.targets) for cell in embedded} == {
        ("cameras_source", "cameras_target"), ("cameras_target", "cameras_source")
    }  # fmt: skip
    assert {cell.identity["recipe"]["erasing"] for cell in embedded} == {0.0, 0.5}
    # Whole comparisons finish early.
    assert [cell.seed for cell in embedded] == sorted(cell.seed for cell in embedded)
    transfer = list_cells(read_plan("ibn_seg::benchmark/reid_transfer"))
    left_out = next(cell for cell in transfer if cell.source == "market1501+msmt17")
    assert left_out.targets == ("cuhk03_np",)


def test_the_demo_trains_an_upper_bound_and_shares_cells():
    demo = list_cells(read_plan("ibn_seg::benchmark/reid_demo"))
    assert [(cell.method, cell.source) for cell in demo] == [
        ("BN", "cameras_source"), ("IBN-a", "cameras_source"), ("IBN-b", "cameras_source"),
        ("BN", "cameras_target"),
    ]  # fmt: skip
    embedded = list_cells(read_plan("ibn_seg::benchmark/reid_embedded"))
    assert {cell.id for cell in demo} < {cell.id for cell in embedded}
    quick = list_cells(read_plan("ibn_seg::benchmark/reid_demo_quick"))
    assert len(quick) == 3
    assert not {cell.id for cell in demo} & {cell.id for cell in quick}


def test_a_command_gives_the_recipe_back(tmp_path):
    plan = read_plan("ibn_seg::benchmark/reid_embedded")
    plan = dataclasses.replace(plan, file=tmp_path / "plan.yaml")
    for cell in list_cells(plan)[:12]:
        _, _, *words = search_arguments(plan, cell, tmp_path)
        with train_command.make_context("train", words, resilient_parsing=False) as context:
            given = context.params
        recipe = plan.searches.variants[cell.segmentor]
        assert given["milestones"] == ",".join(map(str, recipe.milestones))
        for name, value in dataclasses.asdict(recipe).items():
            if name != "milestones":
                assert given[name] == value, name
        assert (given["seed"], given["model"]) == (cell.seed, cell.identity["model"])
        assert given["root"] == str(tmp_path / "cameras")


def test_what_changes_numbers_changes_the_id_and_folders_do_not(tmp_path):
    def ids(**changes):
        return [cell.id for cell in list_cells(read_plan(plan_of(tmp_path, **changes)))]

    first = ids()
    assert ids(name="other", budget={"cells": 1}) == first
    real = {"sources": ["market1501"], "targets": ["msmt17"], "cameras": None}
    assert ids(**real) == ids(**real, roots={"msmt17": "/elsewhere"})
    for changes in (
        {"threads": 2}, {"cameras": {"train": 4, "test": 4, "seed": 1}}, {"seeds": [1]},
        {"recipe": {**TINY["recipe"], "lr": 0.001}}, {"targets": ["cameras_target", "msmt17"]},
    ):  # fmt: skip
        assert not set(ids(**changes)) & set(first), changes


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"methods": ["IBN-c"]}, "methods.0: unknown method 'IBN-c'"),
        ({"backbones": ["osnet"]}, "backbones.0: unknown backbone 'osnet'"),
        ({"seeds": None}, "seeds: is missing"),
        ({"cameras": None}, "cameras: is missing"),
        ({"cameras": {"train": 1}}, "cameras.train: is"),
        ({"sources": ["market1501+nowhere"]}, "sources.0.1: unknown data set 'nowhere'"),
        ({"recipe": {"epochs": 0}}, "recipe: --epochs 0: it must be at least 1"),
        ({"variants": {}}, "variants: is empty"),
        ({"roots": {"veri776": "/data"}}, "roots.veri776: unknown key"),
        ({"segmentors": {}}, "segmentors: unknown key"),
    ],
)
def test_wrong_plans_are_one_line(changes, message, tmp_path):
    with pytest.raises(UserError, match=message):
        read_plan(plan_of(tmp_path, **changes))


def test_the_index_says_epochs_baseline_and_rule(tmp_path):
    recipes = {"a": {}, "b": {"selection": "source", "erasing": 0.5}}
    file = plan_of(tmp_path, methods=["IBN-b", "BN"], variants=recipes)
    plan, cells, store = open_plan(file, tmp_path / "results")
    write_index(plan, cells, store)
    index = json.loads((tmp_path / "results" / "benchmark.json").read_text())
    assert (index["baseline"], index["selection"]) == ("IBN-b", "last or source")
    assert {(row["epochs"], "iterations" in row) for row in index["cells"]} == {(1, False)}


def test_commands_hold_in_other_folders(tmp_path, monkeypatch):
    """What a page and kept results show names no folder of this machine."""
    monkeypatch.chdir(tmp_path)
    plan = read_plan(plan_of(tmp_path))
    words = search_arguments(plan, list_cells(plan)[0], Path("results"))
    assert words[3] == "results/cameras"
    assert "cameras_target=results/cameras" in words
    assert str(tmp_path) not in " ".join(words)


def test_a_dry_run_names_what_is_missing(tmp_path):
    missing = tmp_path / "none"
    file = plan_of(tmp_path, sources=["market1501"], targets=["cameras_target"],
                   roots={"market1501": str(missing)})  # fmt: skip
    plan = read_plan(file)
    for cell in list_cells(plan):
        assert list(search_needs(plan, cell, tmp_path)) == [f"{missing}: no such folder"]
    embedded = read_plan(plan_of(tmp_path))
    assert list(search_needs(embedded, list_cells(embedded)[0], tmp_path)) == []


def test_a_dry_run_names_a_source_that_cannot_select(tmp_path):
    pictures = tmp_path / "people" / "subset"
    pictures.mkdir(parents=True)
    (pictures / "000000_s00_c00_f1.jpg").touch()
    file = plan_of(tmp_path, sources=["randperson"], targets=["cameras_target"],
                   roots={"randperson": str(pictures.parent)},
                   recipe={**TINY["recipe"], "selection": "source"})  # fmt: skip
    plan = read_plan(file)
    (line,) = search_needs(plan, list_cells(plan)[0], tmp_path)
    assert line == f"{pictures.parent}: has no gallery to select by: use --selection last"


def test_a_dry_run_lists_the_recipes(tmp_path, capsys):
    file = plan_of(tmp_path, variants={"plain": {}, "erasing": {"erasing": 0.5}})
    assert run_cli(["benchmark", str(file), "--dry-run", "--results", str(tmp_path / "none")]) == 0
    printed = capsys.readouterr().out
    assert "4 cells: 4 to do" in printed
    # A narrow terminal wraps the words of a column.
    assert printed.count("plain") == printed.count("erasing") == 2
    assert not (tmp_path / "none").exists()


def test_missing_targets_can_be_skipped(tmp_path):
    missing = tmp_path / "none"
    file = plan_of(tmp_path, targets=["msmt17", "cameras_target"], roots={"msmt17": str(missing)})
    said = []
    _, cells, _ = open_plan(file, tmp_path / "results", skip_missing_targets=True, say=said.append)
    assert said == [f"skipped target msmt17: {missing}: no such folder"]
    assert {cell.targets for cell in cells} == {("cameras_target",)}


@pytest.mark.slow
def test_cells_run_and_a_leaderboard_shows_them(tmp_path, capfd):
    """Two cells, an interruption after the first, and a page."""
    results = tmp_path / "results"
    call = ["benchmark", str(plan_of(tmp_path)), "--results", str(results)]
    assert run_cli([*call, "--dry-run"]) == 0
    assert not results.exists()
    assert run_cli([*call, "--max-cells", "1"]) == 0
    assert "1 done, 1 to do" in capfd.readouterr().out
    assert run_cli(call) == 0
    index = json.loads((results / "benchmark.json").read_text())
    assert [row["state"] for row in index["cells"]] == ["done", "done"]
    for row in index["cells"]:
        assert set(row["searches"]) == {"cameras_source", "cameras_target"}
        # Nothing but the last checkpoint stays, and the ranks are small.
        (network,) = Path(results, "cells", row["id"]).glob("*.pth")
        ranks = list(network.parent.glob("ranks_*.npz"))
        assert len(ranks) == 2
        assert max(path.stat().st_size for path in ranks) < 4000
    assert run_cli(["leaderboard", str(results), "--export", "markdown"]) == 0
    assert "IBN-a" in (results / "leaderboard.md").read_text()
