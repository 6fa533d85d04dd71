"""Confidence from classes one by one is that of all logits at once, without them."""

import copy

import numpy as np
import pytest

pytest.importorskip("mmseg")

import torch
from mmseg.structures import SegDataSample

from ibn_seg.engine.full_size_labels import labels_only
from ibn_seg.engine.pixel_stream import PixelStream, fill
from ibn_seg.errors import UserError
from ibn_seg.trust.probabilities import from_logits
from tests.engine.test_full_size_labels import NETWORKS

SIZE = (300, 290)


def predicted(network, logits, *new_stream):
    network = copy.deepcopy(network)
    network.extract_feat = lambda inputs: logits
    network.decode_head.forward = lambda features: features
    meta = dict(img_shape=SIZE, ori_shape=SIZE, pad_shape=SIZE)
    with torch.no_grad():
        if not new_stream:
            return network.predict(torch.zeros(1, 3, *SIZE), [SegDataSample(metainfo=meta)])[0]
        with labels_only(network, *new_stream):
            return network.predict(torch.zeros(1, 3, *SIZE), [SegDataSample(metainfo=meta)])[0]


def labels():
    drawn = torch.randint(0, 20, SIZE, generator=torch.Generator().manual_seed(1))
    return torch.where(drawn == 19, 255, drawn).to(torch.uint8)


@pytest.mark.parametrize("align", [False, True])
@pytest.mark.parametrize("sharpness", [0.2, 3.0, 40.0])
def test_classes_one_by_one_count_as_all_logits(align, sharpness):
    logits = sharpness * torch.randn(1, 19, 30, 29, generator=torch.Generator().manual_seed(0))
    expected = predicted(NETWORKS[align], logits)
    found = predicted(
        NETWORKS[align], logits, lambda sample, largest: PixelStream(labels(), largest=largest)
    )
    assert "seg_logits" not in found
    assert torch.equal(found.pred_sem_seg.data.long(), expected.pred_sem_seg.data)
    one, other = (
        found.pixel_stream.histogram(),
        fill(PixelStream(labels()), expected.seg_logits.data),
    )
    other = other.histogram()
    if sharpness > 10:
        # Sums are kept in the same way for large logits, and else in another.
        for name in ("counts", "diagrams", "nll", "brier"):
            assert np.array_equal(getattr(one, name), getattr(other, name))
    assert np.abs(one.counts - other.counts).sum() < 100
    assert one.nll == pytest.approx(other.nll, rel=1e-6)
    # The same in double precision, at once.
    z = expected.seg_logits.data.double()
    known = labels() != 255
    nll = torch.nn.functional.cross_entropy(z[:, known].T, labels()[known].long(), reduction="sum")
    assert one.nll == pytest.approx(nll.item(), rel=1e-5)
    p = z.softmax(0)
    truth = torch.nn.functional.one_hot(labels().long().clamp(max=18), 19).permute(2, 0, 1)
    assert one.brier == pytest.approx(((p - truth) ** 2).sum(0)[known].sum().item(), rel=1e-5)
    assert one.diagrams[:, 2].sum() == pytest.approx(p.amax(0)[known].sum().item(), rel=1e-6)


def test_infinite_logits_are_one_line():
    logits = torch.randn(1, 19, 30, 29)
    logits[0, 3, 4, 5] = -float("inf")
    with pytest.raises(UserError, match="NaN or infinite"):
        predicted(
            NETWORKS[False], logits, lambda sample, largest: PixelStream(labels(), largest=largest)
        )


@pytest.mark.parametrize("align", [False, True])
def test_a_second_histogram_is_at_the_temperature_of_the_predicted_class(align):
    logits = 3 * torch.randn(1, 19, 30, 29, generator=torch.Generator().manual_seed(0))
    values = torch.linspace(0.5, 3, 19, dtype=torch.float64)

    def new_stream(sample, largest):
        return PixelStream(labels(), largest=largest, temperatures=values.tolist())

    whole = predicted(NETWORKS[align], logits).seg_logits.data
    found = predicted(NETWORKS[align], logits, new_stream).pixel_stream
    z = whole.double() / values[whole.argmax(0)]
    known = labels() != 255
    expected = from_logits(z[:, known].T.numpy())
    truth = labels()[known].numpy()
    one = found.tempered.histogram()
    assert one.nll == pytest.approx(expected.nll(truth).sum(), rel=1e-5)
    assert one.brier == pytest.approx(expected.brier(truth).sum(), rel=1e-5)
    assert one.diagrams[:, 2].sum() == pytest.approx(expected.confidence.sum(), rel=1e-6)
    # Right and wrong pixels stay the same.
    assert np.array_equal(one.counts.sum(axis=1), found.histogram().counts.sum(axis=1))
    other = fill(PixelStream(labels(), temperatures=values.tolist()), whole).tempered.histogram()
    assert np.array_equal(one.counts, other.counts)
