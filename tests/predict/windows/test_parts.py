"""What windows are made of: cuts, parts of resizes, statistics of parts, labels by rows."""

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import nn
from torch.nn import functional as F

from ibn_seg.predict.windows.cutting import PERIOD, cheapest, spans
from ibn_seg.predict.windows.label_rows import LabelRows, Target, resized_rows
from ibn_seg.predict.windows.part_resize import AxisResize, resize_part
from ibn_seg.predict.windows.whole_layers import Moments, find_whole_layer

sizes = st.integers(1, 40)
longer = st.integers(2, 40)


@settings(deadline=None, max_examples=100)
@given(st.data(), st.booleans(), sizes, sizes, st.integers(1, 90), st.integers(1, 90))
def test_a_part_of_a_resize_is_that_part_of_the_whole(data, align, h, w, rows, columns):
    """Any part, from the whole map or from the cells around the part alone."""
    x = torch.randn(1, 3, h, w, generator=torch.Generator().manual_seed(h * 100 + w))
    whole = F.interpolate(x, (rows, columns), mode="bilinear", align_corners=align)
    axes, wanted, here = [], [...], [...]
    for before, after in ((h, rows), (w, columns)):
        first = data.draw(st.integers(0, after - 1))
        count = data.draw(st.integers(1, after - first))
        ratio = before / after
        low = max(0, int((first - 1) * ratio) - 2)
        high = min(before, int((first + count + 1) * ratio) + 3)
        if align:
            low, high = 0, before
        axes.append(AxisResize(before, after, low, first, count))
        wanted.append(slice(first, first + count))
        here.append(slice(low, high))
    part = resize_part(x[tuple(here)], *axes, align)
    torch.testing.assert_close(part, whole[tuple(wanted)], atol=1e-5, rtol=0)


@given(st.integers(1, 3000), st.integers(1, 70), st.integers(0, 300))
def test_inner_parts_cover_an_axis_once(length, parts, margin):
    found = spans(length, parts, margin)
    assert [n for span in found for n in range(*span.inner)] == list(range(length))
    for span in found:
        assert span.inner[0] % PERIOD == 0
        assert span.outer == (max(0, span.inner[0] - margin), min(length, span.inner[1] + margin))


@settings(deadline=None, max_examples=20)
@given(st.integers(1, 6000), st.integers(1, 6000), st.integers(0, 6), st.integers(1, 4_000_000))
def test_no_window_is_larger_than_allowed(height, width, margin, most):
    found = cheapest((height, width), margin * PERIOD, most)
    smallest = [min(n, (2 * margin + 1) * PERIOD) for n in (height, width)]
    if found is None:
        # The rest after whole periods is a part of the last window.
        assert (smallest[0] + PERIOD) * (smallest[1] + PERIOD) > most
        return
    assert max(window.rows.length * window.columns.length for window in found) <= most
    inner = [(b - a) * (d - c) for (a, b), (c, d) in
             ((window.rows.inner, window.columns.inner) for window in found)]  # fmt: skip
    assert sum(inner) == height * width


@given(st.lists(st.integers(1, 9), min_size=1, max_size=6), st.floats(-1e4, 1e4))
def test_statistics_of_parts_are_those_of_the_whole(widths, offset):
    """Also where the mean is large."""
    random = torch.Generator().manual_seed(len(widths))
    x = torch.randn(1, 20, 4, sum(widths), generator=random) + offset
    moments = Moments()
    for part in x.split(widths, dim=3):
        moments.add(part)
    mean, var = moments.result()
    expected = torch.var_mean(x.double(), (0, 2, 3), correction=0)
    torch.testing.assert_close((var, mean), expected, rtol=1e-9, atol=1e-9)


@pytest.mark.parametrize(
    "layer",
    [
        nn.InstanceNorm2d(12, affine=True),
        nn.GroupNorm(3, 12),
        nn.AdaptiveAvgPool2d(1),
        nn.AdaptiveAvgPool2d((1, 1)),
        nn.BatchNorm2d(12, track_running_stats=False).eval(),
    ],
)
@torch.no_grad()
def test_layers_of_the_whole_picture_follow_from_mean_and_variance(layer):
    for value in layer.parameters():
        nn.init.normal_(value)
    x = torch.randn(1, 12, 9, 7, generator=torch.Generator().manual_seed(0)) * 3 + 1
    names = {"InstanceNorm2d": F.instance_norm, "GroupNorm": F.group_norm,
             "AdaptiveAvgPool2d": F.adaptive_avg_pool2d, "BatchNorm2d": F.batch_norm}  # fmt: skip
    function = names[type(layer).__name__]
    with _Caught(function) as caught:
        expected = layer(x)
    found = find_whole_layer(function, *caught.call)
    var, mean = torch.var_mean(x.double(), (0, 2, 3), correction=0)
    torch.testing.assert_close(found.result(mean, var), expected, atol=1e-5, rtol=1e-5)


def test_means_over_all_pixels_and_no_others():
    x = torch.randn(1, 5, 4, 6)
    mean = x.double().mean((0, 2, 3))
    for args, kwargs in (((x, (2, 3)), {}), ((x, [-1, -2], True), {}), ((x,), {"dim": (2, 3)})):
        found = find_whole_layer(torch.Tensor.mean, args, kwargs).result(mean, mean)
        torch.testing.assert_close(found, torch.mean(*args, **kwargs))
    for args in ((x,), (x, 1), (x, (1, 2)), (x[0], (1, 2))):
        assert find_whole_layer(torch.mean, args, {}) is None
    assert find_whole_layer(F.adaptive_avg_pool2d, (x, 2), {}) is None
    assert find_whole_layer(F.adaptive_avg_pool2d, (x, (None, 1)), {}) is None


@settings(deadline=None, max_examples=60)
@given(st.data(), sizes, sizes, longer, longer, st.booleans(), st.sampled_from([1, 5]))
def test_labels_by_rows_are_those_of_the_whole_map(data, h, w, height, width, align, classes):
    """With padding that is cut off, a resize, mirroring, and blocks of any number of rows."""
    padding = [data.draw(st.integers(0, 3)) for _ in range(4)]
    flip = data.draw(st.sampled_from([None, "horizontal", "vertical"]))
    size = (h + padding[2] + padding[3], w + padding[0] + padding[1])
    logits = torch.randn(1, classes, *size, generator=torch.Generator().manual_seed(h))
    rows = LabelRows(Target(size, tuple(padding), (height, width), flip, align, 0.4))
    blocks = data.draw(st.lists(st.integers(1, size[0]), min_size=1).filter(any))
    start = 0
    while start < size[0]:
        block = blocks[start % len(blocks)]
        rows.add(logits[:, :, start : start + block])
        start += block
    inner = logits[:, :, padding[2] : size[0] - padding[3], padding[0] : size[1] - padding[1]]
    if flip:
        inner = inner.flip(2 if flip == "vertical" else 3)
    whole = F.interpolate(inner, (height, width), mode="bilinear", align_corners=align)[0]
    if classes == 1:
        margin = (whole[0].sigmoid() - 0.4).abs().numpy()
        expected = (whole[0].sigmoid() > 0.4).numpy().astype(np.uint8)
    else:
        first, second = whole.topk(2, dim=0).values
        margin = (first - second).numpy()
        expected = whole.argmax(0).numpy().astype(np.uint8)
    found = rows.labels()
    assert (found.shape, found.dtype) == ((height, width), np.uint8)
    assert np.array_equal(found[margin > 1e-4], expected[margin > 1e-4])


def test_rows_of_a_resize_are_its_rows():
    x = torch.randn(1, 4, 11, 300)
    expected = F.interpolate(x, (5000, 1203), mode="bilinear", align_corners=False)
    blocks = list(resized_rows(x, (5000, 1203), False))
    assert len(blocks) > 1
    torch.testing.assert_close(torch.cat(blocks, dim=2), expected, atol=1e-5, rtol=0)


class _Caught(torch.overrides.TorchFunctionMode):
    """Keeps the arguments of the calls of a function."""

    def __init__(self, function):
        super().__init__()
        self._function = function

    def __torch_function__(self, function, types, args=(), kwargs=None):
        if function is self._function:
            self.call = (args, kwargs or {})
        return function(*args, **(kwargs or {}))
