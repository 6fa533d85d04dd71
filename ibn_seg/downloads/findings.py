"""The kinds of findings of a check, their meanings, and the finding itself."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from ibn_seg.errors import unknown


@dataclass(frozen=True)
class Kind:
    """One kind of finding.

    Attributes:
        meaning: Its description.
        harmful: Whether the readers refuse the file, or its content spoils training or scores.
            Files with other findings load. They are reported because they are not as the data set
            specifies.
    """

    meaning: str
    harmful: bool = True


KINDS: Mapping[str, Kind] = {
    "layout": Kind("a folder or a file name is not that of the layout"),
    "incomplete": Kind("fewer files than the official number"),
    "missing-label": Kind("image without label"),
    "missing-image": Kind("label without image"),
    "unreadable": Kind("file that the system does not let us read"),
    "empty-file": Kind("file of 0 bytes"),
    "truncated": Kind("file that ends too early"),
    "damaged": Kind("file that is no picture, or has a wrong checksum"),
    "size-mismatch": Kind("label of another size than its image"),
    "coloured-label": Kind("label with colours in place of ids"),
    "16-bit-label": Kind("label of 16 bits in place of 8"),
    "label-format": Kind("label of another bit depth, number of channels or file format"),
    "unknown-id": Kind("label with an id or a colour outside the table"),
    "all-ignored": Kind("label without a pixel of any class"),
    "duplicate-across-splits": Kind("the same image in two splits"),
    "listed-missing": Kind("a list names a picture that is not there"),
    "shared-identity": Kind("a person or vehicle is in training and test"),
    "repeated-query": Kind("the same query twice"),
    "no-search": Kind("query and gallery cannot be searched"),
    "exif-orientation": Kind("EXIF turns a picture, its label may lie otherwise", harmful=False),
    "duplicate": Kind("the same image twice in a split", harmful=False),
    "unlisted-id": Kind("label with an id that is not documented; it is ignored", harmful=False),
    "rgba-image": Kind("image with an alpha channel; it is dropped", harmful=False),
    "16-bit-image": Kind("image of 16 bits; it is cut to 8", harmful=False),
    "palette-image": Kind("image of palette indices; it is read as RGB", harmful=False),
    "grey-image": Kind("image without colour; it is read as RGB", harmful=False),
    "other-format": Kind("file name that says another format than the file has", harmful=False),
}


@dataclass(frozen=True)
class Finding:
    """One finding.

    Attributes:
        kind: A key of `KINDS`.
        files: The files, relative to the root; the first is the one to leave out.
        text: One line, without the files.
    """

    kind: str
    files: tuple[str, ...]
    text: str

    @property
    def line(self) -> str:
        """Files and text on one line."""
        return f"{', '.join(self.files)}: {self.text}" if self.files else self.text


def failing(findings: Iterable[Finding], allowed: Iterable[str]) -> int:
    """Return the number of findings that are not of an allowed kind.

    Raises:
        UserError: There is no such kind.
    """
    allowed = set(allowed)
    for kind in allowed - KINDS.keys():
        raise unknown("kind of finding", kind, KINDS)
    return sum(finding.kind not in allowed for finding in findings)
