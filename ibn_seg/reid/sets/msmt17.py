"""MSMT17, versions 1 and 2 (Wei et al., CVPR 2018)."""

import re
from pathlib import Path

from ibn_seg.errors import UserError
from ibn_seg.reid.sets.picture_set import Expected, Picture, PictureSet, SetCard

_NAME = re.compile(r"\d+_\d+_(?P<camera>\d+)_")
_CAMERAS = 15


class MSMT17(PictureSet):
    """MSMT17 with its lists; version 2 has blurred faces and other folders.

    The training part is `list_train.txt` alone, as in torchreid. With `val=True` it is that list
    and `list_val.txt`, together 32,621 pictures.
    """

    FOLDERS = {"train": "train", "query": "test", "gallery": "test"}
    INNER = ("MSMT17_V1", "MSMT17_V2", "MSMT17")
    OPTIONS = {"val": (False, True)}
    CARD = SetCard(
        title="MSMT17",
        expected={
            "train": Expected(30248, 1041, sure=False),
            "query": Expected(11659, 3060),
            "gallery": Expected(82161, 3060),
        },
        cameras=_CAMERAS,
        layout="`train` and `test`, or `mask_train_v2` and `mask_test_v2`, and four `list_*.txt`",
        source="on request from its authors",
        terms="on request",
        citation="Wei et al., Person Transfer GAN to Bridge Domain Gap, CVPR 2018",
        shared_numbers=True,
    )

    @property
    def expected(self) -> dict[str, Expected]:
        """The official size of each part; with `val` the training part has both lists."""
        train = {"train": Expected(32621, 1041)} if self.options["val"] else {}
        return {**self.CARD.expected, **train}

    def find_root(self, root: Path) -> Path:
        """Return the folder that holds the lists.

        Raises:
            UserError: No list is there.
        """
        for folder in (root, *(root / inner for inner in self.INNER)):
            if (folder / "list_train.txt").is_file() or (folder / "list_query.txt").is_file():
                return folder
        raise UserError(f"{root}: no list of MSMT17", "it has list_train.txt and others")

    def folder(self, part: str) -> Path:
        """Return the folder of a part, in the names of either version."""
        name = self.FOLDERS[part]
        masked = self.root / f"mask_{name}_v2"
        return masked if masked.is_dir() else self.root / name

    def lists(self, part: str) -> list[Path]:
        """Return the lists of a part."""
        names = [part, "val"] if part == "train" and self.options["val"] else [part]
        return [self.root / f"list_{name}.txt" for name in names]

    def label(self, path: Path) -> tuple[int, int]:
        """Return identity, the first number, and camera, the third, from the name.

        Raises:
            UserError: The name does not parse.
        """
        match = _NAME.match(path.name)
        if match is None:
            raise UserError(f"{path}: no name of MSMT17", "0000_000_01_0303morning_0008_0.jpg")
        camera = int(match["camera"])
        if not 1 <= camera <= _CAMERAS:
            raise UserError(f"{path}: camera {camera}; MSMT17 has {_CAMERAS}")
        return int(path.name.partition("_")[0]), camera - 1

    def has(self, part: str) -> bool:
        """Tell whether the download has the lists of a part."""
        return all(file.is_file() for file in self.lists(part))

    def files(self, part: str) -> list[Path]:
        """Return the pictures of a part in the order of its lists.

        Raises:
            UserError: A list is missing.
        """
        return [picture.path for picture in self.listed(part)[0]]

    def listed(self, part: str) -> tuple[list[Picture], list[UserError]]:
        """Return the pictures of a part and the errors of lines; identities are the lists' labels.

        Raises:
            UserError: A list is missing.
        """
        found, errors = [], []
        for file in self.lists(part):
            for number, line in enumerate(_lines(file), start=1):
                try:
                    found += self._of_line(file, number, line.strip(), part)
                except UserError as error:
                    errors.append(error)
        return found, errors

    def _of_line(self, file: Path, number: int, line: str, part: str) -> list[Picture]:
        """Return the picture of a line; none of an empty one."""
        if not line:
            return []
        name, _, label = line.rpartition(" ")
        if not label.isdigit() or not name:
            raise UserError(f"{file}, line {number}: {line!r}", "a line is a path and a label")
        path = self.folder(part) / name
        return [Picture(path, int(label), self.label(path)[1])]


def _lines(file: Path) -> list[str]:
    try:
        return file.read_text(encoding="utf-8").splitlines()
    except (OSError, UnicodeDecodeError) as error:
        raise UserError(f"{file}: cannot be read", "MSMT17 has four lists") from error
