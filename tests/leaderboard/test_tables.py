"""What the tables mark and show, against the scores themselves."""

import pytest

from ibn_seg.analyses.divergence.contribution import divergence_table
from ibn_seg.analyses.divergence.numbers import divergence_tables
from ibn_seg.leaderboard.score_tables import class_tables, main_table
from ibn_seg.report.links import Links
from tests.leaderboard.made import matrices, skill_of
from tests.statistics.made import CLASSES


def test_the_best_of_each_group_is_marked_and_an_oracle_never(board, found, tmp_path):
    table = main_table(board, found, Links(tmp_path / "p.html"))
    scores = range(1, 5)
    for part in table.parts[:2]:
        for column in scores:
            cells = {row[0].text: row[column] for row in part.rows}
            competing = {n: c.value for n, c in cells.items() if "oracle" not in n}
            best = max(competing, key=competing.get)
            assert [name for name, cell in cells.items() if cell.best] == [best]
    # The oracle has the highest score on dashcam.
    first = {row[0].text: row[2].value for row in table.parts[0].rows}
    assert max(first, key=first.get) == "BN, oracle of dashcam"
    # Alone in its group, there is nothing to be better than.
    assert not any(cell.best for row in table.parts[2].rows for cell in row)


def test_class_tables_have_the_iou_of_the_summed_matrices(board, found, tmp_path):
    tables = class_tables(board, found, Links(tmp_path / "p.html"))
    (table,) = (t for t in tables if t.key == "classes-game-resnet-50-fcn-night")
    assert table.header == ("Class", "BN", "IBN-a", "IBN-b")
    assert [row[0].text for row in table.rows] == list(CLASSES)
    for at, method in enumerate(("BN", "IBN-a", "IBN-b")):
        counts = matrices(skill_of(method), 0, 10 + at).domains["night"].counts.sum(axis=0)
        for k, row in enumerate(table.rows):
            union = counts[k].sum() + counts[:, k].sum() - counts[k, k]
            assert row[at + 1].value == pytest.approx(100 * counts[k, k] / union)
    for row in table.rows:
        values = [cell.value for cell in row[1:]]
        assert [cell.best for cell in row[1:]] == [value == max(values) for value in values]


def test_a_divergence_has_its_means_above_its_medians(board, tmp_path):
    table = divergence_table(board, divergence_tables(board)[0], Links(tmp_path / "p.html"))
    means, medians = table.parts
    assert table.header == ("Method", "stem", "layer1")
    assert (means.title, medians.title) == ("mean over channels", "median over channels")
    for mean, median in zip(means.rows, medians.rows, strict=True):
        assert mean[0] == median[0]
        # Each layer's median is half of its mean here.
        halves = [cell.value / 2 for cell in mean[1:]]
        assert [cell.value for cell in median[1:]] == pytest.approx(halves)
