"""Recipes in YAML: those of the package, their errors, and options on the command line."""

import json
from pathlib import Path

import pytest

from ibn_seg.cli import run as run_cli
from ibn_seg.config import config_folder
from ibn_seg.errors import UserError
from ibn_seg.models.specs import MODELS
from ibn_seg.retrieval.baseline_recipe import BaselineRecipe
from ibn_seg.retrieval.recipe_files import read_recipe, recipe_words
from tests.retrieval.people import write_people

NAMES = sorted(path.stem for path in (config_folder() / "reid").glob("*.yaml"))


@pytest.mark.parametrize("name", NAMES)
def test_recipes_of_the_package_are_of_their_name(name):
    found = read_recipe(f"ibn_seg::reid/{name}")
    data, _, network = name.partition("_")
    assert found.data == data.replace("-", "_")
    spec = MODELS[found.model]
    assert network == f"r{spec.depth}" + (f"-ibn-{spec.ibn}" if spec.ibn else "")
    # Published weights start networks for real pictures alone.
    assert found.recipe.pretrained is not found.data.startswith("cameras")


def test_recipes_of_one_data_set_differ_in_the_network_alone():
    for data in {name.partition("_")[0] for name in NAMES}:
        recipes = [read_recipe(f"ibn_seg::reid/{name}").recipe for name in NAMES
                   if name.startswith(f"{data}_")]  # fmt: skip
        assert len(recipes) == 3
        assert len(set(recipes)) == 1


def test_words_are_those_of_the_command():
    assert recipe_words(BaselineRecipe()) == []
    changed = BaselineRecipe(erasing=0, size=(64, 128), milestones=(5, 6), amp=True)
    assert recipe_words(changed) == [
        "--milestones", "5,6", "--erasing", "0", "--size", "64x128", "--amp"
    ]  # fmt: skip


def test_a_recipe_trains_and_options_come_first(tmp_path):
    people = write_people(tmp_path / "people")
    file = Path(tmp_path, "tiny.yaml")
    file.write_text(
        "model: resnet18\ndata: market1501\nrecipe: {epochs: 7, identities: 2, images: 2, "
        "size: [16, 32], milestones: [1], warmup_epochs: 0}"
    )
    call = ("train", file, people, "--epochs", "1", "--work-dir", tmp_path / "run")
    assert run_cli(["reid", *map(str, call)]) == 0
    experiment = json.loads((tmp_path / "run" / "result.json").read_text())["experiment"]
    assert (experiment["model"], experiment["epochs"], experiment["identities"]) == (
        "resnet18", 1, 2
    )  # fmt: skip


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("model: resnet18", "data: is missing"),
        ("{model: resnet19, data: market1501}", "unknown model 'resnet19'"),
        ("{model: resnet18, data: market1501, recipe: {lr: fast}}", "recipe.lr: is"),
        ("{model: resnet18, data: market1501, recipe: {epoch: 3}}", "unknown key 'epoch'"),
        ("{model: resnet18, data: market1501, recipe: {erasing: 2}}", "--erasing 2.0"),
    ],
)
def test_wrong_recipes_are_one_line(text, message, tmp_path):
    file = tmp_path / "wrong.yaml"
    file.write_text(text)
    with pytest.raises(UserError, match=message):
        read_recipe(file)


def test_an_unknown_recipe_names_the_nearest():
    with pytest.raises(UserError, match="reid/market1501_r50"):
        read_recipe("ibn_seg::reid/market1501_r5")
