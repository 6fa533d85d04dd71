"""Whatever a config raises is one line that names the file and the line at fault."""

import os
import re

import pytest

from ibn_seg import cli
from ibn_seg.config import load_config
from ibn_seg.errors import EnvError, UserError

pytest.importorskip("mmengine")

READ = "from mmengine.config import read_base\nwith read_base():\n    from .{} import *\n"
PURE = "from mmseg.models import EncoderDecoder\nmodel = dict(type=EncoderDecoder)\n"


def refused(folder, kind=UserError, **files):
    """Write configs, load `top`, and return the one line of its refusal, without the folder."""
    for name, text in files.items():
        (folder / f"{name}.py").write_bytes(text if isinstance(text, bytes) else text.encode())
    with pytest.raises(UserError) as caught:
        load_config(folder / "top.py")
    assert type(caught.value) is kind
    assert "\n" not in str(caught.value)
    return caught.value.line.replace(f"{folder}{os.sep}", "")


@pytest.mark.parametrize(
    ("code", "words"),
    [
        ("x = y", "NameError: name 'y' is not defined"),
        ("x = 1 / 0", "ZeroDivisionError"),
        ("x = {}['k']", "KeyError: k"),
        ("x = open('no.txt').read()", "FileNotFoundError.*no.txt"),
        ("import os; x = os.environ['NO_SUCH_VARIABLE']", "KeyError: NO_SUCH_VARIABLE"),
        ("x = (lambda f: f(f))(lambda f: f(f))", "RecursionError"),
        ("raise SystemExit(3)", "its code ends the program"),
        ("raise StopIteration", "StopIteration"),
        ("raise ExceptionGroup('two', [ValueError()])", "ExceptionGroup: two"),
        ("raise type('Odd', (Exception,), {})()", "Odd"),
        ("raise ValueError('a\\nb ' * 900)", r"ValueError: a b a b .*\.\.\."),
    ],
)
def test_code_of_a_config_or_of_its_base(tmp_path, code, words):
    number = code.count("\n") + 2
    line = refused(tmp_path, top=f"a = 1\n{code}\n")
    assert re.match(rf"top\.py, line {number}: cannot be loaded \(.*{words}", line)
    line = refused(tmp_path, top="_base_ = 'part.py'\n", part=f"a = 1\n{code}\n")
    assert re.match(rf"part\.py, line {number} \(a base of top\.py\): .*{words}", line)


@pytest.mark.parametrize(
    "text", ["a = 1\nb = (\n", "a = 1\n=======\n", "a = 1\nreturn 2\n", "a = 1\nif 1:\nb = 2\n"]
)
@pytest.mark.parametrize("top", ["_base_ = ['part.py']\n", READ.format("part")])
def test_syntax_errors_in_a_base(tmp_path, top, text):
    line = refused(tmp_path, top=top, part=text)
    assert re.match(r"part\.py \(a base of top\.py\): cannot be loaded \(line [23]: ", line)


@pytest.mark.parametrize(
    ("files", "words"),
    [
        ({"top": "_base_='part.py'", "part": PURE}, r"top\.py: its base part\.py is written in"),
        ({"top": "_base_='mid.py'", "mid": "_base_='part.py'", "part": PURE}, r"^mid\.py: its bas"),
        ({"top": READ.format("part"), "part": "_base_='x.py'", "x": ""}, r"base part\.py is w"),
        ({"top": f"{PURE}_base_='part.py'", "part": ""}, r"^top\.py: mixes"),
        ({"top": "_base_='gone.py'"}, r"^top\.py: its base gone\.py does not exist"),
        ({"top": "_base_='mid.py'", "mid": "_base_='gone.py'"}, r"^mid\.py: its base gone\.py"),
        ({"top": READ.format("gone")}, r"^top\.py: its base gone\.py does not exist"),
        ({"top": "_base_='https://host/a.py'"}, r"^top\.py: its base .*a\.py does not exist"),
        ({"top": "_base_='.'"}, r"its base .* is a folder|cannot be loaded"),
        ({"top": "_base_=3"}, "`_base_` is no path"),
        ({"top": "_base_=['a.py', 'b.py']", "a": "x=1", "b": "x=2"}, r"^top\.py: .*Duplicate.*'x'"),
        ({"top": "_base_='a.py'\nx=dict(b=1)", "a": "x=1"}, r"^top\.py: .*x=.*_delete_=True"),
        ({"top": "_base_='a.py'\nb={{_base_.x.y}}", "a": "a=1"}, r"^top\.py: .*_base_.NAME"),
        ({"top": "b='{{$NO_SUCH_VARIABLE:}}'"}, r"^top\.py: .*NO_SUCH_VARIABLE"),
        ({"top": "_base_='a.py'", "a": b"a='\xe9'"}, r"^a\.py \(a base of top\.py\).*no UTF-8"),
        ({"top": "_base_='a.py'", "a": b"a=1\0"}, r"^a\.py \(a base of top\.py\).*null bytes"),
        ({"top": "\ufeffa = 1"}, r"^top\.py: .*line 1"),
        ({"top": "import contextlib\nwith contextlib.suppress(): a = 1"}, "only `with`"),
        ({"top": "from mmseg.models import FCNHead\nx = FCNHead(1)"}, r"line 2: .*cannot call"),
        ({"top": "from mmseg.models import Nope\nx=dict(type=Nope)"}, r"^top\.py: .*Nope.*line 1"),
        ({"top": "custom_imports='a'"}, "custom_imports=a is not understood"),
        ({"top": "custom_imports=dict(imports=['ibn_seg.nothing'])"}, "'ibn_seg.nothing' cannot"),
    ],
)  # fmt: skip
def test_bases_and_imports(tmp_path, files, words):
    assert re.search(words, refused(tmp_path, **files))


@pytest.mark.parametrize(
    "text",
    [
        "_base_ = 'mmpretrain::resnet/resnet50.py'",
        "custom_imports = dict(imports=['no_such_package.models'])",
        "from no_such_package.models import A\nmodel = dict(type=A)",
    ],
)
def test_a_package_that_is_not_installed_is_the_environments(tmp_path, text):
    pytest.importorskip("mmseg")
    if "mmpretrain" in text:
        try:
            import mmpretrain  # noqa: F401
        except ImportError:
            pass
        else:
            pytest.skip("mmpretrain is installed")
    assert "install" in refused(tmp_path, kind=EnvError, top=text)


def test_modules_of_the_user_that_fail(tmp_path, monkeypatch):
    (tmp_path / "failing_module_of_a_user.py").write_text("a = 1\nb = 1 / 0\n")
    monkeypatch.syspath_prepend(tmp_path)
    for start in ("", PURE):
        text = f"{start}custom_imports = dict(imports=['failing_module_of_a_user'])\n"
        line = refused(tmp_path, top=text)
        assert re.search(r"ZeroDivisionError.*failing_module_of_a_user\.py, line 2", line)


@pytest.mark.parametrize(
    ("name", "text", "words"),
    [
        ("a.yaml", "- 1\n", "no settings by name"),
        ("a.yaml", "", "no settings by name"),
        ("a.yaml", "a: [1\nb: }\n", "flow sequence"),
        ("a.json", '{"a": 1,}', "line 1 column"),
        ("a.ipynb", "{}", "py/yml/yaml/json"),
    ],
)
def test_other_formats(tmp_path, name, text, words):
    path = tmp_path / name
    path.write_text(text)
    with pytest.raises(UserError, match=words) as caught:
        load_config(path)
    assert caught.value.line.startswith(str(path))


def test_bases_in_a_circle(tmp_path):
    line = refused(tmp_path, top="_base_ = 'mid.py'\n", mid="_base_ = 'top.py'\n")
    assert "top.py: its bases name each other: top.py -> mid.py -> top.py" in line


def test_commands_end_with_the_exit_code(tmp_path, capsys):
    (tmp_path / "top.py").write_text("a = 1 / 0\n")
    (tmp_path / "lacking.py").write_text("custom_imports = dict(imports=['no_such_package'])\n")
    arguments = ("--backbone", "resnet18_ibn_a", "-o", str(tmp_path / "new.py"))
    assert cli.run(["swap", str(tmp_path / "top.py"), *arguments]) == 2
    assert cli.run(["train", str(tmp_path / "lacking.py")]) == 3
    assert len(capsys.readouterr().err.splitlines()) == 2
