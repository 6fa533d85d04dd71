"""The evaluation protocols of published tables; each number is marked with its protocol.

A protocol sets the image size that the network sees for each target, and whether labels are resized
too. It sets which classes count, and whether images are seen whole or in windows. By default,
images and labels have their native size.

Each setting is marked: [V] read in the named source, [M] recalled, [C] chosen by us because the
source does not say.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field

from ibn_seg.datasets.labels import CLASSES
from ibn_seg.errors import UserError, unknown

# SYNTHIA has no terrain, truck and train; its 13-class score leaves out wall, fence and pole too
# (README of DAFormer; issue 7 of CBST).
_NOT_IN_SYNTHIA = ("terrain", "truck", "train")
CLASS_SETS: Mapping[int, tuple[str, ...]] = {
    19: CLASSES,
    16: tuple(name for name in CLASSES if name not in _NOT_IN_SYNTHIA),
    13: tuple(name for name in CLASSES if name not in (*_NOT_IN_SYNTHIA, "wall", "fence", "pole")),
}


@dataclass(frozen=True)
class Scale:
    """How an image is resized; its aspect ratio is kept unless `size` sets both sides.

    Attributes:
        factor: Each side is multiplied by this and cut to whole pixels.
        size: Width and height.
        fit: The largest size within this width and height.
        height: The height.
        short: The shorter side.
        long: The longer side.
    """

    factor: float | None = None
    size: tuple[int, int] | None = None
    fit: tuple[int, int] | None = None
    height: int | None = None
    short: int | None = None
    long: int | None = None

    def apply(self, width: int, height: int) -> tuple[int, int]:
        """Return the new width and height of an image."""
        if self.size is not None:
            return self.size
        if self.factor is not None:
            return int(width * self.factor), int(height * self.factor)
        if self.fit is not None:
            ratio = min(self.fit[0] / width, self.fit[1] / height)
        elif self.height is not None:
            ratio = self.height / height
        elif self.short is not None:
            ratio = self.short / min(width, height)
        elif self.long is not None:
            ratio = self.long / max(width, height)
        else:
            return width, height
        return max(1, round(width * ratio)), max(1, round(height * ratio))


NATIVE = Scale()
ANY = "*"


@dataclass(frozen=True)
class View:
    """How one target is seen and scored.

    Attributes:
        image: The image size that the network sees.
        label: The size to which labels are brought first, by nearest neighbour; the image is
            resized to it first as well. Predictions are scored at this size.
        square: Side of a square in the centre. Image and label are then cut to it, or padded to it
            with ignored pixels.
        classes: Number of Cityscapes' classes in the mean, 16 or 13; None: all classes.
        void_counts: Whether predictions on void pixels are false positives. It applies to domains
            that are scored through a map of classes.
    """

    image: Scale = NATIVE
    label: Scale = NATIVE
    square: int | None = None
    classes: int | None = None
    void_counts: bool = False


@dataclass(frozen=True)
class Protocol:
    """How a table was measured.

    Attributes:
        name: The name that marks the results.
        source: The publication or code that it is from.
        views: The view of each domain, by its name or the start of its name before a '-'. `ANY` is
            for all others. Without an entry, images keep their native size.
        window: Side and stride of sliding windows, or None for whole images.
    """

    name: str
    source: str
    views: Mapping[str, View] = field(default_factory=dict)
    window: tuple[int, int] | None = None

    def view(self, domain: str) -> View:
        """Return the view of a domain, for example 'mapillary' for 'mapillary-rein'."""
        start = domain.partition("-")[0]
        return self.views.get(domain) or self.views.get(start) or self.views.get(ANY, View())


_ALL = (
    Protocol("native", "images and labels as they are, all classes, whole images"),
    # Whole images of native size [V: scripts]. Mapillary, image and label, to a height of 1536 and
    # a square of 1536 in the centre [V: datasets/__init__.py, issue 24]. There the padding is
    # scored as road and portrait images are off the centre [V: joint_transforms.py]. Here the
    # padding is ignored and the square is in the centre [C].
    Protocol(
        "robustnet",
        "RobustNet, Choi et al., CVPR 2021 (shachoi/RobustNet)",
        {"mapillary": View(label=Scale(height=1536), square=1536)},
    ),
    # Configs of Rein for crops of 512 [V]. Labels stay at native size, except Mapillary's: they are
    # halved with their images beforehand [V: mapillary2cityscape.py].
    Protocol(
        "rein",
        "Rein, Wei et al., CVPR 2024 (w1oves/Rein, configs for crops of 512)",
        {
            "cityscapes": View(Scale(size=(1024, 512))),
            "bdd100k": View(Scale(size=(1280, 720))),
            "mapillary": View(Scale(fit=(1024, 512)), label=Scale(factor=0.5)),
            "acdc": View(Scale(size=(960, 540))),
        },
    ),
    # A height of 1024, labels at native size [C], windows of 1024 [V]. The source gives windows
    # equal overlaps. With two, for pictures of up to 2:1, a last one at the border is the same.
    Protocol(
        "vfm_benchmark",
        "Kerssies et al., 2024 (tue-mps/benchmark-vfm-ss)",
        {ANY: View(Scale(height=1024))},
        window=(1024, 1024),
    ),
    # GTA5 is resized to 1024x563 before it is cropped [V: issue 26 of IBN-Net, quoting the paper].
    # We assume the same in the evaluation, and Cityscapes at native size [C].
    Protocol(
        "ibn_paper",
        "IBN-Net, Pan et al., ECCV 2018, as far as it says",
        {"gta5": View(Scale(size=(1024, 563)))},
    ),
    # The scores of methods that train on SYNTHIA [V: README of DAFormer].
    Protocol("synthia16", "native size, the 16 classes of SYNTHIA", {ANY: View(classes=16)}),
    Protocol("synthia13", "native size, 13 classes (mIoU*)", {ANY: View(classes=13)}),
    # ESPNet's published scores on CamVid, 55.64 mIoU, follow from its predictions so; with void
    # labels left out, as everywhere else here, it is 57.17.
    Protocol(
        "void_is_wrong",
        "native size, predictions on void pixels are false positives (ESPNet on CamVid)",
        {ANY: View(void_counts=True)},
    ),
)
PROTOCOLS: Mapping[str, Protocol] = {protocol.name: protocol for protocol in _ALL}


def get_protocol(name: str) -> Protocol:
    """Return a protocol by name.

    Raises:
        UserError: No protocol has this name.
    """
    if name not in PROTOCOLS:
        raise unknown("evaluation protocol", name, PROTOCOLS)
    return PROTOCOLS[name]


def class_set(count: int) -> tuple[str, ...]:
    """Return the names of 19, 16 or 13 classes.

    Raises:
        UserError: Another number.
    """
    if count not in CLASS_SETS:
        raise UserError(f"{count} classes", f"allowed: {', '.join(map(str, CLASS_SETS))}")
    return CLASS_SETS[count]
