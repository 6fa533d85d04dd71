"""Feature maps, sizes and weights of networks of timm."""

import pytest
import torch

pytest.importorskip("timm")

from ibn_seg.errors import EnvError, UserError
from ibn_seg.foundation.timm_models import build_timm, preprocessing
from ibn_seg.plugins.timm_backbone import TimmBackbone
from tests.foundation.made import FAMILIES, PLAIN, SIZES, picture, tiny
from tests.models.local_server import serve

# The names of the reference with their channels.
REAL = {
    "vit_small_patch14_dinov2.lvd142m": 384, "vit_base_patch14_dinov2.lvd142m": 768,
    "vit_large_patch14_dinov2.lvd142m": 1024, "vit_giant_patch14_dinov2.lvd142m": 1536,
    "vit_small_patch14_reg4_dinov2.lvd142m": 384, "vit_base_patch14_reg4_dinov2.lvd142m": 768,
    "vit_large_patch14_reg4_dinov2.lvd142m": 1024, "vit_giant_patch14_reg4_dinov2.lvd142m": 1536,
    "vit_small_patch16_dinov3.lvd1689m": 384, "vit_small_plus_patch16_dinov3.lvd1689m": 384,
    "vit_base_patch16_dinov3.lvd1689m": 768, "vit_large_patch16_dinov3.lvd1689m": 1024,
    "vit_huge_plus_patch16_dinov3.lvd1689m": 1280, "vit_7b_patch16_dinov3.lvd1689m": 4096,
    "vit_small_patch16_dinov3_qkvb.lvd1689m": 384, "vit_base_patch16_dinov3_qkvb.lvd1689m": 768,
    "vit_large_patch16_dinov3_qkvb.lvd1689m": 1024,
    "eva02_small_patch14_224.mim_in22k": 384, "eva02_base_patch14_224.mim_in22k": 768,
    "eva02_large_patch14_224.mim_m38m": 1024, "eva02_base_patch16_clip_224.merged2b": 768,
    "eva02_large_patch14_clip_224.merged2b": 1024, "eva02_large_patch14_clip_336.merged2b": 1024,
    "vit_base_patch16_clip_quickgelu_224.openai": 768,
    "vit_large_patch14_clip_quickgelu_224.openai": 1024, "vit_base_patch16_clip_224.dfn2b": 768,
    "samvit_base_patch16.sa1b": 768, "samvit_large_patch16.sa1b": 1024,
    "samvit_huge_patch16.sa1b": 1280, "vit_base_patch16_siglip_384.webli": 768,
    "vit_base_patch16_siglip_512.v2_webli": 768, "vit_large_patch16_siglip_384.webli": 1024,
    "vit_large_patch16_siglip_512.v2_webli": 1024, "vit_base_patch16_224.mae": 768,
    "vit_large_patch16_224.mae": 1024,
    "convnext_tiny.dinov3_lvd1689m": (96, 192, 384, 768),
    "convnext_base.dinov3_lvd1689m": (128, 256, 512, 1024),
    "convnext_large.dinov3_lvd1689m": (192, 384, 768, 1536),
    "convnext_tiny.fb_in22k": (96, 192, 384, 768), "convnextv2_base.fcmae": (128, 256, 512, 1024),
}  # fmt: skip
# Those that take a second; the others run in the slow tests.
QUICK = ("vit_small_patch14_dinov2.lvd142m", "convnext_tiny.dinov3_lvd1689m")


@pytest.mark.parametrize(
    "name", [pytest.param(n, marks=[] if n in QUICK else [pytest.mark.slow]) for n in REAL]
)
def test_the_networks_of_the_reference_give_four_maps(name):
    """Built at their real size without data, with patches of 16."""
    channels = REAL[name]
    options = {} if isinstance(channels, tuple) else {"img_size": 128, "patch_size": 16}
    with torch.device("meta"):
        model = TimmBackbone(name, **options).eval()
        maps = model(torch.empty(1, 3, 128, 128))
    assert tuple(m.shape[1] for m in maps) == model.feature_channels
    assert model.feature_channels == (channels if options == {} else (channels,) * 4)
    assert [128 // m.shape[-1] for m in maps] == [4, 8, 16, 32]


@pytest.mark.parametrize("family", FAMILIES)
def test_every_family_gives_four_maps(family):
    model = tiny(family).eval()
    maps = model(picture())
    assert model.feature_channels == FAMILIES[family][1]
    assert [tuple(m.shape) for m in maps] == [
        (1, channels, side, side)
        for channels, side in zip(FAMILIES[family][1], (16, 8, 4, 2), strict=True)
    ]
    assert len({m.mean().item() for m in maps}) == 4


@pytest.mark.parametrize("family", PLAIN)
def test_plain_transformers_take_other_sizes(family):
    maps = tiny(family).eval()(torch.zeros(1, 3, 96, 48))
    assert [tuple(m.shape[-2:]) for m in maps] == [(24, 12), (12, 6), (6, 3), (3, 1)]


@pytest.mark.parametrize("family", ["dinov2", "eva02", "siglip", "sam", "convnext"])
def test_every_parameter_gets_a_gradient(family):
    """Parts that no map needs are taken out: several processes would wait for their gradients."""
    model = tiny(family).train()
    sum(m.sum() for m in model(picture())).backward()
    assert [name for name, value in model.named_parameters() if value.grad is None] == []


def test_blocks_are_chosen_and_normed():
    raw, normed = (tiny("dinov2", out_indices=[1, 3], norm=norm).eval() for norm in (False, True))
    normed.load_state_dict(raw.state_dict(), strict=False)
    outputs = raw(picture())
    assert [tuple(m.shape) for m in outputs] == [(1, 32, 4, 4)] * 2
    for ours, theirs in zip(outputs, normed(picture()), strict=True):
        expected = torch.nn.functional.layer_norm(ours.permute(0, 2, 3, 1), (32,), eps=1e-6)
        torch.testing.assert_close(theirs.permute(0, 2, 3, 1), expected)


def test_later_blocks_are_taken_out():
    assert len(tiny("dinov2", out_indices=[0, 1]).network.blocks) == 2


@pytest.mark.parametrize(
    ("options", "line"),
    [
        ({"model": "vit_smal_patch14_dinov2"}, "nearest: 'vit_small_patch14_dinov2'"),
        ({"model": "vit_small_patch14_dinov2.nothing"}, "known: lvd142m"),
        ({"out_indices": [0, 7]}, "has 0 to 3, not 7"),
        ({"out_indices": [2, 1]}, "in rising order"),
        ({"out_indices": [1, 2], "pyramid": "bilinear"}, "give four out_indices"),
        ({"pyramid": "linear"}, "unknown pyramid 'linear'"),
        ({"positions": "bilinear"}, "unknown way of positions"),
        ({"conversion": "nearest"}, "unknown conversion"),
        ({"frozen_stages": 9}, "has 4 stages behind its stem"),
        ({"init_cfg": {"type": "Pretrained"}}, "give pretrained=FILE"),
        ({"timm_args": {"widht": 3}}, "widht"),
    ],
)
def test_wrong_arguments_are_one_line(options, line):
    with pytest.raises(UserError) as caught:
        tiny("dinov2", **options)
    assert line in caught.value.line
    assert "\n" not in caught.value.line


def test_other_sizes_are_one_line():
    for size, fitting in (((70, 100), "64x96 or 80x112"), ((8, 16), "16x16,")):
        with pytest.raises(UserError, match=f"no multiple of its patch 16x16: give {fitting}"):
            tiny("dinov2")(torch.zeros(1, 3, *size))
    beit = TimmBackbone("beit_base_patch16_224", img_size=64, timm_args=SIZES)
    with pytest.raises(UserError, match="takes images of 64x64 pixels alone, not 96x96"):
        beit(torch.zeros(1, 3, 96, 96))


def test_images_are_padded_on_request():
    model = tiny("dinov2", timm_args={**SIZES, "dynamic_img_pad": True}).eval()
    assert model(torch.zeros(1, 3, 70, 100))[2].shape[-2:] == (5, 7)


def test_positions_of_dinov2_need_its_network():
    with pytest.raises(UserError, match="is for timm's VisionTransformer, not Eva"):
        tiny("eva02", positions="dinov2")
    ours, timms = (tiny("dinov2", positions=way).eval() for way in ("dinov2", "timm"))
    ours.load_state_dict(timms.state_dict())
    same, other = torch.zeros(1, 3, 64, 64), torch.zeros(1, 3, 96, 64)
    torch.testing.assert_close(ours(same), timms(same), rtol=0, atol=0)
    assert (ours(other)[2] - timms(other)[2]).abs().max() > 1e-3


def test_weights_of_a_file_are_loaded_strictly(tmp_path):
    made = tiny("dinov2", norm=True)
    file = tmp_path / "base.pth"
    torch.save(made.network.state_dict(), file)
    model = tiny("dinov2", pretrained=str(file))
    model.init_weights()
    for key, value in model.network.state_dict().items():
        assert torch.equal(value, made.network.state_dict()[key]), key
    state = {**made.network.state_dict(), "more": torch.zeros(1)}
    del state["cls_token"]
    torch.save(state, file)
    with pytest.raises(UserError, match="1 missing, such as cls_token; 1 unexpected, such as more"):
        tiny("dinov2", pretrained=str(file)).init_weights()
    torch.save(tiny("dinov2", timm_args={**SIZES, "embed_dim": 64}).network.state_dict(), file)
    with pytest.raises(UserError, match="of another shape, such as cls_token"):
        tiny("dinov2", pretrained=str(file)).init_weights()


def test_patches_and_positions_are_converted(tmp_path):
    file = tmp_path / "base.pth"
    state = tiny("dinov2", patch_size=14, img_size=70).network.state_dict()
    # Nearly even kernels: at the borders, a change of size moves sums of uneven ones.
    kernel = state["patch_embed.proj.weight"]
    noise = torch.randn(kernel.shape, generator=torch.Generator().manual_seed(0))
    state["patch_embed.proj.weight"] = 1 + 0.01 * noise
    torch.save(state, file)
    ways = {
        way: tiny("dinov2", pretrained=str(file), conversion=way) for way in ("timm", "bicubic")
    }
    kernels = {}
    for way, model in ways.items():
        model.init_weights()
        kernels[way] = model.network.patch_embed.proj.weight
    sums = {way: kernel.sum() for way, kernel in kernels.items()}
    before = torch.load(file, weights_only=True)["patch_embed.proj.weight"].sum()
    torch.testing.assert_close(sums["timm"], before, rtol=1e-3, atol=0)
    torch.testing.assert_close(sums["bicubic"], before * (16 / 14) ** 2, rtol=1e-3, atol=0)


def test_weights_come_from_the_hub(tmp_path, monkeypatch):
    """A local server stands in for it."""
    made = tiny("clip", norm=True).network
    torch.save(made.state_dict(), tmp_path / "clip.pth")
    monkeypatch.setattr(torch.hub, "_hub_dir", str(tmp_path / "hub"))
    with serve(tmp_path) as address:
        hub = {"url": f"{address}/clip.pth", "hf_hub_id": None}
        args = {**SIZES, "pretrained_cfg_overlay": hub}
        model = tiny("clip", pretrained=True, timm_args=args)
        model.init_weights()
    for key, value in model.network.state_dict().items():
        assert torch.equal(value, made.state_dict()[key]), key
    assert model.base_hash is not None


def test_a_missing_hub_is_one_line(monkeypatch):
    monkeypatch.setattr(
        "timm.create_model", lambda *_, **__: (_ for _ in ()).throw(OSError("no network\nmore"))
    )
    with pytest.raises(EnvError, match=r"cannot load the weights of .* \(no network\)"):
        build_timm("vit_small_patch14_dinov2", pretrained=True)


def test_the_models_own_mean_and_std():
    clip = preprocessing("vit_base_patch16_clip_quickgelu_224.openai")
    assert clip.mean == pytest.approx((122.771, 116.746, 104.094), abs=1e-3)
    assert preprocessing("vit_base_patch16_siglip_384.webli").std == (127.5, 127.5, 127.5)
    assert preprocessing("vit_small_patch16_dinov3.lvd1689m").licence == "dinov3-license"


@pytest.mark.parametrize("family", ["resnet", "dinov2"])
def test_frozen_stages_stay(family):
    model = tiny(family, frozen_stages=1).train()
    names = model.trainable_names()
    first = "network.layer1." if family == "resnet" else "network.blocks.0."
    second = "network.layer2." if family == "resnet" else "network.blocks.1."
    assert not any(name.startswith(first) for name in names)
    assert any(name.startswith(second) for name in names)
    if family == "resnet":
        assert not model.network.layer1[0].bn1.training
        assert model.network.layer2[0].bn1.training
        assert not tiny(family, norm_eval=True).train().network.layer2[0].bn1.training


def test_frozen_blocks_drop_no_paths():
    model = tiny("dinov2", frozen_stages=2, drop_path_rate=0.5).train()
    blocks = model.network.blocks
    assert [block.drop_path1.training for block in blocks] == [False, False, True, True]


def test_activation_checkpointing_gives_the_same_gradients():
    found = []
    for with_cp in (False, True):
        torch.manual_seed(0)
        model = tiny("dinov2", with_cp=with_cp, tuning={"mode": "rein", "rank": 4, "tokens": 5})
        model.train()
        sum(m.square().mean() for m in model(picture())).backward()
        found.append(model.reins.mlp_delta_f.weight.grad)
    torch.testing.assert_close(*found)
