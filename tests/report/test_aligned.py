"""Numbers in pieces that a page aligns at the point."""

from ibn_seg.report.aligned import aligned
from ibn_seg.report.interval_marks import axis_of
from ibn_seg.report.page import figures
from ibn_seg.report.tables import Cell


def test_each_piece_is_filled_up_to_the_widest_of_its_column():
    texts = ["9.5 ± 0.1", "-10.25", "3", "-", "baseline"]
    column = [row[0] for row in aligned([[Cell(text)] for text in texts], figures)]
    assert [one.number for one in column] == [
        "9.5",
        "\N{MINUS SIGN}10.25",
        "3",
        "\N{EN DASH}",
        "baseline",
    ]
    assert [len(one.number.partition(".")[2] + one.filler.lstrip(".")) for one in column[:4]] == [
        2, 2, 2, 2,
    ]  # fmt: skip
    rest = " ±\N{NO-BREAK SPACE}0.1"
    assert [one.rest + one.end for one in column[:4]] == [rest] * 4
    # Words are as they are.
    assert (column[4].filler, column[4].end) == ("", "")


def test_a_list_is_no_number_and_thousands_are_one():
    texts = ["0, 1, 2", "0,1", "12,345.6 ms"]
    column = [row[0] for row in aligned([[Cell(text)] for text in texts], figures)]
    assert [one.number for one in column] == ["0, 1, 2", "0,1", "12,345.6"]
    assert [one.rest for one in column[:2]] == ["", ""]


def test_an_axis_holds_zero_and_every_value_and_its_ticks_are_inside():
    axis = axis_of([-2.4, 19.3])
    assert axis.low < -2.4
    assert axis.high > 19.3
    assert 0.0 in axis.ticks
    assert all(0 <= place <= 100 for place, _ in axis.labels)
    assert axis.place((axis.low + axis.high) / 2) == 50
    assert axis_of([]) is None
    assert axis_of([0.0]).low < 0 < axis_of([0.0]).high
