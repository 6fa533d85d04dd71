"""The pictures, decoded again from their data URIs."""

import base64
import io

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp
from PIL import Image

from ibn_seg.datasets.class_colors import CITYSCAPES_COLORS
from ibn_seg.datasets.labels import CLASSES
from ibn_seg.errors import UserError
from ibn_seg.report import Panel
from ibn_seg.report import panel_images as pictures


def _decode(image: pictures.InlineImage) -> np.ndarray:
    header, data = image.uri.split(",", 1)
    assert header in ("data:image/png;base64", "data:image/webp;base64")
    with Image.open(io.BytesIO(base64.b64decode(data))) as decoded:
        assert decoded.size == (image.width, image.height)
        return np.asarray(decoded.convert("RGB"))


TRAIN_IDS = hnp.arrays(
    np.uint8,
    hnp.array_shapes(min_dims=2, max_dims=2, max_side=20),
    elements=st.sampled_from([*range(19), 255]),
)


@settings(max_examples=50)
@given(TRAIN_IDS)
def test_label_map_is_lossless_in_the_cityscapes_colours(train_ids):
    decoded = _decode(pictures.label_map(train_ids))
    ignored = train_ids == 255
    np.testing.assert_array_equal(decoded[~ignored], CITYSCAPES_COLORS.table[train_ids][~ignored])
    assert not decoded[ignored].any()


def test_label_map_leaves_its_input_alone():
    train_ids = np.arange(19, dtype=np.uint8).reshape(1, 19)
    pictures.label_map(train_ids)
    np.testing.assert_array_equal(train_ids, np.arange(19).reshape(1, 19))


def test_photo_is_close_to_its_input():
    y, x = np.mgrid[:64, :128]
    image = np.stack([x * 2, y * 4, 255 - x * 2], axis=-1).astype(np.uint8)
    decoded = _decode(pictures.photo(image))
    assert np.abs(decoded.astype(int) - image).mean() < 4


def test_large_pictures_are_shrunk_and_labels_keep_their_classes():
    label = np.zeros((1024, 2048), np.uint8)
    label[:, 1024:] = CLASSES.index("sky")
    shown = pictures.label_map(label)
    assert (shown.width, shown.height) == (768, 384)
    assert {tuple(c) for c in _decode(shown).reshape(-1, 3)} == {(128, 64, 128), (70, 130, 180)}
    assert pictures.photo(np.zeros((1024, 2048, 3), np.uint8)).width == 768


def test_legend_names_all_classes_and_ignored():
    legend = pictures.legend()
    assert [name for name, _ in legend] == [*CLASSES, "ignored"]
    assert dict(legend)["road"] == "#804080"


def test_pixel_accuracy_leaves_ignored_pixels_out():
    label = np.array([[0, 1], [255, 2]], np.uint8)
    prediction = np.array([[0, 1], [5, 3]], np.uint8)
    assert pictures.pixel_accuracy(prediction, label) == pytest.approx(200 / 3)
    assert pictures.pixel_accuracy(prediction, np.full((2, 2), 255, np.uint8)) is None


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"image": np.zeros((4, 6), np.uint8)}, "image is 4 x 6 uint8: expected 4 x 6 x 3 uint8"),
        ({"image": np.zeros((4, 6, 3))}, "image is 4 x 6 x 3 float64"),
        ({"label": np.zeros((1, 4, 6), np.uint8)}, "label is 1 x 4 x 6 uint8"),
        ({"label": np.zeros((4, 6), np.int64)}, "label is 4 x 6 int64"),
        (
            {"predictions": {"BN": np.zeros((6, 4), np.uint8)}},
            "prediction of BN is 6 x 4 uint8: expected 4 x 6 uint8",
        ),
    ],
)
def test_wrong_sizes_and_types_are_named(change, said):
    good = {
        "image": np.zeros((4, 6, 3), np.uint8),
        "label": np.zeros((4, 6), np.uint8),
        "predictions": {"BN": np.zeros((4, 6), np.uint8)},
    }
    Panel(**good, caption="frame 7", domain="gta5")
    with pytest.raises(UserError, match="panel 'frame 7'") as caught:
        Panel(**(good | change), caption="frame 7", domain="gta5")
    assert said in str(caught.value)


def test_contact_sheet_shows_every_picture_under_its_title():
    image = np.full((8, 40, 3), 200, np.uint8)
    panel = Panel(
        image=image,
        label=np.full((8, 40), 10, np.uint8),
        predictions={"BN": np.full((8, 40), 2, np.uint8), "IBN-a": np.full((8, 40), 10, np.uint8)},
        caption="x",
        domain="d",
    )
    sheet = np.asarray(pictures.contact_sheet([panel, panel]))
    assert sheet.shape == (18 + 2 * 12, 4 + 4 * 44, 3)
    columns = [sheet[18 : 18 + 8, 4 + k * 44 : 44 + k * 44] for k in range(4)]
    for shown, expected in zip(
        columns,
        [image, *(CITYSCAPES_COLORS.table[m] for m in (panel.label, *panel.predictions.values()))],
        strict=True,
    ):
        assert np.array_equal(shown, expected)


def test_contact_sheet_of_nothing():
    with pytest.raises(UserError, match="there is none"):
        pictures.contact_sheet([])
