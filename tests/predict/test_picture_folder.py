from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

from ibn_seg.errors import UserError
from ibn_seg.predict.picture_folder import name_results, search_folder
from tests.helpers import write_image

PIXELS = np.zeros((4, 4, 3), np.uint8)


def write(path, kind="PNG"):
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(PIXELS).save(path, kind)
    return path


def names(source, out=Path("nowhere")):
    return {name: path.name for name, path in search_folder(source, out).pictures.items()}


def test_pictures_of_any_name_are_found_and_other_files_are_not(tmp_path):
    for name, kind in (("a", "JPEG"), ("b.txt", "PNG"), ("c.jp2", "JPEG2000"), ("d.jfif", "JPEG")):
        write(tmp_path / name, kind)
    for name in ("notes.txt", "t.json", "Thumbs.db", "drive.mp4", "clip.MOV"):
        (tmp_path / name).write_bytes(b"\xd0\xcf\x11\xe0 something else")
    (tmp_path / "._a.jpg").write_bytes(b"\x00\x05\x16\x07" + bytes(80))
    content = search_folder(tmp_path, tmp_path / "out")
    assert list(content.pictures) == ["a", "b", "c", "d"]
    assert (content.refused, content.videos) == ([], 2)


def test_a_file_with_the_suffix_of_a_picture_is_never_passed_over(tmp_path):
    (tmp_path / "page.jpg").write_text("<html>")
    (tmp_path / "raw.heic").write_bytes(b"")
    assert names(tmp_path) == {"page": "page.jpg", "raw": "raw.heic"}


def test_a_folder_without_pictures_says_what_to_do(tmp_path):
    with pytest.raises(UserError, match=r"holds no pictures: known are .*\.png"):
        search_folder(tmp_path, tmp_path / "out")
    (tmp_path / "drive.mp4").touch()
    with pytest.raises(UserError, match="holds no pictures: give each video by itself"):
        search_folder(tmp_path, tmp_path / "out")


def test_links_are_followed_without_going_round(tmp_path):
    source, other = tmp_path / "in", tmp_path / "other"
    write(source / "a.png")
    write(other / "deep" / "b.png")
    (source / "one").symlink_to(other)
    (source / "two").symlink_to(other)
    (source / "self").symlink_to(source)
    (other / "deep" / "back").symlink_to(source)
    (source / "f.png").symlink_to(other / "deep" / "b.png")
    assert sorted(names(source)) == ["a", "f", "one/deep/b", "two/deep/b"]
    # The same through a link to the source itself.
    (tmp_path / "entry").symlink_to(source)
    assert sorted(names(tmp_path / "entry")) == ["a", "f", "one/deep/b", "two/deep/b"]


def test_broken_links_are_named(tmp_path):
    write(tmp_path / "a.png")
    (tmp_path / "gone.jpg").symlink_to(tmp_path / "nowhere.jpg")
    (tmp_path / "ring").symlink_to(tmp_path / "ring")
    content = search_folder(tmp_path, tmp_path / "out")
    assert list(content.pictures) == ["a"]
    assert [line.partition(": ")[0] for line in content.refused] == [
        str(tmp_path / "gone.jpg"),
        str(tmp_path / "ring"),
    ]


@pytest.mark.parametrize("out", ["in/out", "in/deep/out", "elsewhere", "."])
def test_results_are_searched_for_pictures_nowhere(tmp_path, out):
    source, results = tmp_path / "in", tmp_path / out
    write(source / "a.png")
    write(source / "deep" / "b.png")
    if out != ".":
        write(results / "a_trainIds.png")
        (source / "link").symlink_to(results)
    expected = {"a": "a.png", "deep/b": "b.png"}
    assert names(source, results).items() >= expected.items()
    if out.startswith("in/"):
        assert names(source, results) == expected


def test_common_formats_keep_their_names_beside_rare_ones(tmp_path):
    paths = [
        tmp_path / name for name in ("a", "a.gif", "a.jpg", "b.jpg", "b.png", "b.jp2", "c.jxl")
    ]
    assert {name: path.name for name, path in name_results(tmp_path, paths).items()} == {
        "a": "a.jpg", "a_": "a", "a.gif": "a.gif",
        "b.jpg": "b.jpg", "b.png": "b.png", "b": "b.jp2", "c": "c.jxl",
    }  # fmt: skip


FILE = st.from_regex(r"[ab](\.(png|jpg|gif|b)){0,3}", fullmatch=True)


@given(st.lists(FILE, unique=True, min_size=1))
def test_no_two_files_share_a_name(files):
    source = Path("in")
    named = name_results(source, [source / name for name in files])
    assert sorted(path.name for path in named.values()) == sorted(files)


def test_pipes_are_not_opened(tmp_path):
    import os

    os.mkfifo(tmp_path / "pipe.png")
    write_image(tmp_path / "a.png", PIXELS)
    assert list(names(tmp_path)) == ["a"]
