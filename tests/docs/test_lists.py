"""Tables and lists of the pages name all that there is."""

import re

from ibn_seg.analyses.all_analyses import ANALYSES, analysis
from tests.docs.markdown import ROOT, blocks


def test_classes_that_are_known_by_name_are_listed():
    from ibn_seg.datasets.known_classes import SPACES

    text = (ROOT / "docs" / "add-your-data.md").read_text(encoding="utf-8")
    table = text.split("| classes | name | maps to |")[1].split("\n\n")[0]
    assert re.findall(r"^\| [^|]*\| `(\w+)` \|", table, re.MULTILINE) == list(SPACES)


def test_the_arguments_of_a_folder_are_listed():
    import inspect

    from ibn_seg.datasets.folder import FolderDataset

    text = (ROOT / "docs" / "add-your-data.md").read_text(encoding="utf-8")
    table = text.split("| argument | meaning | default |")[1].split("\n\n")[0]
    cells = (row.split("|")[1] for row in table.split("\n") if "|" in row)
    listed = {one for cell in cells for one in re.findall(r"`(\w+)`", cell)}
    known = set(inspect.signature(FolderDataset.__init__).parameters)
    assert listed == known - {"self", "data_root", "kwargs"}


def test_the_plan_reference_has_every_key():
    from ibn_seg.analyses.all_analyses import measuring
    from ibn_seg.benchmark.plan_extras import EXTRAS
    from ibn_seg.benchmark.plan_matrix import MATRIX
    from ibn_seg.benchmark.plan_rules import RULES

    text = (ROOT / "docs" / "compare-methods.md").read_text(encoding="utf-8")
    table = text.split("| key | value |")[1].split("\n\n")[0]
    rows = re.findall(r"^\| `(\w+)` \|", table, re.MULTILINE)
    assert set(rows) == {"name", "also", *MATRIX, *RULES, *EXTRAS}
    whole = next(b for b in blocks(ROOT / "docs" / "compare-methods.md") if "also:" in b.text)
    keys = set(re.findall(r"^(\w+):", whole.text, re.MULTILINE))
    # The first plan of the page has sources, and processes.
    assert keys == {"name", "also", *MATRIX, *RULES, *EXTRAS} - {"sources", "processes"}
    assert all(f"  {one}: " in whole.text for one in measuring())


def test_the_plan_reference_has_every_option_of_an_analysis():
    from ibn_seg.analyses.all_analyses import measuring, part

    text = (ROOT / "docs" / "compare-methods.md").read_text(encoding="utf-8")
    table = text.split("| analysis | option |")[1].split("\n\n")[0]
    rows = re.findall(r"^\|(?: `(\w+)`)? \| `(\w+)` \|", table, re.MULTILINE)
    options = [(name, one.name) for name in measuring() for one in part(name, "options").OPTIONS]
    assert [option for _, option in rows] == [option for _, option in options]
    assert [name for name, _ in rows if name] == list(measuring())


def test_protocols_and_groups_of_targets_are_listed():
    from ibn_seg.datasets.targets import GROUPS
    from ibn_seg.evaluation.protocols import PROTOCOLS

    text = (ROOT / "docs" / "train-and-evaluate.md").read_text(encoding="utf-8")
    for header, known in (("| `--protocol` |", PROTOCOLS), ("| name | domains |", GROUPS)):
        rows = re.findall(r"^\| `(\w+)` \|", text.split(header)[1].split("\n\n")[0], re.MULTILINE)
        assert set(rows) == set(known)
        assert len(rows) == len(known)


def test_the_variables_are_explained():
    code = "".join(path.read_text(encoding="utf-8") for path in (ROOT / "ibn_seg").rglob("*.py"))
    roots = set(re.findall(r'ROOT_VARIABLE = "(\w+)"', code))
    named = set(re.findall(r'"(IBN_SEG_[A-Z0-9_]+[A-Z0-9])"', code)) - roots
    text = (ROOT / "docs" / "faq.md").read_text(encoding="utf-8")
    assert named
    assert [one for one in named if f"`{one}" not in text] == []


def test_the_commands_that_reuse_freed_memory_are_named():
    text = (ROOT / "docs" / "performance.md").read_text(encoding="utf-8")
    named = text.partition("## Freed memory\n\n")[2].partition(" reuse freed")[0]
    keeping = [one for one in ANALYSES if analysis(one).keeps_memory]
    assert set(re.findall(r"`(\w+)`", named)) == {"test", "evaluate", "predict", *keeping}
