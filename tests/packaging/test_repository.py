"""The files around the package: consistent, small, and true where that can be checked."""

import re
import shutil
import subprocess

import pytest
import yaml

import ibn_seg
from tests.docs.markdown import DOCUMENTS, name

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


@pytest.mark.parametrize("page", DOCUMENTS, ids=name)
def test_commands_of_the_documents_exist(root, page):
    makefile = (root / "Makefile").read_text(encoding="utf-8")
    targets = set(re.findall(r"^([a-z][\w-]*):", makefile, re.MULTILINE))
    text = page.read_text(encoding="utf-8")
    named = set(re.findall(r"\bmake ([a-z][\w-]*)", "\n".join(code(text))))
    assert named <= targets


def test_the_readme_begins_with_two_commands(root):
    text = (root / "README.md").read_text(encoding="utf-8")
    assert {"demo", "test"} <= set(re.findall(r"\bmake ([\w-]+)", text))


@pytest.mark.parametrize("page", DOCUMENTS, ids=name)
def test_paths_of_the_documents_exist(root, page):
    """Links are followed by `tests/docs`."""
    text = page.read_text(encoding="utf-8")
    pattern = r"`((?:ibn_seg|configs|tests|tools|data/benchmark)/[\w./-]+)`"
    for path in re.findall(pattern, text):
        # In a recipe, capitals stand for a name.
        assert re.search(r"[A-Z]{4}", path) or (root / path).exists(), path


def test_the_entrance_is_short(root):
    sizes = {"README.md": 9, "CONTRIBUTING.md": 8}
    for document, kilobytes in sizes.items():
        assert (root / document).stat().st_size <= kilobytes * 1024


def test_issue_forms_and_workflows_are_read_by_github(root):
    forms = sorted((root / ".github" / "ISSUE_TEMPLATE").glob("*.yml"))
    assert [form.stem for form in forms] == ["bug", "result"]
    for form in forms:
        content = yaml.safe_load(form.read_text(encoding="utf-8"))
        assert {"name", "description", "body"} <= content.keys()
        ids = [part["id"] for part in content["body"]]
        assert len(ids) == len(set(ids))
    workflow = yaml.safe_load((root / ".github/workflows/ci.yml").read_text(encoding="utf-8"))
    steps = [step.get("run") for step in workflow["jobs"]["run"]["steps"]]
    assert steps[-1] == ".ci/run"


def code(markdown):
    """The inline code and code blocks of a Markdown text."""
    blocks = re.findall(r"^```.*?^```", markdown, re.DOTALL | re.MULTILINE)
    rest = re.sub(r"^```.*?^```", "", markdown, flags=re.DOTALL | re.MULTILINE)
    return [*blocks, *re.findall(r"`[^`\n]+`", rest)]
