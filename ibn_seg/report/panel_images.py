"""Scenes of the report: a picture, its ground truth and the predictions, as inlined images."""

import base64
import io
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from PIL import Image, ImageDraw

from ibn_seg.datasets.class_colors import CITYSCAPES_COLORS, ClassColors
from ibn_seg.datasets.class_space import IGNORE_INDEX
from ibn_seg.errors import UserError

# A page shows an image at no more than a third of its width; more pixels only add bytes.
MAX_WIDTH = 768


@dataclass(frozen=True)
class Panel:
    """One scene to show.

    Args:
        image: (H, W, 3) uint8, RGB.
        label: (H, W) uint8, indices of the classes, 255 where ignored.
        predictions: The same by method, 255 for a class that the labels do not know.
        caption: A name for the scene, for example its file name.
        domain: Domain of the scene.
        classes: Names and colours of the classes. Default: the 19 of Cityscapes.

    Raises:
        UserError: A size or type is wrong.
    """

    image: np.ndarray
    label: np.ndarray
    predictions: Mapping[str, np.ndarray]
    caption: str
    domain: str
    classes: ClassColors = CITYSCAPES_COLORS

    def __post_init__(self) -> None:
        """Check sizes and types."""
        # The picture sets the size.
        size = self.image.shape[:2]
        _check(self.image, (*size, 3), f"panel {self.caption!r}, image")
        _check(self.label, size, f"panel {self.caption!r}, label")
        for method, prediction in self.predictions.items():
            _check(prediction, size, f"panel {self.caption!r}, prediction of {method}")


@dataclass(frozen=True)
class InlineImage:
    """An image as a data URI, with its size in pixels."""

    uri: str
    width: int
    height: int


def photo(image: np.ndarray) -> InlineImage:
    """Return a picture, (H, W, 3) uint8 RGB, as WebP of at most `MAX_WIDTH` pixels in width."""
    picture = _shrink(Image.fromarray(image), Image.Resampling.BOX)
    return _inline(picture, "webp", quality=88, method=6)


def label_map(labels: np.ndarray, classes: ClassColors = CITYSCAPES_COLORS) -> InlineImage:
    """Return class indices, (H, W) uint8, in their colours as a lossless palette PNG.

    Values beyond the classes are black, like ignored pixels.
    """
    # Nearest neighbour, because the mean of two class indices would be a third class.
    picture = _shrink(Image.fromarray(labels), Image.Resampling.NEAREST)
    return _inline(coloured(picture, classes), "png", optimize=True)


def coloured(labels: Image.Image, classes: ClassColors) -> Image.Image:
    """Return grey class indices as a palette image: the same values, in the classes' colours."""
    picture = labels.copy()
    picture.putpalette(classes.table.tobytes())
    return picture


def contact_sheet(panels: Sequence[Panel]) -> Image.Image:
    """Return one picture of scenes in rows: image, ground truth and each prediction, with titles.

    Args:
        panels: The scenes. All have the same methods and are at least one pixel high.

    Raises:
        UserError: There is no panel, or the panels have different methods.
    """
    if len({tuple(panel.predictions) for panel in panels}) != 1:
        raise UserError("the panels differ in their methods, or there is none")
    titles = ["image", "ground truth", *panels[0].predictions]
    rows = [
        [
            panel.image,
            *(panel.classes.table[m] for m in (panel.label, *panel.predictions.values())),
        ]
        for panel in panels
    ]
    height, width = rows[0][0].shape[:2]
    margin, header = 4, 18
    size = (len(titles) * (width + margin) + margin, header + len(rows) * (height + margin))
    sheet = Image.new("RGB", size, "white")
    draw = ImageDraw.Draw(sheet)
    for column, title in enumerate(titles):
        left = margin + column * (width + margin)
        draw.text((left + width // 2, header // 2), title, fill="black", anchor="mm")
        for row, pictures in enumerate(rows):
            picture = Image.fromarray(pictures[column]).resize((width, height))
            sheet.paste(picture, (left, header + row * (height + margin)))
    return sheet


def pixel_accuracy(prediction: np.ndarray, label: np.ndarray) -> float | None:
    """Return the percentage of labelled pixels that are right; None without labelled pixels."""
    valid = label != IGNORE_INDEX
    if not valid.any():
        return None
    return 100.0 * float((prediction[valid] == label[valid]).mean())


def legend(classes: ClassColors = CITYSCAPES_COLORS) -> list[tuple[str, str]]:
    """Return name and CSS colour of each class and of ignored pixels."""
    css = ("#{:02x}{:02x}{:02x}".format(*color) for color in classes.palette)
    return [*zip(classes.names, css, strict=True), ("ignored", "#000000")]


def _check(array: np.ndarray, shape: tuple[int, ...], what: str) -> None:
    if array.shape != shape or array.dtype != np.uint8:
        given, expected = (" x ".join(map(str, sizes)) for sizes in (array.shape, shape))
        raise UserError(f"{what} is {given} {array.dtype}", f"expected {expected} uint8")


def _shrink(picture: Image.Image, resampling: Image.Resampling) -> Image.Image:
    if picture.width <= MAX_WIDTH:
        return picture
    height = max(1, round(picture.height * MAX_WIDTH / picture.width))
    return picture.resize((MAX_WIDTH, height), resampling)


def _inline(picture: Image.Image, kind: str, **options: int | bool) -> InlineImage:
    buffer = io.BytesIO()
    picture.save(buffer, format=kind, **options)
    data = base64.b64encode(buffer.getvalue()).decode("ascii")
    return InlineImage(f"data:image/{kind};base64,{data}", *picture.size)
