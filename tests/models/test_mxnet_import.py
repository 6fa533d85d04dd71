"""Checkpoints of MXNet become ours: names, preprocessing, the symbol file, and the command."""

import json

import numpy as np
import pytest
import torch

from ibn_seg.cli import run
from ibn_seg.errors import UserError
from ibn_seg.io import load_checkpoint
from ibn_seg.models import create_model
from ibn_seg.models.factory import FAMILIES
from ibn_seg.models.mxnet_import import import_mxnet
from ibn_seg.models.mxnet_symbol import check_symbol
from ibn_seg.models.sources import bare_weights
from ibn_seg.models.weights import load_backbone_weights
from tests.mxnet_files import filled, unpack_golden, write_params

SMALL = "resnet_ibn_a_cifar_narrow"
SYMBOLS = [SMALL, "resnext_ibn_a_18_narrow", "resnext_ibn_b_50_narrow",
           "resnext_ibn_a_w_d_v2_50_narrow"]  # fmt: skip


@pytest.fixture(scope="module")
def golden(tmp_path_factory):
    """The folder of the golden files, and the checkpoints in it."""
    folder = unpack_golden(tmp_path_factory.mktemp("golden"))
    return folder, json.loads((folder / "expected.json").read_text())["checkpoints"]


@pytest.fixture(scope="module")
def arrays(golden):
    """The arrays of the smallest network."""
    return filled(golden[1][SMALL])


@pytest.fixture(scope="module")
def forms(golden, tmp_path_factory):
    """What the weights of each network say."""
    folder = tmp_path_factory.mktemp("params")
    return {
        name: import_mxnet(write_params(folder / name, filled(golden[1][name]))).form
        for name in SYMBOLS
    }


def test_the_command_says_what_it_did(golden, tmp_path, capsys):
    folder, out = golden[0], tmp_path / "ours.pth"
    params = str(folder / f"{SMALL}-0000.params")
    given = ["import-mxnet", params, "--symbol", str(folder / f"{SMALL}-symbol.json"), "-o"]
    assert run([*given, str(out)]) == 0
    said = " ".join(capsys.readouterr().out.split())
    assert "mx_resnet, depth=11, units=(1, 1, 1), stem='small', stem_channels=4" in said
    assert "61 arrays" in said
    assert "arg:bn_data_gamma" in said
    assert "the same network" in said
    assert "data_preprocessor=dict(mean=[127.1348, 106.9478, 114.1787], std=[42.9683" in said
    assert run([*given, str(out)]) == 2
    assert "exists already" in capsys.readouterr().err
    meta = load_checkpoint(out)["meta"]
    network = FAMILIES[meta["family"]](**meta["settings"])
    report = load_backbone_weights(network, out)
    assert str(report) == "loaded key for key: nothing split, added or dropped"


def test_the_command_refuses_in_one_line_and_writes_nothing(golden, arrays, tmp_path, capsys):
    folder, out = golden[0], tmp_path / "ours.pth"
    params, cut = folder / f"{SMALL}-0000.params", tmp_path / "cut.params"
    cut.write_bytes(params.read_bytes()[:-20])
    mixed = dict(arrays)
    mixed["arg:bn0_moving_mean"] = mixed.pop("aux:bn_data_moving_mean")
    write_params(tmp_path / "mixed.params", mixed)
    eps = changed(golden, tmp_path, SMALL, attribute("bn1", "eps", "1e-05"))
    for given, message in (
        ([cut], f"error: {cut}: not a readable MXNet file, names: it is cut off"),
        ([tmp_path / "mixed.params"], "arg:bn0_moving_mean must be aux:bn0_moving_mean"),
        ([params, "--symbol", eps], f"error: {eps}: node bn1, attribute eps: 1e-05"),
        ([params, "--symbol", tmp_path / "no.json"], "no.json: no such file"),
    ):
        assert run(["import-mxnet", *map(str, given), "-o", str(out)]) == 2
        said = capsys.readouterr().err
        assert message in said
        assert len(said.splitlines()) == 1
    assert not out.exists()


def test_bn_data_is_a_preprocessor(arrays, tmp_path):
    """Its gamma counts as 1; the other three are as MXNet computes them."""
    data = import_mxnet(write_params(tmp_path / "x.params", arrays)).preprocessing
    pixels = np.array([10.0, 100.0, 200.0])
    std = np.sqrt(arrays["aux:bn_data_moving_var"] + 2e-5)
    wanted = (pixels - arrays["aux:bn_data_moving_mean"]) / std + arrays["arg:bn_data_beta"]
    np.testing.assert_allclose((pixels - data.mean) / data.std, wanted, rtol=1e-6)


def test_the_same_file_loads_where_checkpoints_do(golden, tmp_path):
    network = FAMILIES["mx_resnet"](
        11, units=(1, 1, 1), stem="small", stem_channels=4, filters=(8, 16, 32), bottleneck=True,
        ibn="a", num_classes=10,
    )  # fmt: skip
    report = load_backbone_weights(network, golden[0] / f"{SMALL}-0000.params")
    assert str(report).startswith("dropped bn_data.* (preprocessing: mean=[127.1, 106.9, 114.2]")
    backbone = FAMILIES["mx_resnet"](
        11, units=(1, 1, 1), stem="small", stem_channels=4, filters=(8, 16, 32), bottleneck=True,
        ibn="a",
    )  # fmt: skip
    report = load_backbone_weights(backbone, golden[0] / f"{SMALL}-0000.params")
    assert "fc.* (2 keys)" in str(report)


@pytest.mark.parametrize("name", ["mx_resnet18", "mx_resnext50_ibn_a"])
def test_networks_of_real_size_are_named(name, tmp_path):
    model = without_data(name, num_classes=3).to_empty(device="cpu")
    for value in model.state_dict().values():
        value.fill_(0.5)
    torch.save(model.state_dict(), tmp_path / "x.pth")
    with pytest.raises(UserError, match=r"neither of IBN-Net.mxnet nor of gluoncv2"):
        import_mxnet(tmp_path / "x.pth")
    imported = import_mxnet(write_params(tmp_path / "x.params", theirs(model)))
    assert imported.name == name
    state = imported.build().state_dict()
    assert all(torch.equal(state[key], v) for key, v in model.state_dict().items() if v.dim())


def without_data(name, **options):
    """A network that takes no time to build, on no device."""
    with torch.device("meta"):
        return create_model(name, **options)


def theirs(model):
    """The arrays of one of these networks, under the names of its source."""
    found = {f"arg:bn_data_{end}": np.ones(3, "f4") for end in ("gamma", "beta")}
    found |= {f"aux:bn_data_moving_{end}": np.ones(3, "f4") for end in ("mean", "var")}
    parts = {"downsample.0": "sc", "downsample.1": "sc_bn", "bn1.IN": "in1", "bn1.BN": "bn1",
             "IN": "ibn1"}  # fmt: skip
    top = {"conv1": "conv0", "bn1": "bn0", "last_norm": "bn1", "fc": "fc1"}
    for key, value in model.state_dict().items():
        module, _, end = key.rpartition(".")
        if end == "num_batches_tracked":
            continue
        if module.startswith("layer"):
            stage, unit, part = module.removeprefix("layer").split(".", 2)
            name = f"stage{stage}_unit{int(unit) + 1}_{parts.get(part, part)}"
        else:
            name = top[module]
        if value.dim() == 1 and module != "fc":
            end = {"weight": "gamma", "bias": "beta"}.get(end, end.replace("running", "moving"))
        found[f"{'aux' if 'moving' in end else 'arg'}:{name}_{end}"] = value.numpy()
    return found


def test_a_network_of_ours_says_whose_weights_these_are(tmp_path, golden):
    entry = golden[1]["resnext_ibn_b_50_narrow"]
    source = write_params(tmp_path / "x.params", filled(entry))
    with pytest.raises(UserError, match=r"of IBN-Net.mxnet's mx_resnext50_ibn_b"):
        load_backbone_weights(without_data("resnext50_ibn_a"), source)
    with pytest.raises(UserError, match=r"they are of mx_resnext, with .*filters=\(16, 32"):
        load_backbone_weights(without_data("mx_resnext50_ibn_b"), source)
    with pytest.raises(UserError, match=r"stages of \[3, 4, 6, 3\] blocks.*set units"):
        load_backbone_weights(without_data("mx_resnext18"), source)


@pytest.mark.parametrize(
    ("rename", "message"),
    [
        ({"aux:bn_data_moving_mean": "arg:bn_data_moving_mean"},
         "arg:bn_data_moving_mean must be aux:bn_data_moving_mean"),
        ({"arg:fc1_weight": "aux:fc1_weight"}, "aux:fc1_weight must be arg:fc1_weight"),
        ({"arg:fc1_weight": "fc1_weight"}, "fc1_weight has neither arg: nor aux:"),
        ({"arg:fc1_weight": "arg:fc2_weight"}, "fc2_weight: no network of IBN-Net.mxnet has such"),
        ({"arg:fc1_bias": "arg:fc1_beta", "arg:bn1_beta": "arg:fc1_bias"}, "stand for one tensor"),
        ({"arg:bn_data_beta": "arg:bn_data_other"}, "bn_data_beta is missing"),
        ({"arg:conv0_weight": "arg:bn_data_x"}, "conv1.weight is missing"),
        ({"arg:stage1_unit1_conv2_weight": "arg:bn_data_x"}, "no weights of IBN-Net.mxnet"),
        ({"arg:stage2_unit1_bn2_gamma": "arg:bn_data_x"}, "1 missing: layer2.0.bn2.weight"),
        (None, "names that Gluon's export writes.*save_parameters"),
    ],
)  # fmt: skip
def test_damaged_names_are_one_line(arrays, tmp_path, rename, message):
    path = tmp_path / "bad.params"
    named = {(rename or {}).get(name, name): value for name, value in arrays.items()}
    if rename is None:
        named = {"arg:ibnresnet0_resinitblock0_conv0_weight": np.ones(3, "f4")}
    write_params(path, named)
    with pytest.raises(UserError, match=message) as raised:
        import_mxnet(path)
    assert str(raised.value).startswith(f"{path}: ")
    assert "\n" not in str(raised.value)


def changed(golden, tmp_path, name, change):
    """A symbol file in which something was changed."""
    content = json.loads((golden[0] / f"{name}-symbol.json").read_text())
    change({node["name"]: node for node in content["nodes"]}, content["nodes"])
    path = tmp_path / "changed-symbol.json"
    path.write_text(json.dumps(content))
    return path


def attribute(node, key, value):
    def change(nodes, listed):
        found = nodes[node]
        place = next(key for key in ("attrs", "attr", "param") if key in found)
        if value is None:
            del found[place][key]
        else:
            found[place][key] = value

    return change


@pytest.mark.parametrize("name", SYMBOLS)
def test_the_symbol_of_a_network_is_its_own(golden, forms, name):
    check_symbol(golden[0] / f"{name}-symbol.json", forms[name])


@pytest.mark.parametrize(
    ("heads", "message"),
    [
        ([[5, 0, 0]], "heads: the output is bn_data, the network's is softmax"),
        ([], "heads: the output is nothing"),
        (None, "heads: the output is nothing"),
    ],
)
def test_a_symbol_with_another_output_is_refused(golden, forms, tmp_path, heads, message):
    content = json.loads((golden[0] / f"{SMALL}-symbol.json").read_text())
    path = tmp_path / "symbol.json"
    path.write_text(json.dumps({**content, "heads": heads}))
    with pytest.raises(UserError, match=message):
        check_symbol(path, forms[SMALL])


def test_old_spellings_mean_the_same(golden, forms, tmp_path):
    def change(nodes, listed):
        nodes["conv0"]["attrs"].update(kernel="(3L, 3L)", stride="[1, 1]")
        for node in listed:
            if node["op"] == "elemwise_add":
                node.update(op="_Plus", inputs=node["inputs"][::-1])
            elif node["op"] == "BatchNorm":
                del node["inputs"][3:]

    check_symbol(changed(golden, tmp_path, SMALL, change), forms[SMALL])


@pytest.mark.parametrize(
    ("name", "change", "message"),
    [
        (SMALL, attribute("bn1", "eps", "1e-05"),
         "node bn1, attribute eps: 1e-05, the network has 2e-05"),
        (SMALL, attribute("stage1_unit1_in1", "eps", None),
         "node stage1_unit1_in1, attribute eps: 0.001, MXNet's default, the network has 2e-05"),
        (SMALL, attribute("bn_data", "fix_gamma", "False"), "node bn_data, attribute fix_gamma"),
        (SMALL, attribute("stage1_unit1_bn2", "fix_gamma", None), "attribute fix_gamma: True"),
        (SMALL, attribute("stage2_unit1_conv2", "stride", "(1, 1)"),
         r"node stage2_unit1_conv2, attribute stride: \(1, 1\), the network has \(2, 2\)"),
        (SMALL, attribute("stage2_unit1_sc", "stride", None), "stage2_unit1_sc, attribute stride"),
        (SMALL, attribute("conv0", "pad", "(0, 0)"), "node conv0, attribute pad"),
        (SMALL, attribute("conv0", "kernel", "(1, 1)"), "node conv0, attribute kernel"),
        (SMALL, attribute("conv0", "dilate", "(2, 2)"), "node conv0, attribute dilate"),
        (SMALL, attribute("conv0", "no_bias", "False"), "node conv0, attribute no_bias"),
        (SMALL, attribute("relu1", "act_type", "tanh"), "node relu1, attribute act_type: tanh"),
        (SMALL, attribute("pool1", "pool_type", "max"), "node pool1, attribute pool_type"),
        (SMALL, lambda nodes, _: nodes["stage1_unit1_in1"]["inputs"][0].__setitem__(1, 1),
         r"node stage1_unit1_in1, attribute inputs: halves of conv0\[1\]"),
        (SMALL, lambda nodes, _: nodes["stage1_unit1_ibn1"]["inputs"].reverse(),
         "node stage1_unit1_ibn1, Concat of .*: no part of the network"),
        (SMALL, lambda nodes, _: nodes["bn1"].update(op="InstanceNorm"), "attribute op"),
        (SMALL, lambda nodes, _: nodes["fc1"].update(name="fc2"), "node fc2, FullyConnected"),
        (SMALL, lambda nodes, listed: listed.__delitem__(slice(-4, None)), "node fc1 is missing"),
        (SMALL, lambda nodes, _: nodes["fc1"].update(inputs=[[900, 0, 0]]), "not all nodes before"),
        (SMALL, lambda nodes, _: nodes["fc1"].update(inputs="x"), "attribute inputs is no list"),
        (SMALL, lambda nodes, _: nodes["fc1"].pop("op"), "has no op or no name"),
        ("resnext_ibn_b_50_narrow", attribute("stage1_unit1_conv2", "num_group", "2"),
         "node stage1_unit1_conv2, attribute num_group: 2, the network has 4"),
        ("resnext_ibn_b_50_narrow", attribute("pooling0", "pooling_convention", "full"),
         "node pooling0, attribute pooling_convention: full, the network has valid"),
        ("resnext_ibn_a_18_narrow", attribute("stage1_unit1_sc_bn", "eps", "0.001"), "eps: 0.001"),
    ],
)  # fmt: skip
def test_another_network_is_refused_by_node_and_attribute(
    golden, forms, tmp_path, name, change, message
):
    path = changed(golden, tmp_path, name, change)
    with pytest.raises(UserError, match=message) as raised:
        check_symbol(path, forms[name])
    assert str(raised.value).startswith(f"{path}: ")


def test_files_that_are_no_symbol(golden, forms, tmp_path):
    path = tmp_path / "no.json"
    for text, message in (("[]", "not a symbol file"), ('{"nodes": [1]}', "not a symbol file"),
                          ("{", "not a JSON file")):  # fmt: skip
        path.write_text(text)
        with pytest.raises(UserError, match=message):
            check_symbol(path, forms[SMALL])
    with pytest.raises(UserError, match="node "):
        check_symbol(golden[0] / "resnext_ibn_b_50_narrow-symbol.json", forms[SMALL])


def test_a_symbol_of_gluoncv2_is_refused(golden, tmp_path):
    source = write_params(tmp_path / "g.params", filled(golden[1]["gluoncv2_ibnb_resnet50_narrow"]))
    with pytest.raises(UserError, match="omit --symbol"):
        import_mxnet(source, tmp_path / "x.json")
    imported = import_mxnet(source)
    assert (imported.name, imported.form, imported.dropped) == (None, None, ())
    assert bare_weights(imported.content())[0].keys() == imported.weights.keys()
