"""The page as a parser reads it: its numbers, and that it needs nothing else."""

import copy
import os
import re
import subprocess
import sys
from html.parser import HTMLParser

import pytest

from ibn_seg.errors import EnvError, UserError
from ibn_seg.report import write_report

VOID = {"meta", "link", "img", "br", "hr"}
URL_ATTRIBUTES = {"src", "href", "xlink:href", "srcset", "action", "data", "poster"}


class Page(HTMLParser):
    """Tags, tables and text of a page; fails on tags that are not closed in order."""

    def __init__(self, text: str) -> None:
        super().__init__(convert_charrefs=True)
        self.open: list[str] = []
        self.tags: list[tuple[str, dict]] = []
        self.tables: dict[str, list[list[tuple[str, bool]]]] = {}
        self.words: list[str] = []
        self._cell: list | None = None
        self._caption: str | None = None
        self.feed(text)
        self.close()
        assert self.open == []

    def handle_starttag(self, tag, attrs):
        self.tags.append((tag, dict(attrs)))
        if tag not in VOID:
            self.open.append(tag)
        if tag == "table":
            self._rows = []
        elif tag == "tr":
            self._rows.append([])
        elif tag in ("td", "th"):
            self._cell = ["", False]
        elif tag == "strong" and self._cell:
            self._cell[1] = True
        elif tag == "caption":
            self._caption = ""

    def handle_startendtag(self, tag, attrs):
        self.tags.append((tag, dict(attrs)))

    def handle_endtag(self, tag):
        assert self.open.pop() == tag
        if tag in ("td", "th"):
            self._rows[-1].append((self._cell[0], self._cell[1]))
            self._cell = None
        elif tag == "caption":
            self.caption, self._caption = self._caption, None
        elif tag == "table":
            self.tables[self.caption] = self._rows

    def handle_data(self, data):
        if self.open and self.open[-1] not in ("style", "script"):
            self.words.append(data)
        if self._cell is not None:
            self._cell[0] += data
        if self._caption is not None:
            self._caption += data

    @property
    def text(self) -> str:
        return " ".join(" ".join(self.words).split())

    def all(self, tag: str) -> list[dict]:
        return [attributes for name, attributes in self.tags if name == tag]


def _page(folder, results, panels=(), **kwargs) -> Page:
    out = write_report(results, panels, folder / "report.html", **kwargs)
    return Page(out.read_text(encoding="utf-8"))


@pytest.fixture(scope="module")
def page(report_file) -> Page:
    return Page(report_file.read_text(encoding="utf-8"))


def test_summary_table_holds_the_numbers_with_the_best_in_bold(page):
    rows = page.tables["mIoU (%) of each method on each domain"]
    assert rows[0] == [
        (name, False)
        for name in (
            "Method",
            "gta5 (source)",
            "cityscapes (target)",
            "Gap",
            "Target vs BN",
            "Seeds",
        )
    ]
    plain = [[text.replace("\N{NO-BREAK SPACE}", " ") for text, _ in row] for row in rows[1:]]
    assert plain == [
        ["BN", "50.4 ± 0.6", "26.5 ± 1.4", "23.9 ± 2.0", "baseline", "3"],
        ["IBN-a", "50.0 ± 0.8", "32.3 ± 0.8", "17.7 ± 0.1", "+5.9 ± 2.2", "3"],
        ["IBN-b", "45.2 ± 0.9", "40.6 ± 0.6", "4.7 ± 1.5", "+14.1 ± 0.8", "3"],
    ]
    bold = [(row[0][0], k) for row in rows[1:] for k, (_, strong) in enumerate(row) if strong]
    assert bold == [("BN", 1), ("IBN-b", 2)]


def test_page_says_what_happened_what_ran_and_how_to_repeat_it(page, results):
    text = page.text.replace("\N{NO-BREAK SPACE}", " ")
    assert "Seen & unseen" in text
    assert "500 frames of <GTA5>." in text
    assert "IBN-b gains 14.1 points of mIoU on the unseen domain cityscapes over BN" in text
    assert "outside its means: train and bus." in text
    assert "100 images, held out from the source" in text
    assert "60 images, never seen in training" in text
    for result in results:
        for key in ("name", "command", "config_file", "checkpoint", "git_commit"):
            assert result[key] in text
        assert " ".join(result["config"].split()) in text
    assert "mmengine 0.10.7" in text


def test_every_run_has_a_row_and_a_recipe(page):
    rows = page.tables["mIoU (%) of each run"]
    assert [(row[0][0], row[1][0]) for row in rows[1:]] == [
        (method, str(seed)) for method in ("BN", "IBN-a", "IBN-b") for seed in range(3)
    ]
    assert sum(a.get("class") == "run" for a in page.all("details")) == 9
    for method in ("bn", "ibn-a", "ibn-b"):
        metrics = page.tables[f"All metrics (%) of resnet18-{method}_seed1"]
        assert [row[0][0] for row in metrics[1:]] == ["gta5", "cityscapes"]


def test_class_charts_have_tables_with_the_same_numbers(page):
    for domain in ("gta5", "cityscapes"):
        rows = page.tables[f"IoU (%) by class on {domain}"]
        assert len(rows) == 20
        absent = {row[0][0] for row in rows if row[1][0] == "absent"}
        assert absent == ({"train", "bus"} if domain == "cityscapes" else set())


def test_a_picture_stands_before_the_table(report_file):
    text = report_file.read_text(encoding="utf-8")
    assert text.index("<img ") < text.index("<table") < text.index("<svg ")
    assert text.index('class="headline"') < text.index("<img ")


@pytest.mark.parametrize(
    ("scored", "absent", "order"),
    [
        (["road", "sky", "car"], ["building"], ["road", "building", "sky", "car"]),
        (["sky", "road"], ["building"], ["sky", "building", "road"]),  # CamVid's order
        (["car", "sky", "road"], [], ["car", "sky", "road"]),
        (["wet", "road", "dry"], ["sky"], ["wet", "road", "dry", "sky"]),
    ],
)
def test_classes_stand_in_the_order_of_their_space(tmp_path, results, scored, absent, order):
    for result in results:
        for scores in result["domains"].values():
            values = dict.fromkeys(scored, scores["mIoU"])
            scores.update(IoU=values, Acc=values, absent=absent)
    rows = _page(tmp_path, results).tables["IoU (%) by class on gta5"]
    assert [row[0][0] for row in rows[1:]] == order


def test_scenes_show_image_truth_and_predictions_in_order(page):
    images = page.all("img")
    assert len(images) == 4 * 5
    assert [image["alt"] for image in images[:5]] == [
        "cityscapes, frame 0: photograph",
        "cityscapes, frame 0: true classes",
        "cityscapes, frame 0: classes predicted by BN",
        "cityscapes, frame 0: classes predicted by IBN-a",
        "cityscapes, frame 0: classes predicted by IBN-b",
    ]
    assert "100.0 % of pixels right" in page.text.replace("\N{NO-BREAK SPACE}", " ")
    for name in ("road", "bicycle", "ignored"):
        assert name in page.text


def test_page_needs_no_network_and_no_script(page):
    links = [
        value for _, attributes in page.tags for name, value in attributes.items()
        if name in URL_ATTRIBUTES
    ]  # fmt: skip
    assert links
    assert all(link.startswith(("data:", "#")) for link in links)
    assert not {"script", "iframe", "object", "embed"} & {tag for tag, _ in page.tags}
    styles = [a["style"] for _, a in page.tags if "style" in a]
    assert not any("http" in style or "@import" in style for style in styles)
    (policy,) = [a for a in page.all("meta") if a.get("http-equiv") == "Content-Security-Policy"]
    assert "default-src 'none'" in policy["content"]


def test_page_is_structured_for_readers_of_all_kinds(page):
    ids = [a["id"] for _, a in page.tags if "id" in a]
    assert len(ids) == len(set(ids))
    anchors = {a["href"][1:] for _, a in page.tags if a.get("href", "").startswith("#")}
    references = {
        id_ for _, a in page.tags for id_ in re.findall(r"url\(#([^)]+)\)", str(a.values()))
    }
    labels = {a["aria-labelledby"] for _, a in page.tags if "aria-labelledby" in a}
    assert anchors
    assert references
    assert anchors | references | labels <= set(ids)
    assert page.all("html") == [{"lang": "en"}]
    assert len(page.all("h1")) == 1
    assert all(image["alt"] for image in page.all("img"))
    assert all(svg["role"] == "img" and svg["aria-label"] for svg in page.all("svg"))
    assert len(page.all("svg")) == 5
    assert all("scope" in header for header in page.all("th"))


def test_drawings_take_their_colours_from_the_style_sheet(report_file):
    text = report_file.read_text(encoding="utf-8")
    drawings = "".join(re.findall(r"<svg.*?</svg>", text, flags=re.DOTALL))
    assert not re.findall(r"#[0-9a-f]{6}", drawings)
    used = set(re.findall(r"var\((--[a-z0-9-]+)\)", drawings))
    assert {"--ink", "--muted", "--grid", "--series-0", "--series-1", "--series-2"} == used
    defined = set(re.findall(r"(--[a-z0-9-]+):", text))
    assert used <= defined


def test_strings_from_results_and_panels_are_escaped(tmp_path, results, panels):
    evil = "<script>alert(1)</script>\"'><img src=x onerror=alert(1)>$\\frac{$"
    results = copy.deepcopy(results)
    for result in results:
        if result["method"] == "IBN-a":
            result["method"] = evil
        result["config"] = result["command"] = f"</code></pre>{evil}"
        result["git_commit"] = result["checkpoint"] = evil
        result["versions"] = {evil: evil}
        result["domains"][evil] = result["domains"].pop("cityscapes")
    panel = panels[0]
    object.__setattr__(panel, "caption", evil)
    object.__setattr__(panel, "predictions", {evil: panel.label})
    page = _page(tmp_path, results, [panel], title=evil, notes=[evil])
    assert not page.all("script")
    assert all(image["src"].startswith("data:image/") for image in page.all("img"))
    assert not any(name.startswith("on") for _, a in page.tags for name in a)
    assert evil in [row[0][0] for row in page.tables["mIoU (%) of each method on each domain"]]
    # Without scenes, the names of domains stand in a drawing.
    drawn = _page(tmp_path, results, [])
    assert not drawn.all("script")
    assert "<script>alert(1)</s\N{HORIZONTAL ELLIPSIS}" in drawn.text


def test_one_method_and_a_loss_are_said_plainly(tmp_path, results, make_result):
    single = _page(tmp_path, results[:1])
    assert "BN reaches 26.4 % mIoU" in single.text.replace("\N{NO-BREAK SPACE}", " ")
    assert "One seed per method" in single.text
    assert not single.all("strong")
    worse = [make_result("BN", 0, {"gta5": 50.0, "cityscapes": 26.0})]
    worse.append(make_result("IBN-a", 0, {"gta5": 50.0, "cityscapes": 21.5}))
    page = _page(tmp_path, worse)
    assert "With one seed, IBN-a reads 4.5 points of mIoU below BN" in page.text
    assert page.tables["mIoU (%) of each method on each domain"][2][4][0] == "\N{MINUS SIGN}4.5"


def test_test_runs_without_curves_make_a_report_without_that_section(tmp_path, results):
    for result in results:
        del result["curves"], result["iterations"]
    page = _page(tmp_path, results)
    assert {"href": "#curves"} not in page.all("a")
    # Without scenes, a drawing of the scores stands above the fold.
    assert len(page.all("svg")) == 3


def test_a_single_validation_is_no_curve(tmp_path, results):
    for result in results:
        result["curves"]["val"] = result["curves"]["val"][-1:]
    # The drawing of the scores, two domains' classes, and the loss.
    assert len(_page(tmp_path, results).all("svg")) == 4


def test_diverged_training_is_still_reported(tmp_path, results):
    results[0]["curves"]["loss"] = [None] * len(results[0]["curves"]["loss"])
    assert len(_page(tmp_path, results).all("svg")) == 6


def test_same_results_make_the_same_bytes(tmp_path, report_file, results, panels):
    notes = ["500 frames of <GTA5>."]
    again = write_report(results, panels, tmp_path / "b.html", title="Seen & unseen", notes=notes)
    assert again.read_bytes() == report_file.read_bytes()


def test_refused_results_leave_the_old_report_alone(tmp_path, results):
    out = tmp_path / "report.html"
    out.write_text("old")
    del results[1]["domains"]
    with pytest.raises(UserError, match="resnet18-ibn-a_seed0"):
        write_report(results, [], out)
    assert out.read_text() == "old"
    assert list(tmp_path.iterdir()) == [out]


def test_unwritable_place_is_one_clear_line(tmp_path, results):
    (tmp_path / "file").write_text("")
    with pytest.raises(EnvError, match="cannot be written"):
        write_report(results, [], tmp_path / "file" / "report.html")


def test_report_loads_no_training_library_and_tables_no_plotting(tmp_path):
    code = (
        "import sys, ibn_seg.report.tables; "
        "assert not {'matplotlib', 'jinja2', 'numpy'} & sys.modules.keys(), 'tables'; "
        "import ibn_seg.report.html; "
        "assert not {'torch', 'mmengine', 'mmcv', 'mmseg', 'matplotlib.pyplot'} "
        "& sys.modules.keys(), 'html'"
    )
    environment = {**os.environ, "MPLCONFIGDIR": str(tmp_path)}
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, env=environment, check=False
    )
    assert done.returncode == 0, done.stderr
