"""What each way of tuning trains, and its adapters."""

import hashlib

import pytest
import torch

pytest.importorskip("timm")

from ibn_seg.errors import UserError
from ibn_seg.foundation.base_weights import base_state
from ibn_seg.foundation.rein import Rein
from ibn_seg.foundation.timm_models import build_timm
from ibn_seg.foundation.tuning import read_tuning
from tests.foundation.made import SIZES, picture, tiny

MODES = {
    "full": "full",
    "frozen": "frozen",
    "head": "head",
    "lora": {"mode": "lora", "rank": 4},
    "soma": {"mode": "soma", "rank": 4},
    "rein": {"mode": "rein", "rank": 4, "tokens": 7},
}


def hashes(model):
    return {
        key: hashlib.sha256(value.detach().numpy().tobytes()).hexdigest()
        for key, value in model.state_dict().items()
    }


def train_steps(model, steps=3):
    """Train a backbone and a layer behind it for some steps, as a segmentor would."""
    head = torch.nn.Conv2d(model.feature_channels[-1], 2, 1)
    model.train()
    parameters = [value for value in model.parameters() if value.requires_grad]
    optimizer = torch.optim.AdamW([*parameters, *head.parameters()], lr=0.01)
    for step in range(steps):
        optimizer.zero_grad()
        maps = model(picture(seed=step))
        loss = sum(m.square().mean() for m in maps) + head(maps[-1]).square().mean()
        loss.backward()
        optimizer.step()


@pytest.mark.parametrize("mode", MODES)
@pytest.mark.parametrize("family", ["dinov2", "eva02"])
def test_exactly_what_is_trained_changes(family, mode):
    model = tiny(family, tuning=MODES[mode], drop_path_rate=0.0)
    model.init_weights()
    before = hashes(model)
    train_steps(model)
    after = hashes(model)
    changed = {key for key in before if before[key] != after[key]}
    assert changed == set(model.trainable_names())
    names = {
        "full": lambda key: True,
        "frozen": lambda key: False,
        "head": lambda key: False,
        "lora": lambda key: ".lora_" in key,
        "soma": lambda key: ".lora_" in key or is_adapted_bias(key),
        "rein": lambda key: key.startswith("reins."),
    }
    assert changed == {key for key in before if names[mode](key)}


def is_adapted_bias(key):
    ends = (
        "qkv.bias", "attn.proj.bias", "fc1.bias", "fc2.bias", "q_bias", "v_bias", "fc1_g.bias",
        "fc1_x.bias",
    )  # fmt: skip
    return ".blocks." in key and key.endswith(ends)


@pytest.mark.parametrize("mode", ["frozen", "head"])
def test_norms_of_convolutional_networks_stay_put(mode):
    model = tiny("resnet", tuning=mode)
    before = hashes(model)
    train_steps(model)
    assert hashes(model) == before


def test_head_keeps_drop_path_and_frozen_does_not():
    for mode, differs in (("head", True), ("frozen", False)):
        torch.manual_seed(0)
        model = tiny("dinov2", tuning=mode, drop_path_rate=0.5).train()
        # Eight pictures: the blocks that are dropped of one may be the same twice.
        images = picture().expand(8, -1, -1, -1)
        assert (not torch.equal(model(images)[2], model(images)[2])) == differs


@pytest.mark.parametrize("family", ["dinov2", "dinov3", "eva02", "sam", "swin"])
def test_adapters_begin_without_effect(family):
    plain = tiny(family).eval()
    for mode, error in (("lora", 0.0), ("soma", 1e-5)):
        model = tiny(family, tuning=MODES[mode]).eval()
        model.network.load_state_dict(plain.network.state_dict(), strict=False)
        model.start()
        # EVA adds the bias of q, k and v behind the layer then, which rounds otherwise.
        error = max(error, 1e-5) if family == "eva02" else error
        for ours, theirs in zip(model(picture()), plain(picture()), strict=True):
            torch.testing.assert_close(
                ours, theirs, rtol=0, atol=error * float(theirs.detach().abs().max())
            )


@pytest.mark.parametrize("family", ["dinov2", "eva02"])
@pytest.mark.parametrize("mode", ["lora", "soma"])
def test_merged_weights_are_those_of_timms_network(family, mode):
    model = tiny(family, tuning=MODES[mode], norm=True)
    model.init_weights()
    train_steps(model)
    plain = tiny(family, norm=True)
    plain.network.load_state_dict(model.merge(), strict=True)
    for ours, theirs in zip(model.eval()(picture()), plain.eval()(picture()), strict=True):
        torch.testing.assert_close(
            ours, theirs, rtol=0, atol=1e-5 * float(theirs.detach().abs().max())
        )


def test_merged_weights_load_into_plain_timm():
    model = tiny("dinov2", tuning=MODES["lora"], norm=True)
    network = build_timm("vit_small_patch14_dinov2", img_size=64, patch_size=16, **SIZES)
    network.load_state_dict(model.merge(), strict=True)


def test_rein_is_not_merged():
    with pytest.raises(UserError, match="Rein cannot be merged"):
        tiny("dinov2", tuning="rein").merge()


def test_soma_is_made_of_the_loaded_weights(tmp_path):
    """The released code makes it before they are loaded."""
    base = tiny("dinov2", norm=True)
    torch.save(base.network.state_dict(), tmp_path / "base.pth")
    model = tiny("dinov2", tuning=MODES["soma"], pretrained=str(tmp_path / "base.pth"))
    model.init_weights()
    layer = model.network.blocks[1].mlp.fc1
    weight = base.network.blocks[1].mlp.fc1.weight
    torch.testing.assert_close(layer.weight + layer.change(), weight)
    values = torch.linalg.svdvals(weight)
    torch.testing.assert_close(torch.linalg.svdvals(layer.change())[:4], values[-4:])
    assert model.base_hash == tiny_hash(base, tmp_path)


def tiny_hash(base, tmp_path):
    torch.save(base.network.state_dict(), tmp_path / "again.pth")
    model = tiny("dinov2", pretrained=str(tmp_path / "again.pth"))
    model.init_weights()
    return model.base_hash


def test_adapters_of_q_k_and_v_are_their_own():
    split = tiny("dinov2", tuning={"mode": "lora", "rank": 4, "matrices": ["q", "k", "v"]})
    fused = tiny("dinov2", tuning={"mode": "lora", "rank": 4, "matrices": ["qkv"]})
    sizes = [sum(v.numel() for v in m.parameters() if v.requires_grad) for m in (split, fused)]
    assert sizes == [4 * 6 * 4 * 32, 4 * 4 * 4 * 32]
    layer = split.network.blocks[0].attn.qkv
    torch.nn.init.normal_(layer.lora_B)
    x = torch.randn(3, 32)
    a, b = layer.lora_A.view(3, 4, 32), layer.lora_B.view(3, 32, 4)
    expected = torch.cat([x @ a[i].T @ b[i].T for i in range(3)], -1)
    base = torch.nn.functional.linear(x, layer.weight, layer.bias)
    torch.testing.assert_close(layer(x), base + expected)


def test_blocks_and_matrices_are_chosen():
    tuning = {"mode": "lora", "rank": 2, "matrices": ["qkv", "mlp.fc2"], "first_block": 3}
    names = tiny("dinov2", tuning=tuning).trainable_names()
    assert {name.rpartition(".")[0] for name in names} == {
        "network.blocks.3.attn.qkv", "network.blocks.3.mlp.fc2",
    }  # fmt: skip


@pytest.mark.parametrize("family", ["dinov2", "reg4", "sam"])
def test_rein_leaves_class_token_and_registers(family):
    model = tiny(family, tuning=MODES["rein"]).eval()
    plain = tiny(family).eval()
    plain.network.load_state_dict(model.network.state_dict())
    kept = {}
    for name, each in (("rein", model), ("plain", plain)):
        each.network.blocks[0].register_forward_hook(
            lambda _, __, output, name=name: kept.update({name: output})
        )
        each(picture())
    prefix = {"dinov2": 1, "reg4": 5, "sam": 0}[family]
    assert model.prefix == prefix
    ours, theirs = (kept[name].flatten(1, -2) for name in ("rein", "plain"))
    assert torch.equal(ours[:, :prefix], theirs[:, :prefix])
    assert ((ours - theirs)[:, prefix:].abs().amax(-1) > 0).all()


def test_rein_with_scale_0_is_the_frozen_network():
    model = tiny("dinov2", tuning={**MODES["rein"], "scale": 0.0}).eval()
    frozen = tiny("dinov2", tuning="frozen").eval()
    frozen.network.load_state_dict(model.network.state_dict())
    for ours, theirs in zip(model(picture()), frozen(picture()), strict=True):
        assert torch.equal(ours, theirs)


@pytest.mark.parametrize(
    ("layers", "channels", "rank", "count"),
    [(12, 384, 16, 684_033), (12, 768, 16, 1_741_569), (24, 1024, 16, 2_990_081),
     (32, 1280, 16, 4_510_721), (12, 768, None, 2_496_513), (24, 1024, None, 5_016_065)],
)  # fmt: skip
def test_rein_has_the_published_number_of_parameters(layers, channels, rank, count):
    with torch.device("meta"):
        module = Rein(layers, channels, rank=rank, link=True)
    assert sum(value.numel() for value in module.parameters()) == count


def test_rein_gives_queries_to_a_head_that_asks():
    linked = tiny("dinov2", tuning={**MODES["rein"], "link": True, "query_width": 24})
    assert linked.queries().shape == (7, 24)
    assert tiny("dinov2", tuning=MODES["rein"]).queries() is None


def test_bfloat16_keeps_adapters_in_float32():
    model = tiny("dinov2", tuning=MODES["lora"]).eval()
    exact = model(picture())
    with torch.autocast("cpu", torch.bfloat16):
        rough = model(picture())
    assert {value.dtype for value in model.parameters()} == {torch.float32}
    for ours, theirs in zip(rough, exact, strict=True):
        assert (ours.float() - theirs).abs().max() <= 3e-2 * theirs.abs().max()


@pytest.mark.parametrize(
    ("family", "tuning", "line"),
    [
        ("convnext", "lora", "needs a network with attention, and convnext_atto has none"),
        ("convnext", "rein", "needs a plain transformer, and convnext_atto is none"),
        ("swin", "rein", "needs a plain transformer"),
        ("dinov2", "lorra", "did you mean 'lora'?"),
        ("dinov2", {"mode": "lora", "rnk": 3}, "did you mean 'rank'?"),
        ("dinov2", {"mode": "lora", "rank": 0}, "give a whole number from 1"),
        ("dinov2", {"mode": "lora", "rank": 99}, "has rank 32 at most"),
        ("dinov2", {"mode": "lora", "matrices": ["fc3"]}, "unknown layer in tuning.matrices 'fc3'"),
        ("dinov2", {"mode": "lora", "matrices": ["q", "v"]}, "name q, k and v, or qkv"),
        ("dinov2", {"mode": "lora", "matrices": "qkv"}, "give a list of names"),
        ("dinov2", {"mode": "lora", "matrices": 3}, "give a list of names"),
        ("dinov2", {"mode": "lora", "alpha": "16"}, "give a number above 0"),
        ("dinov2", {"mode": "rein", "scale": None}, "give a number, such as 0.001"),
        ("dinov2", {"mode": "soma", "first_block": 4}, "has blocks 0 to 3"),
        ("dinov2", {"mode": "rein", "link": "yes"}, "give True or False"),
        ("dinov2", 3, "give one of full, frozen"),
    ],
)
def test_wrong_tuning_is_one_line(family, tuning, line):
    with pytest.raises(UserError) as caught:
        tiny(family, tuning=tuning)
    assert line in caught.value.line


def test_settings_have_the_published_defaults():
    assert read_tuning("rein").tokens == 100
    assert read_tuning("rein").scale == 0.001
    assert read_tuning("lora").rank == 16


def test_the_base_has_no_adapters():
    model = tiny("dinov2", tuning=MODES["lora"])
    assert base_state(model.network).keys() == tiny("dinov2").network.state_dict().keys()
