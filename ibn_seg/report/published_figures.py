"""Published figures, to stand beside measured ones: never ranked with them, always cited."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

_FILE = Path(__file__).with_name("published.yaml")
WHICH = ("verified", "all", "none")
# What the papers call the domains that have another name here.
_NAMES = {"gta5": "GTAV", "cityscapes": "Cityscapes", "synthia": "SYNTHIA", "bdd100k": "BDD100K",
          "mapillary": "Mapillary"}  # fmt: skip


@dataclass(frozen=True)
class PublishedRow:
    """What one paper reports of one method.

    Args:
        paper: Its short name.
        year: When it appeared.
        method: The method, as the paper calls it.
        backbone: Its backbone.
        segmentor: Its segmentor.
        train_set: What it was trained on.
        source: Where the figures were read.
        verified: Whether they were read there; else they are recalled and not checked.
        note: What else must be known of them.
        values: mIoU by test set, percent.
    """

    paper: str
    year: int
    method: str
    backbone: str
    segmentor: str
    train_set: str
    source: str
    verified: bool
    note: str
    values: dict[str, float]


def published_rows(which: str = "verified") -> list[PublishedRow]:
    """Return the package's table of published mIoU, one row per method and paper.

    Args:
        which: 'verified', 'all', which includes figures that nobody checked, or 'none'.
    """
    import yaml

    if which == "none":
        return []
    # The C parser, where PyYAML has it, takes a tenth of the time.
    loader = getattr(yaml, "CSafeLoader", yaml.SafeLoader)
    records = yaml.load(_FILE.read_text(encoding="utf-8"), Loader=loader)["records"]
    rows: dict[tuple, PublishedRow] = {}
    names = ("paper", "year", "method", "backbone", "segmentor", "train_set", "source", "verified")
    for record in records:
        if which == "verified" and not record["verified"]:
            continue
        facts = {**{name: record[name] for name in names}, "note": record.get("note", "")}
        key, test_set = tuple(facts.values()), record["test_set"]
        while test_set in rows.setdefault(key, PublishedRow(**facts, values={})).values:
            # The same paper gives the figure twice, of two runs.
            key = (*key, "again")
        rows[key].values[test_set] = record["value"]
    return list(rows.values())


def train_set_of(source: str) -> str:
    """Return what the papers call a source: 'gta5+synthia' is 'GTAV+SYNTHIA'."""
    return "+".join(_NAMES.get(part.lower(), part) for part in source.split("+"))


def by_train_set(rows: Sequence[PublishedRow]) -> dict[str, list[PublishedRow]]:
    """Return the rows of each training set."""
    found: dict[str, list[PublishedRow]] = {}
    for row in rows:
        found.setdefault(row.train_set, []).append(row)
    return found
