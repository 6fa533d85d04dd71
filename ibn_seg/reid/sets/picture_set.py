"""What a re-identification data set says about itself, and how its pictures are listed."""

import abc
import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, ClassVar

from ibn_seg.errors import UserError, unknown
from ibn_seg.reid.ranking import DISTRACTOR, JUNK

TRAIN, QUERY, GALLERY = "train", "query", "gallery"
# Market-1501 has names with the suffix twice, and PNG files in its layout exist.
_SUFFIXES = (".jpg", ".jpeg", ".png", ".bmp")
# The leading number, with a possible minus, and the number behind `_c`. All tools read no more.
MARKET_NAME = r"(?P<identity>-?\d+)_c(?P<camera>\d+)(?!\d)"


@dataclass(frozen=True)
class Picture:
    """A picture of a person or vehicle.

    Attributes:
        path: The file.
        identity: Its identity as the data set numbers it; -1 is junk, 0 a distractor in a gallery.
        camera: Its camera, from 0.
    """

    path: Path
    identity: int
    camera: int


@dataclass(frozen=True)
class Expected:
    """The official size of a part.

    Attributes:
        pictures: Number of pictures on disk, junk included.
        identities: Number of identities, without junk and distractors.
        junk: Number of pictures of identity -1.
        sure: Whether a source for the numbers was seen.
    """

    pictures: int
    identities: int
    junk: int = 0
    sure: bool = True


@dataclass(frozen=True)
class SetCard:
    """What is known about a data set.

    Attributes:
        title: Its name in tables.
        expected: The official size of each part; empty if nobody states it.
        cameras: Number of cameras, or None.
        layout: Its folders and file names.
        note: One line that every command prints, or ''.
        source: Where to get it.
        terms: The terms that users accept there.
        citation: The paper.
        distractors: Whether identity 0 means a distractor. Else it is a person like others.
        shared_numbers: Whether training and test count their identities both from the start, so
            that a number means two persons.
    """

    title: str
    expected: Mapping[str, Expected] = field(default_factory=dict)
    cameras: int | None = None
    layout: str = ""
    note: str = ""
    source: str = ""
    terms: str = ""
    citation: str = ""
    distractors: bool = False
    shared_numbers: bool = False

    @property
    def nobody(self) -> tuple[int, ...]:
        """The identities that are nobody: junk, and distractors where there are any."""
        return (JUNK, DISTRACTOR) if self.distractors else (JUNK,)


class PictureSet(abc.ABC):
    """The pictures of a data set; each subclass reads one layout.

    Args:
        root: The folder of the download. A folder of the archive's name inside is found, too.
        options: Choices of the data set, as `OPTIONS` lists.

    Attributes:
        CARD: What is known about it.
        FOLDERS: The folder of each part.
        INNER: Folders below the root in which these may be.
        OPTIONS: The allowed values of each option, the first is the default; None allows any.

    Raises:
        UserError: There is no such folder or option.
    """

    CARD: ClassVar[SetCard]
    FOLDERS: ClassVar[Mapping[str, str]]
    INNER: ClassVar[Sequence[str]] = ()
    OPTIONS: ClassVar[Mapping[str, Sequence[Any] | None]] = {}

    def __init__(self, root: str | Path, **options: Any) -> None:
        self.options = {name: values[0] for name, values in self.OPTIONS.items() if values}
        for name, value in options.items():
            if name not in self.OPTIONS:
                raise unknown(f"option of {self.CARD.title}", name, self.OPTIONS)
            values = self.OPTIONS[name]
            if values is not None and value not in values:
                raise unknown(f"{self.CARD.title} {name}", value, map(str, values))
            self.options[name] = value
        root = Path(root).expanduser()
        if not root.is_dir():
            raise UserError(f"{root}: no such folder")
        self.root = self.find_root(root)

    @property
    def expected(self) -> Mapping[str, Expected]:
        """The official size of each part with these options."""
        return self.CARD.expected

    @property
    def parts(self) -> tuple[str, ...]:
        """The parts that the data set has."""
        return tuple(self.FOLDERS)

    def find_root(self, root: Path) -> Path:
        """Return the folder that holds the parts.

        Raises:
            UserError: No part is there.
        """
        for folder in (root, *(root / inner for inner in self.INNER)):
            if any((folder / part).is_dir() for part in self.FOLDERS.values()):
                return folder
        wanted = ", ".join(self.FOLDERS.values())
        raise UserError(f"{root}: no folder of {self.CARD.title}", f"it has {wanted}")

    def folder(self, part: str) -> Path:
        """Return the folder of a part."""
        return self.root / self.FOLDERS[part]

    def has(self, part: str) -> bool:
        """Tell whether the download has a part."""
        return part in self.FOLDERS and self.folder(part).is_dir()

    @property
    def has_search(self) -> bool:
        """Whether the download has queries and a gallery."""
        return self.has(QUERY) and self.has(GALLERY)

    def check_part(self, part: str) -> None:
        """Raise a `UserError` if such data sets have no such part."""
        if part not in self.FOLDERS:
            raise unknown(f"part of {self.CARD.title}", part, self.FOLDERS)

    def files(self, part: str) -> list[Path]:
        """Return the picture files of a part, sorted by name; other files are left out.

        Raises:
            UserError: The part has no folder.
        """
        self.check_part(part)
        folder = self.folder(part)
        if not folder.is_dir():
            raise UserError(f"{folder}: no such folder", f"the {part} pictures lie there")
        return pictures_in(folder.iterdir())

    @abc.abstractmethod
    def label(self, path: Path) -> tuple[int, int]:
        """Return identity and camera of a picture, the camera from 0.

        Raises:
            UserError: The name does not parse.
        """

    def listed(self, part: str) -> tuple[list[Picture], list[UserError]]:
        """Return the pictures of a part, junk included, and the errors of names that do not parse.

        Raises:
            UserError: The part has no folder or list.
        """
        found, errors = [], []
        for path in self.files(part):
            try:
                found.append(Picture(path, *self.label(path)))
            except UserError as error:
                errors.append(error)
        return found, errors

    def pictures(self, part: str) -> list[Picture]:
        """Return the pictures of a part, junk included, sorted by name or in the list's order.

        Raises:
            UserError: The part has no folder, or a name does not parse; the line has the file.
        """
        found, errors = self.listed(part)
        if errors:
            raise errors[0]
        return found

    def people(self, part: str) -> list[Picture]:
        """Return the pictures of a part without junk and distractors.

        Raises:
            UserError: As `pictures`.
        """
        return [one for one in self.pictures(part) if one.identity not in self.CARD.nobody]


class NamedPictures(PictureSet):
    """A data set whose file names alone have identity and camera.

    Attributes:
        PATTERN: The start of a name, with the groups `identity` and `camera`.
        EXAMPLE: A name for errors.
        FIRST_CAMERA: The number of the first camera in names.
    """

    PATTERN: ClassVar[str] = MARKET_NAME
    EXAMPLE: ClassVar[str] = "0002_c1s1_000451_03.jpg"
    FIRST_CAMERA: ClassVar[int] = 1

    def label(self, path: Path) -> tuple[int, int]:
        """Return identity and camera from the name.

        Raises:
            UserError: The name does not parse, or its camera is not one of the data set.
        """
        match = re.match(self.PATTERN, path.name)
        if match is None:
            raise self.bad_name(path)
        camera = int(match["camera"]) - self.FIRST_CAMERA
        self.check_camera(path, camera)
        return int(match["identity"]), camera

    def bad_name(self, path: Path) -> UserError:
        """Return the error for a name that does not parse."""
        return UserError(f"{path}: no name of {self.CARD.title}", f"such as {self.EXAMPLE}")

    def check_camera(self, path: Path, camera: int) -> None:
        """Raise a `UserError` if the data set has no such camera, counted from 0."""
        cameras = self.CARD.cameras
        if camera < 0 or (cameras is not None and camera >= cameras):
            there = "" if cameras is None else f"; {self.CARD.title} has {cameras}"
            raise UserError(f"{path}: camera {camera + self.FIRST_CAMERA}{there}")


def say_notes(data: Iterable[PictureSet], say: Callable[[str], None]) -> None:
    """Say the note of each data set once; most have none."""
    for note in dict.fromkeys(one.CARD.note for one in data if one.CARD.note):
        say(f"note: {note}")


def pictures_in(paths: Iterable[Path]) -> list[Path]:
    """Return the picture files among some paths, sorted by name."""
    return sorted(
        (path for path in paths if path.name.lower().endswith(_SUFFIXES)),
        key=lambda path: path.name,
    )


def training_labels(pictures: Sequence[Picture]) -> list[int]:
    """Return labels from 0 without gaps, in the order of the identities."""
    numbers = {one: label for label, one in enumerate(sorted({p.identity for p in pictures}))}
    return [numbers[picture.identity] for picture in pictures]
