"""Lists the files of a data set, part by part, without stopping at the first defect."""

import concurrent.futures
import inspect
import os
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ibn_seg.datasets.card import Part
from ibn_seg.downloads.findings import Finding
from ibn_seg.errors import UserError, unknown

if TYPE_CHECKING:
    from ibn_seg.datasets.base import UrbanSceneDataset

# Listing mostly waits for the disk or a file server, not for the processor.
_THREADS = 8
# Arguments of every data set that do not choose files.
_GENERAL = frozenset(
    ("self", "kwargs", "data_root", "target", "exclude", "pipeline", "metainfo", "indices",
     "test_mode", "serialize_data", "lazy_init", "max_refetch")
)  # fmt: skip


@dataclass
class Listing:
    """The files of one part.

    Attributes:
        part: The listed part.
        dataset: The data set, which has the table of labels.
        images: Images by key, without the ones left out.
        labels: Labels by key, without the ones left out.
        pairs: Number of keys with both, including the ones left out.
        known: Existing keys that the data set leaves out by itself.
        excluded: Existing keys that the exclude list names.
        absent: The reason why the part is missing, or ''.
        findings: Defects of the layout.
    """

    part: Part
    dataset: "UrbanSceneDataset"
    images: dict[str, Path] = field(default_factory=dict)
    labels: dict[str, Path] = field(default_factory=dict)
    pairs: int = 0
    known: int = 0
    excluded: int = 0
    absent: str = ""
    findings: list[Finding] = field(default_factory=list)

    def split_of(self, key: str) -> str:
        """Return the name of the split that a sample is in."""
        return self.dataset.split_of(key) or self.part.name


def list_parts(
    kind: "type[UrbanSceneDataset]",
    root: str | os.PathLike,
    options: Mapping[str, Any] | None = None,
    exclude: str | os.PathLike | None = None,
) -> list[Listing]:
    """List the files of a data set.

    Args:
        kind: The class of the data set.
        root: Its root.
        options: Arguments of the class, to choose among its parts.
        exclude: The exclude list; default the one in the root.

    Raises:
        UserError: The root does not exist, none of the parts is there, or an option is wrong.
    """
    from ibn_seg.datasets.pairing import read_exclude_list

    root = Path(root).expanduser()
    if not root.is_dir():
        raise UserError(
            f"data root {str(root)!r} does not exist", "give the folder of the download"
        )
    read_exclude_list(root, exclude)  # a named list has to exist
    parts = choose_parts(kind, options or {})
    datasets = [
        kind(root, lazy_init=True, exclude=exclude, **dict(part.arguments)) for part in parts
    ]
    with concurrent.futures.ThreadPoolExecutor(_THREADS) as pool:
        listings = list(pool.map(_list_part, parts, datasets))
    if all(listing.absent for listing in listings):
        raise UserError(listings[0].absent)
    for listing in listings:
        if listing.absent and options:
            listing.findings.append(Finding("layout", (), listing.absent))
    _drop_other_versions(listings)
    return listings


def choose_parts(kind: "type[UrbanSceneDataset]", options: Mapping[str, Any]) -> list[Part]:
    """Return the parts of a data set that options select; without options, the default ones.

    Raises:
        UserError: The class has no such argument.
    """
    allowed = sorted(_arguments(kind))
    for key in options:
        if key not in allowed:
            raise unknown(f"option of {kind.__name__}", key, allowed)
    chosen: dict[tuple, Part] = {}
    for part in kind.CARD.parts:
        if not part.default:
            continue
        arguments = {**part.arguments, **options}
        wanted = _comparable(arguments)
        official = [other for other in kind.CARD.parts if _comparable(other.arguments) == wanted]
        chosen.setdefault(wanted, official[0] if official else Part(arguments))
    return list(chosen.values())


def _drop_other_versions(listings: list[Listing]) -> None:
    """Make labels of an optional version absent if the split has another version."""
    for listing in listings:
        split = listing.part.arguments.get("split")
        others = (
            other.labels
            for other in listings
            if other is not listing and other.part.arguments.get("split") == split
        )
        if listing.part.optional and listing.findings and not listing.labels and any(others):
            listing.absent = listing.findings[0].text
            listing.images, listing.findings = {}, []


def _arguments(kind: type) -> set[str]:
    """Return the names of the arguments that choose a data set's files."""
    names: set[str] = set()
    for base in kind.__mro__:
        if "__init__" in vars(base) and base.__module__.startswith("ibn_seg."):
            names |= set(inspect.signature(base.__init__).parameters)
    return names - _GENERAL


def _comparable(arguments: Mapping[str, Any]) -> tuple:
    return tuple(sorted((key, str(value)) for key, value in arguments.items()))


def _list_part(part: Part, dataset: "UrbanSceneDataset") -> Listing:
    """List one part; turn its class's errors into findings."""
    listing = Listing(part, dataset)
    errors = []
    for kind, list_them in (("images", dataset.list_images), ("labels", dataset.list_labels)):
        try:
            setattr(listing, kind, list_them())
        except UserError as error:
            errors.append(error.line)
    if len(errors) == 2:
        listing.absent = errors[0]
        return listing
    listing.findings += [Finding("layout", (), line) for line in errors]
    try:
        _select(listing)
    except UserError as error:
        listing.absent = error.line
        listing.images, listing.labels = {}, {}
        return listing
    _leave_out(listing)
    return listing


def _select(listing: Listing) -> None:
    """Keep only the part's files.

    Raises:
        UserError: There are none.
    """
    images, labels = listing.images, listing.labels
    keys = set(listing.dataset.select(sorted(images.keys() | labels.keys())))
    listing.images = {key: path for key, path in images.items() if key in keys}
    listing.labels = {key: path for key, path in labels.items() if key in keys}
    listing.pairs = len(listing.images.keys() & listing.labels.keys())
    if not listing.images and not listing.labels:
        raise listing.dataset.no_sample()


def _leave_out(listing: Listing) -> None:
    """Remove the files that the data set leaves out."""
    images, labels = listing.images, listing.labels
    there = images.keys() | labels.keys()
    known = listing.dataset.UNUSABLE & there
    listed = listing.dataset.listed_keys(images, labels) - known
    listing.known, listing.excluded = len(known), len(listed)
    for key in known | listed:
        images.pop(key, None)
        labels.pop(key, None)
