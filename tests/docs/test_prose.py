"""What people read is in short sentences: documents and every help text."""

import re

import pytest

from tests.docs.markdown import DOCUMENTS, name, paragraphs, sentences, words

MOST = 30


def too_long(texts):
    return [one for text in texts for one in sentences(text) if words(one) > MOST]


@pytest.mark.parametrize("page", DOCUMENTS, ids=name)
def test_documents(page):
    assert too_long(paragraphs(page.read_text(encoding="utf-8"))) == []


def helps():
    """Yield each command with the paragraphs of its help and of its options."""
    from ibn_seg.cli import COMMANDS
    from tests.records.recorded import walk_commands

    yield "ibn-seg", [summary for _, summary in COMMANDS.values()]
    for command_name, command in walk_commands():
        # A paragraph behind \b is laid out by hand: examples, tables.
        parts = re.split(r"\n\s*\n", command.help or "")
        parts = [part for part in parts if "\b" not in part]
        parts += [one for option in command.params if (one := getattr(option, "help", None))]
        yield command_name, [" ".join(part.split()) for part in parts]


@pytest.mark.parametrize(("command", "texts"), [pytest.param(*one, id=one[0]) for one in helps()])
def test_helps(command, texts):
    assert texts
    assert too_long(texts) == []


@pytest.mark.parametrize(
    ("text", "count"),
    [
        ("One `a b c` two. Three", [3, 1]),
        ("Pan et al. wrote (2018) this. [A link](x.md) is three.", [6, 4]),
        ("It took 3.5 s - really.", [5]),
    ],
)
def test_words_are_counted(text, count):
    assert [words(one) for one in sentences(text)] == count


def test_code_and_tables_are_left_out():
    text = "# Title\n\nFirst\nline.\n\n```bash\nx y z\n```\n\n| a | b |\n\n- one\n- two\n  more\n"
    assert paragraphs(text) == ["First line.", "one", "two more"]
