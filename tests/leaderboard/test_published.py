"""Published figures: cited, marked where nobody checked them, and whole."""

import yaml

from ibn_seg.report import published_figures as published


def _values(rows):
    return sorted(value for row in rows for value in row.values.values())


def test_every_record_is_in_one_row():
    records = yaml.safe_load(published._FILE.read_text(encoding="utf-8"))["records"]
    assert len(records) > 400
    everything = published.published_rows("all")
    assert _values(everything) == sorted(record["value"] for record in records)
    checked = published.published_rows()
    assert _values(checked) == sorted(r["value"] for r in records if r["verified"])
    assert all(row.verified for row in checked)
    assert 0 < len(checked) < len(everything)
    assert published.published_rows("none") == []


def test_every_row_says_where_it_was_read_and_is_in_percent():
    for row in published.published_rows("all"):
        assert row.source
        assert row.paper
        assert 2015 < row.year < 2100
        assert all(0 < value < 100 for value in row.values.values())


def test_a_known_figure():
    (row,) = (
        row
        for row in published.published_rows()
        if (row.method, row.backbone, row.train_set) == ("ISW", "ResNet-50", "GTAV")
        and row.paper == "RobustNet"
        and "Cityscapes" in row.values
    )
    assert row.values["Cityscapes"] == 36.58
    assert "2103.15597" in row.source


def test_sources_have_the_papers_names():
    assert published.train_set_of("gta5+synthia") == "GTAV+SYNTHIA"
    assert published.train_set_of("game") == "game"
