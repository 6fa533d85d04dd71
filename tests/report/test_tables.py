"""The numbers: grouped, paired and rounded as an independent computation says."""

import random
import re

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from rich.console import Console

from ibn_seg.datasets.labels import CLASSES
from ibn_seg.methods.all_methods import METHODS
from ibn_seg.report import scores, tables, wording
from ibn_seg.report.runs import read_runs

FINITE = st.floats(-100, 100, allow_nan=False)


def _texts(table: tables.TextTable) -> list[list[str]]:
    return [[cell.text for cell in row] for row in table.rows]


def _bold(table: tables.TextTable) -> set[tuple[str, str]]:
    return {
        (row[0].text, name)
        for row in table.rows
        for name, cell in zip(table.header, row, strict=True)
        if cell.best
    }


def _by_method(results: list[dict], domain: str) -> dict[str, np.ndarray]:
    names = dict.fromkeys(r["method"] for r in results)
    return {
        m: np.array([r["domains"][domain]["mIoU"] for r in results if r["method"] == m])
        for m in names
    }


def test_rows_equal_numpy_s_mean_and_sample_deviation(results):
    rows = {row.method: row for row in scores.summary_rows(results)}
    source, target = _by_method(results, "gta5"), _by_method(results, "cityscapes")
    assert list(rows) == ["BN", "IBN-a", "IBN-b"]
    for method, row in rows.items():
        assert [score.domain for score in row.scores] == ["gta5", "cityscapes"]
        assert row.seeds == (0, 1, 2)
        for score, values in zip(row.scores, (source[method], target[method]), strict=True):
            assert score.stat.mean == pytest.approx(values.mean())
            assert score.stat.sd == pytest.approx(values.std(ddof=1))
            assert score.stat.n == 3
        gaps = source[method] - target[method]
        assert row.gap.mean == pytest.approx(gaps.mean())
        assert row.gap.sd == pytest.approx(gaps.std(ddof=1))
    for method in ("IBN-a", "IBN-b"):
        pairs = target[method] - target["BN"]
        difference = rows[method].difference
        assert difference.stat.mean == pytest.approx(pairs.mean())
        assert difference.stat.sd == pytest.approx(pairs.std(ddof=1))
        assert difference.wins == (pairs > 0).sum()
    assert rows["BN"].difference is None


def test_summary_table_shows_one_decimal_and_marks_the_best(results):
    table = tables.summary_table(scores.summary_rows(results))
    assert table.header == (
        "Method",
        "gta5 (source)",
        "cityscapes (target)",
        "Gap",
        "Target vs BN",
        "Seeds",
    )
    # Computed by hand from the fixture's figures.
    assert _texts(table) == [
        ["BN", "50.4 ± 0.6", "26.5 ± 1.4", "23.9 ± 2.0", "baseline", "3"],
        ["IBN-a", "50.0 ± 0.8", "32.3 ± 0.8", "17.7 ± 0.1", "+5.9 ± 2.2", "3"],
        ["IBN-b", "45.2 ± 0.9", "40.6 ± 0.6", "4.7 ± 1.5", "+14.1 ± 0.8", "3"],
    ]
    assert _bold(table) == {("BN", "gta5 (source)"), ("IBN-b", "cityscapes (target)")}


def test_order_of_results_does_not_matter(results):
    shuffled = results[:]
    random.Random(3).shuffle(shuffled)
    assert scores.summary_rows(shuffled) == scores.summary_rows(results)


def test_single_seed_has_no_spread_and_says_so(results):
    rows = scores.summary_rows(results[:3])
    assert _texts(tables.summary_table(rows))[1] == ["IBN-a", "50.2", "32.5", "17.7", "+6.1", "1"]
    assert tables.seeds_note(rows).startswith("One seed per method")
    assert "3 seeds per method" in tables.seeds_note(scores.summary_rows(results))


def test_differences_pair_only_common_seeds(make_result):
    results = [
        make_result("BN", 0, {"gta5": 50.0, "cityscapes": 20.0}),
        make_result("BN", 1, {"gta5": 50.0, "cityscapes": 30.0}),
        make_result("IBN-a", 1, {"gta5": 50.0, "cityscapes": 31.0}),
        make_result("IBN-a", 2, {"gta5": 50.0, "cityscapes": 60.0}),
        make_result("IBN-b", 7, {"gta5": 50.0, "cityscapes": 40.0}),
    ]
    rows = {row.method: row for row in scores.summary_rows(results)}
    assert rows["IBN-a"].difference.seeds == (1,)
    assert tables.difference_text(rows["IBN-a"]) == "+1.0, n = 1"
    assert tables.difference_text(rows["IBN-b"]) == "no common seed"


def test_several_targets_are_compared_by_their_mean(make_result):
    results = [
        make_result("BN", 0, {"gta5": 50.0, "cityscapes": 30.0, "bdd": 20.0}),
        make_result("IBN-a", 0, {"gta5": 49.0, "cityscapes": 29.0, "bdd": 24.0}),
    ]
    rows = scores.summary_rows(results)
    table = tables.summary_table(rows)
    assert table.header[3:6] == ("bdd (target)", "2 targets (mean)", "Gap")
    assert _texts(table)[1] == ["IBN-a", "49.0", "29.0", "24.0", "26.5", "22.5", "+1.5", "1"]
    assert wording.headline(rows).text == (
        "With one seed, IBN-a reads 1.5 points of mIoU above BN on the mean of the 2 unseen "
        "domains."
    )


def test_equal_figures_share_the_best_place_and_one_method_has_none(make_result):
    values = {"BN": 26.42, "IBN-a": 26.38, "IBN-b": 20.0}
    results = [make_result(m, 0, {"gta5": 50.0, "cityscapes": v}) for m, v in values.items()]
    assert _bold(tables.summary_table(scores.summary_rows(results))) == {
        ("BN", "cityscapes (target)"),
        ("IBN-a", "cityscapes (target)"),
    }
    assert not _bold(tables.summary_table(scores.summary_rows(results[:1])))


@pytest.mark.parametrize(
    ("mious", "text"),
    [
        ({"BN": 26.4, "IBN-a": 32.5}, "IBN-a gains 6.1 points of mIoU on the unseen domain "),
        ({"BN": 26.4, "IBN-a": 24.0}, "IBN-a loses 2.4 points of mIoU on the unseen domain "),
        ({"BN": 26.4, "IBN-a": 26.41}, "IBN-a is level with BN on the unseen domain cityscapes, "),
        (
            {"BN": 26.4, "IBN-a": 24.0, "IBN-b": 25.0},
            "No method gains on the unseen domain cityscapes over BN: IBN-b comes closest, "
            "1.4 points of mIoU below, better in none of 2 seeds.",
        ),
        (
            {"BN": 26.4, "IBN-a": 27.0, "IBN-b": 20.0},
            "IBN-a gains 0.6 points of mIoU on the unseen domain cityscapes over BN, better in "
            "both seeds.",
        ),
        (
            {"IBN-a": 24.0, "IBN-b": 25.0},
            "IBN-b reads highest on the unseen domain cityscapes: 25.0 % mIoU.",
        ),
        (
            {"BN": 26.4},
            "BN reaches 26.4 % mIoU on the unseen domain cityscapes, 23.6 points below the "
            "source gta5.",
        ),
        ({"BN": 60.0}, "BN reaches 60.0 % mIoU on the unseen domain cityscapes, 10.0 points above"),
    ],
)
def test_headline_reads_right_for_gain_loss_and_level(make_result, mious, text):
    results = [
        make_result(m, seed, {"gta5": 50.0, "cityscapes": v})
        for m, v in mious.items()
        for seed in (0, 1)
    ]
    assert wording.headline(scores.summary_rows(results)).text.startswith(text)


@pytest.mark.parametrize(
    ("mious", "text"),
    [
        ((26.4, 32.5), "reads 6.1 points of mIoU above BN"),
        ((26.4, 24.0), "reads 2.4 points of mIoU below BN"),
        ((26.4, 26.41), "reads level with BN"),
    ],
)
def test_one_seed_is_no_gain_and_no_loss(make_result, mious, text):
    results = [
        make_result(method, 0, {"gta5": 50.0, "cityscapes": value})
        for method, value in zip(("BN", "IBN-a"), mious, strict=True)
    ]
    assert wording.headline(scores.summary_rows(results)).text == (
        f"With one seed, IBN-a {text} on the unseen domain cityscapes."
    )


def test_headline_says_in_how_many_seeds(make_result):
    results = [
        make_result(method, seed, {"gta5": 50.0, "cityscapes": miou})
        for method, mious in {"BN": (20, 20, 20), "IBN-a": (19, 26, 21)}.items()
        for seed, miou in enumerate(mious)
    ]
    headline = wording.headline(scores.summary_rows(results))
    assert headline.text.endswith("over BN, better in 2 of 3 seeds.")
    assert headline.details == (
        "IBN-a: 20.0 to 22.0 (+2.0 ± 3.6); on the source gta5 50.0 to 50.0.",
    )


def test_results_without_a_target_are_compared_on_the_source(make_result):
    results = [make_result("BN", 0, {"gta5": 50.0}), make_result("IBN-a", 0, {"gta5": 52.0})]
    rows = scores.summary_rows(results)
    assert tables.summary_table(rows).header == (
        "Method",
        "gta5 (source)",
        "Source vs BN",
        "Seeds",
    )
    assert wording.headline(rows).text == (
        "With one seed, IBN-a reads 2.0 points of mIoU above BN on the source domain gta5."
    )


def test_several_sources_are_sources_and_their_mean_makes_the_gap(make_result):
    mious = {"gta5": 50.0, "synthia": 44.0, "cityscapes": 30.0}
    better = {"gta5": 50.0, "synthia": 46.0, "cityscapes": 33.0}
    results = [
        make_result("BN", 0, mious, source="gta5+synthia"),
        make_result("IBN-a", 0, better, source="gta5+synthia"),
    ]
    rows = scores.summary_rows(results)
    table = tables.summary_table(rows)
    assert table.header[1:5] == (
        "gta5 (source)",
        "synthia (source)",
        "cityscapes (target)",
        "Gap",
    )
    assert _texts(table)[1] == ["IBN-a", "50.0", "46.0", "33.0", "15.0", "+3.0", "1"]
    runs = read_runs(results)
    assert "several domains, the sources gta5 and synthia," in wording.introduction(runs)
    assert ", and evaluated without adaptation on" in wording.introduction(runs)
    tent = read_runs([make_result("TENT", 0, mious, source="gta5+synthia")])
    said = wording.introduction(tent)
    assert "never seen (cityscapes). TENT adapts to the images of each domain. The score" in said
    assert "without adaptation" not in said
    assert wording.headline(rows[:1]).text.endswith("17.0 points below the mean of the sources.")
    alone = [
        make_result(method, 0, {"gta5": 50.0, "synthia": miou}, source="gta5+synthia")
        for method, miou in (("BN", 44.0), ("IBN-a", 46.0))
    ]
    assert wording.headline(scores.summary_rows(alone)).text == (
        "With one seed, IBN-a reads 1.0 points of mIoU above BN on the mean of the 2 sources."
    )


def test_the_note_on_methods_has_the_summary_of_each_known_one(make_result):
    names = ("IBN-b", "MyMethod", "BN")
    runs = read_runs([make_result(name, 0, {"gta5": 50.0}) for name in names])
    note = wording.methods_note(runs)
    assert note == f"BN: {METHODS['BN'].summary}. IBN-b: {METHODS['IBN-b'].summary}."


def test_seed_table_has_one_row_per_run(results):
    table = tables.seed_table(read_runs(results))
    assert table.header[-3:] == ("Target vs BN", "Time", "Peak memory")
    assert len(table.rows) == 9
    assert _texts(table)[0] == ["BN", "0", "50.3", "26.4", "23.9", "-", "1.4 min", "1.4 GiB"]
    assert _texts(table)[3] == ["IBN-a", "0", "50.2", "32.5", "17.7", "+6.1", "1.4 min", "1.4 GiB"]


def test_class_rows_hold_every_class_and_say_which_are_absent(results):
    runs = read_runs(results)
    rows = {row.name: row for row in scores.class_rows(runs, "cityscapes", CLASSES)}
    assert tuple(rows) == CLASSES
    assert {name for name, row in rows.items() if row.stats is None} == {"bus", "train"}
    road = [r["domains"]["cityscapes"]["IoU"]["road"] for r in results if r["method"] == "BN"]
    assert rows["road"].stats["BN"].mean == pytest.approx(np.mean(road))
    table = tables.class_table(list(rows.values()), ["BN", "IBN-a", "IBN-b"])
    assert ["train", "absent", "absent", "absent"] in _texts(table)
    assert wording.absent_notes(runs) == [
        "Without a pixel in the ground truth of cityscapes, and so outside its means: "
        "train and bus."
    ]


def test_a_class_that_one_network_alone_predicts_is_no_other_experiment(results):
    """Without a label it is absent for the others and an IoU of 0 for that one."""
    domain = results[4]["domains"]["cityscapes"]
    domain["IoU"]["bus"] = 0.0
    domain["absent"] = ["train"]
    domain["unlabelled"] = ["bus"]
    runs = read_runs(results)
    rows = {row.name: row for row in scores.class_rows(runs, "cityscapes", CLASSES)}
    assert {name for name, row in rows.items() if row.stats is None} == {"bus", "train"}
    assert wording.absent_notes(runs) == [
        "Without a pixel in the ground truth of cityscapes, and so outside its means: train.",
        "Without a pixel in the ground truth of cityscapes, but predicted by IBN-a (seed 1), in "
        "whose means it counts as 0: bus.",
    ]


def test_lines_of_markdown_are_a_table_with_bold_best_and_escaped_names(results):
    for result in results:
        result["method"] = result["method"].replace("IBN-a", "a|b")
    content = tables.summary_table(scores.summary_rows(results))
    lines = tables.markdown_lines(content.header, content.rows).splitlines()
    assert len(lines) == 5
    assert {len(re.split(r"(?<!\\)\|", line)) for line in lines} == {8}
    assert "**40.6 ± 0.6**" in lines[3]
    assert lines[4].startswith("| a\\|b | 50.0 ± 0.8 |")


def test_terminal_table_prints_names_as_they_are_and_bold_best(results):
    for result in results:
        result["method"] = result["method"].replace("IBN-a", "[red]x[/red]")
    console = Console(width=140, force_terminal=True, color_system="standard", record=True)
    with console.capture() as capture:
        console.print(tables.terminal_table(scores.summary_rows(results)))
    printed = capture.get()
    bold = re.findall(r"\x1b\[1m([^\x1b]*)\x1b", printed)
    figures = {text.strip() for text in bold if "±" in text}
    assert figures == {"50.4 ± 0.6", "40.6 ± 0.6"}
    plain = re.sub(r"\x1b\[[0-9;]*m", "", printed)
    assert "[red]x[/red]" in plain
    assert "3 seeds per method" in plain


def test_differing_settings_are_pointed_out(results):
    assert wording.unequal_notes(read_runs(results)) == []
    results[2]["threads"] = 4
    results[3]["cpu"] = "Processor 2 (AVX512)"
    results[5]["git_commit"] = None
    notes = wording.unequal_notes(read_runs(results))
    assert notes == [
        "The runs differ in threads: 2, 4.",
        "The runs differ in CPU: Processor 1 (AVX2), Processor 2 (AVX512).",
        "The runs differ in commit: 0123456789abcdef0123456789abcdef01234567, not recorded.",
    ]


@given(FINITE)
def test_numbers_have_one_decimal_and_no_negative_zero(value):
    text = tables.number(value)
    assert re.fullmatch(r"-?\d+\.\d", text)
    assert text != "-0.0"
    assert abs(float(text) - value) <= 0.05 + 1e-9


@given(FINITE)
def test_signs_belong_to_the_shown_figure(value):
    text = tables.signed(value)
    assert text.startswith("+") == (float(text) > 0)
    assert (text == "0.0") == (float(text) == 0)


@pytest.mark.parametrize(
    ("seconds", "text"),
    [(None, "-"), (0.0, "0.0 s"), (59.0, "59.0 s"), (90.0, "1.5 min"), (5400.0, "1.5 h")],
)
def test_durations(seconds, text):
    assert tables.duration(seconds) == text


def test_runs_of_other_networks_or_processes_are_warned_of(results):
    """A batch is as large as all processes' together, so their number changes a training."""
    results[1] |= {"segmentor": "FCN", "pretraining": "ImageNet-1k", "processes": 4}
    assert wording.unequal_notes(read_runs(results)) == [
        "The runs differ in segmentor: not recorded, FCN.",
        "The runs differ in pretraining: not recorded, ImageNet-1k.",
        "The runs differ in processes: not recorded, 4.",
    ]
