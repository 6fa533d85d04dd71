"""UnrealPerson (Zhang et al., CVPR 2021): synthetic people, for training."""

import re
from pathlib import Path

from ibn_seg.errors import UserError
from ibn_seg.reid.sets.picture_set import Picture, PictureSet, SetCard, pictures_in

_FOLDER = re.compile(r"unreal_v(?P<scene>\d+)\.(?P<batch>\d+)$")
_NAME = re.compile(r"(?P<person>\d+)_c(?P<camera>\d+)_")


class UnrealPerson(PictureSet):
    """UnrealPerson: one folder `unreal_vX.Y` for each scene X and batch of people Y.

    Persons are numbered in each batch and cameras in each scene. So an identity is batch and
    person, and a camera is scene and camera; both are numbered here in that order, from 0.
    """

    FOLDERS = {"train": "unreal_v*"}
    INNER = ("UnrealPerson", "unreal")
    CARD = SetCard(
        title="UnrealPerson",
        layout="`unreal_vX.Y/images`: `P_cD_F.jpg`",
        source="https://github.com/FlyHighest/UnrealPerson",
        citation="Zhang et al., UnrealPerson, CVPR 2021",
    )

    def find_root(self, root: Path) -> Path:
        """Return the folder that holds the folders of scenes and batches.

        Raises:
            UserError: There is none.
        """
        for folder in (root, *(root / inner for inner in self.INNER)):
            if any(folder.glob("unreal_v*/images")):
                return folder
        raise UserError(f"{root}: no folder of UnrealPerson", "such as unreal_v1.1/images")

    def has(self, part: str) -> bool:
        """Tell whether a folder is there; `find_root` has found one."""
        return part in self.FOLDERS

    def files(self, part: str) -> list[Path]:
        """Return the picture files of all folders, sorted by folder and name.

        Raises:
            UserError: The part is not 'train'.
        """
        self.check_part(part)
        folders = sorted(self.root.glob(f"{self.FOLDERS[part]}/images"))
        return [path for folder in folders for path in pictures_in(folder.iterdir())]

    def label(self, path: Path) -> tuple[int, int]:
        """Return identity and camera as one number each, with the folder's numbers in front.

        Raises:
            UserError: Name or folder do not parse.
        """
        folder, name = _FOLDER.match(path.parent.parent.name), _NAME.match(path.name)
        if folder is None or name is None:
            raise UserError(f"{path}: no name of UnrealPerson", "unreal_v1.1/images/1_c1_1.jpg")
        million, thousand = 10**6, 10**3
        identity = int(folder["batch"]) * million + int(name["person"])
        return identity, int(folder["scene"]) * thousand + int(name["camera"])

    def listed(self, part: str) -> tuple[list[Picture], list[UserError]]:
        """Return the pictures of a part and the errors of names.

        Identities and cameras are numbered without gaps.
        """
        found, errors = super().listed(part)
        identities = _numbers({picture.identity for picture in found})
        cameras = _numbers({picture.camera for picture in found})
        again = [Picture(p.path, identities[p.identity], cameras[p.camera]) for p in found]
        return again, errors


def _numbers(values: set[int]) -> dict[int, int]:
    """Return the place of each value among the sorted ones."""
    return {value: place for place, value in enumerate(sorted(values))}
