"""Files of other tools open with their neck and without their classifier."""

import pytest
import torch

from ibn_seg.errors import UserError
from ibn_seg.models import create_model
from ibn_seg.reid.bnneck import strong_baseline
from ibn_seg.reid.searched_network import open_network

PICTURES = torch.rand(2, 3, 64, 32, generator=torch.Generator().manual_seed(0))


def trained(name, **options):
    """Return a network whose norms have seen something, and no two are alike."""
    torch.manual_seed(1)
    model = strong_baseline(name, 5, zero_init_residual=False, **options)
    for value in model.state_dict().values():
        if value.dtype.is_floating_point and value.dim() == 1:
            value.copy_(torch.rand_like(value) + 0.5)
    return model.eval()


def save(tmp_path, weights):
    torch.save(weights, tmp_path / "file.pth")
    return tmp_path / "file.pth"


def features(model):
    with torch.no_grad():
        return model(PICTURES)


def renamed(model, base, neck, classifier):
    """Return the weights under another tool's names."""
    names = {"base.": base, "bottleneck.": neck, "classifier.weight": classifier}
    found = {}
    for key, value in model.state_dict().items():
        start = next(name for name in names if key.startswith(name))
        found[names[start] + key.removeprefix(start)] = value
    return found


@pytest.mark.parametrize(
    "name", ["resnet18", pytest.param("resnet50_ibn_a", marks=pytest.mark.slow)]
)
def test_the_strong_baseline_opens(tmp_path, name):
    """BoT's plain ResNets have no ReLU in the stem, its IBN-Nets have."""
    model = trained(name, stem_relu=name != "resnet18")
    weights = {
        **model.state_dict(),
        "base.fc.weight": torch.ones(3, 4),
        "base.fc.bias": torch.ones(3),
    }
    opened = open_network(name, save(tmp_path, {"state_dict": weights}))
    torch.testing.assert_close(features(opened.network), features(model))
    assert opened.stem_relu == (name != "resnet18")
    assert opened.tool == "strong baseline"
    assert opened.dropped == ("fc.* (2 keys)", "the classifier (1 keys)")
    assert not hasattr(opened.network, "classifier")
    other = open_network(name, tmp_path / "file.pth", stem_relu=True, last_stride=2)
    assert not torch.allclose(features(other.network), features(model))


@pytest.mark.parametrize("neck", ["heads.bottleneck.0.", "heads.bnneck."])
def test_fast_reid_opens(tmp_path, neck):
    model = trained("resnet18")
    weights = renamed(model, "backbone.", neck, "heads.weight")
    weights["pixel_mean"] = torch.ones(1, 3, 1, 1)
    opened = open_network("resnet18", save(tmp_path, {"model": weights}))
    torch.testing.assert_close(features(opened.network), features(model))
    assert (opened.tool, opened.stem_relu, opened.last_stride) == ("fast-reid", True, 1)
    weights["heads.pool_layer.p"] = torch.ones(1)
    with pytest.raises(UserError, match="generalised mean pooling"):
        open_network("resnet18", save(tmp_path, {"model": weights}))


def test_torchreid_opens_with_stride_2_and_no_neck(tmp_path):
    torch.manual_seed(0)
    model = create_model("resnet18", num_classes=7, zero_init_residual=False).eval()
    weights = {f"module.{key}": value for key, value in model.state_dict().items()}
    weights["module.classifier.weight"] = weights.pop("module.fc.weight")
    weights["module.classifier.bias"] = weights.pop("module.fc.bias")
    opened = open_network("resnet18", save(tmp_path, {"state_dict": weights, "epoch": 3}))
    with torch.no_grad():
        stage = model.run_stem(PICTURES)
        stage = model.pool_stem(stage)
        for index in range(4):
            stage = model.run_stage(index, stage)
    # A batch norm of its start values divides by the root of 1 + 1e-5.
    torch.testing.assert_close(features(opened.network) * (1 + 1e-5) ** 0.5, stage.mean(dim=(2, 3)))
    assert (opened.tool, opened.last_stride) == ("torchreid", 2)
    assert "the classifier (2 keys)" in opened.dropped


def test_our_files_say_stride_and_size(tmp_path):
    """`last_stride=2` halves the work, and other pictures have another size."""
    model = trained("resnet18", last_stride=2)
    weights = {f"network.{key}": value for key, value in model.state_dict().items()}
    settings = {"task": "reid", "last_stride": 2, "size": [32, 64]}
    file = save(tmp_path, {"state_dict": weights, "meta": {"experiment": settings}})
    opened = open_network("resnet18", file)
    assert (opened.last_stride, opened.size, opened.tool) == (2, (32, 64), "ibn_seg")
    torch.testing.assert_close(features(opened.network), features(model))
    assert open_network("resnet18", file, last_stride=1).last_stride == 1
    old = open_network("resnet18", save(tmp_path, {"state_dict": weights}))
    assert (old.last_stride, old.size) == (1, None)


def test_what_does_not_fit_is_one_line(tmp_path):
    model = trained("resnet18")
    file = save(tmp_path, model.state_dict())
    with pytest.raises(UserError, match=r"file\.pth: .*looks like ResNet-18"):
        open_network("resnet50", file)
    with pytest.raises(UserError, match="no batch norm of the neck"):
        open_network("resnet18", save(tmp_path, {
            key: value for key, value in model.state_dict().items() if "bottleneck" not in key
        }))  # fmt: skip
    short = {**model.state_dict(), "bottleneck.weight": torch.ones(3)}
    with pytest.raises(UserError, match=r"bottleneck\.weight does not fit features of 512"):
        open_network("resnet18", save(tmp_path, short))
    with pytest.raises(UserError, match="no network of re-identification"):
        open_network("resnet18", save(tmp_path, {"some.weight": torch.ones(3)}))
