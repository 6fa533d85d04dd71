"""The page: self-contained, every number linked, every table under its rule."""

import base64
import csv
import hashlib
import os
import re
import subprocess
import sys
from html.parser import HTMLParser
from pathlib import Path
from urllib.parse import unquote

import pytest

from ibn_seg.cli import run
from ibn_seg.errors import UserError
from ibn_seg.leaderboard import write_leaderboard
from ibn_seg.report.method_looks import method_looks
from ibn_seg.report.stored_panels import FOLDER, write_panels
from tests.leaderboard.made import COMMIT, Folder, evaluated, skill_of
from tests.report.conftest import four_scenes
from tests.report.test_method_looks import twins


class _Page(HTMLParser):
    """Tables with their captions and cells, all ids, all links."""

    def __init__(self, text: str):
        super().__init__()
        self.tables, self.ids, self.links, self._cell = [], set(), [], None
        self._caption = False
        self.feed(text)

    def handle_starttag(self, tag, attrs):
        attrs = dict(attrs)
        if "id" in attrs:
            self.ids.add(attrs["id"])
        if tag == "table":
            self.tables.append({"key": attrs["id"], "caption": "", "cells": []})
        elif tag == "caption":
            self._caption = True
        elif tag == "td":
            self._cell = {"text": "", "value": attrs.get("data-value"), "href": None}
            self.tables[-1]["cells"].append(self._cell)
        elif tag == "a":
            self.links.append(attrs["href"])
            if self._cell is not None:
                self._cell["href"], self._cell["title"] = attrs["href"], attrs["title"]

    def handle_endtag(self, tag):
        if tag == "td":
            self._cell = None
        elif tag == "caption":
            self._caption = False

    def handle_data(self, data):
        if self._caption:
            self.tables[-1]["caption"] += data
        elif self._cell is not None:
            self._cell["text"] += data


@pytest.fixture(scope="module")
def text(written):
    return written[".html"].read_text(encoding="utf-8")


@pytest.fixture(scope="module")
def page(text):
    return _Page(text)


def test_every_table_stands_under_its_rule(page):
    assert len(page.tables) > 20
    for table in page.tables:
        if table["key"].startswith("published"):
            assert "the papers' own" in table["caption"]
        elif table["key"] != "unfinished":
            assert "Selection: last checkpoint; protocol: native; seeds: " in table["caption"]


def test_every_measured_number_links_to_its_runs(page, written):
    linked = 0
    for table in page.tables:
        if table["key"].startswith("published"):
            continue
        for cell in table["cells"]:
            # Seeds needed belong to the difference beside them.
            if cell["value"] is None or re.fullmatch(r"\d+", cell["text"].strip()):
                continue
            assert cell["href"], (table["key"], cell)
            assert cell["title"]
            linked += 1
    assert linked > 200
    for href in page.links:
        if href.startswith("#"):
            assert href[1:] in page.ids
        else:
            assert (written[".html"].parent / unquote(href)).resolve().is_file()


def test_the_runs_show_seeds_files_and_commands(text):
    runs = text[text.index('<section id="runs"') : text.index('<section id="provenance"')]
    assert runs.count("ibn-seg train configs/c000.py --work-dir cells/c000") >= 1
    assert 'a%20bench/cells/c000/result.json">c000/result.json</a>' in runs
    assert "ibn-seg evaluate --predictions theirs" in runs


def test_the_provenance_names_the_cpu(text):
    facts = text[text.index('<section id="provenance"') :]
    assert "<dt>CPU</dt><dd>Processor 1 (AVX2), not stated</dd>" in facts


def test_what_is_not_done_is_listed_and_escaped(text):
    assert "Not all cells are done (1 failed, 1 running)" in text
    assert "RuntimeError: &lt;loss&gt; is NaN" in text
    assert "Their &lt;Net&gt; &amp; 100 %_x" in text
    assert "<Net>" not in text
    assert "<loss>" not in text


def test_the_headline_names_method_baseline_seeds_and_interval(text):
    found = re.search(
        r'class="headline">IBN-b gains \d+\.\d points of mIoU on the mean of 2 targets over BN\.'
        r"</p>\s*"
        r'<p class="claim">ResNet-18, FCN, trained on game; 3 seeds; 95\s%\sinterval \[\+\d',
        text,
    )
    assert found
    assert "ResNet-50, FCN, trained on game; 1 seed, no interval." in text


def test_the_first_table_ranks_methods_and_draws_their_intervals(text, written):
    table = re.search(r'<table [^>]*id="ranked-game".*?</table>', text, re.DOTALL)[0]
    (first, *_) = re.findall(r"<tbody>.*?</tbody>", table, re.DOTALL)
    names = re.findall(r'<span class="term">([^<]+)</span></th>', first)
    assert names[0] == "IBN-b"
    assert names[-1] == "BN, oracle"
    means = [
        float(row["value"]) for row in csv.DictReader(written[".csv"].open())
        if row["quantity"] == "miou" and row["domain"] == "mean of targets" and not row["seed"]
        and row["backbone"] == "ResNet-18" and row["segmentor"] == "FCN"
    ]  # fmt: skip
    shown = [
        float(re.search(r'<td data-value="([\d.]+)"', row)[1])
        for row in re.findall(r"<tr>.*?</tr>", first, re.DOTALL)
    ]
    assert shown == pytest.approx(sorted(means, reverse=True))
    # Spans begin and end where the values of the intervals are, on the ticks' axis.
    ticks = dict(
        (float(label.replace("\N{MINUS SIGN}", "-")), float(place))
        for place, label in re.findall(r'<i style="left:([\d.]+)%">([^<]+)</i>', table)
    )
    per_point = (ticks[max(ticks)] - ticks[0]) / max(ticks)
    low, high = map(float, re.search(r"\[\+([\d.]+), \+([\d.]+)\]", first).groups())
    left, width = map(float, re.search(r"left:([\d.]+)%;width:([\d.]+)%", first).groups())
    assert left == pytest.approx(ticks[0] + low * per_point, abs=0.06 * per_point)
    assert width == pytest.approx((high - low) * per_point, abs=0.11 * per_point)


def test_commits_stand_at_the_end_alone(text):
    assert COMMIT not in text[: text.index('<section id="runs"')]
    assert COMMIT in text[text.index('<section id="provenance"') :]


def test_the_page_needs_nothing_and_runs_its_own_script_alone(text):
    assert not re.search(r"""(src|href)=["']https?://""", text)
    (script,) = re.findall(r"<script>(.*?)</script>", text, flags=re.DOTALL)
    digest = base64.b64encode(hashlib.sha256(script.encode()).digest()).decode()
    assert f"script-src &#39;sha256-{digest}&#39;" in text or f"'sha256-{digest}'" in text


def test_no_published_figure_is_ranked_and_unchecked_ones_are_shown_on_request(
    text, results, tmp_path
):
    published = text[text.index('<section id="published"') : text.index('id="unfinished-cells"')]
    assert "<strong>" not in published
    assert "not verified" not in published
    (path,) = write_leaderboard(results[1:], tmp_path / "all.html", published="all")
    everything = path.read_text(encoding="utf-8")
    assert everything.count("(not verified)") > 50
    (path,) = write_leaderboard(results[1:], tmp_path / "none.html", published="none")
    assert 'id="published"' not in path.read_text(encoding="utf-8")


def test_few_seeds_and_one_seed_are_said(page):
    (main,) = (t for t in page.tables if t["key"] == "main-game")
    assert "few seeds" in main["caption"]
    assert "n = 1: one seed has no spread and no interval" in main["caption"]
    texts = [cell["text"] for cell in main["cells"]]
    assert any(
        re.fullmatch(r"\d+\.\d ± \d\.\d\d+\.\d to \d+\.\d", t.replace("\xa0", " ")) for t in texts
    )
    assert any(t.endswith("n = 1, no interval") for t in texts)


def test_one_method_alone_and_no_baseline(tmp_path):
    folder = Folder(tmp_path)
    folder.train("IBN-b", 0, skill_of("IBN-b"))
    (path,) = write_leaderboard([folder.write()])
    assert path == tmp_path / "leaderboard.html"
    text = path.read_text(encoding="utf-8")
    assert "No row is the baseline" in text
    assert "Nothing to compare yet." in text


def test_incomplete_seeds_are_said(tmp_path):
    folder = Folder(tmp_path)
    for seed in range(4):
        folder.train("BN", seed, skill_of("BN"))
        if seed in (0, 1):
            folder.train("IBN-a", seed, skill_of("IBN-a"), entropy=1)
    (path,) = write_leaderboard([folder.write()])
    text = path.read_text(encoding="utf-8")
    assert "Incomplete seeds: IBN-a (ResNet-18) has 0, 1." in text
    assert "seeds: 2 or 4 (0, 1, 2, 3)" in text


def test_stored_panels_are_shown_with_their_domain(tmp_path):
    folder = Folder(tmp_path)
    folder.train("BN", 0, skill_of("BN"))
    path = folder.write()
    write_panels(path / FOLDER, four_scenes(), {})
    (page,) = write_leaderboard([path])
    text = page.read_text(encoding="utf-8")
    assert text.count('<figure class="scene">') == 4
    assert text.count("<img ") == 4 * 5
    assert "cityscapes, frame 0" in text
    (path / FOLDER / "index.json").write_text("{")
    with pytest.raises(UserError, match="not a JSON file"):
        write_leaderboard([path])


def test_the_command_writes_what_it_says(tmp_path, capsys):
    made = Folder(tmp_path / "r")
    made.train("BN", 0, skill_of("BN"))
    folder = made.write()
    theirs = evaluated(tmp_path / "t", "Net")
    out = tmp_path / "sub" / "b.html"
    args = ["leaderboard", str(folder), str(theirs), "-o", str(out), "--export", "csv,latex",
            "--export", "markdown", "--title", "Mine"]  # fmt: skip
    assert run(args) == 0
    printed = capsys.readouterr().out.split()
    assert [Path(p).suffix for p in printed] == [".html", ".csv", ".tex", ".md"]
    assert all(Path(p).is_file() for p in printed)
    assert "<h1>Mine</h1>" in out.read_text(encoding="utf-8")
    assert sorted(p.name for p in out.parent.iterdir()) == ["b.csv", "b.html", "b.md", "b.tex"]


@pytest.mark.parametrize(
    ("args", "said"),
    [
        (["--baseline", "BM"], "error: unknown baseline 'BM': did you mean 'BN'?"),
        (["--export", "cvs"], "error: unknown export 'cvs': did you mean 'csv'?"),
        (["--export", "latex", "--tables", "mian"], "did you mean 'main'?"),
    ],
)
def test_bad_arguments_are_one_line_and_write_nothing(results, tmp_path, capsys, args, said):
    out = tmp_path / "b.html"
    assert run(["leaderboard", *map(str, results), "-o", str(out), *args]) == 2
    error = capsys.readouterr().err
    assert said in error
    assert error.count("\n") == 1
    assert list(tmp_path.iterdir()) == []


def test_a_place_that_cannot_be_written_is_the_environment_s_fault(results, tmp_path, capsys):
    (tmp_path / "file").write_text("")
    assert run(["leaderboard", str(results[0]), "-o", str(tmp_path / "file" / "b.html")]) == 3
    assert capsys.readouterr().err.count("\n") == 1


def test_no_torch_is_loaded(results, tmp_path):
    code = (
        "import sys; from ibn_seg.cli import run; "
        f"args = ['leaderboard', {str(results[1])!r}, '-o', {str(tmp_path / 'b.html')!r}]; "
        "assert run(args) == 0; "
        "sys.exit('torch' in sys.modules or 'mmengine' in sys.modules)"
    )
    root = Path(__file__).resolve().parents[2]
    done = subprocess.run(
        [sys.executable, "-c", code], cwd=root, env={**os.environ, "OMP_NUM_THREADS": "1"},
        capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert (done.returncode, done.stderr) == (0, "")


def test_a_legend_names_what_its_charts_draw(written):
    text = written[".html"].read_text(encoding="utf-8")
    named = {}
    for key, section in re.findall(r'<section id="(\w+)"(.*?)</section>', text, re.DOTALL):
        items = re.findall(r"--series-(\d+)\)\"></span>([^<]+)</li>", section)
        named[key] = {name: colour for colour, name in items}
    assert {"BN", "IBN-a", "IBN-b"} < set(named["methods"])
    assert list(named["divergence"]) == list(named["robustness"]) == ["BN", "IBN-a", "IBN-b"]
    assert list(named["transfer"]) == ["BN", "IBN-a"]
    assert named["methods"].items() >= named["transfer"].items()


def test_a_divergence_s_chart_has_a_title_that_can_break_between_words(written):
    text = written[".html"].read_text(encoding="utf-8")
    assert "<figcaption>appearance, scenes/source and scenes/target</figcaption>" in text
    # The network stands once above its drawings, not in each title.
    section = re.search(r'<section id="divergence".*?</section>', text, re.DOTALL)[0]
    assert section.count("ResNet-18, FCN, trained on game</h3>") == 1


def test_a_method_has_one_colour_on_every_page_of_a_plan(tmp_path):
    first, second = twins()
    folder = Folder(tmp_path / "results")
    folder.train("BN", 0, skill_of("BN"))
    mine = folder.train(second, 0, skill_of("IBN-a"), entropy=1)
    # Another cell, which is not done yet, comes before it in the table of colours.
    folder.unfinished("to do", method=first)
    (board,) = write_leaderboard([folder.write()], tmp_path / "board.html", published="none")
    page = tmp_path / "report.html"
    assert run(["report", str(folder.path / mine["result"]), "-o", str(page)]) == 0
    found = []
    for path in (board, page):
        (look,) = set(
            re.findall(rf'<span class="look ([^>]+)></span>(?:<[^>]+>)?{second}<', path.read_text())
        )
        found.append(look)
    both = method_looks(["BN", first, second])[second]
    assert both.colour != method_looks([second])[second].colour
    style = f'shape-{both.shape}" style="background:var(--series-{both.colour})"'
    assert found == [style, style]


@pytest.mark.parametrize(("count", "folded"), [(10, False), (11, True)])
def test_many_unfinished_cells_are_folded(tmp_path, count, folded):
    folder = Folder(tmp_path / "unfinished")
    folder.train("BN", 0, skill_of("BN"))
    for _ in range(count):
        folder.unfinished("to do")
    (path,) = write_leaderboard([folder.write()], tmp_path / "board.html", published="none")
    section = path.read_text().partition('id="unfinished-cells"')[2].partition("</section>")[0]
    line = f"<summary>Cells that are not done, and so are missing above: {count}</summary>"
    assert (line in section) == folded
    assert section.count("<td") == 5 * count
