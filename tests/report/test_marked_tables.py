"""Tables between marks in pages are written anew, and wrong marks are said."""

import pytest

from ibn_seg.errors import UserError
from ibn_seg.report.marked_tables import filled, markdown, rewrite

TABLES = {"one": lambda: ["| 1 |"], "other": lambda: ["| 2 |", "| 3 |"]}


def test_what_stands_between_the_marks_is_replaced_and_nothing_else():
    text = "a\n<!-- table: {} -->\n{}<!-- end -->\nb\n"
    old = text.format("other", "| old |\n") + text.format("one", "")
    new = text.format("other", "| 2 |\n| 3 |\n") + text.format("one", "| 1 |\n")
    assert filled(old, TABLES, "page.md") == filled(new, TABLES, "page.md") == new


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("<!-- table: on -->\n<!-- end -->", "page.md, line 1: 'on': did you mean 'one'"),
        ("\n<!-- table: one -->\n", "page.md, line 2: the table has no end"),
        ("<!-- table: one -->\n<!-- table: other -->\n<!-- end -->", "line 1: the table has no"),
        ("a\n<!-- end -->", "page.md, line 2: <!-- end --> without a table"),
    ],
)
def test_wrong_marks_are_one_line(text, said):
    with pytest.raises(UserError) as caught:
        filled(text, TABLES, "page.md")
    assert said in caught.value.line
    assert "\n" not in caught.value.line


def test_columns_of_numbers_stand_to_the_right_and_empty_cells_are_short():
    lines = [["name", "n", "text"], ["a", "1", ""], ["", "", ""]]
    assert markdown(lines, numbers=[1]) == [
        "| name | n | text |", "|---|---:|---|", "| a | 1 | |", "| | | |",
    ]  # fmt: skip


def test_pages_are_checked_and_written(tmp_path, capsys):
    page, gone = tmp_path / "page.md", tmp_path / "gone.md"
    page.write_text("<!-- table: one -->\n<!-- end -->\n", encoding="utf-8")
    assert rewrite([page], TABLES, check=True) == 2
    assert "| 1 |" not in page.read_text(encoding="utf-8")
    assert rewrite([page], TABLES, check=False) == 0
    assert "| 1 |" in page.read_text(encoding="utf-8")
    assert rewrite([page], TABLES, check=True) == 0
    assert rewrite([gone], TABLES, check=True) == 2
    shown = capsys.readouterr()
    assert shown.out == f"{page}: old tables\n{page}: written\n"
    assert shown.err == f"error: {gone}: no such file\n"
