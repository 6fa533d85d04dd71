"""CSV, LaTeX and Markdown hold the numbers of the results, whole and escaped."""

import csv
import io
import json
import re
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ibn_seg.cli import run
from ibn_seg.errors import UserError
from ibn_seg.leaderboard import write_leaderboard
from ibn_seg.leaderboard.latex_tables import COLUMN_WIDTH, latex_escaped
from ibn_seg.report.latex_width import text_width
from tests.leaderboard.made import COMMIT, Folder, evaluated, skill_of


@pytest.fixture(scope="module")
def lines(written) -> list[dict[str, str]]:
    return list(csv.DictReader(io.StringIO(written[".csv"].read_text(encoding="utf-8"))))


def _of(lines, quantity, **facts):
    facts = {"backbone": "ResNet-18", "segmentor": "FCN", "role": "method", **facts}
    wanted = {"quantity": quantity, **facts}
    return [line for line in lines if all(line[k] == v for k, v in wanted.items())]


def test_csv_has_every_seed_s_unrounded_number_with_file_and_command(lines, results):
    rows = json.loads((results[0] / "benchmark.json").read_text())["cells"]
    trained = [r for r in rows if r["task"] == "train" and r["state"] == "done" and not r["start"]]
    seen = 0
    for row in trained:
        for domain, value in row["mIoU"].items():
            (line,) = (
                one
                for one in lines
                if one["quantity"] == "miou"
                and one["command"] == row["command"]
                and one["domain"] == domain
            )
            assert float(line["value"]) == pytest.approx(value, rel=1e-14)
            assert Path(line["result"]) == results[0] / row["result"]
            assert line["seed"] == str(row["seed"])
            seen += 1
    assert seen == 3 * len(trained) == 45


def test_csv_s_means_are_those_of_its_seeds(lines):
    means = [one for one in lines if one["seed"] == "" and one["sd"] and one["low"] == ""]
    assert {one["quantity"] for one in means} == {
        "miou", "miou_target_selected", "class_iou", "divergence", "corruption", "retention",
        "transfer_miou",
    }  # fmt: skip
    names = ("quantity", "source", "backbone", "segmentor", "method", "role", "domain", "condition")
    for mean in means:
        seeds = [
            float(one["value"])
            for one in lines
            if one["seed"] and all(one[name] == mean[name] for name in names)
        ]
        assert len(seeds) == int(mean["n"]) == 3
        assert float(mean["value"]) == pytest.approx(np.mean(seeds))
        assert float(mean["sd"]) == pytest.approx(np.std(seeds, ddof=1), abs=1e-9)


def test_csv_s_differences_are_those_of_its_scores(lines):
    (difference,) = _of(lines, "difference", method="IBN-b", domain="night")
    pairs = [
        float(one["value"]) - float(other["value"])
        for one in _of(lines, "miou", method="IBN-b", domain="night")
        for other in _of(lines, "miou", method="BN", domain="night")
        if one["seed"] == other["seed"] != ""
    ]
    assert len(pairs) == 3
    assert float(difference["value"]) == pytest.approx(np.mean(pairs))
    assert float(difference["sd"]) == pytest.approx(np.std(pairs, ddof=1))
    assert float(difference["low"]) < float(difference["value"]) < float(difference["high"])
    assert (difference["baseline"], difference["n"]) == ("BN", "3")
    assert int(difference["seeds_needed"]) >= 2
    (single,) = _of(lines, "difference", method="IBN-b", domain="night", backbone="ResNet-50")
    assert (single["n"], single["low"], single["high"], single["sd"]) == ("1", "", "", "")


def test_csv_says_how_numbers_were_selected(lines):
    rules = {line["quantity"]: set() for line in lines}
    for line in lines:
        rules[line["quantity"]].add(line["selection"])
    assert rules["miou"] == {"last", "as given"}
    assert rules["miou_target_selected"] == {"best on the target"}
    assert rules["published_miou"] == {""}
    assert {line["role"] for line in lines} == {"method", "oracle", "published"}


def _tables(text: str) -> list[str]:
    return re.findall(r"\\begin\{table\*?\}.*?\\end\{table\*?\}", text, flags=re.DOTALL)


def test_latex_tables_are_whole(written):
    text = written[".tex"].read_text(encoding="utf-8")
    tables = _tables(text)
    assert len(tables) == text.count("\\begin{tabular}") > 10
    for table in tables:
        columns = re.search(r"\\begin\{tabular\}\{([lr]+)\}", table)[1]
        body = table[table.index("\\toprule") : table.index("\\bottomrule")]
        rows = [line for line in body.splitlines() if line.endswith(r" \\")]
        assert len(rows) >= 2
        for row in rows:
            cells = len(re.findall(r"(?<!\\)&", row)) + 1
            assert cells == len(columns) or row.startswith(f"\\multicolumn{{{len(columns)}}}")
        plain = re.sub(r"\\[{}]", "", table)
        assert plain.count("{") == plain.count("}")
        if "tab:unfinished" not in table:
            assert "Selection: last checkpoint; protocol: native; seeds" in table
    assert r"Their \textless{}Net\textgreater{} \& 100 \%\_x" in text
    assert "booktabs" in text
    assert COMMIT in text


@settings(max_examples=60)
@given(st.text(st.characters(codec="utf-8", exclude_categories=["C"])))
def test_latex_leaves_no_special_character_bare(text):
    escaped = latex_escaped(text)
    rest = re.sub(
        r"\\(text(backslash|asciitilde|asciicircum|less|greater)\{\}|[&%$#_{}])", "", escaped
    )
    rest = rest.replace(r"$\pm$", "")
    assert not set(rest) & set("\\&%$#_{}~^<>±")


def test_latex_widths_are_those_of_computer_modern():
    # cmr8.tfm: digits are 0.53125 em, 'W' is 1.0764 em, of 8 points.
    assert text_width("0123456789") == pytest.approx(10 * 0.53125 * 8, abs=0.2)
    assert text_width("WW") == pytest.approx(2 * 1.0764 * 8, abs=1.2)


def _rows(table: str) -> list[list[str]]:
    """Return the plain cells of a LaTeX table."""
    body = re.search(r"\\toprule(.*)\\bottomrule", table, flags=re.DOTALL)[1]
    lines = [line[:-3] for line in body.splitlines() if line.endswith(r" \\")]
    cells = [re.split(r" (?<!\\)& ", line) for line in lines if "multicolumn" not in line]
    plain = re.compile(r"\\(?:textbf|shortstack\[.\])\{(.*?)\}$")
    return [[plain.sub(r"\1", cell).replace(r"$\pm$", "±") for cell in row] for row in cells]


def test_the_main_latex_table_fits_a_paper_s_column(results, tmp_path):
    _, tex = write_leaderboard(results[:1], tmp_path / "b.html", exports=["latex"], only=["main"])
    (main,) = _tables(tex.read_text())
    assert main.startswith("\\begin{table}")
    header, *rows = _rows(main)
    assert header == ["Method", r"mean of 2\\targets", "vs BN", "dashcam", "night"]
    assert rows[0][0] == "IBN-b"
    columns = list(zip(header, *rows, strict=True))
    widths = [
        max(text_width(line) for cell in column for line in cell.split(r"\\")) for column in columns
    ]
    assert sum(widths) + 4 * len(widths) <= COLUMN_WIDTH


def test_columns_of_latex_tables_can_be_chosen(results, tmp_path, capsys):
    out = tmp_path / "b.html"
    args = ["leaderboard", str(results[0]), "-o", str(out), "--export", "latex"]
    chosen = ["--tables", "main", "--columns", "95,VS"]
    assert run([*args, *chosen]) == 0
    (table,) = _tables(out.with_suffix(".tex").read_text())
    header, first, *_ = _rows(table)
    assert header == ["Method", "vs BN", r"95 \%\\interval"]
    assert re.fullmatch(r"\{\[\+\d+\.\d, \+\d+\.\d\]\}", first[2])
    capsys.readouterr()
    assert run([*args, "--columns", "naight"]) == 2
    assert "error: unknown column 'naight': did you mean 'night'?" in capsys.readouterr().err
    assert run([*args[:-2], "--columns", "night"]) == 2
    assert capsys.readouterr().err == (
        "error: --columns chooses columns of LaTeX tables: add --export latex\n"
    )


def test_markdown_has_commands_commit_and_rules(written):
    text = written[".md"].read_text(encoding="utf-8")
    assert f"Git commit: {COMMIT}." in text
    assert "`ibn-seg benchmark plan.yaml`, `ibn-seg leaderboard X`" in text
    tables = re.findall(r"(?:^\|.*\n)+", text, flags=re.MULTILINE)
    assert len(tables) == text.count("_Selection: last checkpoint; protocol: native;") + 1
    for table in tables:
        widths = {len(re.findall(r"(?<!\\)\|", line)) for line in table.splitlines()}
        assert len(widths) == 1
    assert "few seeds" in text
    assert "n = 1" in text


def test_only_some_tables(results, tmp_path):
    _, md = write_leaderboard(
        results, tmp_path / "b.html", exports=["markdown"], only=["main", "transfer-source"]
    )
    text = md.read_text(encoding="utf-8")
    assert re.findall(r"^\*\*(.*?)\*\*$", text, flags=re.MULTILINE) == [
        "mIoU (%) of networks trained on game",
        "Fine-tuned from the source minus trained from scratch, points, on dashcam "
        "(ResNet-18, FCN)",
    ]
    with pytest.raises(UserError, match="unknown table 'mian': did you mean 'main'"):
        write_leaderboard(results, tmp_path / "b.html", only=["mian"])


def test_published_figures_of_the_same_source_are_exported_apart(tmp_path):
    folder = Folder(tmp_path)
    folder.train("BN", 0, {"gta5": 0.8, "cityscapes": 0.5}, source="gta5")
    folder.train("IBN-a", 0, {"gta5": 0.8, "cityscapes": 0.6}, source="gta5", entropy=1)
    _, md = write_leaderboard([folder.write()], exports=["markdown"])
    text = md.read_text(encoding="utf-8")
    assert text.count("**Published mIoU (%), trained on GTAV: not measured here, not ranked**") == 1
    assert "RobustNet 2021" in text
    measured, published = text.split("**Published", 1)
    assert "RobustNet" not in measured
    assert "**" not in published.partition("**\n")[2]


def test_equal_results_give_equal_files(tmp_path):
    folder = Folder(tmp_path)
    for method in ("BN", "IBN-a"):
        folder.train(method, 0, skill_of(method))
    folders = [folder.write(), evaluated(tmp_path / "theirs", "Net")]
    texts = []
    for _ in range(2):
        files = write_leaderboard(
            folders, tmp_path / "b.html", exports=["csv", "latex", "markdown"]
        )
        texts.append([path.read_bytes() for path in files])
    assert texts[0] == texts[1]
