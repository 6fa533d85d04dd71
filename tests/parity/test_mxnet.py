"""Checkpoints of MXNet against figures measured in it, and the command that compares a folder."""

import json

import pytest

from tests.mxnet_files import filled, unpack_golden, write_params
from tests.parity import mxnet
from tests.parity.fill_mxnet import digest


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """The golden folder; the parameters are filled, in the generation of each file."""
    folder = unpack_golden(tmp_path_factory.mktemp("golden"))
    for entry in json.loads((folder / "expected.json").read_text())["checkpoints"].values():
        name = next(file for file in entry["files"] if file.endswith(".params"))
        if not (folder / name).exists():
            device = 1 if entry["generation"] == 2 else 2
            write_params(folder / name, filled(entry), entry["generation"], device)
    return folder


def changed(folder, tmp_path, change):
    """The folder with other expectations."""
    expected = json.loads((folder / "expected.json").read_text())
    change(expected)
    for path in folder.iterdir():
        (tmp_path / path.name).symlink_to(path)
    (tmp_path / "expected.json").unlink()
    (tmp_path / "expected.json").write_text(json.dumps(expected))
    return tmp_path


def only(expected, *names):
    """Keep some checkpoints, and no files."""
    expected.update(format_files={}, format_inputs=[])
    expected["checkpoints"] = {name: expected["checkpoints"][name] for name in names}


def test_everything_agrees(folder, capsys):
    assert mxnet.main([str(folder)]) == 0
    out = capsys.readouterr().out
    assert out.splitlines()[-1] == "51 compared, 0 disagree"
    assert out.count("equal") == 51


def test_networks_without_a_file_are_filled_by_their_seed(folder, tmp_path, capsys):
    def same(expected):
        only(expected, "resnet_ibn_a_cifar_narrow")
        expected["networks"] = {"cifar": expected["checkpoints"].pop("resnet_ibn_a_cifar_narrow")}

    assert mxnet.main([str(changed(folder, tmp_path, same))]) == 0
    assert "cifar" in capsys.readouterr().out

    def change(expected):
        only(expected, "resnet_ibn_a_cifar_narrow")
        entry = expected["checkpoints"].pop("resnet_ibn_a_cifar_narrow")
        expected["networks"] = {"cifar": {**entry, "seed": 5}}

    (tmp_path / "other").mkdir()
    assert mxnet.main([str(changed(folder, tmp_path / "other", change))]) == 1
    line = next(line for line in capsys.readouterr().out.splitlines() if "cifar" in line)
    assert "DIFFERS" in line


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (lambda e: e["eval"]["logits"]["first"].__setitem__(1, 0.5), "DIFFERS"),
        (lambda e: e["eval"]["logits"].update(norm=float("nan")), "DIFFERS"),
        (lambda e: e["eval"]["stages"][1]["channels"].__setitem__(0, 0.5), "DIFFERS"),
        (lambda e: e["eval"]["stages"].pop(), "3 stages"),
        (lambda e: e["train"]["logits"].update(norm=1.0), "DIFFERS"),
        (
            lambda e: e["train"]["moving_after_one_step"][
                "stage1_unit1_bn1_moving_var"
            ].__setitem__(0, 1.0),
            "",
        ),
        (lambda e: e["train"]["moving_after_one_step"]["bn_data_moving_mean"].append(1.0), ""),
        (lambda e: e.update(parameters=7), "parameters"),
        (lambda e: e["sha256"].update(fc1_bias="00"), "arrays"),
        (lambda e: e["files"].update({"resnet_ibn_a_cifar_narrow-symbol.json": "00"}), "bytes"),
    ],
)
def test_each_disagreement_is_one(folder, tmp_path, capsys, change, said):
    def of_the_smallest(expected):
        only(expected, "resnet_ibn_a_cifar_narrow")
        change(expected["checkpoints"]["resnet_ibn_a_cifar_narrow"])

    assert mxnet.main([str(changed(folder, tmp_path, of_the_smallest))]) == 1
    out = " ".join(capsys.readouterr().out.split())
    assert said in out
    assert out.endswith("1 compared, 1 disagree")


def test_wrong_outcomes_and_arrays_of_files_are_said(folder, tmp_path, capsys):
    def change(expected):
        only(expected)
        inputs = (folder / "format" / "generation3.params").read_bytes().hex()
        expected["format_inputs"] = [{"name": "fine", "hex": inputs, "want": "refuse"}]
        name = "format/generation2.params"
        expected["format_files"] = json.loads((folder / "expected.json").read_text())[
            "format_files"
        ]
        expected["format_files"][name]["arrays"][0]["sha256"] = "00"

    assert mxnet.main([str(changed(folder, tmp_path, change))]) == 1
    out = " ".join(capsys.readouterr().out.split())
    assert "outcome load, wanted refuse" in out
    assert "arg:conv_weight: values" in out
    assert out.endswith("6 compared, 2 disagree")


def test_the_filled_arrays_are_those_of_the_golden_files(folder):
    expected = json.loads((folder / "expected.json").read_text())
    for entry in expected["checkpoints"].values():
        found = {name.rpartition(":")[2]: digest(a) for name, a in filled(entry).items()}
        assert found == entry["sha256"]
