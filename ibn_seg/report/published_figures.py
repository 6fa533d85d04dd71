"""Published figures to show beside measured ones: always cited, never ranked with them."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from ibn_seg.report.board import UNKNOWN

_FILE = Path(__file__).with_name("published.yaml")
_SEARCHES = Path(__file__).with_name("published_reid.yaml")
WHICH = ("verified", "all", "none")
# Names in the papers for domains that have another name here.
_NAMES = {"gta5": "GTAV", "cityscapes": "Cityscapes", "synthia": "SYNTHIA", "bdd100k": "BDD100K",
          "mapillary": "Mapillary"}  # fmt: skip


@dataclass(frozen=True)
class PublishedRow:
    """One paper's figures for one method.

    Args:
        paper: Its short name.
        year: When it appeared.
        method: The method, as the paper calls it.
        backbone: Its backbone.
        segmentor: Its segmentor.
        train_set: Its training set.
        source: The place where the figures were read.
        verified: Whether they were read there. If not, they are from memory and unchecked.
        note: A caveat about the figures.
        values: mIoU by test set, percent. For re-identification the names have the measure, such as
            'Market1501 mAP'.
        pretraining: The data of the backbone's first weights; 'not stated' where the file has none.
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
    pretraining: str


def published_rows(which: str = "verified") -> list[PublishedRow]:
    """Return the package's table of published mIoU, one row per method and paper.

    Args:
        which: 'verified', 'all' (includes figures that nobody checked) or 'none'.
    """
    return _rows(which, _FILE)


def published_searches(which: str = "verified") -> list[PublishedRow]:
    """Return the package's table of published re-identification, one row per method and paper.

    Args:
        which: As for `published_rows`.
    """
    return _rows(which, _SEARCHES)


def _rows(which: str, file: Path) -> list[PublishedRow]:
    """Return the rows of a file."""
    import yaml

    if which == "none":
        return []
    # PyYAML's C parser, where there is one, takes a tenth of the time.
    loader = getattr(yaml, "CSafeLoader", yaml.SafeLoader)
    content = yaml.load(file.read_text(encoding="utf-8"), Loader=loader)
    data = {name: data for data, names in content.get("pretraining", {}).items() for name in names}
    rows: dict[tuple, PublishedRow] = {}
    names = ("paper", "year", "method", "backbone", "segmentor", "train_set", "source", "verified")
    for record in content["records"]:
        if which == "verified" and not record["verified"]:
            continue
        facts = {**{name: record[name] for name in names}, "note": record.get("note", "")}
        start = {"pretraining": record.get("pretraining") or data.get(record["backbone"], UNKNOWN)}
        key, test_set = tuple(facts.values()), record["test_set"]
        test_set = f"{test_set} {record['metric']}" if "metric" in record else test_set
        while test_set in rows.setdefault(key, PublishedRow(**facts, values={}, **start)).values:
            # The same paper gives the figure twice, for two runs.
            key = (*key, "again")
        rows[key].values[test_set] = record["value"]
    return list(rows.values())


def train_set_of(source: str) -> str:
    """Return the papers' name of a source: 'GTAV+SYNTHIA' for 'gta5+synthia'."""
    return "+".join(_NAMES.get(part.lower(), part) for part in source.split("+"))


def by_train_set(rows: Sequence[PublishedRow]) -> dict[str, list[PublishedRow]]:
    """Return the rows of each training set."""
    found: dict[str, list[PublishedRow]] = {}
    for row in rows:
        found.setdefault(row.train_set, []).append(row)
    return found
