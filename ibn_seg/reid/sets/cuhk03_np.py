"""CUHK03 in the new protocol (Zhong et al., CVPR 2017), in Market-1501's layout."""

from collections.abc import Mapping
from pathlib import Path

from ibn_seg.errors import UserError
from ibn_seg.reid.sets.picture_set import Expected, NamedPictures, SetCard

_DETECTED, _LABELED = "detected", "labeled"


class CUHK03NP(NamedPictures):
    """CUHK03-NP: boxes of a detector or drawn by hand, in a folder each.

    Scores of the old protocol, with 100 test identities, do not compare with these.
    """

    FOLDERS = {
        "train": "bounding_box_train",
        "query": "query",
        "gallery": "bounding_box_test",
    }
    INNER = ("cuhk03-np",)
    OPTIONS = {"boxes": (_DETECTED, _LABELED)}
    EXAMPLE = "0001_c1_1.png"
    CARD = SetCard(
        title="CUHK03-NP",
        expected={
            "train": Expected(7365, 767),
            "query": Expected(1400, 700),
            "gallery": Expected(5332, 700),
        },
        cameras=2,
        layout="`detected` and `labeled`, each with `bounding_box_train`, `query`, "
        "`bounding_box_test`: `0001_c1_1.png`",
        source="https://github.com/zhunzhong07/person-re-ranking",
        terms="research only",
        citation="Li et al., DeepReID, CVPR 2014; Zhong et al., CVPR 2017",
        shared_numbers=True,
    )

    @property
    def expected(self) -> Mapping[str, Expected]:
        """The official size of each part of the chosen boxes."""
        if self.options["boxes"] == _DETECTED:
            return self.CARD.expected
        return {
            "train": Expected(7368, 767),
            "query": Expected(1400, 700),
            "gallery": Expected(5328, 700),
        }

    def find_root(self, root: Path) -> Path:
        """Return the folder of the chosen boxes, or the root if it is one itself."""
        boxes = self.options["boxes"]
        for folder in (root, *(root / inner for inner in self.INNER)):
            if (folder / boxes).is_dir():
                return super().find_root(folder / boxes)
        other = {_DETECTED, _LABELED} - {boxes}
        if root.name in other:
            raise UserError(f"{root}: boxes={boxes!r}", f"this folder is {root.name!r}")
        return super().find_root(root)
