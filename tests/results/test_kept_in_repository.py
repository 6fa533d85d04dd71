"""The kept results of the repository are few, small and whole."""

from fnmatch import fnmatch
from pathlib import Path

import pytest

from ibn_seg.evaluation.confusion import scores
from ibn_seg.evaluation.stored import ImageConfusions
from ibn_seg.reid.kept_ranks import ranks_of
from ibn_seg.reid.measures import scores as search_scores
from ibn_seg.results.identity import cell_id
from ibn_seg.results.kept_matrices import read_configs, read_matrices
from ibn_seg.results.kept_searches import ARCHIVE, read_search_files
from ibn_seg.results.kept_table import read_pointer, read_table

KEPT = Path(__file__).resolve().parents[2] / "data" / "benchmark"
RUNS = [path.parent.name for path in sorted(KEPT.glob("*/kept.json"))]


@pytest.fixture(scope="module", params=RUNS)
def run(request):
    """A run's name, its part of the table, and the files with its matrices."""
    path, name = read_pointer(KEPT / request.param)
    assert name == request.param
    table = read_table(path)
    return name, table.runs[name], [path.parent / file for file in table.matrices]


def finished(part):
    """The rows of a run whose cells are done; others have nothing to compare."""
    return [row for row in part.rows if row["state"] == "done"]


def test_files_are_few_and_small():
    files = [path for path in KEPT.rglob("*") if path.is_file()]
    kept = [path for path in files if path.suffix in (".json", ".jsonl", ".npz")]
    assert {"embedded", "embedded_full", "embedded_rerun"} <= set(RUNS)
    for folder in {path.parent for path in kept}:
        assert sum(path.parent == folder for path in kept) <= 6
    three = [path for path in kept if path.parent.name.startswith("embedded")]
    assert len(three) <= 40
    assert sum(path.stat().st_size for path in three) < 8e6


def test_a_source_distribution_has_them():
    lines = (KEPT.parents[1] / "MANIFEST.in").read_text().splitlines()
    (line,) = (line for line in lines if line.startswith("recursive-include data/benchmark "))
    files = {path.name for path in KEPT.rglob("*") if path.is_file()}
    # A leaderboard of one's own is not part of it.
    wanted = {name for name in files if not name.startswith("leaderboard.")} | {ARCHIVE}
    lost = {name for name in wanted if not any(fnmatch(name, one) for one in line.split()[2:])}
    assert not lost


def test_every_id_is_the_hash_of_its_identity(run):
    _, part, _ = run
    assert finished(part)
    for row in finished(part):
        assert cell_id(part.identity(row["id"])) == row["id"]


def check_searches(beginning, searches, ranks):
    """Compare the mAP that a record says with that of the kept ranks."""
    assert searches
    for said in searches.values():
        matches = ranks_of(ranks[beginning + said["ranks"]], said["ranks"])
        value = said["scores"]["measures"]["mAP"]["value"]
        assert search_scores(matches).mean_precision == pytest.approx(value, abs=1e-9)


def test_scores_are_those_of_the_matrices(run):
    name, part, files = run
    found, configs = read_matrices(files), read_configs(files)
    archives = read_table(read_pointer(KEPT / name)[0]).searches
    ranks = read_search_files(files[0].parent / archive for archive in archives)
    for row in finished(part):
        key = f"{name}/{row['id']}"
        assert "model = dict(" in configs[key]
        if row["task"] == "divergence":
            assert row["record"]["pairs"]
            continue
        if row["task"] == "unknown":
            assert row["record"]["unknown_things"]
            continue
        if row["task"] == "reid":
            check_searches(f"{key}/", row["record"]["searches"], ranks)
            continue
        record = row["record"]["domains"]
        assert set(found[key]) == set(record)
        for domain, said in record.items():
            one = found[key][domain]
            images = ImageConfusions(one.images, one.counts, one.scored, one.mapping)
            counts = images.scored_counts
            counts = counts.sum(axis=0) if row["task"] == "train" else counts[0]
            again = scores(counts, images.class_names(one.columns), scored=one.scored)
            assert (again.mIoU, again.mAcc, again.aAcc) == (
                said["mIoU"], said["mAcc"], said["aAcc"],
            )  # fmt: skip
