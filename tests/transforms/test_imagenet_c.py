"""ImageNet-C's corruptions in a pipeline: names, sets, draws, sizes and frost."""

import cv2
import numpy as np
import pytest

from ibn_seg.errors import UserError
from ibn_seg.transforms import corruption_sets as sets
from ibn_seg.transforms.corrupt_image import CorruptImage
from ibn_seg.transforms.corruption_sets import GROUPS, PROTOCOLS, corrupted, planned_conditions
from ibn_seg.transforms.corruptions import corrupt, generator
from ibn_seg.transforms.imagenet_c import weathers
from ibn_seg.transforms.imagenet_c.draws_and_filters import Draws
from ibn_seg.transforms.imagenet_c.strengths import COMMON, EXTRA, PUBLISHED, corrupt_as_published
from tests.trust.made_pixels import picture

IMAGE = picture(40, 56)
RANDOM = {name for name in PUBLISHED if name not in (
    "defocus_blur", "zoom_blur", "brightness", "contrast", "pixelate", "jpeg_compression",
    "gaussian_blur", "saturate", "frost")}  # fmt: skip


@pytest.fixture
def frost(tmp_path, monkeypatch):
    """Write five small pictures in place of the published ones."""
    rng = np.random.default_rng(0)
    for name in weathers.FROST_FILES:
        cv2.imwrite(str(tmp_path / name), rng.integers(0, 256, (20, 30, 3), np.uint8))
    monkeypatch.setattr(weathers, "FROST_FILES", dict.fromkeys(weathers.FROST_FILES, ""))
    monkeypatch.delenv(weathers.FROST_VARIABLE, raising=False)
    return str(tmp_path)


@pytest.mark.parametrize("name", PUBLISHED)
def test_draws_depend_on_seed_and_picture_alone(name, frost):
    before, words = IMAGE.copy(), {"seed": 0, "picture": "a.png", "frost": frost}
    first = corrupted(IMAGE, f"imagenet_c.{name}", 4, **words)
    assert np.array_equal(IMAGE, before)
    assert (first.dtype, first.shape) == (np.uint8, IMAGE.shape)
    np.random.seed(5)
    corrupted(IMAGE, f"imagenet_c.{name}", 4, **words | {"picture": "b.png"})
    assert np.array_equal(corrupted(IMAGE, f"imagenet_c.{name}", 4, **words), first)
    if name in RANDOM:
        for other in ({"picture": "b.png"}, {"seed": 1}):
            assert not np.array_equal(
                corrupted(IMAGE, f"imagenet_c.{name}", 4, **words | other), first
            )


@pytest.mark.parametrize("name", PUBLISHED)
def test_the_smallest_and_uneven_sizes(name, frost):
    for shape in ((32, 32, 3), (33, 71, 3)):
        image = np.random.default_rng(0).integers(0, 256, shape, np.uint8)
        for severity in (1, 5):
            changed = corrupt_as_published(image, name, severity, Draws.of_seed(0), frost)
            assert changed.shape == shape
    with pytest.raises(UserError, match=r"picture of 31x40.*at least 32x32"):
        corrupt_as_published(np.zeros((40, 31, 3), np.uint8), name, 1, Draws.of_seed(0), frost)


def test_glass_is_the_plain_loop():
    """Chains of copies are followed as the loop makes them, pixel by pixel."""
    from ibn_seg.transforms.imagenet_c.blurs import _scatter

    expected, draws = IMAGE.copy(), np.random.RandomState(3)
    for row in range(40 - 3, 3, -1):
        for column in range(56 - 3, 3, -1):
            right, down = draws.randint(-3, 3, 2)
            expected[row, column] = expected[row + down, column + right]
    assert np.array_equal(_scatter(IMAGE, 3, Draws.of_seed(3)), expected)


def test_values_are_truncated():
    """A constant 255 becomes 254 under defocus, as in the reference."""
    white = np.full((40, 40, 3), 255, np.uint8)
    assert set(np.unique(corrupt_as_published(white, "defocus_blur", 1, Draws.of_seed(0)))) <= {
        254, 255,
    }  # fmt: skip
    grey = np.full((40, 40, 3), 100, np.uint8)
    # 0.1 is 25.5 levels.
    assert (corrupt_as_published(grey, "brightness", 1, Draws.of_seed(0)) == 125).all()


def test_groups_and_protocols_are_those_of_the_tables():
    assert [len(GROUPS[name]) for name in ("ours", "imagenet_c", "imagenet_c_extra")] == [12, 15, 4]
    sizes = {"michaelis": 75, "segformer": 72, "hgformer": 16, "semsegbench": 15}
    assert {name: len(found) for name, found in PROTOCOLS.items()} == sizes
    segformer = PROTOCOLS["segformer"]
    assert ("imagenet_c.shot_noise", 3) in segformer
    assert ("imagenet_c.shot_noise", 4) not in segformer
    assert ("imagenet_c.fog", 5) in segformer
    assert {name for name, _ in segformer} == {name for name, _ in PROTOCOLS["hgformer"]}
    assert {severity for _, severity in PROTOCOLS["hgformer"]} == {5}
    assert {severity for _, severity in PROTOCOLS["semsegbench"]} == {3}
    assert not {"zoom_blur", "pixelate", "elastic_transform"} & {n[11:] for n, _ in segformer}
    assert not set(COMMON) & set(EXTRA)


def test_names_and_groups_become_conditions(frost):
    assert planned_conditions([], [3]) == tuple((name, 3) for name in GROUPS["ours"])
    assert planned_conditions(["imagenet_c_extra", "haze"], [5, 1])[-2:] == (
        ("haze", 1), ("haze", 5),
    )  # fmt: skip
    assert planned_conditions(["michaelis"], frost=frost) == PROTOCOLS["michaelis"]


@pytest.mark.parametrize(
    ("names", "severities", "line"),
    [
        (["fog"], [], "unknown corruption 'fog': write imagenet_c.fog"),
        (["imagenet_c.fogg"], [], "unknown corruption 'imagenet_c.fogg': did you mean"),
        (["ours", "haze"], [], "one is given twice"),
        (["hgformer", "haze"], [], "the protocol hgformer stands alone"),
        (["hgformer"], [5], "the protocol hgformer has its own severities"),
        (["michaelis"], [], "imagenet_c.frost needs five pictures of others.*--frost"),
        (["imagenet_c.frost"], [1], "IBN_SEG_FROST, or leave frost out"),
    ],
)
def test_bad_sets_are_one_line(names, severities, line, monkeypatch):
    monkeypatch.delenv(weathers.FROST_VARIABLE, raising=False)
    with pytest.raises(UserError, match=line) as error:
        planned_conditions(names, severities)
    assert "\n" not in error.value.line


def test_frost_takes_the_published_pictures_alone(frost, monkeypatch, tmp_path):
    monkeypatch.setenv(weathers.FROST_VARIABLE, frost)
    assert weathers.frost_folder() == frost
    step = CorruptImage("imagenet_c.frost", 3)
    sample = {"img": IMAGE[..., ::-1], "img_path": "/x/a.png", "target": "gta5"}
    changed = step(dict(sample))["img"][..., ::-1]
    expected = corrupted(IMAGE, sets.FROST, 3, seed=0, picture="gta5/a.png", frost=frost)
    assert np.array_equal(changed, expected)
    monkeypatch.setattr(weathers, "FROST_FILES", {"frost1.png": "0123456789abcdef"})
    with pytest.raises(UserError, match=r"frost1.png: not the picture of imagecorruptions"):
        CorruptImage("imagenet_c.frost", 3)
    with pytest.raises(UserError, match=r"frost1.png: no such picture of frost"):
        CorruptImage("imagenet_c.frost", 3, frost=str(tmp_path / "nothing"))


def test_the_step_takes_both_kinds_and_no_set():
    sample = {"img": np.ascontiguousarray(IMAGE[..., ::-1]), "img_path": "/x/a.png"}
    ours = CorruptImage("gaussian_noise", 2)(dict(sample))["img"][..., ::-1]
    assert np.array_equal(
        ours, corrupt(IMAGE, "gaussian_noise", 2, generator(0, "gaussian_noise", "/a.png"))
    )
    theirs = CorruptImage("imagenet_c.gaussian_noise", 2)(dict(sample))["img"]
    assert not np.array_equal(theirs[..., ::-1], ours)
    with pytest.raises(UserError, match="'ours' is a set"):
        CorruptImage("ours", 2)
