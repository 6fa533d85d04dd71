"""A mask transformer in EoMT's form: what it sees, its loss, and a training on rendered scenes."""

import pytest
import torch
from mmengine.registry import init_default_scope
from mmengine.structures import PixelData
from mmseg.registry import MODELS
from mmseg.structures import SegDataSample

pytest.importorskip("timm")

from ibn_seg.errors import UserError
from ibn_seg.foundation.mask_loss import MaskLoss
from ibn_seg.foundation.mask_transformer import Prediction, pixel_scores
from ibn_seg.run import segmentation, setup
from ibn_seg.scenes.write import write_pair
from tests.foundation.made import SIZES, picture
from tests.foundation.test_from_config import OLD_BACKBONE
from tests.tiny import CONFIG

BACKBONE = {
    "type": "TimmBackbone", "model": "vit_small_patch14_reg4_dinov2", "patch_size": 16,
    "img_size": 64, "norm": True, "timm_args": SIZES,
}  # fmt: skip
HEAD = {
    "type": "MaskTransformerHead", "in_channels": 32, "num_classes": 19, "queries": 20,
    "blocks": 2, "points": 128,
}  # fmt: skip


def segmentor(backbone=None, **head):
    setup.register()
    init_default_scope("mmseg")
    return MODELS.build({
        "type": "MaskTransformerSegmentor",
        "data_preprocessor": {"type": "SegDataPreProcessor"},
        "backbone": {**BACKBONE, **(backbone or {})},
        "decode_head": {**HEAD, **head},
        "train_cfg": {}, "test_cfg": {"mode": "whole"},
    })  # fmt: skip


def sample(side=64):
    found = SegDataSample()
    labels = torch.zeros(1, side, side, dtype=torch.int64)
    labels[:, :, side // 2 :] = 5
    labels[:, -4:] = 255
    found.set_data({"gt_sem_seg": PixelData(data=labels)})
    return found


def test_queries_see_the_patches_of_their_masks_alone():
    model = segmentor().eval()
    transformer, seen = model.decode_head.mask_transformer, []
    block = model.backbone.network.blocks[2]
    block.register_forward_pre_hook(
        lambda _, __, given: seen.append(given["attn_mask"]), with_kwargs=True
    )
    predictions = model.extract_feat(picture())
    assert [tuple(p.masks.shape) for p in predictions] == [(1, 20, 16, 16)] * 3
    assert [tuple(p.classes.shape) for p in predictions] == [(1, 20, 20)] * 3
    (mask,) = seen
    count = 20 + 5 + 16
    assert mask.shape == (1, 1, count, count)
    inside = torch.nn.functional.interpolate(predictions[0].masks, (4, 4), mode="bilinear") > 0
    assert torch.equal(mask[0, 0, :20, 25:], inside[0].flatten(1))
    assert mask[0, 0, :, :25].all()
    assert mask[0, 0, 20:].all()
    transformer.mask_shares.zero_()
    seen.clear()
    block._forward_pre_hooks.clear()
    assert not torch.equal(model.extract_feat(picture())[-1].masks, predictions[-1].masks)


def test_masks_of_attention_fade_block_by_block():
    transformer = segmentor().decode_head.mask_transformer
    for step, shares in ((0, (1, 1)), (15, (0.5**0.9, 1)), (20, (0, 1)), (30, (0, 0.5**0.9))):
        transformer.set_shares(step, [(10, 20), (20, 40)])
        torch.testing.assert_close(transformer.mask_shares, torch.tensor(shares, dtype=torch.float))


def perfect(labels, queries=4, classes=3):
    """Return a prediction that says a class with its query's number, without doubt."""
    masks = torch.stack([labels == c for c in range(queries)], 1).float() * 200 - 100
    logits = torch.full((len(labels), queries, classes + 1), -100.0)
    for query in range(queries):
        present = query < classes and bool((labels == query).any())
        logits[:, query, query if present else classes] = 100.0
    return Prediction(masks, logits)


def test_a_perfect_prediction_has_no_loss_and_any_order_is_as_good():
    # Of one class: between pixels, the border of two has no exact logit.
    labels = torch.full((1, 8, 8), 2)
    loss = MaskLoss(3, points=64)
    found = perfect(labels)
    assert max(loss(found, labels).values()).item() < 1e-2
    other = Prediction(found.masks.flip(1), found.classes.flip(1))
    assert max(loss(other, labels).values()).item() < 1e-2
    wrong = loss(Prediction(torch.full_like(found.masks, -100.0), found.classes), labels)
    assert wrong["loss_mask"] > 100
    assert wrong["loss_dice"] > 4
    assert torch.equal(pixel_scores(found).argmax(1), labels)


def test_a_picture_without_classes_teaches_no_class():
    labels = torch.full((1, 8, 8), 255)
    prediction = Prediction(
        torch.zeros(1, 4, 8, 8, requires_grad=True), torch.zeros(1, 4, 4, requires_grad=True)
    )
    losses = MaskLoss(3, points=16)(prediction, labels)
    assert losses["loss_mask"] == losses["loss_dice"] == 0
    assert losses["loss_cls"] > 0
    sum(losses.values()).backward()
    assert prediction.masks.grad is not None


def test_every_parameter_gets_a_gradient_and_the_loss_falls():
    torch.manual_seed(0)
    model = segmentor().train()
    optimizer = torch.optim.AdamW(model.parameters(), lr=1e-3)
    totals = []
    for _ in range(12):
        losses = model.loss(picture(), [sample()])
        total = sum(losses.values())
        optimizer.zero_grad()
        total.backward()
        optimizer.step()
        totals.append(total.item())
    assert set(losses) == {
        f"decode.{prefix}{name}" for prefix in ("", "d0.", "d1.")
        for name in ("loss_cls", "loss_mask", "loss_dice")
    }  # fmt: skip
    assert [name for name, value in model.named_parameters() if value.grad is None] == []
    assert totals[-1] < 0.8 * totals[0]
    assert int(model.decode_head.step) == 12


def test_it_trains_on_rendered_scenes(tmp_path):
    write_pair(tmp_path, size=(64, 48), source_frames=10, target_train=1, target_val=2, seed=1)
    text = CONFIG.replace("{data}", str(tmp_path)).replace("{norm}", "BN")
    text = text.replace("type='EncoderDecoder'", "type='MaskTransformerSegmentor'")
    text = text.replace(OLD_BACKBONE, repr({**BACKBONE, "img_size": 32}))
    begin, end = text.index("decode_head=dict("), text.index("train_cfg=dict(), test_cfg")
    text = f"{text[:begin]}decode_head={HEAD!r}, {text[end:]}"
    # A few frames hold none of the numbers that are for validation.
    text = text.replace("gta5', split='val'", "gta5', split='train'")
    config = tmp_path / "masks.py"
    config.write_text(text.replace("type='SGD', lr=0.01, momentum=0.9", "type='AdamW', lr=0.001"))
    result = segmentation.train(config, work_dir=tmp_path / "run", quiet=True)
    assert set(result["domains"]) == {"gta5", "cityscapes"}
    assert result["targets_mIoU"] >= 0


def test_reins_link_gives_the_queries():
    tuning = {"mode": "rein", "rank": 4, "tokens": 20, "link": True, "query_width": 32}
    model = segmentor({"tuning": tuning}, linked=True)
    sum(model.loss(picture(), [sample()]).values()).backward()
    assert model.backbone.reins.merge.weight.grad.abs().sum() > 0
    assert model.decode_head.mask_transformer.q is None


def test_rein_leaves_the_queries_class_token_and_registers():
    tuning = {"mode": "rein", "rank": 4, "tokens": 20, "link": True, "query_width": 32}
    model = segmentor({"tuning": tuning}, linked=True)
    first, last = model.backbone.network.blocks[1], model.backbone.network.blocks[-1]
    before = {}
    for block in (first, last):
        # Called before Rein's own hook.
        block.register_forward_hook(
            lambda part, _, output: before.setdefault(part, output), prepend=True
        )
    after = {}
    for block in (first, last):
        block.register_forward_hook(lambda part, _, output: after.setdefault(part, output))
    model.extract_feat(picture())
    for block, tokens in ((first, 1 + 4), (last, 20 + 1 + 4)):
        changed = (after[block] != before[block]).any(dim=-1)[0]
        assert not changed[:tokens].any()
        assert changed[tokens:].all()


@pytest.mark.parametrize(
    ("backbone", "head", "line"),
    [
        ({"norm": False}, {}, "set backbone.norm=True"),
        ({}, {"blocks": 9}, "has 1 to 4"),
        ({}, {"linked": True}, "Rein's link do not fit"),
        ({}, {"anneal": [(0, 5)]}, "for each of 2 blocks"),
        ({"model": "eva02_tiny_patch14_224"}, {}, "eva02_tiny_patch14_224 is a Eva"),
        ({"timm_args": {**SIZES, "dynamic_img_pad": True}}, {}, "makes masks of whole patches"),
        (
            {"tuning": {"mode": "rein", "link": True, "tokens": 7, "query_width": 32}},
            {"linked": True},
            "set tokens=20 and query_width=32",
        ),
    ],
)
def test_wrong_parts_are_one_line(backbone, head, line):
    with pytest.raises(UserError) as caught:
        segmentor(backbone, **head)
    assert line in caught.value.line
