"""`data check` and `data stats` on re-identification data sets."""

import json
import shutil
import struct
import zlib

import numpy as np
import pytest
from PIL import Image

from ibn_seg.cli import run as run_cli
from ibn_seg.downloads.picture_check import check_pictures
from ibn_seg.downloads.picture_stats import measure_pictures, write_picture_sheet
from ibn_seg.errors import UserError
from tests.reid.picture_files import MARKET, write_market, write_pictures


def cli(*args):
    return run_cli(["data", *map(str, args)])


def kinds(result):
    return [finding.kind for finding in result.findings]


def test_a_whole_download_has_no_findings(tmp_path, capsys, monkeypatch):
    monkeypatch.chdir(tmp_path)
    root = write_market(tmp_path / "market")
    assert cli("check", "market1501", root, "--workers", 1) == 0
    printed = capsys.readouterr().out
    assert "queries without a match from another camera: 0" in printed
    for words in ("1 junk", "2 distractors", "2 with the suffix twice"):
        assert words in " ".join(printed.replace("│", " ").split())
    report = json.loads((tmp_path / "data_check_market1501.json").read_text())
    gallery = report["parts"]["gallery"]
    assert [gallery[key] for key in ("pictures", "junk", "distractors", "doubled")] == [5, 1, 2, 2]
    assert report["files"] == 10
    assert report["sizes"] == {"8x16": 10}
    assert report["findings"] == []


def test_complete_compares_with_the_real_counts(tmp_path):
    root = write_market(tmp_path)
    result = check_pictures("market1501", root, complete=True, workers=1)
    assert set(kinds(result)) == {"incomplete"}
    assert [finding.text for finding in result.findings] == [
        "train: 3 pictures of 12,936",
        "train: 2 identities of 751",
        "query: 2 pictures of 3,368",
        "query: 2 identities of 750",
        "gallery: 5 pictures of 19,732",
        "gallery: 2 identities of 750",
        "gallery: 1 junk of 3,819",
    ]


def png_of_width_0():
    """Return a PNG whose header says 0 x 4 pixels."""
    chunks = ((b"IHDR", struct.pack(">IIBBBBB", 0, 4, 8, 2, 0, 0, 0)),
              (b"IDAT", zlib.compress(b"")), (b"IEND", b""))  # fmt: skip
    parts = [struct.pack(">I", len(data)) + name + data + struct.pack(">I", zlib.crc32(name + data))
             for name, data in chunks]  # fmt: skip
    return b"\x89PNG\r\n\x1a\n" + b"".join(parts)


def test_every_defect_is_found(tmp_path, capsys, monkeypatch):
    monkeypatch.chdir(tmp_path)
    root = write_market(tmp_path / "market")
    (root / "query" / "person.jpg").touch()
    (root / "query" / "0001_c2s1_000001_00.png").write_bytes(png_of_width_0())
    train, test = root / "bounding_box_train", root / "bounding_box_test"
    shutil.copy(train / MARKET["bounding_box_train"][0], test / "0002_c3s1_000001_01.jpg")
    whole = (test / "0001_c2s1_001051_01.jpg").read_bytes()
    (test / "0001_c4s1_000001_01.jpg").write_bytes(whole[: len(whole) // 2])
    result = check_pictures("market1501", root, workers=1)
    assert sorted(kinds(result)) == [
        "damaged", "duplicate-across-splits", "layout", "shared-identity", "truncated",
    ]  # fmt: skip
    lines = {finding.kind: finding.line for finding in result.findings}
    assert str(root / "query" / "person.jpg") in lines["layout"]
    assert lines["damaged"].startswith("query/0001_c2s1_000001_00.png")
    assert "1 identities are in training and test, such as 2" in lines["shared-identity"]
    assert cli("check", "market1501", root, "--workers", 1) == 2
    assert "5 findings" in capsys.readouterr().err
    allowed = [word for kind in kinds(result) for word in ("--allow", kind)]
    assert cli("check", "market1501", root, "--workers", 1, *allowed) == 0


def test_what_cannot_be_searched_is_found(tmp_path):
    write_pictures(tmp_path, {"query": ["1_c0_a.jpg"], "gallery": ["2_c1_a.jpg"]})
    result = check_pictures("reid_folder", tmp_path, workers=1)
    assert result.unmatched == 1
    assert [finding.line for finding in result.findings] == [
        "query and gallery have no identity in common: give both of the same people",
    ]


def test_a_lacking_part_is_found(tmp_path):
    root = write_market(tmp_path)
    shutil.rmtree(root / "bounding_box_train")
    (finding,) = check_pictures("market1501", root, workers=1).findings
    assert (
        finding.line == f"{root}/bounding_box_train: no such folder: the train pictures lie there"
    )


def test_lists_are_compared_with_the_files(tmp_path):
    line = "0000/0000_003_15_0303noon_0121_0.jpg 0\n"
    write_pictures(tmp_path, {"test/0000": ["0000_004_01_0303noon_0121_0.jpg"]})
    (tmp_path / "list_query.txt").write_text(2 * line + "damaged\n")
    (tmp_path / "list_gallery.txt").write_text("0000/0000_004_01_0303noon_0121_0.jpg 0\n")
    result = check_pictures("msmt17", tmp_path, workers=1)
    assert sorted(kinds(result)) == ["layout", "layout", "listed-missing", "repeated-query"]
    assert result.unmatched == 0


def test_headers_alone_are_read_on_request(tmp_path):
    root = write_market(tmp_path)
    file = root / "query" / MARKET["query"][0]
    file.write_bytes(file.read_bytes()[:-30])
    assert kinds(check_pictures("market1501", root, workers=1)) == ["truncated"]
    assert kinds(check_pictures("market1501", root, decode=False, workers=1)) == []


def test_stats_counts_and_measures(tmp_path, capsys, monkeypatch):
    monkeypatch.chdir(tmp_path)
    root = write_market(tmp_path / "market")
    sheet = tmp_path / "sheet.png"
    assert cli("stats", "market1501", root, "--workers", 1, "--sheet", sheet, "--count", 3) == 0
    printed = " ".join(capsys.readouterr().out.split())
    assert "train: 1 to 2 pictures of an identity, on average 1.5" in printed
    assert "train: identities by their number of cameras: 1: 1, 2: 1" in printed
    report = json.loads((tmp_path / "data_stats_market1501.json").read_text())
    pixels = [np.asarray(Image.open(root / folder / name).convert("RGB"), float)
              for folder, names in MARKET.items() for name in names]  # fmt: skip
    stacked = np.concatenate([one.reshape(-1, 3) for one in pixels])
    np.testing.assert_allclose(report["mean"], stacked.mean(axis=0), atol=1)
    np.testing.assert_allclose(report["std"], stacked.std(axis=0), atol=1)
    # Three identities: the rows of identities 1, 2 and 7 or 1488.
    assert Image.open(sheet).size == (8 * 68, 3 * 146)


def test_a_row_of_the_sheet_is_one_person(tmp_path):
    """CUHK03-NP counts training and test from the start, and its 0 is a person."""
    folders = {"bounding_box_train": ["0000_c1_1.png"], "query": ["0000_c1_1.png"],
               "bounding_box_test": ["0000_c2_1.png"]}  # fmt: skip
    root = write_pictures(tmp_path, {f"detected/{part}": names for part, names in folders.items()})
    found = measure_pictures("cuhk03_np", root, workers=1)
    write_picture_sheet(found.parts, found.pictures.CARD, tmp_path / "sheet.png")
    assert Image.open(tmp_path / "sheet.png").size == (8 * 68, 2 * 146)


def test_the_note_on_a_withdrawn_set_is_printed(tmp_path, capsys, monkeypatch):
    monkeypatch.chdir(tmp_path)
    write_pictures(tmp_path / "duke", {"query": ["0005_c2_f0046985.jpg"]})
    cli("stats", "dukemtmc_reid", "duke", "--workers", 1)
    assert "note: DukeMTMC-reID was withdrawn by its authors" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (("check", "market1501", ".", "--fix", "list"), "market1501 has no exclude list"),
        (("stats", "market1501", ".", "--exclude", "x"), "market1501 has no exclude list"),
        (("prepare", "market1501"), "market1501 is read as it is"),
        (("check", "market1501", ".", "--option", "x=1"), "unknown option of Market-1501 'x'"),
        (("check", "market1501", "."), "no folder of Market-1501"),
        (("stats", "market", "."), "unknown data set 'market': did you mean 'market1501'?"),
    ],
)
def test_wrong_use_is_one_line(words, message, tmp_path, capsys, monkeypatch):
    monkeypatch.chdir(tmp_path)
    assert cli(*words) == 2
    assert message in capsys.readouterr().err


def test_a_name_that_does_not_parse_stops_stats(tmp_path):
    write_pictures(tmp_path, {"query": ["person.jpg"]})
    with pytest.raises(UserError, match=r"person.jpg: no name of Market-1501"):
        measure_pictures("market1501", tmp_path, workers=1)
