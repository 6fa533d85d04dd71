"""Methods by their names in plans: the same cells as by their settings."""

import pytest

from ibn_seg.benchmark.cells import list_cells
from ibn_seg.benchmark.plan import read_plan
from ibn_seg.config import config_folder
from ibn_seg.datasets.known_classes import CAMVID
from ibn_seg.errors import UserError
from ibn_seg.methods.all_methods import METHODS

SETTINGS = """
  BN: {}
  IBN-a: {model.backbone.ibn: a}
  IBN-b: {model.backbone.ibn: b}
"""


def cells_of(folder, methods, plan="embedded"):
    """List the cells of a shipped plan with its methods written in another way."""
    text = (config_folder() / "benchmark" / f"{plan}.yaml").read_text()
    assert SETTINGS in text
    file = folder / "plan.yaml"
    file.write_text(text.replace(SETTINGS, f" {methods}\n"))
    return list_cells(read_plan(file))


def ids(cells):
    return [cell.id for cell in cells]


@pytest.fixture(scope="module")
def by_settings(tmp_path_factory):
    return cells_of(tmp_path_factory.mktemp("plan"), SETTINGS)


@pytest.mark.parametrize(
    "methods", ["[BN, IBN-a, IBN-b]", "{BN: , IBN-a: {method: IBN-a}, IBN-b: {method: IBN-b}}"]
)
def test_names_and_settings_are_the_same_cells(tmp_path, by_settings, methods):
    found = cells_of(tmp_path, methods)
    assert ids(found) == ids(by_settings)
    assert [cell.method for cell in found] == [cell.method for cell in by_settings]


def test_a_named_method_may_be_overridden(tmp_path):
    lr = "optim_wrapper.optimizer.lr: 0.5"
    found = cells_of(tmp_path, f"{{BN: {{}}, fast: {{method: IBN-b, {lr}}}}}")
    (fast,) = {(c.config.model.backbone.ibn, c.config.optim_wrapper.optimizer.lr)
               for c in found if c.method == "fast" and c.task == "train"}  # fmt: skip
    assert fast == ("b", 0.5)


def test_names_replace_what_the_segmentor_s_config_has(tmp_path):
    """The base of this plan is IBN-a itself."""
    base = tmp_path / "base.py"
    base.write_text(
        f"_base_ = '{config_folder() / 'demo/mlp_r18_1xb8-600_scenes-128x128.py'}'\n"
        "model = dict(backbone=dict(ibn='a'))\nexperiment = dict(method='IBN-a')\n"
    )
    plan = tmp_path / "plan.yaml"
    plan.write_text(
        f"name: x\nsegmentors: {{S: {base}}}\nbackbones: {{R: {{}}}}\nseeds: [0]\n"
        "methods: [BN, IBN-b]\n"
    )
    bn, ibn_b = list_cells(read_plan(plan))
    assert bn.config.model.backbone.ibn is None
    assert ibn_b.config.model.backbone.ibn == "b"
    assert bn.config.experiment.method == "BN"


@pytest.mark.parametrize(
    ("methods", "key"), [("[BN, IBN-c]", "methods.1"), ("{x: {method: ibn-a}}", "methods.x.method")]
)
def test_unknown_names_are_refused_with_the_nearest(tmp_path, methods, key):
    with pytest.raises(UserError, match=rf"plan\.yaml: {key}: .*IBN-[ab]"):
        cells_of(tmp_path, methods)


def test_all_methods_and_their_combinations_are_cells_of_their_own(tmp_path):
    names = [*METHODS, "IBN-b + PASTA", "ISW + strong colour"]
    found = [cell for cell in cells_of(tmp_path, names, "demo") if cell.task == "train"]
    assert {cell.method for cell in found} == set(names)
    assert len(set(ids(found))) == len(found)


@pytest.mark.parametrize(
    ("methods", "line"),
    [
        ("[BN, ISW + IBN-b]", "methods.1: method 'ISW + IBN-b': ISW and IBN-b both take the norms"),
        ("[BN, IBN-b + Pasta]", "methods.1: unknown method 'Pasta': did you mean 'PASTA'"),
    ],
)
def test_what_cannot_be_combined_is_refused_in_the_plan(tmp_path, methods, line):
    with pytest.raises(UserError) as caught:
        cells_of(tmp_path, methods)
    assert line in caught.value.line


def test_a_method_is_no_part_of_other_options(tmp_path):
    plan = tmp_path / "plan.yaml"
    plan.write_text(
        "name: x\nsegmentors: {S: 'ibn_seg::demo/mlp_r18_1xb8-600_scenes-128x128'}\n"
        "backbones: {R: {method: BN}}\nseeds: [0]\nmethods: [BN]\n"
    )
    with pytest.raises(UserError, match=r"backbones\.R\.method"):
        read_plan(plan)


def test_san_saw_has_the_paper_s_classes_on_photographs():
    cells = list_cells(read_plan("ibn_seg::benchmark/methods_photographs"))
    rendered = read_plan("ibn_seg::benchmark/methods").blocks[0].methods
    assert {cell.method for cell in cells} == {method.name for method in rendered}
    (found,) = {
        tuple(
            CAMVID.classes[index] for index in cell.config.model.backbone.semantic.selected_classes
        )
        for cell in cells
        if cell.method == "SAN-SAW"
    }
    assert found == ("road", "sky", "building", "pavement", "tree")
