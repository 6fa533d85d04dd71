"""What people read is in short sentences: documents, every help text, messages of errors."""

import ast
import re

import pytest

from tests.docs.markdown import DOCUMENTS, ROOT, name, paragraphs, sentences, words

MOST = 30
MOST_OF_MESSAGE = 25  # for the problem and for the remedy of an error
ERRORS = ("UserError", "EnvError", "PictureError")
MODULES = sorted((ROOT / "ibn_seg").rglob("*.py"))


def too_long(texts, most=MOST):
    return [one for text in texts for one in sentences(text) if words(one) > most]


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


def literals(part):
    """Return the texts that an expression may be; what only a run knows is one word."""
    if isinstance(part, ast.Constant):
        return [str(part.value)]
    if isinstance(part, ast.JoinedStr):
        return ["".join(one.value if isinstance(one, ast.Constant) else "x" for one in part.values)]
    if isinstance(part, ast.BinOp):
        return [a + b for a in literals(part.left) for b in literals(part.right)]
    if isinstance(part, ast.IfExp):
        return [*literals(part.body), *literals(part.orelse)]
    return ["x"]


def messages(source):
    """Yield the problem and the remedy of every error that a module makes, as far as it says."""
    for call in ast.walk(ast.parse(source)):
        if isinstance(call, ast.Call) and getattr(call.func, "id", None) in ERRORS:
            for part in (*call.args, *(keyword.value for keyword in call.keywords)):
                yield from literals(part)


def test_messages_of_errors():
    found = {
        name(module): too_long(messages(module.read_text(encoding="utf-8")), MOST_OF_MESSAGE)
        for module in MODULES
    }
    assert {module: texts for module, texts in found.items() if texts} == {}


def test_messages_are_found_in_code():
    source = """
def read(path, size):
    if size:
        raise UserError(f"{path}: is " "empty", "one. " + "two" if size > 1 else fix)
    raise EnvError(problem="no space")
"""
    assert sorted(messages(source)) == ["no space", "one. two", "x", "x: is empty"]


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
