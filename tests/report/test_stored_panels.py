"""Panels on disk: what is read is what was written, and damage is one line."""

import dataclasses
import json

import numpy as np
import pytest
from PIL import Image

from ibn_seg.datasets.class_colors import CITYSCAPES_COLORS, class_colors
from ibn_seg.errors import UserError
from ibn_seg.report import write_report
from ibn_seg.report.stored_panels import read_panels, write_panels


def equal(first, second):
    return (
        (first.caption, first.domain) == (second.caption, second.domain)
        and np.array_equal(first.image, second.image)
        and np.array_equal(first.label, second.label)
        and list(first.predictions) == list(second.predictions)
        and all(np.array_equal(m, second.predictions[k]) for k, m in first.predictions.items())
    )


def test_panels_come_back_as_they_were_and_a_page_shows_them(tmp_path, panels, results):
    index = write_panels(tmp_path / "panels", panels, {"seed": 3})
    found = read_panels(tmp_path / "panels")
    assert len(found) == len(panels)
    assert all(equal(a, b) for a, b in zip(found, panels, strict=True))
    assert json.loads(index.read_text())["seed"] == 3
    page = write_report(results, found, tmp_path / "a.html").read_text()
    assert page == write_report(results, panels, tmp_path / "b.html").read_text()


def test_files_can_be_looked_at(tmp_path, panels):
    index = write_panels(tmp_path, panels[:1], {})
    name = json.loads(index.read_text())["panels"][0]["label"]
    seen = np.asarray(Image.open(tmp_path / name).convert("RGB"))
    assert np.array_equal(seen, CITYSCAPES_COLORS.table[panels[0].label])


def test_panels_of_other_classes_keep_them_and_a_page_has_their_legend(tmp_path, panels, results):
    mine = class_colors(["dry", "wet", "<mud>"], [[1, 2, 3], [200, 0, 0], [0, 200, 0]])
    others = [dataclasses.replace(one, label=one.label % 3, classes=mine) for one in panels[:2]]
    index = write_panels(tmp_path / "panels", [panels[0], *others], {})
    assert [one.classes for one in read_panels(index.parent)] == [panels[0].classes, mine, mine]
    entries = json.loads(index.read_text())["panels"]
    assert ["classes" in entry for entry in entries] == [False, True, True]
    seen = np.asarray(Image.open(index.parent / entries[1]["label"]).convert("RGB"))
    assert np.array_equal(seen, np.array(mine.palette, np.uint8)[others[0].label])
    page = write_report(results, read_panels(index.parent), tmp_path / "a.html").read_text()
    legends = page.split('aria-label="Colours of the classes"')[1:]
    assert len(legends) == 2
    assert "bicycle" in legends[0].partition("</ul>")[0]
    last = legends[1].partition("</ul>")[0]
    assert [part.partition("<")[0] for part in last.split("</span>")[1:]] == [
        "dry", "wet", "&lt;mud&gt;", "ignored"
    ]  # fmt: skip
    assert "background:#c80000" in last


def test_others_replace_them_and_leave_nothing(tmp_path, panels):
    write_panels(tmp_path, panels, {})
    write_panels(tmp_path, panels[2:3], {})
    (left,) = read_panels(tmp_path)
    assert equal(left, panels[2])
    assert len(list(tmp_path.iterdir())) == 1 + 2 + len(left.predictions)


def test_no_panels_are_none_and_damaged_ones_are_refused(tmp_path, panels):
    assert read_panels(tmp_path / "nothing") == []
    index = write_panels(tmp_path, panels[:1], {})
    whole = index.read_text()
    image = tmp_path / json.loads(whole)["panels"][0]["image"]
    for text, match in (
        (whole.replace('"schema": 1', '"schema": 9'), "schema 9 cannot be read"),
        ("[]", "schema None"),
        (whole.replace('"label"', '"lable"'), "incomplete or damaged"),
        (whole.replace('"image": "', '"image": "x'), "incomplete or damaged"),
    ):
        index.write_text(text)
        with pytest.raises(UserError, match=match):
            read_panels(tmp_path)
    index.write_text(whole)
    image.write_bytes(image.read_bytes()[:60])
    with pytest.raises(UserError, match="incomplete or damaged"):
        read_panels(tmp_path)
