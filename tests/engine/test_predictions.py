"""Names of predictions: each image's own, short where that is enough."""

from pathlib import PurePosixPath

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ibn_seg.engine.predictions import prediction_names
from ibn_seg.errors import UserError


def names(*paths):
    """The names by path, of images that lie where they are named."""
    return prediction_names({path: path for path in paths})


def test_a_name_of_one_image_is_flat_and_may_have_its_folder():
    assert names("a/x.jpg", "b/y.jpg", "z.jpg") == {
        "a/x.jpg": ("x.png", "a/x.png"), "b/y.jpg": ("y.png", "b/y.png"), "z.jpg": ("z.png",),
    }  # fmt: skip


def test_a_name_of_two_images_needs_the_folder():
    assert names("a/x.jpg", "b/c/x.jpg", "b/y.jpg") == {
        "a/x.jpg": ("a/x.png",), "b/c/x.jpg": ("b/c/x.png",), "b/y.jpg": ("y.png", "b/y.png"),
    }  # fmt: skip
    assert names("x.jpg", "b/x.jpg") == {"x.jpg": ("x.png",), "b/x.jpg": ("b/x.png",)}


def test_suffixes_tell_two_images_of_one_folder_apart():
    assert names("a/x.jpg", "a/x.png", "b/x.png") == {
        "a/x.jpg": ("a/x.jpg.png",), "a/x.png": ("a/x.png.png",), "b/x.png": ("b/x.png",),
    }  # fmt: skip
    # The name that the suffix makes is that of another image.
    assert names("x.jpg", "x.png", "x.jpg.bmp") == {
        "x.jpg": ("x.jpg.png",), "x.png": ("x.png.png",), "x.jpg.bmp": ("x.jpg.bmp.png",),
    }  # fmt: skip


def test_dots_belong_to_the_name():
    assert names("a/0.5.jpg", "a/0.6.jpg", "b/0.5.jpg")["a/0.6.jpg"] == ("0.6.png", "a/0.6.png")
    assert names("a/0.5.jpg", "a/0.6.jpg", "b/0.5.jpg")["a/0.5.jpg"] == ("a/0.5.png",)


def test_two_data_sets_with_images_of_one_path_are_refused():
    with pytest.raises(UserError, match=r"/1/x.jpg and /2/x.jpg.*x.jpg.png.*target='NAME'"):
        prediction_names({"/1/x.jpg": "x.jpg", "/2/x.jpg": "x.jpg"})


PART = st.sampled_from(["a", "b", "x", "x.jpg", "ä ö", "0.5"])
IMAGE = st.builds(
    lambda folders, stem, suffix: "/".join([*folders, stem + suffix]),
    st.lists(PART, max_size=2), PART, st.sampled_from([".jpg", ".png", ".JPG", ""]),
)  # fmt: skip


@given(st.lists(IMAGE, unique=True, min_size=1, max_size=12))
def test_no_two_images_share_a_name_that_is_written_or_read(paths):
    made = names(*paths)
    taken = [name for spellings in made.values() for name in spellings]
    assert len(set(taken)) == len(taken)
    stems = [PurePosixPath(path).stem for path in paths]
    for path, stem in zip(paths, stems, strict=True):
        if stems.count(stem) == 1 and not any(name.startswith(stem + ".") for name in stems):
            written = [names[0] for other, names in made.items() if other != path]
            assert made[path][0] == f"{stem}.png" or f"{stem}.png" in written
