"""PersonX (Sun and Zheng, CVPR 2019): synthetic people before six backgrounds."""

from pathlib import Path

from ibn_seg.errors import UserError
from ibn_seg.reid.sets.picture_set import NamedPictures, SetCard, pictures_in


class PersonX(NamedPictures):
    """PersonX: Market-1501's folders, in the root or in a folder for each background.

    The background is the camera. With a folder for each, all are read as one data set.
    """

    FOLDERS = {
        "train": "bounding_box_train",
        "query": "query",
        "gallery": "bounding_box_test",
    }
    INNER = ("PersonX", "personx")
    EXAMPLE = "0001_c1s1_01.jpg"
    CARD = SetCard(
        title="PersonX",
        layout="`bounding_box_train`, `query`, `bounding_box_test`, here or in a folder for each "
        "background: `0001_c1s1_01.jpg`",
        source="https://github.com/sxzrt/Instructions-of-the-PersonX-dataset",
        citation="Sun and Zheng, Dissecting Person Re-identification, CVPR 2019",
    )

    def find_root(self, root: Path) -> Path:
        """Return the folder that holds the parts or the backgrounds.

        Raises:
            UserError: No part is there.
        """
        for folder in (root, *(root / inner for inner in self.INNER)):
            if folder.is_dir() and any(_folders(folder, name) for name in self.FOLDERS.values()):
                return folder
        return super().find_root(root)

    def has(self, part: str) -> bool:
        """Tell whether any background has a part."""
        return bool(_folders(self.root, self.FOLDERS[part]))

    def files(self, part: str) -> list[Path]:
        """Return the picture files of a part in all backgrounds, sorted by name.

        Raises:
            UserError: The part has no folder.
        """
        folders = _folders(self.root, self.FOLDERS[part])
        if not folders:
            raise UserError(f"{self.root}: no folder {self.FOLDERS[part]!r}")
        return pictures_in(path for folder in folders for path in folder.iterdir())


def _folders(root: Path, name: str) -> list[Path]:
    """Return the folders of a name in the root, or else in its folders."""
    if (root / name).is_dir():
        return [root / name]
    return sorted(path for path in root.glob(f"*/{name}") if path.is_dir())
