"""The tables of data/README.md say what the code does."""

import re
from pathlib import Path

import pytest

from ibn_seg.datasets.catalog import CATALOG
from ibn_seg.evaluation.protocols import ANY, PROTOCOLS

TEXT = (Path(__file__).resolve().parents[2] / "data" / "README.md").read_text(encoding="utf-8")


def rows(header):
    """Return the cells of the table whose header begins so, by their first."""
    table = TEXT[TEXT.index(header) :].split("\n\n")[0].splitlines()[2:]
    cells = ([cell.strip() for cell in line.strip("|").split("|")] for line in table)
    return {first: rest for first, *rest in cells}


NAMES = {cells[0].strip("`"): title for title, cells in rows("| data set | `NAME`").items()}


def test_every_data_set_has_a_row_in_both_tables():
    assert set(NAMES) == set(CATALOG)
    assert set(rows("| data set | classes")) == set(NAMES.values())


@pytest.mark.parametrize("name", sorted(CATALOG))
def test_class_and_root_variable(name):
    shown = rows("| data set | `NAME`")[NAMES[name]]
    cls = CATALOG[name].load()
    assert shown[1] == f"`{cls.__name__}`"
    variable = "" if name == "train_ids" else f"`{cls.ROOT_VARIABLE}`"
    assert shown[2] == variable


@pytest.mark.parametrize("name", sorted(CATALOG))
def test_protocols(name):
    shown = set(re.findall(r"`([a-z0-9_]+)`", rows("| data set | classes")[NAMES[name]][2]))
    of_all = {protocol.name for protocol in PROTOCOLS.values() if ANY in protocol.views}
    named = {protocol.name for protocol in PROTOCOLS.values() if name in protocol.views}
    assert shown - of_all == named
