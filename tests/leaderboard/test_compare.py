"""What is compared with what, and the numbers, against plain loops over the drawn matrices."""

import dataclasses
import statistics
from pathlib import Path

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from ibn_seg.analyses.divergence.numbers import divergence_tables
from ibn_seg.analyses.robustness.numbers import performance_tables, retention_tables
from ibn_seg.analyses.transfer.numbers import transfer_tables
from ibn_seg.errors import UserError
from ibn_seg.leaderboard.compare import check_baseline, compare
from ibn_seg.leaderboard.comparison import TARGETS
from ibn_seg.leaderboard.read import read_board
from ibn_seg.leaderboard.score_tables import main_notes
from ibn_seg.statistics import paired_difference, t_interval
from tests.leaderboard.made import DOMAINS, Folder, evaluated, matrices, skill_of, whole
from tests.statistics.made import miou


def _scores(method: str, seed: int, entropy: int) -> dict[str, float]:
    """Return what a network of `whole` scores, class by class."""
    parts = matrices(skill_of(method), seed, entropy).domains
    return {name: miou(part.counts.sum(axis=0)) for name, part in parts.items()}


def _rows(found, backbone="ResNet-18", segmentor="FCN"):
    (group,) = (g for g in found.groups if (g.backbone, g.segmentor) == (backbone, segmentor))
    return {row.method if row.oracle_of is None else "oracle": row for row in group.rows}


def _small(path, methods=("BN", "IBN-a"), seeds=(0, 1)) -> Folder:
    folder = Folder(path)
    for seed in seeds:
        for entropy, method in enumerate(methods):
            folder.train(method, seed, skill_of(method), entropy=entropy)
    return folder


def test_scores_are_means_over_seeds_of_the_summed_matrices(found):
    assert (found.sources, found.targets) == (("game",), ("dashcam", "night"))
    for entropy, method in enumerate(("BN", "IBN-a", "IBN-b")):
        row = _rows(found)[method]
        expected = [_scores(method, seed, entropy) for seed in range(3)]
        for domain in DOMAINS:
            values = np.array([one[domain] for one in expected])
            assert row.scores[domain].values == pytest.approx(values)
            assert row.scores[domain].mean == pytest.approx(values.mean())
            assert row.scores[domain].sd == pytest.approx(values.std(ddof=1))
        means = [(one["dashcam"] + one["night"]) / 2 for one in expected]
        assert row.scores[TARGETS].values == pytest.approx(means)
        # The validation at iteration 300 was better by 3 points on dashcam and by 4 on night.
        assert row.target_selected["dashcam"].mean == pytest.approx(row.scores["dashcam"].mean + 3)
        assert row.target_selected[TARGETS].mean == pytest.approx(row.scores[TARGETS].mean + 3.5)
        assert "game" not in row.target_selected


def test_differences_are_paired_with_the_baseline_of_the_same_backbone(found):
    rows = _rows(found)
    drawn = {
        method: {seed: matrices(skill_of(method), seed, k) for seed in range(3)}
        for k, method in enumerate(("BN", "IBN-a", "IBN-b"))
    }
    for column, domains in {"night": ["night"], TARGETS: ["dashcam", "night"]}.items():
        mine = rows["IBN-b"].differences[column]
        pairs = [
            statistics.fmean(_scores("IBN-b", s, 2)[d] - _scores("BN", s, 0)[d] for d in domains)
            for s in range(3)
        ]
        assert mine.per_seed.values == pytest.approx(pairs)
        assert mine.interval == paired_difference(drawn["IBN-b"], drawn["BN"], domains).interval
        assert mine.interval.low < mine.per_seed.mean < mine.interval.high
    assert rows["BN"].differences == {}
    single = _rows(found, "ResNet-50")["IBN-a"].differences["game"]
    assert single.per_seed.values == pytest.approx(
        [_scores("IBN-a", 0, 11)["game"] - _scores("BN", 0, 10)["game"]]
    )
    assert single.interval.images_only


def test_a_benchmark_may_have_intervals_over_seeds_alone(tmp_path):
    plan = whole(tmp_path, seeds=(0, 1, 2))
    plan.head["intervals"] = "seeds"
    board = read_board([plan.write()])
    (found,) = compare(board, "BN")
    mine = _rows(found)["IBN-b"].differences["night"]
    assert (mine.interval.low, mine.interval.high) == t_interval(mine.per_seed.values)
    (moved,) = transfer_tables(board, "BN")
    pairs = [pair for row in moved.rows for pair in row.to_baseline.values()]
    assert pairs
    assert all((p.interval.low, p.interval.high) == t_interval(p.per_seed.values) for p in pairs)
    first, *_ = main_notes(board, found, chosen=False, compared=True)
    assert "Student's over seeds" in first


def test_gap_closed_is_the_share_of_the_oracle_s_gain(found):
    rows = _rows(found)
    assert set(rows["IBN-a"].gaps) == {"dashcam"}
    ours, base, best = (
        statistics.fmean(row.scores["dashcam"].values)
        for row in (rows["IBN-a"], rows["BN"], rows["oracle"])
    )
    assert rows["IBN-a"].gaps["dashcam"].percent == pytest.approx(
        100 * (ours - base) / (best - base)
    )
    # Another backbone has no oracle.
    assert _rows(found, "ResNet-50")["IBN-a"].gaps == {}


def test_a_weak_oracle_leaves_the_gap_undefined(tmp_path):
    folder = _small(tmp_path)
    for seed in (0, 1):
        folder.train("BN", seed, skill_of("BN"), source="dashcam")
    (found,) = compare(read_board([folder.write()]), "BN")
    gap = _rows(found)["IBN-a"].gaps["dashcam"]
    assert gap.percent is None
    assert "under 1" in gap.reason


def test_an_oracle_competes_with_nobody_and_has_no_comparison_of_its_own(board, found):
    oracle = _rows(found)["oracle"]
    assert oracle.oracle_of == "dashcam"
    assert all(oracle not in group.ranked for group in found.groups)
    # It has seen dashcam: no mean over targets.
    assert set(oracle.scores) == set(DOMAINS)
    for baseline in ("BN", "IBN-a", None):
        assert [one.source for one in compare(board, baseline)] == ["game"]


def test_one_method_trained_both_ways_has_both_comparisons(tmp_path):
    folder = _small(tmp_path, methods=("BN",))
    folder.train("BN", 0, skill_of("BN"), source="dashcam")
    both = compare(read_board([folder.write()]), "BN")
    assert [one.source for one in both] == ["game", "dashcam"]


def test_a_source_with_several_methods_has_a_comparison_of_its_own_too(tmp_path):
    folder = _small(tmp_path)
    for method in ("BN", "IBN-a"):
        folder.train(method, 0, skill_of(method), source="dashcam", entropy=5)
    both = compare(read_board([folder.write()]), "BN")
    assert [one.source for one in both] == ["game", "dashcam"]
    assert both[1].targets == ("game", "night")


def test_incomplete_seeds_are_paired_over_the_common_ones(tmp_path):
    folder = _small(tmp_path, seeds=(0, 1, 2))
    folder.rows = [r for r in folder.rows if (r["method"], r["seed"]) != ("IBN-a", 1)]
    (found,) = compare(read_board([folder.write()]), "BN")
    row = _rows(found)["IBN-a"]
    assert row.seeds == (0, 2)
    assert row.differences[TARGETS].seeds == (0, 2)
    assert _rows(found)["BN"].seeds == (0, 1, 2)


def test_networks_from_elsewhere_stand_in_the_same_comparison(tmp_path):
    bench = _small(tmp_path / "b").write()
    known = evaluated(tmp_path / "known", "Known")
    unknown = evaluated(tmp_path / "unknown", "Unknown", source=None)
    (found,) = compare(read_board([bench, known, unknown]), "BN")
    rows = _rows(found, segmentor="not stated")
    assert set(rows) == {"Known", "Unknown"}
    # There is no baseline with their segmentor.
    assert rows["Known"].differences == {}
    expected = matrices(skill_of("IBN-b"), 0, 99).domains["night"].counts.sum(axis=0)
    assert rows["Known"].scores["night"].values == pytest.approx([miou(expected)])
    assert rows["Known"].target_selected == {}


def test_another_baseline_turns_the_difference_round(tmp_path):
    board = read_board([_small(tmp_path).write()])
    (one,), (other,) = compare(board, "BN"), compare(board, "IBN-a")
    there = _rows(one)["IBN-a"].differences[TARGETS]
    back = _rows(other)["BN"].differences[TARGETS]
    assert back.per_seed.values == pytest.approx([-v for v in there.per_seed.values])
    assert (back.interval.low, back.interval.high) == pytest.approx(
        (-there.interval.high, -there.interval.low)
    )


def test_an_unknown_baseline_names_the_nearest(board):
    with pytest.raises(UserError, match="unknown baseline 'IBN_a': did you mean 'IBN-a'"):
        check_baseline(board, "IBN_a", "BN")
    assert check_baseline(board, None, "nobody") is None


@pytest.mark.parametrize(
    ("head", "expected"), [("IBN-a", "IBN-a"), ("no such method", None), (None, None)]
)
def test_without_bn_a_plan_says_the_baseline(head, expected, board):
    planned = dataclasses.replace(board, heads={Path("bench"): {"baseline": head}})
    assert check_baseline(planned, None, "nobody") == expected
    assert check_baseline(planned, None, "BN") == "BN"


@settings(
    max_examples=8, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(order=st.permutations(range(4)))
def test_the_order_of_cells_does_not_matter(order, tmp_path_factory):
    folder = _small(tmp_path_factory.mktemp("order"))
    (plain,) = compare(read_board([folder.write()]), "BN")
    folder.rows = [folder.rows[k] for k in order]
    (turned,) = compare(read_board([folder.write()]), "BN")
    for method, row in _rows(plain).items():
        other = _rows(turned)[method]
        assert (other.scores, other.differences, other.needed, other.target_selected) == (
            row.scores, row.differences, row.needed, row.target_selected
        )  # fmt: skip


def test_divergence_is_the_mean_of_a_group_s_layers(board):
    appearance, null = divergence_tables(board)
    assert appearance.columns == ("stem", "layer1", "stem median", "layer1 median")
    base, a, _ = appearance.rows
    assert base.values["stem"].values == (2.0, 2.0, 2.0)
    # Layers of 1.0 and 0.5 + seed / 100.
    assert base.values["layer1"].values == pytest.approx([0.75, 0.755, 0.76])
    assert a.values["layer1"].values == pytest.approx([0.375, 0.38, 0.385])
    assert base.values["layer1 median"].values == pytest.approx([0.375, 0.3775, 0.38])
    assert null.rows[0].values["layer1"].mean == pytest.approx(0.003)


def test_retention_is_in_percent_by_corruption_and_severity(board):
    (table,) = retention_tables(board)
    assert table.columns[:3] == ("mean", "haze", "r_offset")
    base = table.rows[0]
    assert base.values["haze 3"].values == pytest.approx([70, 69, 68])
    assert base.values["haze"].values == pytest.approx([70, 69, 68])
    assert base.values["mean"].values == pytest.approx([70, 69, 68])
    assert table.rows[2].values["haze 5"].values == pytest.approx([75, 74, 73])


def test_scores_of_corruption_benchmarks_are_beside_the_baseline(board):
    (table,) = performance_tables(board, "BN")
    assert table.columns == ("clean", "mPC", "rPC", "mCD", "relative mCD")
    (retention,) = retention_tables(board)
    for row, kept in zip(table.rows, retention.rows, strict=True):
        # Every corruption has all severities here, so rPC is the mean retention.
        assert row.values["rPC"].values == pytest.approx(kept.values["mean"].values)
    base = table.rows[0].values
    assert base["mCD"].mean == pytest.approx(100)
    assert base["relative mCD"].mean == pytest.approx(100)
    assert "mCD" not in performance_tables(board, None)[0].columns


def test_other_severities_than_the_baseline_s_give_no_mcd(tmp_path):
    folder = Folder(tmp_path)
    for method, severities in (("BN", (1, 3)), ("IBN-a", (1, 5))):
        training = folder.train(method, 0, skill_of(method))
        folder.robustness(training, "game", {("haze", grade): 0.5 for grade in severities})
    (table,) = performance_tables(read_board([folder.write()]), "BN")
    of_bn, of_ibn = (row.values for row in table.rows)
    assert of_bn["mCD"].mean == pytest.approx(100)
    assert of_ibn["mCD"] is None


def test_transfer_compares_starts_and_methods_at_each_share(board):
    (table,) = transfer_tables(board, "BN")
    assert (table.domain, table.shares) == ("dashcam", (10.0, 100.0))
    rows = {(row.method, row.start): row for row in table.rows}
    assert list(rows) == [
        ("BN", "source"), ("BN", "scratch"), ("IBN-a", "source"), ("IBN-a", "scratch"),
    ]  # fmt: skip
    for share in table.shares:
        values = {key: np.array(row.scores[share].values) for key, row in rows.items()}
        gain = rows["IBN-a", "source"].to_scratch[share]
        assert gain.per_seed.values == pytest.approx(
            values["IBN-a", "source"] - values["IBN-a", "scratch"]
        )
        better = rows["IBN-a", "scratch"].to_baseline[share]
        assert better.per_seed.values == pytest.approx(
            values["IBN-a", "scratch"] - values["BN", "scratch"]
        )
        assert better.interval.low <= better.per_seed.mean <= better.interval.high
    assert rows["BN", "scratch"].to_scratch == {}
    assert rows["BN", "source"].to_baseline == {}


def test_transfer_is_not_mixed_with_the_comparison(found):
    assert all(n.start is None for row in found.rows for n in row.networks)
