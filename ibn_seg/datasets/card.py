"""What a data set's class says about the data set besides how to read it: `CARD = DataCard(...)`.

Counts and sizes are from the owners' pages, papers and tools where these could be seen. `sure` is
False where a number is only commonly stated. No archive was available when this was written: a
comment at `archives` says where their names are from. They only appear in advice: the folders in an
archive identify it. All addresses and terms are only commonly stated.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any


@dataclass(frozen=True)
class Part:
    """One listing of a data set: the arguments of its class, and its expected number of samples.

    Attributes:
        arguments: The arguments of the class.
        count: The official number of samples, or None.
        sure: Whether a source for the number was seen.
        default: Whether it is checked by default; the other listings are other views of the same
            files.
        optional: Whether a download may lack its labels if it has other labels of the same split.
    """

    arguments: Mapping[str, Any]
    count: int | None = None
    sure: bool = True
    default: bool = True
    optional: bool = False

    @property
    def name(self) -> str:
        """The arguments' values."""
        return " ".join(str(value) for value in self.arguments.values()) or "all"


@dataclass(frozen=True)
class DataCard:
    """What is known about one data set.

    `title`, `labels`, `quirks`, `classes`, `layouts` and `protocols` are cells of the tables in
    data/README.md, in Markdown.

    Attributes:
        title: Its name in tables.
        labels: How the download stores labels.
        classes: How many classes its pictures can show.
        layouts: The layouts that tests write and read.
        quirks: What the class handles.
        protocols: The protocols that see or score it in another way than `native`.
        parts: Its splits and variants with public labels.
        targets: The domains for evaluation: arguments of the class by domain. A domain has the
            data set's name in `all_datasets`, or begins with it and '-': 'acdc-fog'.
        size: Width and height of the pictures, or None if they differ or no source says.
        archives: The official archives, in the owners' names.
        anchors: The folders of the layout, below the root. Folders above them in an archive are
            dropped.
        keep: Patterns of single files that belong in the root.
        flat: The folder for files that an archive may hold without a folder, by pattern.
        source: Where to get it.
        licence: The terms that users have to accept there.
        citation: The paper.
        listed_ids: The highest value that label files are known to hold, if the class accepts any
            value (255 is always known).
    """

    title: str
    labels: str
    classes: str
    layouts: str
    quirks: str = ""
    protocols: str = ""
    parts: tuple[Part, ...] = (Part({}),)
    targets: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)
    size: tuple[int, int] | None = None
    archives: tuple[str, ...] = ()
    anchors: tuple[str, ...] = ()
    keep: tuple[str, ...] = ()
    flat: tuple[tuple[str, str], ...] = ()
    source: str = ""
    licence: str = ""
    citation: str = ""
    listed_ids: int | None = None
