"""The leaderboard of re-identification, from results that are written here."""

import contextlib
import csv
import dataclasses
import json

import numpy as np
import pytest

from ibn_seg.errors import UserError
from ibn_seg.leaderboard import write_leaderboard
from ibn_seg.leaderboard.search_board import read_searches
from ibn_seg.reid.identity_bootstrap import MEASURES, difference_interval
from ibn_seg.reid.kept_ranks import read_ranks, write_ranks
from ibn_seg.reid.measures import query_measures
from ibn_seg.reid.ranking import SearchLabels, rank_matches
from ibn_seg.results.keep_folder import keep

DATA = ("home", "abroad")


def write_results(root, cells):
    """Write an index and the files of cells (method, source, seed, noise of the features)."""
    rows = []
    for number, (method, source, seed, noise) in enumerate(cells):
        folder = root / "cells" / f"cell{number}"
        folder.mkdir(parents=True)
        searches = {}
        for name in DATA:
            found = search(noise + (0 if name == source else 0.5), seed)
            write_ranks(folder / f"ranks_{name}.npz", found)
            each = query_measures(found)
            values = {key: {"value": 100 * float(measure(each).mean())}
                      for key, measure in MEASURES.items()}  # fmt: skip
            searches[name] = {"scores": {"measures": values}, "ranks": f"ranks_{name}.npz"}
        (folder / "result.json").write_text(json.dumps({"searches": searches, "wall_time_s": 36}))
        rows.append({
            "id": f"cell{number}", "task": "reid", "method": method, "backbone": "ResNet-18",
            "segmentor": "no erasing", "source": source, "seed": seed, "state": "done",
            "result": f"cells/cell{number}/result.json", "command": f"ibn-seg reid train {number}",
        })  # fmt: skip
    index = {"schema": 1, "name": "tiny", "protocol": "native", "selection": "last",
             "plan_text": "name: tiny", "cells": rows}  # fmt: skip
    (root / "benchmark.json").write_text(json.dumps(index))
    return root


def search(noise, seed):
    """Return the ranks of 40 queries of 20 people among 80 pictures."""
    rng = np.random.default_rng(7)
    labels = SearchLabels(np.repeat(np.arange(1, 21), 2), np.tile([0, 1], 20),
                          np.tile(np.arange(1, 21), 4), np.repeat([0, 1, 2, 3], 20))  # fmt: skip
    centres = rng.normal(size=(21, 8))
    rng = np.random.default_rng(seed)
    sides = [centres[ids] + noise * rng.normal(size=(len(ids), 8))
             for ids in (labels.query_ids, labels.gallery_ids)]  # fmt: skip
    distances = ((sides[0][:, None] - sides[1]) ** 2).sum(axis=2)
    return rank_matches([distances], labels)


@pytest.fixture(scope="module")
def results(tmp_path_factory):
    cells = [(method, "home", seed, noise) for seed in (0, 1)
             for method, noise in (("IBN-a", 0.6), ("BN", 1.0))]  # fmt: skip
    return write_results(tmp_path_factory.mktemp("results"), [*cells, ("BN", "abroad", 0, 0.3)])


def test_rows_intervals_and_upper_bounds(results):
    board = read_searches([results], None, "BN")
    home, abroad = board.groups
    assert [row.method for row in home.rows] == ["BN", "IBN-a"]
    assert (home.domains, home.targets) == (("home", "abroad"), ("abroad",))
    assert abroad.domains == ("abroad", "home")
    assert home.upper["abroad"].seeds == (0,)
    base, better = home.rows
    found = better.difference(base, "abroad", "mAP")
    mean, interval = found.mean, found.interval
    assert found.seeds == (0, 1)
    assert mean == pytest.approx(
        better.scores("abroad", "mAP").mean - base.scores("abroad", "mAP").mean
    )
    assert interval.low < mean < interval.high
    runs = [[run.matches["abroad"] for run in row.runs] for row in (base, better)]
    assert interval == difference_interval(*runs, "mAP", interval.draws)


def test_a_difference_is_of_common_seeds(tmp_path):
    results = write_results(tmp_path, [("BN", "home", 0, 1.0), ("IBN-a", "home", 1, 0.6)])
    base, other = read_searches([results], None, "BN").groups[0].rows
    assert other.difference(base, "home", "mAP") is None


def test_the_first_method_of_a_plan_is_its_baseline(tmp_path):
    """Upper bounds are of it, too; without a plan's word it is the first of the usual order."""
    cells = [("IBN-b", "home", 0, 1.0), ("IBN-a", "home", 0, 0.6), ("IBN-b", "abroad", 0, 0.3)]
    results = write_results(tmp_path, cells)
    path = results / "benchmark.json"
    assert read_searches([results], None, "BN").baseline == "IBN-a"
    path.write_text(json.dumps({**json.loads(path.read_text()), "baseline": "IBN-b"}))
    board = read_searches([results], None, "BN")
    assert board.baseline == "IBN-b"
    assert board.groups[0].upper["abroad"].method == "IBN-b"
    assert read_searches([results], "IBN-a", "BN").baseline == "IBN-a"


def test_intervals_over_few_seeds_say_so(tmp_path):
    cells = [("BN", "home", seed, 1.0) for seed in range(4)]
    said = {}
    for count in (1, 3, 4):
        results = write_results(tmp_path / str(count), cells[:count])
        page, text = write_leaderboard([results], tmp_path / "b.html", exports=["latex"])
        said[count] = "With so few seeds" in page.read_text()
        assert ".." not in text.read_text().replace("...", "")
    assert said == {1: False, 3: True, 4: False}


def test_one_common_seed_claims_no_gain(tmp_path):
    cells = [("BN", "home", 0, 1.0), ("IBN-a", "home", 0, 0.6), ("IBN-a", "home", 1, 0.6)]
    results = write_results(tmp_path / "results", cells)
    page, csv_file, text = write_leaderboard(
        [results], tmp_path / "board.html", exports=["csv", "markdown"], published="none"
    )
    html = page.read_text()
    assert "With one seed, IBN-a reads" in html
    assert "trained on home; 1 seed; 95\N{NO-BREAK SPACE}% interval [" in html
    assert " gains " not in html
    # Tables and CSV say which seeds a difference is of.
    assert "], seeds 0)" in text.read_text() or "], seeds 0 |" in text.read_text()
    found = [row for row in csv.DictReader(csv_file.open()) if row["quantity"] == "map_difference"]
    assert {(row["n"], row["remark"]) for row in found} == {("1", "seeds 0")}


def test_the_page_says_which_checkpoint_counts(tmp_path):
    results = write_results(tmp_path / "results", [("BN", "home", 0, 1.0)])
    path = results / "cells" / "cell0" / "result.json"
    said = []
    for more in ({}, {"source_mAP": {"30": 50.0}}):
        path.write_text(json.dumps({**json.loads(path.read_text()), **more}))
        page, csv_file = write_leaderboard([results], tmp_path / "b.html", exports=["csv"])
        first = next(csv.DictReader(csv_file.open()))
        said.append((page.read_text().count("Selection: last checkpoint; mAP"), first["selection"]))
    assert said == [(1, "last"), (0, "best on the source")]
    assert "Selection: checkpoint with the best mAP on the source; mAP" in page.read_text()
    assert "those that chose the checkpoints" in page.read_text()


@pytest.mark.parametrize(
    ("damage", "message"),
    [
        (lambda one: one["searches"]["home"]["scores"]["measures"].pop("mAP"),
         "cell0/result.json, home: the key 'mAP' is missing"),
        (lambda one: one["searches"]["home"]["scores"]["measures"]["mINP"].update(value=200),
         "cell0/result.json, home, mINP: 'value' is 200"),
        (lambda one: one["searches"].update(home=3), "cell0/result.json: the key 'ranks'"),
    ],
)  # fmt: skip
def test_a_damaged_result_is_one_line(tmp_path, damage, message):
    results = write_results(tmp_path, [("BN", "home", 0, 1.0)])
    path = results / "cells" / "cell0" / "result.json"
    content = json.loads(path.read_text())
    damage(content)
    path.write_text(json.dumps(content))
    with pytest.raises(UserError, match=message):
        read_searches([results], None, "BN")


def test_two_networks_of_one_seed_are_named(tmp_path):
    results = write_results(tmp_path, [("BN", "home", 0, 1.0), ("BN", "home", 0, 0.6)])
    board = read_searches([results], None, "BN")
    with pytest.raises(UserError, match=r"cell0/result.json and .*cell1/result.json are both of"):
        _ = board.groups


def test_searches_in_other_pictures_are_one_line(tmp_path):
    """Such as people drawn with another seed, in a second folder."""
    results = write_results(tmp_path, [("BN", "home", 0, 1.0), ("IBN-a", "home", 1, 1.0)])
    path = results / "cells" / "cell1" / "ranks_abroad.npz"
    found = read_ranks(path)
    write_ranks(path, dataclasses.replace(found, gallery=found.gallery + 1))
    with pytest.raises(
        UserError, match=r"cell1/result.json and .*cell0/result.json are of diff"
    ) as error:
        read_searches([results], None, "BN")
    assert "'abroad'" in error.value.line


def test_a_cell_that_is_none_is_one_line(tmp_path):
    index = {"schema": 1, "protocol": "native", "selection": "last", "cells": [3]}
    (tmp_path / "benchmark.json").write_text(json.dumps(index))
    with pytest.raises(UserError, match="a cell: the key 'id' is missing"):
        write_leaderboard([tmp_path])


def test_the_page_and_the_exports(results, tmp_path):
    page = tmp_path / "board.html"
    files = write_leaderboard([results], page, exports=["csv", "latex", "markdown"])
    assert [path.suffix for path in files] == [".html", ".csv", ".tex", ".md"]
    html = page.read_text()
    assert "IBN-a gains" in html
    assert "BN trained on abroad" in html
    assert "ibn-seg reid train 3" in html
    # Figures of others stand apart, with their measure.
    assert "Market1501 mAP" in html
    rows = list(csv.DictReader(files[1].open()))
    board = read_searches([results], None, "BN")
    (found,) = [row for row in rows if row["quantity"] == "map" and row["method"] == "IBN-a"
                and row["domain"] == "abroad" and not row["seed"]]  # fmt: skip
    assert float(found["value"]) == board.groups[0].rows[1].scores("abroad", "mAP").mean
    assert {row["quantity"] for row in rows} >= {"rank_1", "map_trapezoid", "minp"}
    text = files[3].read_text()
    assert "Trained on home: ResNet-18, no erasing" in text
    assert text.count("| baseline |") == 2


def test_published_figures_can_be_left_out(results, tmp_path):
    page = tmp_path / "board.html"
    write_leaderboard([results], page, published="none")
    assert "Market1501" not in page.read_text()


@pytest.mark.parametrize(
    ("options", "message"),
    [({"baseline": "SE"}, "unknown baseline 'SE'"), ({"only": ["x"]}, "unknown table")],
)
def test_wrong_use_is_one_line(options, message, results, tmp_path):
    with pytest.raises(UserError, match=message):
        write_leaderboard([results], tmp_path / "board.html", **options)
    assert list(tmp_path.iterdir()) == []


def test_segmentation_does_not_mix_with_it(results, tmp_path):
    (tmp_path / "benchmark.json").write_text(
        json.dumps({"schema": 1, "protocol": "native", "selection": "last",
                    "cells": [{"id": "a", "state": "to do"}]})
    )  # fmt: skip
    with pytest.raises(UserError, match="holds other results than re-identification"):
        write_leaderboard([results, tmp_path])
    with pytest.raises(UserError, match="holds results of re-identification"):
        write_leaderboard([tmp_path, results])


def exports(root):
    """The exports of the folder `bench` in a folder."""
    with contextlib.chdir(root):
        files = write_leaderboard(["bench"], "board.html", exports=["csv", "latex", "markdown"])
        return {path.suffix: path.read_bytes() for path in files[1:]}


def test_kept_results_show_the_same_numbers(tmp_path):
    cells = [(method, "home", 0, 1.0) for method in ("BN", "IBN-a")]
    old, new = tmp_path / "old", tmp_path / "new"
    written = keep(write_results(old / "bench", cells), new / "bench")
    assert [path.name for path in written] == [
        "runs.jsonl", "matrices-1.npz", "searches.zip", "kept.json",
    ]  # fmt: skip
    assert exports(new) == exports(old)
    # A further run stands beside the first, and may be kept again.
    write_results(old / "again", cells)
    for _ in range(2):
        keep(old / "again", new / "again", beside=new / "bench")
        assert read_searches([new / "again"], None, "BN").runs[1].matches["abroad"].gallery == 80
    assert exports(new) == exports(old)


@pytest.mark.parametrize(
    ("damage", "said"),
    [
        (lambda path: path.unlink(), "searches.zip: no such file"),
        (lambda path: path.write_bytes(b"PK"), "searches.zip: not an archive of searches"),
        (lambda path: path.write_bytes(path.read_bytes()[:-9]), "searches.zip: not an archive"),
        (lambda path: path.write_bytes(b"PK\5\6" + bytes(18)), "no ranks 'ranks_home.npz' beside"),
    ],
)
def test_damage_of_kept_ranks_is_one_line(damage, said, tmp_path):
    keep(write_results(tmp_path / "bench", [("BN", "home", 0, 1.0)]), tmp_path / "new")
    damage(tmp_path / "new" / "searches.zip")
    with pytest.raises(UserError) as caught:
        read_searches([tmp_path / "new"], None, "BN")
    assert said in caught.value.line
    assert "\n" not in caught.value.line


def test_lost_ranks_are_not_kept(tmp_path):
    results = write_results(tmp_path / "bench", [("BN", "home", 0, 1.0)])
    (results / "cells" / "cell0" / "ranks_home.npz").unlink()
    with pytest.raises(UserError, match=r"cell0/ranks_home.npz: no such file"):
        keep(results, tmp_path / "new")
    assert not (tmp_path / "new").exists()
