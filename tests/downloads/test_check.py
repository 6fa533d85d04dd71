"""Every defect of a download is found and named, and nothing else is."""

import json
import shutil
import struct
import zlib

import numpy as np
import pytest
from PIL import Image

import ibn_seg.transforms.loading  # noqa: F401
from ibn_seg.cli import run as run_cli
from ibn_seg.datasets.idd import IDDDataset
from ibn_seg.downloads.check import check
from ibn_seg.downloads.exclude import write_exclude_list
from ibn_seg.errors import UserError
from tests.datasets.own_class_writers import CAMVID_FRAMES
from tests.datasets.writers import LAYOUTS, write_jpeg
from tests.downloads.damage import DEFECTS, damage, frame, write_clean
from tests.helpers import truncate, write_cityscapes, write_gta5, write_palette
from tests.memory import run_measured
from tests.tiny import command, environment

PIPELINE = [{"type": "LoadImageFromFile"}, {"type": "LoadUrbanLabels"}]
# The layouts of the writers by the name of the command.
NAMES = {
    "synthia": "synthia", "urbansyn": "urbansyn", "bdd100k": "bdd100k",
    "bdd100k, older release": "bdd100k", "mapillary v1.2, robustnet": "mapillary",
    "mapillary v2.0": "mapillary", "acdc fog": "acdc", "dark zurich": "dark_zurich",
    "foggy cityscapes 0.01": "foggy_cityscapes", "idd": "idd",
    "wilddash, older layout": "wilddash2", "wilddash, panoptic": "wilddash2", "any": "train_ids",
    "camvid, SegNet's": "camvid", "camvid, original": "camvid", "camvid, fast.ai's": "camvid",
    "idd_lite": "idd_lite", "kitti": "kitti", "folder": "folder", "folder, colours": "folder",
}  # fmt: skip


@pytest.fixture(scope="module")
def clean(tmp_path_factory):
    return write_clean(tmp_path_factory.mktemp("clean"), 40)


@pytest.fixture
def damaged(clean, tmp_path):
    root = tmp_path / "idd"
    shutil.copytree(clean, root)
    return root, damage(root)


def found(result):
    return {(finding.kind, finding.files[0]) for finding in result.findings}


def cli(*args):
    return run_cli(["data", *map(str, args)])


@pytest.mark.parametrize("workers", [1, 2])
def test_every_defect_is_found_and_named_and_nothing_else(damaged, workers):
    root, expected = damaged
    result = check("idd", root, workers=workers)
    assert found(result) == expected
    assert len(result.findings) == len(expected) == 12
    for defect in DEFECTS:
        name = getattr(frame(root, defect.index), defect.named).relative_to(root).as_posix()
        (finding,) = (item for item in result.findings if item.files[0] == name)
        assert defect.text in finding.text
    (pair,) = (item for item in result.findings if item.kind == "duplicate-across-splits")
    assert pair.files[1] == frame(root, 3).image.relative_to(root).as_posix()


def test_a_clean_set_gives_none(clean):
    result = check("idd", clean, workers=1)
    assert result.findings == []
    assert result.files == 80
    assert [listing.pairs for listing in result.listings] == [30, 10]


def test_labels_only_finds_what_needs_no_decoded_image(damaged):
    root, expected = damaged
    kinds = {"duplicate-across-splits"}
    images = {pair for pair in expected if pair[0] == "truncated"}
    result = check("idd", root, labels_only=True, workers=1)
    assert found(result) == {pair for pair in expected - images if pair[0] not in kinds}


def test_histogram_is_that_of_the_labels(clean):
    result = check("idd", clean, workers=1)
    labels = [np.asarray(Image.open(frame(clean, index).label)) for index in range(40)]
    counted = sum(np.bincount(label.ravel(), minlength=256) for label in labels)
    assert np.array_equal(sum(result.pixels.values()), counted)
    present = [sum((label == index).any() for label in labels) for index in range(19)] + [0] * 236
    present.append(sum((label == 255).any() for label in labels))
    assert sum(result.present.values()).tolist() == present


@pytest.mark.parametrize("layout", NAMES)
def test_every_layout_is_clean_as_it_was_written(layout, tmp_path):
    _, arguments, write = LAYOUTS[layout]
    expected = write(tmp_path)
    options = arguments if NAMES[layout] in ("train_ids", "folder") else {}
    result = check(NAMES[layout], tmp_path, options=options, workers=1)
    assert result.findings == []
    assert sum(listing.pairs for listing in result.listings) >= len(expected)


def test_gta5_and_cityscapes_are_clean_as_they_were_written(tmp_path):
    assert check("gta5", write_gta5(tmp_path / "a"), workers=1).findings == []
    assert check("cityscapes", write_cityscapes(tmp_path / "b"), workers=1).findings == []


def test_fix_list_makes_a_set_that_loads(damaged, tmp_path, monkeypatch, capfd):
    root, _ = damaged
    monkeypatch.chdir(tmp_path)
    listed = root / "ibn_seg_exclude.txt"
    listed.write_text("# mine\nleftImg8bit/val/4/000011_leftImg8bit.jpg  # blurred")
    assert cli("check", "idd", root, "--fix", "list", "--workers", 1) == 2
    text = listed.read_text()
    assert text.startswith("# mine\nleftImg8bit/val/4/000011_leftImg8bit.jpg  # blurred\n")
    # What remains is the image with alpha, which loads.
    again = check("idd", root, workers=1)
    assert [finding.kind for finding in again.findings] == ["rgba-image"]
    samples = 0
    for split in ("train", "val"):
        dataset = IDDDataset(root, split=split, pipeline=PIPELINE)
        samples += sum(1 for index in range(len(dataset)) if dataset[index])
    assert samples == 40 - 11 - 1  # one each, and the one that was on the list
    # A second run adds nothing.
    assert cli("check", "idd", root, "--fix", "list", "--allow", "rgba-image") == 0
    assert listed.read_text() == text


def test_exclude_list_elsewhere_for_a_root_that_is_read_only(damaged, tmp_path, capfd):
    root, _ = damaged
    report = tmp_path / "report.json"
    common = ("check", "idd", root, "--fix", "list", "--report", report, "--workers", 1)
    assert cli(*common, "--exclude", "/proc/list.txt") == 3
    line = capfd.readouterr().err.splitlines()[-1]
    assert line.startswith("error: /proc/list.txt: cannot be written")
    assert "--exclude FILE" in line
    assert cli(*common, "--exclude", tmp_path / "out.txt") == 2
    assert not (root / "ibn_seg_exclude.txt").exists()
    dataset = IDDDataset(root, exclude=tmp_path / "out.txt", pipeline=PIPELINE)
    assert all(dataset[index]["img"].ndim == 3 for index in range(len(dataset)))


def test_a_label_that_three_images_need_is_kept(tmp_path):
    LAYOUTS["foggy cityscapes 0.01"][2](tmp_path)
    image = next(tmp_path.glob("leftImg8bit_foggy/val/*/*_beta_0.02.png"))
    truncate(image)
    _, added = write_exclude_list(check("foggy_cityscapes", tmp_path, workers=1))
    assert added == 1
    kept = [listing.pairs - listing.excluded for listing in
            check("foggy_cityscapes", tmp_path, workers=1).listings]  # fmt: skip
    assert kept == [0, 3, 0, 3, 0, 2]


def test_command_writes_the_report_and_says_what_is_wrong(damaged, tmp_path, monkeypatch, capfd):
    root, expected = damaged
    monkeypatch.chdir(tmp_path)
    assert cli("check", "idd", root, "--show", 1) == 2
    out, err = capfd.readouterr()
    assert "12 findings" in err.splitlines()[-1]
    assert "truncated: 1 more in the report" in out
    report = json.loads((tmp_path / "data_check_idd.json").read_text())
    assert {(item["kind"], item["files"][0]) for item in report["findings"]} == expected
    assert report["summary"]["truncated"] == 2
    for kind in report["summary"]:
        assert kind in out
    assert report["parts"][1]["official"] == 981
    assert report["forms"]["image"]["8-bit RGBA PNG"] == 1
    assert cli("check", "idd", root, *(f"--allow={kind}" for kind in report["summary"])) == 0


def test_counts_are_a_finding_when_the_set_has_to_be_complete(clean):
    result = check("idd", clean, complete=True, workers=1)
    assert [finding.text for finding in result.findings] == [
        "train: 30 pairs of about 6,993", "val: 10 pairs of 981",
    ]  # fmt: skip


@pytest.mark.parametrize(
    ("args", "parts"),
    [
        (["idx", "."], ["unknown data set 'idx'", "'idd'"]),
        (["idd", "nowhere"], ["nowhere", "does not exist"]),
        (["idd", "."], ["leftImg8bit", "does not exist"]),
        (["idd", ".", "--option", "spilt=val"], ["'spilt'", "did you mean 'split'"]),
        (["idd", ".", "--option", "split"], ["--option", "KEY=VALUE"]),
        (["idd", ".", "--option", "split=tset"], ["unknown split", "'tset'"]),
        (["idd", ".", "--allow", "truncate"], ["'truncate'", "'truncated'"]),
        (["idd", ".", "--exclude", "no.txt"], ["no.txt"]),
    ],
)
def test_wrong_input_is_one_line(args, parts, tmp_path, monkeypatch, capfd):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "file.txt").write_text("")
    assert cli("check", *args) == 2
    line = capfd.readouterr().err.splitlines()[-1]
    assert line.startswith("error: ")
    for part in parts:
        assert part in line


def test_gta5_s_known_defects_are_left_out_and_undocumented_ids_are_said(tmp_path):
    root = write_gta5(tmp_path, frames=(1, 2, 3, 15188))
    truncate(root / "labels" / "15188.png")
    write_palette(root / "labels" / "00002.png", np.full((48, 64), 34, np.uint8))
    ids = np.full((48, 64), 7, np.uint8)
    ids[0] = 200
    write_palette(root / "labels" / "00003.png", ids)
    result = check("gta5", root, workers=1)
    assert found(result) == {
        ("all-ignored", "labels/00002.png"), ("unlisted-id", "labels/00003.png"),
    }  # fmt: skip
    assert result.listings[0].known == 1


def grey_png_of_4_bits(width, height):
    """Return a picture of sevens, which Pillow reads as 7 * 17."""
    header = struct.pack(">IIBBBBB", width, height, 4, 0, 0, 0, 0)
    rows = zlib.compress((b"\0" + b"\x77" * (width // 2)) * height)
    chunks = ((b"IHDR", header), (b"IDAT", rows), (b"IEND", b""))
    return b"\x89PNG\r\n\x1a\n" + b"".join(
        struct.pack(">I", len(data)) + name + data + struct.pack(">I", zlib.crc32(name + data))
        for name, data in chunks
    )


def test_surprises_of_other_kinds(tmp_path):
    root = write_gta5(tmp_path, frames=range(1, 9))
    images, labels = root / "images", root / "labels"
    Image.open(images / "00001.png").convert("L").save(images / "00001.png")
    Image.open(images / "00002.png").convert("P").save(images / "00002.png")
    write_jpeg(tmp_path / "x.jpg", np.asarray(Image.open(images / "00003.png"))).replace(
        images / "00003.png"
    )
    (images / "00004.png").write_bytes(b"no picture at all")
    data = bytearray((labels / "00005.png").read_bytes())
    data[-30] ^= 255
    (labels / "00005.png").write_bytes(data)
    data = bytearray((images / "00006.png").read_bytes())
    data[-14] ^= 255  # in the checksum of the last chunk of pixels, which decoders overlook
    (images / "00006.png").write_bytes(data)
    (labels / "00006.png").write_bytes(grey_png_of_4_bits(64, 48))
    shutil.copy(images / "00008.png", images / "00007.png")
    result = check("gta5", root, workers=1)
    expected = {
        ("grey-image", "images/00001.png"), ("palette-image", "images/00002.png"),
        ("other-format", "images/00003.png"), ("damaged", "images/00004.png"),
        ("damaged", "labels/00005.png"), ("duplicate", "images/00008.png"),
        ("damaged", "images/00006.png"), ("label-format", "labels/00006.png"),
    }  # fmt: skip
    assert found(result) == expected


def test_a_jpeg_that_lacks_its_last_bytes_only(clean, tmp_path):
    shutil.copytree(clean, tmp_path / "idd")
    path = frame(tmp_path / "idd", 1).image
    path.write_bytes(path.read_bytes()[:-2])
    result = check("idd", tmp_path / "idd", workers=1)
    assert [(item.kind, item.text) for item in result.findings] == [("truncated", "truncated JPEG")]


def test_what_follows_a_jpeg_s_end_is_no_fault(clean, tmp_path):
    shutil.copytree(clean, tmp_path / "idd")
    first, second = (frame(tmp_path / "idd", index).image for index in (1, 5))
    first.write_bytes(first.read_bytes() + bytes(10_000))
    with Image.open(second) as picture:
        picture.save(second, format="MPO", save_all=True, append_images=[picture.copy()])
    assert Image.open(second).format == "MPO"
    assert check("idd", tmp_path / "idd", workers=1).findings == []


def test_a_folder_that_is_missing_is_a_finding_and_not_the_end(tmp_path):
    root = write_cityscapes(tmp_path)
    shutil.rmtree(root / "gtFine" / "val")
    shutil.rmtree(root / "leftImg8bit" / "train")
    shutil.rmtree(root / "gtFine" / "train")
    result = check("cityscapes", root, workers=1)
    assert [finding.kind for finding in result.findings] == ["layout"]
    assert "gtFine/val" in result.findings[0].text
    assert "leftImg8bit/train" in result.listings[0].absent
    with pytest.raises(UserError, match="leftImg8bit/train"):
        check("cityscapes", root, options={"split": "train"}, workers=1)


def test_a_split_whose_frames_have_other_names_is_not_there(tmp_path):
    LAYOUTS["camvid, SegNet's"][2](tmp_path)
    for path in tmp_path.glob("test*/*.png"):
        path.rename(path.with_name(f"new_{path.name}"))
    result = check("camvid", tmp_path, workers=1)
    absent = {listing.part.name: listing.absent for listing in result.listings}
    assert absent["test"].startswith("CamVidDataset: no image of split 'test' in ")
    assert [name for name, text in absent.items() if not text] == ["train", "val"]
    with pytest.raises(UserError, match="no image of split 'test'"):
        check("camvid", tmp_path, options={"split": "test"}, workers=1)


@pytest.mark.parametrize("kind", ["", "annot"])
def test_a_split_without_any_label_or_image_is_found(kind, tmp_path):
    LAYOUTS["camvid, SegNet's"][2](tmp_path)
    shutil.rmtree(tmp_path / f"test{kind}")
    name, left = ("missing-image", "testannot") if not kind else ("missing-label", "test")
    frame = f"{left}/{CAMVID_FRAMES['test']}.png"
    assert found(check("camvid", tmp_path, workers=1)) == {(name, frame)}


def test_a_colour_outside_the_table_is_an_id_outside_the_table(tmp_path):
    LAYOUTS["camvid, original"][2](tmp_path)
    path = tmp_path / "LabeledApproved_full" / f"{CAMVID_FRAMES['val']}_L.png"
    label = np.array(Image.open(path))
    label[5, 9] = (1, 2, 3)
    Image.fromarray(label).save(path)
    (one,) = check("camvid", tmp_path, workers=1).findings
    assert one.kind == "unknown-id"
    assert one.text.startswith("the colour [1, 2, 3] at row 5, column 9 is in no table")


@pytest.mark.slow
def test_two_thousand_files(tmp_path):
    root = write_clean(tmp_path, 1000)
    result = check("idd", root)
    assert result.findings == []
    assert result.files == 2000
    expected = damage(root)
    assert found(check("idd", root)) == expected
    assert len(expected) == 12


@pytest.mark.slow
def test_memory_does_not_grow_with_the_files(tmp_path):
    peaks = {}
    for pairs in (100, 1000):
        root = write_clean(tmp_path / str(pairs), pairs)
        args = command(
            "data", "check", "idd", root, "--workers", 2, "--report", tmp_path / "r.json"
        )
        runs = []
        for _ in range(2):
            done, peak = run_measured(args, interval_s=0.05, env=environment(), cwd=tmp_path)
            assert done.returncode == 0, done.stdout
            runs.append(peak)
        peaks[pairs] = min(runs)
    print(f"peak PSS: {peaks[100]:.0f} MiB for 200 files, {peaks[1000]:.0f} MiB for 2,000")
    assert peaks[1000] - peaks[100] < 50
