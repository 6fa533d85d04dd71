"""Networks of other libraries: what changes and what stays."""

import copy
import pickle

import pytest
import torch
from torch import nn
from torch.nn.modules.batchnorm import _BatchNorm

import ibn_seg
from ibn_seg.errors import UserError
from ibn_seg.layers import IBN
from ibn_seg.models import create_model
from ibn_seg.models.weights import adapt_state_dict
from tests.surgery import libraries
from tests.surgery.outputs import images, outputs

# Name -> builder, number of IBNs of variant a, blocks that variant b changes or why it has none.
NETWORKS = {
    "torchvision resnet18": (
        lambda: libraries.torchvision("resnet18"), 6, ["layer1.1", "layer2.1"]),
    "torchvision resnet50": (
        lambda: libraries.torchvision("resnet50"), 13, ["layer1.2", "layer2.3"]),
    "torchvision resnext50_32x4d": (
        lambda: libraries.torchvision("resnext50_32x4d"), 13, ["layer1.2", "layer2.3"]),
    "torchvision wide_resnet50_2": (
        lambda: libraries.torchvision("wide_resnet50_2"), 13, ["layer1.2", "layer2.3"]),
    "torchvision densenet121": (
        lambda: libraries.torchvision("densenet121"), 14, "no residual addition"),
    "torchvision regnet_y_400mf": (
        lambda: libraries.torchvision("regnet_y_400mf"), 10,
        ["trunk_output.block1.block1-0", "trunk_output.block2.block2-2"]),
    "timm resnet50": (lambda: libraries.timm("resnet50"), 13, ["layer1.2", "layer2.3"]),
    "timm resnet50d": (lambda: libraries.timm("resnet50d"), 13, ["layer1.2", "layer2.3"]),
    "timm seresnet50": (lambda: libraries.timm("seresnet50"), 13, ["layer1.2", "layer2.3"]),
    "timm densenet121": (lambda: libraries.timm("densenet121"), 14, "no residual addition"),
    "timm regnety_004": (lambda: libraries.timm("regnety_004"), 10, ["s1.b1", "s2.b3"]),
    "timm resnest14d": (lambda: libraries.timm("resnest14d"), 3, ["layer1.0", "layer2.0"]),
    "timm resnet18 features": (
        lambda: libraries.timm("resnet18", features_only=True), 6, ["layer1.1", "layer2.1"]),
    "mmseg ResNet": (
        lambda: libraries.mmseg("ResNet", depth=50), 13, ["layer1.2", "layer2.3"]),
    "mmseg ResNetV1c": (
        lambda: libraries.mmseg("ResNetV1c", depth=18), 6, ["layer1.1", "layer2.1"]),
    "mmseg ResNetV1d": (
        lambda: libraries.mmseg("ResNetV1d", depth=50), 13, ["layer1.2", "layer2.3"]),
    "mmseg ResNetV1c with recomputation": (
        lambda: libraries.mmseg("ResNetV1c", depth=18, with_cp=True), 6, ["layer1.1", "layer2.1"]),
    "mmseg ResNeSt": (
        lambda: libraries.mmseg("ResNeSt", depth=50, stem_channels=64, radix=2,
                                reduction_factor=4), 13, ["layer1.2", "layer2.3"]),
    "mmseg HRNet": (
        lambda: libraries.mmseg("HRNet", extra=libraries.HRNET), 2 + 4 + 6, "fusion of branches"),
    "smp resnet34": (
        lambda: libraries.smp("resnet34"), 13, ["encoder.layer1.2", "encoder.layer2.3"]),
    "smp resnext50_32x4d": (
        lambda: libraries.smp("resnext50_32x4d"), 13, ["encoder.layer1.2", "encoder.layer2.3"]),
    "smp se_resnet50": (
        lambda: libraries.smp("se_resnet50"), 13, ["encoder.layer1.2", "encoder.layer2.3"]),
    "ibn_seg resnet18": (lambda: create_model("resnet18"), 6, ["layer1.1", "layer2.1"]),
}  # fmt: skip
WITH_B = [name for name, (_, _, b) in NETWORKS.items() if isinstance(b, list)]
SHORTCUTS = {"downsample", "proj"}


def seeded(build, seed=0):
    """Build a network whose norms have telling parameters and statistics."""
    torch.manual_seed(seed)
    model = build()
    for module in model.modules():
        if isinstance(module, _BatchNorm):
            for tensor in (module.weight.data, module.running_var):
                tensor.uniform_(0.5, 1.5)
            for tensor in (module.bias.data, module.running_mean):
                tensor.normal_(std=0.1)
    return model


def check_runs_backward(model):
    model.train()
    total = sum(out.square().mean() for out in outputs(model(images())))
    total.backward()
    unused = [n for n, p in model.named_parameters() if p.requires_grad and p.grad is None]
    assert unused == []
    assert all(p.grad.isfinite().all() for p in model.parameters() if p.grad is not None)


def check_same(first, second):
    assert list(first) == list(second)
    assert all(torch.equal(first[key], second[key]) for key in first)


def block_of(norm):
    """Return the name of a block, with a dot, from that of its first norm."""
    ends = (".f.a.1", ".conv1.bn", ".bn1", ".norm1")
    return next(norm.removesuffix(end) for end in ends if norm.endswith(end)) + "."


def executed(model, wanted):
    """Return the names of the wanted modules in the order of their calls."""
    names, handles = [], []
    for name, module in model.named_modules():
        if wanted(name, module):
            hook = lambda *_, name=name: names.append(name)  # noqa: E731
            handles.append(module.register_forward_pre_hook(hook))
    model.eval()  # of mmseg, this returns None
    with torch.no_grad():
        model(images())
    for handle in handles:
        handle.remove()
    return names


@pytest.mark.parametrize("name", NETWORKS)
def test_variant_a_changes_the_first_norms_and_nothing_else(name):
    build, count, _ = NETWORKS[name]
    model = seeded(build)
    before = copy.deepcopy(model.state_dict())
    converted, report = ibn_seg.convert(model)
    check_same(model.state_dict(), before)
    assert not any(isinstance(module, IBN) for module in model.modules())
    split = {n: m for n, m in converted.named_modules() if isinstance(m, IBN)}
    assert list(report.split) == list(split)
    assert len(split) == count
    assert "\n" not in str(report)
    assert f"split {count} batch norms into IN and BN" in str(report)

    state = converted.state_dict()
    for norm, ibn in split.items():
        for tensor in ("weight", "bias"):
            parts = [state.pop(f"{norm}.{part}.{tensor}") for part in ("IN", "BN")]
            parts = parts if ibn.instance_first else parts[::-1]
            assert torch.equal(torch.cat(parts), before.pop(f"{norm}.{tensor}"))
        for tensor in ("running_mean", "running_var"):
            whole, part = before.pop(f"{norm}.{tensor}"), state.pop(f"{norm}.BN.{tensor}")
            cut = ibn.split[0]
            assert torch.equal(part, whole[cut:] if ibn.instance_first else whole[:cut])
        counter = "num_batches_tracked"
        assert torch.equal(state.pop(f"{norm}.BN.{counter}"), before.pop(f"{norm}.{counter}"))
    check_same(state, before)
    check_runs_backward(converted)


@pytest.mark.parametrize("name", NETWORKS)
def test_variant_a_takes_the_norm_that_runs_first_in_its_block(name):
    """The rows of the table against the order in which the blocks call their norms."""
    build, _, _ = NETWORKS[name]
    model = seeded(build)
    _, report = ibn_seg.convert(model)
    order = executed(
        model,
        lambda n, m: isinstance(m, _BatchNorm) and not SHORTCUTS & set(n.split(".")),
    )
    for norm in report.split:
        assert next(n for n in order if n.startswith(block_of(norm))) == norm


@pytest.mark.parametrize("name", WITH_B)
def test_variant_b_normalises_between_addition_and_activation(name):
    build, _, blocks = NETWORKS[name]
    model = seeded(build)
    before = copy.deepcopy(model.state_dict())
    converted, report = ibn_seg.convert(model, "b")
    check_same(model.state_dict(), before)
    assert list(report.added) == [f"{block}.IN" for block in blocks]
    assert f"added {len(blocks)} instance norms after additions" in str(report)
    (stem,) = report.replaced
    norms = executed(model, lambda _, module: isinstance(module, _BatchNorm))
    assert norms[norms.index(stem) + 1].startswith(block_of(ibn_seg.convert(model).report.split[0]))
    state = converted.state_dict()
    for tensor in ("running_mean", "running_var", "num_batches_tracked"):
        before.pop(f"{stem}.{tensor}")
    for added in report.added:
        assert torch.equal(state[f"{added}.weight"], torch.ones_like(state[f"{added}.weight"]))
        assert not state.pop(f"{added}.bias").any()
        state.pop(f"{added}.weight")
    check_same(state, before)

    converted.eval()
    model.eval()
    seen = {}
    for block in blocks:
        for module in (block, f"{block}.IN"):
            converted.get_submodule(module).register_forward_hook(
                lambda _, args, out, module=module: seen.update(
                    {module: (args[0].clone(), out.clone())}
                )
            )
        nn.init.normal_(converted.get_submodule(f"{block}.IN").bias)
    with torch.no_grad():
        converted(images())
        for block in blocks:
            x, out = seen[block]
            total, normal = seen[f"{block}.IN"]
            torch.testing.assert_close(total.relu(), model.get_submodule(block)(x))
            torch.testing.assert_close(normal.relu(), out)
            assert not torch.allclose(total.relu(), out)
    check_runs_backward(converted)


@pytest.mark.parametrize("name", [name for name in NETWORKS if name not in WITH_B])
def test_variant_b_is_refused_with_the_reason(name):
    build, _, reason = NETWORKS[name]
    with pytest.raises(UserError, match=f"variant 'b' has no meaning .*{reason}.*variant 'a'"):
        ibn_seg.convert(build(), "b")


def without_batches(state):
    return {key: value for key, value in state.items() if "num_batches" not in key}


@pytest.mark.parametrize(
    ("name", "variant"),
    [("resnet18", "a"), ("resnet18", "b"), ("resnet50", "a"), ("resnet50", "b"),
     ("densenet121", "a")],
)  # fmt: skip
def test_torchvision_converted_is_our_network_of_the_same_tensors(name, variant):
    model = seeded(lambda: libraries.torchvision(name)).double()
    ours = create_model(f"{name}_ibn_{variant}").double()
    adapted, _ = adapt_state_dict(ours, model.state_dict())
    ours.load_state_dict(adapted, strict=True)
    converted = ibn_seg.convert(model, variant).model
    check_same(converted.state_dict(), ours.state_dict())
    for training in (False, True):
        converted.train(training)
        ours.train(training)
        x = images(96, torch.double)
        torch.testing.assert_close(converted(x), ours(x), rtol=1e-9, atol=1e-9)
    for key, tensor in without_batches(ours.state_dict()).items():
        torch.testing.assert_close(converted.state_dict()[key], tensor, rtol=1e-9, atol=1e-9)


@pytest.mark.parametrize("variant", ["a", "b"])
def test_our_own_network_knows_its_new_placement(variant):
    model = seeded(lambda: create_model("resnet18"))
    twin = create_model(f"resnet18_ibn_{variant}")
    twin.load_state_dict(adapt_state_dict(twin, model.state_dict())[0])
    converted = ibn_seg.convert(model, variant).model
    assert converted.placement == twin.placement
    assert model.placement != twin.placement
    check_same(converted.state_dict(), twin.state_dict())
    torch.testing.assert_close(converted(images()), twin(images()))


def test_recomputation_changes_nothing():
    plain, recomputed = (
        ibn_seg.convert(
            seeded(lambda cp=cp: libraries.mmseg("ResNet", depth=18, with_cp=cp)), "b"
        ).model.double()
        for cp in (False, True)
    )
    for model in (plain, recomputed):
        for _ in range(2):
            x = images(dtype=torch.double).requires_grad_()
            sum(out.square().mean() for out in model(x)).backward()
    for ours, theirs in zip(plain.parameters(), recomputed.parameters(), strict=True):
        torch.testing.assert_close(ours.grad, theirs.grad)


@pytest.mark.parametrize("name", ["torchvision resnet18", "mmseg ResNetV1c", "timm regnety_004"])
def test_variant_b_can_be_copied_and_pickled(name):
    model = seeded(NETWORKS[name][0])
    converted = ibn_seg.convert(model, "b").model
    converted.eval()
    pickled = pickle.loads(pickle.dumps(converted))
    block = NETWORKS[name][2][0]
    assert isinstance(converted.get_submodule(block), type(model.get_submodule(block)))
    with torch.no_grad():
        expected = outputs(converted(images()))
        for other in (pickled, copy.deepcopy(converted)):
            torch.testing.assert_close(outputs(other(images())), expected)
            check_same(other.state_dict(), converted.state_dict())


def test_a_part_of_a_segmentation_model():
    segmentation = pytest.importorskip("torchvision.models.segmentation")
    model = segmentation.fcn_resnet50(weights=None, weights_backbone=None, num_classes=5)
    converted, report = ibn_seg.convert(model, stages=[2])
    assert [n for n, m in converted.named_modules() if isinstance(m, IBN)] == [
        f"backbone.layer2.{block}.bn1" for block in range(4)
    ]
    assert str(report).startswith("IntermediateLayerGetter (backbone): split 4 batch norms")
    assert converted(images())["out"].shape == (2, 5, 64, 64)


def test_inplace_changes_the_model_itself():
    model = libraries.torchvision("resnet18")
    assert ibn_seg.convert(model, inplace=True).model is model
    assert isinstance(model.layer3[1].bn1, IBN)


@pytest.mark.parametrize(("ratio", "channels"), [(None, 32), (0.25, 16), (0.75, 48)])
def test_ratio(ratio, channels):
    model = ibn_seg.convert(libraries.torchvision("resnet18"), ratio=ratio).model
    assert model.layer1[0].bn1.IN.num_features == channels
    dense = ibn_seg.convert(libraries.torchvision("densenet121"), ratio=ratio).model
    norm = dense.features.denseblock1.denselayer1.norm1
    assert norm.BN.num_features == int(64 * (1 - (ratio or 0.4)))
    assert norm.norms == (norm.BN, norm.IN)


@pytest.mark.parametrize(
    ("variant", "stages", "expected"),
    [
        ("a", (4,), ["layer4.0.bn1", "layer4.1.bn1"]),
        ("a", iter([1]), ["layer1.0.bn1", "layer1.1.bn1"]),
        ("b", [3], ["bn1", "layer3.1.IN"]),
        ("b", range(1, 5), ["bn1", "layer1.1.IN", "layer2.1.IN", "layer3.1.IN", "layer4.1.IN"]),
    ],
)
def test_stages(variant, stages, expected):
    model, report = ibn_seg.convert(libraries.torchvision("resnet18"), variant, stages=stages)
    assert [*report.split, *report.replaced, *report.added] == expected
    norms = [n for n, m in model.named_modules() if isinstance(m, IBN | nn.InstanceNorm2d)]
    assert sorted(n for n in norms if not n.endswith("bn1.IN")) == sorted(expected)


def test_a_network_of_two_stages():
    model = libraries.mmseg("ResNet", depth=18, num_stages=2, strides=(1, 2), dilations=(1, 1),
                            out_indices=(0, 1))  # fmt: skip
    assert len(ibn_seg.convert(model).report.split) == 4
    with pytest.raises(UserError, match=r"stages=\[3\] .*some of 1, 2$"):
        ibn_seg.convert(model, stages=[3])


def test_a_norm_with_two_names_is_replaced_under_both():
    model = libraries.torchvision("resnet18")
    model.layer1[0].other_name = model.layer1[0].bn1
    block = ibn_seg.convert(model).model.layer1[0]
    assert block.other_name is block.bn1
    assert isinstance(block.bn1, IBN)
