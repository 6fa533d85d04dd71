"""The files around the package: consistent, small, and true where that can be checked."""

import re
import shutil
import subprocess

import pytest
import yaml

import ibn_seg

MIB = 1024 * 1024


def tracked(root):
    """The files of the repository: those in git, and new ones that it does not ignore."""
    if not (root / ".git").exists() or shutil.which("git") is None:
        pytest.skip("not a git checkout")
    command = ["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard"]
    done = subprocess.run(command, cwd=root, capture_output=True, text=True, check=False)
    if done.returncode:
        pytest.skip(done.stderr.strip())
    return [root / name for name in done.stdout.split("\0") if name and (root / name).is_file()]


def test_no_large_and_no_generated_files(root):
    files = tracked(root)
    assert {path.name for path in files} >= {"setup.py", "Makefile"}
    assert [path for path in files if path.stat().st_size > MIB] == []
    generated = re.compile(r"__pycache__|\.egg-info|\.pyc$|\.pth$|(^|/)(build|dist|\.venv)/")
    names = [path.relative_to(root).as_posix() for path in files]
    assert [name for name in names if generated.search(name)] == []


def test_scripts_are_executable_and_parse(root):
    scripts = [root / ".ci" / "run", *(root / "tools").glob("*.sh")]
    for script in scripts:
        assert script.stat().st_mode & 0o100, script
        assert script.read_text().startswith("#!/usr/bin/env bash\n"), script
        subprocess.run(["bash", "-n", script], check=True)


def test_citation_names_this_version_and_the_paper(root):
    citation = yaml.safe_load((root / "CITATION.cff").read_text(encoding="utf-8"))
    assert {"cff-version", "message", "title", "authors"} <= citation.keys()
    assert citation["version"] == ibn_seg.__version__
    assert citation["license"] == "Apache-2.0"
    (paper,) = citation["references"]
    assert paper["doi"] == "10.1007/978-3-030-01225-0_29"


def test_commands_of_the_documents_exist(root):
    makefile = (root / "Makefile").read_text(encoding="utf-8")
    targets = set(re.findall(r"^([a-z][\w-]*):", makefile, re.MULTILINE))
    for name in ("README.md", "CONTRIBUTING.md"):
        text = (root / name).read_text(encoding="utf-8")
        named = set(re.findall(r"\bmake ([a-z][\w-]*)", "\n".join(code(text))))
        assert named <= targets, name
    assert {"demo", "test"} <= set(
        re.findall(r"\bmake ([\w-]+)", (root / "README.md").read_text(encoding="utf-8"))
    )


def test_paths_of_the_documents_exist(root):
    for name in ("README.md", "CONTRIBUTING.md"):
        text = (root / name).read_text(encoding="utf-8")
        links = re.findall(r"\]\((?!https?:|#)([^)#]+)", text)
        sources = re.findall(r"`((?:ibn_seg|configs|tests|tools)/[\w./-]+)`", text)
        for path in [*links, *sources]:
            assert (root / path).exists(), f"{name}: {path}"


def code(markdown):
    """The inline code and code blocks of a Markdown text."""
    blocks = re.findall(r"^```.*?^```", markdown, re.DOTALL | re.MULTILINE)
    rest = re.sub(r"^```.*?^```", "", markdown, flags=re.DOTALL | re.MULTILINE)
    return [*blocks, *re.findall(r"`[^`\n]+`", rest)]
