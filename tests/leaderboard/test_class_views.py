"""A source of 19 classes and targets of 19, 11 and 7: what is compared, and what never is."""

import contextlib
import json

import numpy as np
import pytest

from ibn_seg.datasets.known_classes import SPACES, known_map
from ibn_seg.datasets.labels import CLASSES
from ibn_seg.evaluation.stored import ImageConfusions, StoredConfusions
from ibn_seg.leaderboard import write_leaderboard
from ibn_seg.leaderboard.class_views import class_lists, over_classes
from ibn_seg.leaderboard.compare import compare
from ibn_seg.leaderboard.comparison import TARGETS
from ibn_seg.leaderboard.read import read_board
from ibn_seg.results.keep_folder import keep
from tests.leaderboard.made import Folder

IMAGES, SEEDS = 5, (0, 1)
SPACE_OF = {"camvid": "camvid", "camvid-dusk": "camvid", "idd_lite": "idd_lite"}
DOMAINS = ("city", "night", *SPACE_OF)
METHODS = ("BN", "IBN-a")


def counts_of(domain: str, method: str, seed: int) -> np.ndarray:
    """Return (N, rows, 19) counts; labels depend on the domain alone."""
    name = SPACE_OF.get(domain)
    mapping = known_map(CLASSES, SPACES[name]) if name else None
    group_of = mapping.group_of if mapping else range(19)
    rows = len(mapping.groups) + 1 if mapping else 19
    labels = np.random.default_rng(sum(map(ord, domain))).integers(400, 900, (IMAGES, rows))
    rng = np.random.default_rng([METHODS.index(method), seed, *map(ord, domain)])
    counts = np.zeros((IMAGES, rows, 19), np.int64)
    for image, row in np.ndindex(labels.shape):
        right = np.array([group == row for group in group_of])
        chances = rng.dirichlet(np.ones(19)) * (1 - 0.3 * right.any())
        chances[right] += 0.3 / max(1, right.sum())
        counts[image, row] = rng.multinomial(labels[image, row], chances)
    return counts


def stored_of(method: str, seed: int) -> StoredConfusions:
    names = tuple(f"{at}.png" for at in range(IMAGES))
    return StoredConfusions(CLASSES, {
        domain: ImageConfusions(
            names, counts_of(domain, method, seed),
            mapping=known_map(CLASSES, SPACES[SPACE_OF[domain]]) if domain in SPACE_OF else None,
        )
        for domain in DOMAINS
    })  # fmt: skip


def miou_over_groups(counts: np.ndarray, group_of, groups: int, merge_rows: bool) -> float:
    """Return the mIoU of summed counts over groups, pair by pair, in percent."""
    hits, union = [0] * groups, [0] * groups
    for row in range(counts.shape[0]):
        mine = group_of[row] if merge_rows else row
        if mine is None or mine >= groups:
            continue  # void
        for column in range(19):
            theirs, pixels = group_of[column], int(counts[row, column])
            union[mine] += pixels
            if theirs == mine:
                hits[mine] += pixels
            elif theirs is not None:
                union[theirs] += pixels
    return sum(100 * h / u for h, u in zip(hits, union, strict=True)) / groups


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    made = Folder(tmp_path_factory.mktemp("mixed") / "bench")
    for seed in SEEDS:
        for method in METHODS:
            made.train(
                method, seed, dict.fromkeys(DOMAINS, 0.5), source="city",
                stored=stored_of(method, seed),
            )  # fmt: skip
    return made.write()


@pytest.fixture(scope="module")
def comparisons(folder):
    return compare(read_board([folder]), "BN")


def test_there_is_one_comparison_for_each_list_of_classes(comparisons):
    assert [(one.sources, one.targets) for one in comparisons] == [
        (("city",), ("night",)),
        (("city",), ("camvid", "camvid-dusk")),
        (("city",), ("idd_lite",)),
    ]
    assert [one.over for one in comparisons] == [
        "the 19 classes of cityscapes", "the 11 classes of camvid", "the 7 classes of idd_lite",
    ]  # fmt: skip
    assert len({one.key for one in comparisons}) == 3
    # Only targets of the same classes have a mean.
    assert [TARGETS in one.columns for one in comparisons] == [False, True, False]


def test_scores_are_those_of_plain_loops_the_source_s_over_the_groups_included(comparisons):
    for one, name in zip(comparisons, ("cityscapes", "camvid", "idd_lite"), strict=True):
        mapping = known_map(CLASSES, SPACES[name]) if name != "cityscapes" else None
        group_of = mapping.group_of if mapping else tuple(range(19))
        groups = len(SPACES[name])
        for row in one.rows:
            for domain in (*one.sources, *one.targets):
                expected = [
                    miou_over_groups(
                        counts_of(domain, row.method, seed).sum(axis=0), group_of, groups,
                        merge_rows=domain in ("city", "night"),
                    )
                    for seed in SEEDS
                ]  # fmt: skip
                assert row.scores[domain].values == pytest.approx(expected, abs=1e-9)


def test_differences_are_within_one_list_of_classes(comparisons):
    for one in comparisons:
        (row,) = (row for row in one.rows if row.method == "IBN-a")
        (base,) = (row for row in one.rows if row.method == "BN")
        assert set(row.differences) == set(one.columns)
        for column in (*one.sources, *one.targets):
            mine, theirs = (r.scores[column].values for r in (row, base))
            assert row.differences[column].per_seed.values == pytest.approx(
                [a - b for a, b in zip(mine, theirs, strict=True)]
            )


def test_a_view_is_the_network_itself_where_all_classes_are_the_same(folder):
    for network in read_board([folder]).networks:
        lists = class_lists([network])
        assert lists == [CLASSES, SPACES["camvid"].classes, SPACES["idd_lite"].classes]
        assert over_classes(network, ("a", "b")) is None
        view = over_classes(network, CLASSES)
        assert list(view.scores) == ["city", "night"]
        assert over_classes(view, CLASSES) is view


def test_a_source_that_is_merged_for_its_only_targets_is_said_to_be(tmp_path):
    made, domains = Folder(tmp_path / "bench"), ("city", "idd_lite")
    stored = stored_of("BN", 0)
    stored = StoredConfusions(CLASSES, {name: stored.domains[name] for name in domains})
    made.train("BN", 0, dict.fromkeys(domains, 0.5), source="city", stored=stored)
    (one,) = compare(read_board([made.write()]), "BN")
    assert one.sources == ("city",)
    assert one.title == "city, over the 7 classes of idd_lite"


def test_kept_results_show_the_same(folder, tmp_path):
    keep(folder, tmp_path / "kept" / "bench")

    def exported(base):
        with contextlib.chdir(base):
            page, *files = write_leaderboard(["bench"], tmp_path / "out" / "b.html",
                                             exports=["csv", "markdown"])  # fmt: skip
            text = page.read_text(encoding="utf-8")
            return text, {path.name: path.read_bytes() for path in files}

    page, first = exported(folder.parent)
    _, second = exported(tmp_path / "kept")
    assert first == second
    for words in ("over the 19 classes of cityscapes", "over the 11 classes of camvid",
                  "over the 7 classes of idd_lite"):  # fmt: skip
        assert words in page
    kept = [json.loads(line) for line in (tmp_path / "kept/bench/runs.jsonl").open()]
    assert all("mapping" not in json.dumps(line) for line in kept)
