"""Archives become data sets, bad ones are refused before anything is written."""

import os
import signal
import subprocess
import time
import zipfile

import pytest

from ibn_seg.cli import run as run_cli
from ibn_seg.datasets.all_datasets import dataset_class
from ibn_seg.downloads import prepare as prepare_module
from ibn_seg.downloads.check import check
from ibn_seg.downloads.prepare import place, prepare
from ibn_seg.errors import EnvError, UserError
from tests.datasets import own_class_writers as own
from tests.datasets.writers import (
    bdd100k,
    bdd100k_legacy,
    idd,
    kitti,
    synthia,
    wilddash_panoptic,
)
from tests.downloads.archives import (
    pack_tar,
    pack_zip,
    tar_of,
    zip_of,
    zip_that_lies,
    zip_with_link,
)
from tests.helpers import truncate, write_cityscapes, write_gta5
from tests.tiny import command, environment


def content(root):
    return {
        path.relative_to(root).as_posix(): path.read_bytes()
        for path in root.rglob("*") if path.is_file()
    }  # fmt: skip


@pytest.fixture
def gta5(tmp_path):
    """The files of a data set and its two archives."""
    source = write_gta5(tmp_path / "source")
    return source, [
        pack_zip(tmp_path / f"01_{kind}.zip", source / kind, f"{kind}/")
        for kind in ("images", "labels")
    ]


def nothing_written(root):
    return not root.exists() or not any(root.iterdir())


def refusal(tmp_path, name, *archives):
    """Return the one line that refuses archives, after a look that nothing was written."""
    out = tmp_path / "out"
    with pytest.raises(UserError) as caught:
        prepare(name, archives, out)
    assert nothing_written(out)
    assert "\n" not in caught.value.line
    return caught.value.line


def test_good_zips_become_the_layout(gta5, tmp_path):
    source, archives = gta5
    result = prepare("gta5", archives, tmp_path / "out")
    assert content(tmp_path / "out") == content(source)
    assert (result.written, result.kept, result.others) == (12, 0, 0)
    # The count is not the official one, which is said with where to get the rest.
    assert any("6 pairs of 24,966" in line for line in result.missing)
    assert any("02_images" in line or "download.visinf" in line for line in result.missing)
    again = prepare("gta5", archives, tmp_path / "out")
    assert (again.written, again.kept) == (0, 12)


@pytest.mark.parametrize(
    ("name", "write", "prefix"),
    [
        ("bdd100k", bdd100k, "bdd100k/"), ("bdd100k", bdd100k_legacy, "bdd100k/"),
        ("synthia", synthia, "RAND_CITYSCAPES/"), ("idd", idd, "IDD_Segmentation/"),
        ("wilddash2", wilddash_panoptic, "./"), ("cityscapes", write_cityscapes, ""),
        ("camvid", own.camvid_original, "CamVid/"), ("camvid", own.camvid_fastai, "camvid/"),
        ("idd_lite", own.idd_lite, "idd20k_lite/"), ("kitti", kitti, "data_semantics/"),
    ],
)  # fmt: skip
@pytest.mark.parametrize("kind", ["zip", "tar", "tar.gz"])
def test_folders_around_the_layout_are_dropped(name, write, prefix, kind, tmp_path):
    source, archive = tmp_path / "source", tmp_path / f"a.{kind}"
    write(source)
    if kind == "zip":
        pack_zip(archive, source, prefix)
    else:
        pack_tar(archive, source, prefix, "w:gz" if kind == "tar.gz" else "w")
    result = prepare(name, [archive], tmp_path / "out")
    assert content(tmp_path / "out") == content(source)
    assert check(name, tmp_path / "out", workers=1).findings == []
    again = prepare(name, [archive], tmp_path / "out")
    assert (again.written, again.kept) == (0, result.written)


def test_what_is_not_of_the_data_set_stays_in_the_archive(tmp_path):
    def placed(name, member):
        return place(dataset_class(name).CARD, member)

    assert placed("bdd100k", "bdd100k/images/100k/train/a.jpg") is None
    assert placed("synthia", "RAND_CITYSCAPES/Depth/0000000.png") is None
    assert placed("gta5", "__MACOSX/images/._00001.png") is None
    assert placed("urbansyn", "rgb_0001.png") == "rgb/rgb_0001.png"
    archive = zip_of(tmp_path / "a.zip", {"README.txt": b"x", "images/00001.png": b"y"})
    assert prepare("gta5", [archive], tmp_path / "out").others == 1


@pytest.mark.parametrize(
    "name", ["../images/00001.png", "/images/00001.png", "images/../../00001.png",
             "images\\..\\..\\x.png", "C:/images/00001.png"],
)  # fmt: skip
@pytest.mark.parametrize("kind", ["zip", "tar"])
def test_path_traversal_is_refused(name, kind, tmp_path):
    good = ("images/00002.png", b"x")
    if kind == "zip":
        archive = zip_of(tmp_path / "a.zip", dict([good, (name, b"x")]))
    else:
        archive = tar_of(tmp_path / "a.tar", [(*good, "file"), (name, b"x", "file")])
    assert "leads out of the folder" in refusal(tmp_path, "gta5", archive)


@pytest.mark.parametrize("kind", ["link", "hard link", "device", "pipe"])
def test_links_and_devices_in_tars_are_refused(kind, tmp_path):
    entries = [("images/00001.png", b"x", "file"), ("images/00002.png", b"/etc/passwd", kind)]
    line = refusal(tmp_path, "gta5", tar_of(tmp_path / "a.tar", entries))
    assert "'images/00002.png' is a link or a device" in line


def test_links_in_zips_are_refused(tmp_path):
    archive = zip_with_link(tmp_path / "a.zip", "images/00001.png", "/etc/passwd")
    assert "is a link or a device" in refusal(tmp_path, "gta5", archive)


def test_a_link_in_the_root_is_not_followed_out_of_it(gta5, tmp_path):
    outside, out = tmp_path / "outside", tmp_path / "out"
    outside.mkdir()
    out.mkdir()
    (out / "images").symlink_to(outside)
    with pytest.raises(UserError, match="through a link"):
        prepare("gta5", gta5[1], out)
    assert not any(outside.iterdir())


@pytest.mark.parametrize("kind", ["zip", "tar.gz"])
def test_bombs_are_refused(kind, tmp_path):
    zeros = bytes(50_000_000)
    if kind == "zip":
        archive = zip_of(tmp_path / "a.zip", {"images/00001.png": zeros})
    else:
        archive = tar_of(tmp_path / "a.tar.gz", [("images/00001.png", zeros, "file")], "w:gz")
    assert archive.stat().st_size < 100_000
    assert "would unpack to 50,000,000 bytes" in refusal(tmp_path, "gta5", archive)


def test_a_bomb_of_many_small_files_is_refused(tmp_path):
    members = {f"images/{index:05}.png": bytes(900_000) for index in range(60)}
    assert "it would unpack to 54,000,000" in refusal(
        tmp_path, "gta5", zip_of(tmp_path / "a.zip", members)
    )


def test_a_zip_that_declares_less_than_it_holds_writes_no_more_than_that(tmp_path):
    data = os.urandom(70_001)
    archive = zip_that_lies(tmp_path / "a.zip", "images/00001.png", data, 1000)
    with zipfile.ZipFile(archive) as opened:
        assert opened.infolist()[0].file_size == 1000
    line = refusal(tmp_path, "gta5", archive)
    assert "a.zip" in line


def test_more_than_the_disk_has_is_said_first(gta5, tmp_path, monkeypatch):
    monkeypatch.setattr(prepare_module, "_RESERVE", 2**60)
    with pytest.raises(EnvError, match="are free"):
        prepare("gta5", gta5[1], tmp_path / "out")
    assert nothing_written(tmp_path / "out")


@pytest.mark.parametrize("keep", [0.0, 0.3, 0.97])
@pytest.mark.parametrize("kind", ["zip", "tar", "tar.gz"])
def test_truncated_archives_are_one_line(kind, keep, tmp_path):
    source, archive = write_gta5(tmp_path / "source"), tmp_path / f"a.{kind}"
    if kind == "zip":
        pack_zip(archive, source)
    else:
        pack_tar(archive, source, mode="w:gz" if kind == "tar.gz" else "w")
    # A tar is filled up with empty blocks to 10,240 bytes.
    truncate(archive, keep if kind != "tar" else keep * 0.8)
    line = refusal(tmp_path, "gta5", archive)
    assert "truncated" in line
    assert "download it again" in line


def test_a_tar_that_is_cut_between_two_members(tmp_path):
    entries = [(f"images/{index:05}.png", bytes(1024), "file") for index in range(3)]
    archive = tar_of(tmp_path / "a.tar", entries)
    archive.write_bytes(archive.read_bytes()[: 2 * (512 + 1024)])
    assert "truncated archive" in refusal(tmp_path, "gta5", archive)


def test_a_damaged_member_is_named_and_the_rest_is_whole(gta5, tmp_path):
    source, (images, _) = gta5
    with zipfile.ZipFile(images) as archive:
        info = archive.infolist()[3]
    data = bytearray(images.read_bytes())
    data[info.header_offset + 200] ^= 255
    images.write_bytes(data)
    with pytest.raises(UserError, match=r"01_images\.zip: .*damaged"):
        prepare("gta5", [images], tmp_path / "out")
    files = content(tmp_path / "out")
    assert 0 < len(files) < 6
    assert files.items() <= content(source).items()


def test_a_file_that_is_there_and_differs_is_written_again(gta5, tmp_path):
    source, archives = gta5
    prepare("gta5", archives, tmp_path / "out")
    for name in ("images/00001.png", "labels/00002.png"):
        file = tmp_path / "out" / name
        file.write_bytes(bytes(file.stat().st_size))
    truncate(tmp_path / "out" / "images" / "00003.png")
    assert prepare("gta5", archives, tmp_path / "out").written == 3
    assert content(tmp_path / "out") == content(source)


def test_a_tar_s_file_that_differs_is_written_again(tmp_path):
    source = write_gta5(tmp_path / "source")
    archive = pack_tar(tmp_path / "a.tar.gz", source)
    prepare("gta5", [archive], tmp_path / "out")
    file = tmp_path / "out" / "images" / "00002.png"
    file.write_bytes(bytes(file.stat().st_size))
    assert prepare("gta5", [archive], tmp_path / "out").written == 1
    assert content(tmp_path / "out") == content(source)


def test_two_archives_with_different_files_for_one_place(tmp_path):
    archives = [
        zip_of(tmp_path / f"{index}.zip", {"images/00001.png": bytes([index])}) for index in (1, 2)
    ]
    assert "different files for 'images/00001.png'" in refusal(tmp_path, "gta5", *archives)


def unpacked(root):
    return [path for path in root.glob("*/*") if not path.parent.name.startswith(".")]


@pytest.mark.parametrize("kind", ["zip", "tar.gz"])
def test_killed_and_started_again(kind, tmp_path):
    """SIGKILL half-way: every file that is there is whole, and the same command completes it."""
    members = {
        f"{name}/{index:05}.png": os.urandom(size)
        for name, size in (("images", 9_000), ("labels", 1_000)) for index in range(1500)
    }  # fmt: skip
    archive, out = tmp_path / f"a.{kind}", tmp_path / "out"
    if kind == "zip":
        zip_of(archive, members, zipfile.ZIP_STORED)
    else:
        tar_of(archive, [(name, text, "file") for name, text in members.items()], "w:gz")
    args = command("data", "prepare", "gta5", archive, "--out", out)
    process = subprocess.Popen(
        args, env=environment(), stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
    )
    end = time.monotonic() + 60
    while len(unpacked(out)) < 100:
        assert process.poll() is None
        assert time.monotonic() < end
        time.sleep(0.002)
    process.send_signal(signal.SIGKILL)
    assert process.wait() == -signal.SIGKILL
    survivors = unpacked(out)
    assert 100 <= len(survivors) < 3000
    assert all(path.read_bytes() == members[f"{path.parent.name}/{path.name}"]
               for path in survivors)  # fmt: skip
    result = prepare("gta5", [archive], out)
    assert result.kept >= len(survivors)
    assert result.written == 3000 - result.kept
    assert content(out) == members


def test_two_at_a_time_do_not_mix(gta5, tmp_path):
    with (
        prepare_module._staging(tmp_path / "out"),
        pytest.raises(UserError, match="another `ibn-seg data prepare`"),
    ):
        prepare("gta5", gta5[1], tmp_path / "out")


@pytest.mark.parametrize(
    ("args", "parts"),
    [
        (["cityscapes"], ["gtFine_trainvaltest.zip", "cityscapes-dataset.com", "licence"]),
        (["gta5"], ["01_images.zip, ..., 10_labels.zip", "from_games"]),
        (["train_ids", "a.zip"], ["has no archives"]),
        (["gta", "a.zip"], ["did you mean 'gta5'"]),
        (["gta5", "nowhere.zip"], ["nowhere.zip: no such archive"]),
        (["gta5", "text.zip"], ["truncated, or neither zip nor tar"]),
        (["gta5", "other.zip"], ["nothing of gta5 in it", "images/, labels/"]),
    ],
)
def test_wrong_input_is_one_line(args, parts, tmp_path, monkeypatch, capfd):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "text.zip").write_text("this is no archive\n" * 100)
    zip_of(tmp_path / "other.zip", {"photos/1.jpg": b"x"})
    assert run_cli(["data", "prepare", *args, "--out", "out"]) == 2
    line = capfd.readouterr().err.splitlines()[-1]
    assert line.startswith("error: ")
    for part in parts:
        assert part in line


def test_command_says_what_is_there_and_what_is_missing(gta5, tmp_path, capfd):
    args = ["data", "prepare", "gta5", *map(str, gta5[1]), "--out", str(tmp_path / "out")]
    assert run_cli(args) == 0
    out = capfd.readouterr().out
    assert "12 files unpacked" in out
    assert "incomplete: all: 6 pairs of 24,966" in out
    assert "from_games" in out
    assert run_cli([*args, "--complete"]) == 2
    assert "6 pairs of 24,966" in capfd.readouterr().err.splitlines()[-1]


def test_without_an_archive_no_folder_need_be_named(tmp_path, monkeypatch, capfd):
    monkeypatch.chdir(tmp_path)
    assert run_cli(["data", "prepare", "cityscapes"]) == 2
    assert "gtFine_trainvaltest.zip" in capfd.readouterr().err.splitlines()[-1]
    assert run_cli(["data", "prepare", "cityscapes", "gtFine_trainvaltest.zip"]) == 2
    assert "--out" in capfd.readouterr().err.splitlines()[-1]
    assert not list(tmp_path.iterdir())
