"""Every snippet of the pages works: it is run, parsed by the command itself, or read as a plan."""

import importlib
import os
import re
import shlex
import subprocess
from pathlib import Path

import click
import pytest

from tests.docs.markdown import DOCUMENTS, PAGES, ROOT, anchors, blocks, links, name

SNIPPETS = [block for page in PAGES for block in blocks(page)]
# Commands of others that the pages show; what they are given is not looked at.
OTHERS = {"export", "ln", "ls", "make", "pip", "python3", "source"}
# Commands that are run here as they stand, on tiny data.
RUN = {
    "ibn-seg models",
    "ibn-seg models ibn_a --pretrained",
    "ibn-seg data check cityscapes data/cityscapes --option split=val --labels-only",
    "ibn-seg data check cityscapes data/cityscapes --fix list",
    "ibn-seg data check train_ids data/my_city --option images=images --option labels=labels "
    "--option image_suffix=.jpg --option label_suffix=_train_id.png",
    "ibn-seg data check folder data/yard --option classes=yard.yaml --option images=photos "
    "--option labels=masks --option label_suffix=_mask.png",
    "ibn-seg evaluate CONFIG CHECKPOINT --targets folder=data/yard --images photos --labels masks "
    "--label-suffix _mask.png --label-classes yard.yaml --map cityscapes_to_yard.yaml",
    "ibn-seg data stats cityscapes data/cityscapes --sheet sheet.png",
    "ibn-seg predict CONFIG CHECKPOINT photo.png --out predictions",
    "ibn-seg predict CONFIG CHECKPOINT my_photos/ --out predictions",
    "ibn-seg swap my_config.py --backbone resnet50_ibn_a -o my_config_ibn-a.py",
    "ibn-seg test CONFIG CHECKPOINT --protocol robustnet",
}


def of(*languages):
    return [block for block in SNIPPETS if block.language in languages]


def place(block):
    return block.place


def command_lines(text):
    """Return the words of each command of a shell snippet."""
    text = text.replace("\\\n", " ")
    return [words for line in text.splitlines() if (words := shlex.split(line, comments=True))]


def ours(words):
    """Return the arguments of `ibn-seg` in a command line, None where there is no such call."""
    while words and re.fullmatch(r"[A-Z_]+=\S*", words[0]):
        words = words[1:]
    if words[0] == "torchrun" and "-m" in words:
        words = words[words.index("-m") + 1 :]
        assert words[0] == "ibn_seg"
        return words[1:]
    return words[1:] if Path(words[0]).name == "ibn-seg" else None


def parse(arguments):
    """Let the command itself read its arguments; nothing is run."""
    from ibn_seg.cli import cli

    command, context = cli, click.Context(cli, info_name="ibn-seg")
    while isinstance(command, click.Group) and not {"-h", "--help"} & set(arguments[:1]):
        word, arguments = arguments[0], arguments[1:]
        command = command.get_command(context, word)
        assert command is not None, f"no command {word}"
        context = click.Context(command, parent=context, info_name=word)
    if "--help" not in arguments:
        context = command.make_context(context.info_name, list(arguments), parent=context.parent)
        assert context.args == []


def check_names(words):
    """Load the configs and read the plans that a command line names."""
    from ibn_seg.benchmark.plan import read_plan
    from ibn_seg.config import load_config
    from ibn_seg.retrieval.recipe_files import read_recipe

    for word in words:
        if word.endswith(".yaml") and Path(file := word.rpartition("=")[2]).is_file():
            if kind_of(Path(file).read_text(encoding="utf-8")) == "plan":
                read_plan(file)
        elif word.startswith("ibn_seg::benchmark/") or word.endswith(".yaml"):
            read_plan(word)
        elif word.startswith("ibn_seg::reid/"):
            read_recipe(word)
        elif re.match(r"(ibn_seg|mmseg)::", word) or word.startswith("configs/"):
            load_config(ROOT / word if word.startswith("configs/") else word)
        elif word.startswith(("data/benchmark/", "tools/")):
            assert (ROOT / word).exists(), word


@pytest.fixture
def page_files(tmp_path, monkeypatch):
    """A folder with the files that a page says it shows."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.syspath_prepend(tmp_path)
    (tmp_path / "configs").symlink_to(ROOT / "configs")

    def write(page):
        for block in blocks(page):
            if block.file:
                (tmp_path / block.file).write_text(block.text, encoding="utf-8")

    return write


@pytest.mark.parametrize("block", of("bash"), ids=place)
def test_commands_can_be_read(block, page_files):
    pytest.importorskip("mmseg")
    page_files(block.page)
    for words in command_lines(block.text):
        arguments = ours(words)
        if arguments is not None:
            parse(arguments)
            check_names(arguments)
        elif words[0] == "torchrun" or words[0].startswith(("tools/", ".venv/")):
            check_names(words)
        else:
            assert words[0] in OTHERS, words
        if "pip" in words[0]:
            check_extras(words)


def check_extras(words):
    known = (ROOT / "setup.py").read_text()
    for extra in re.findall(r"\[(.*?)\]", " ".join(words)):
        for one in extra.split(","):
            assert f'"{one}": ' in known


def kind_of(text):
    """Return whether a YAML snippet is a plan, a list of classes or a map of classes."""
    keys = set(re.findall(r"^(\w+):", text, re.MULTILINE))
    return next((one for one in ("classes", "groups") if one in keys), "plan")


def snippets_of(kind):
    return [block for block in of("yaml") if kind_of(block.text) == kind]


@pytest.mark.parametrize("block", [*snippets_of("classes"), *snippets_of("groups")], ids=place)
def test_classes_and_maps_are_such(block, page_files):
    """A map is of classes that are known by name, to those of another file: A_to_B.yaml."""
    from ibn_seg.datasets.class_map import read_map
    from ibn_seg.datasets.class_space import read_space
    from ibn_seg.datasets.known_classes import SPACES

    page_files(block.page)
    if kind_of(block.text) == "classes":
        assert read_space(block.file).name == Path(block.file).stem
        return
    first, _, second = Path(block.file).stem.partition("_to_")
    mapping = read_map(block.file, SPACES[first].classes, read_space(f"{second}.yaml").classes)
    assert len(set(mapping.group_of) - {None}) == len(mapping.groups)


def test_the_config_of_own_classes_reads_its_data(page_files, tiny_files):
    pytest.importorskip("mmseg")
    from ibn_seg.config import load_config
    from ibn_seg.run import setup

    page_files(ROOT / "docs" / "add-your-data.md")
    cfg = load_config("my_yard.py")
    setup.register()
    from mmseg.registry import DATASETS

    train, val = (DATASETS.build(cfg[f"{one}_dataloader"].dataset) for one in ("train", "val"))
    for data in (train, val):
        assert len(data) == 1
        assert data.metainfo["classes"] == ("grass", "path", "wall")
        assert set(data[0]["data_samples"].gt_sem_seg.data.unique().tolist()) <= {0, 1, 2, 255}
    assert cfg.model.decode_head.num_classes == 3
    assert "auxiliary_head" not in cfg.model


@pytest.mark.parametrize("block", snippets_of("plan"), ids=place)
def test_plans_are_plans(block, page_files):
    pytest.importorskip("mmseg")
    from ibn_seg.benchmark.cells import list_cells
    from ibn_seg.benchmark.plan import read_plan

    page_files(block.page)
    Path("a_plan.yaml").write_text(block.text, encoding="utf-8")
    plan = read_plan("a_plan.yaml")
    cells = list_cells(plan)
    methods = {method.name for one in plan.blocks for method in one.methods}
    seeds = {seed for one in plan.blocks for seed in one.seeds}
    if plan.searches is not None:
        methods, seeds = set(plan.searches.methods), set(plan.searches.seeds)
    assert {cell.method for cell in cells} == methods
    assert {cell.seed for cell in cells} == seeds


@pytest.mark.parametrize("page", PAGES, ids=name)
def test_python_runs(page, page_files, tiny_files, weights):
    """The snippets of a page follow each other; those that are files are read as such."""
    for package in ("torchvision", "timm", "segmentation_models_pytorch"):
        if package in "".join(block.text for block in blocks(page) if block.language == "python"):
            pytest.importorskip(package)
    from ibn_seg.config import load_config

    page_files(page)
    names = {}
    for block in blocks(page):
        if block.language == "python" and block.file:
            if "_base_" in block.text or block.text.split("\n")[1].startswith("targets"):
                load_config(block.file)
            else:
                importlib.import_module(Path(block.file).stem)
        elif block.language == "python":
            text = block.text.replace("'CONFIG'", repr(str(tiny_files["CONFIG"])))
            text = text.replace("'CHECKPOINT'", repr(str(tiny_files["CHECKPOINT"])))
            text = text.replace("/path/to/ibn_seg", str(ROOT))
            exec(compile(text, block.place, "exec"), names)


LINES = [
    pytest.param(block, words, id=f"{block.place} {' '.join(words)}")
    for block in of("bash")
    for words in command_lines(block.text)
    if shlex.join(words) in RUN
]


@pytest.mark.parametrize(("block", "words"), LINES)
def test_commands_run(block, words, page_files, tiny_files, weights):
    pytest.importorskip("mmseg")
    from ibn_seg.cli import run

    page_files(block.page)
    given = [str(tiny_files.get(word, word)) for word in words[1:]]
    assert run(given) == 0


def test_every_command_to_run_is_on_a_page():
    assert {shlex.join(line.values[1]) for line in LINES} == RUN


@pytest.mark.parametrize("page", PAGES, ids=name)
def test_a_page_begins_with_what_it_is_for_and_a_snippet(page):
    title, _, purpose, *_ = page.read_text(encoding="utf-8").split("\n")
    assert title.startswith("# ")
    assert purpose[0].isupper()
    before = page.read_text(encoding="utf-8").split("\n## ")[0]
    assert re.search(r"^```(bash|python|yaml)$", before, re.MULTILINE)


@pytest.mark.parametrize("page", DOCUMENTS, ids=name)
def test_links_lead_somewhere(page):
    for link in links(page):
        path, _, anchor = link.partition("#")
        target = (page.parent / path).resolve() if path else page
        assert target.exists(), link
        assert not anchor or anchor in anchors(target), link


@pytest.mark.parametrize("page", PAGES, ids=name)
def test_the_entrance_leads_to_every_page(page):
    found = {
        link.partition("#")[0]
        for document in ("README.md", "CONTRIBUTING.md")
        for link in links(ROOT / document)
    }
    assert name(page) in found


@pytest.fixture
def cells_of_own_method(page_files):
    """The cells of the page's plan by method, those of the first seed."""
    pytest.importorskip("mmseg")
    from ibn_seg.benchmark.cells import list_cells
    from ibn_seg.benchmark.plan import read_plan
    from ibn_seg.config import load_config

    page_files(ROOT / "docs" / "add-a-method.md")
    load_config("base.py")  # imports the method
    return {cell.method: cell for cell in list_cells(read_plan("plan.yaml")) if cell.seed == 0}


def test_the_method_of_ones_own_does_what_the_page_says(cells_of_own_method):
    import torch
    from mmengine.registry import MODELS

    pictures = torch.rand(2, 3, 32, 32)
    for method, cell in cells_of_own_method.items():
        backbone = MODELS.build(cell.config.model.backbone).train()
        first, second = backbone(pictures), backbone(pictures)
        changed = not torch.equal(first[0], second[0])
        assert changed == ("noise" in method.lower())
        backbone.eval()
        assert torch.equal(backbone(pictures)[0], backbone(pictures)[0])


def test_the_network_of_the_demo_is_where_the_page_says():
    from ibn_seg.config import load_config
    from ibn_seg.demo.train_and_report import METHODS

    (words,) = (
        words
        for block in blocks(ROOT / "docs" / "predict-pictures.md")
        if block.language == "bash"
        for words in command_lines(block.text)
        if any("work_dirs/demo" in word for word in words)
    )
    config, checkpoint = words[2], Path(words[3])
    assert config == f"ibn_seg::{METHODS['IBN-b']}"
    assert checkpoint.parent == Path("work_dirs", "demo", "ibn-b_seed0")
    assert checkpoint.name == f"iter_{load_config(config).train_cfg.max_iters}.pth"


def test_a_named_method_is_built(page_files):
    from ibn_seg.run.config_loading import load_named

    page_files(ROOT / "docs" / "add-a-method.md")
    assert load_named("named.py").model.backbone.ibn == "a"


@pytest.mark.slow
def test_a_dry_run_tries_the_method_of_ones_own(cells_of_own_method):
    from tests.tiny import command, environment

    env = environment()
    env["PYTHONPATH"] += f"{os.pathsep}{Path.cwd()}"
    call = command("benchmark", "plan.yaml", "--dry-run")
    done = subprocess.run(call, env=env, capture_output=True, text=True, check=False)
    assert (done.returncode, done.stderr) == (0, "")
    assert f"{3 * len(cells_of_own_method)} cells" in done.stdout
