"""Soft merging: the probabilities of a group's classes are summed."""

import numpy as np
import pytest
import torch
from mmengine.structures import PixelData

from ibn_seg.datasets.class_map import ClassMap
from ibn_seg.datasets.labels import CLASSES
from ibn_seg.errors import UserError
from ibn_seg.evaluation.soft_merge import logits_of, soft_merge
from tests.evaluation.test_groups import CAMVID, TO_CAMVID, evaluate, sample


def test_soft_merging_sums_the_probabilities_of_a_group():
    logits = torch.tensor(np.random.default_rng(0).normal(size=(19, 5, 6)), dtype=torch.float32)
    mapping = ClassMap(CLASSES, CAMVID.classes, (None, *TO_CAMVID[1:]))
    found = soft_merge(logits, mapping)
    chances = np.exp(logits.numpy().astype(np.float64))
    moved = 0
    for row in range(5):
        for column in range(6):
            sums = [0.0] * 11
            for cls, group in enumerate(mapping.group_of):
                if group is not None:
                    sums[group] += chances[cls, row, column]
            best = int(np.argmax(sums))
            assert mapping.group_of[int(found[row, column])] == best
            moved += mapping.group_of[int(chances[:, row, column].argmax())] != best
    assert moved > 0  # else it would be the same as merging after the argmax


@pytest.mark.parametrize("merge", ["hard", "soft"])
def test_soft_merging_of_one_class_per_group_is_hard(merge):
    """A network of one output calls 0.4 wet, by mmseg's threshold of 0.3 for such heads."""
    chances = torch.tensor([[[0.2, 0.4, 0.4, 0.9]]])
    labels = np.array([[0, 0, 0, 1]])  # rain is 1
    one = sample("yard", labels, (chances[0] > 0.3).long().numpy())
    one.seg_logits = PixelData(data=chances)
    mapping = {"groups": {"sun": ["dry"], "rain": ["wet"]}}
    metrics, _ = evaluate(
        [one.to_dict()], {"yard": ("sun", "rain")}, classes=("dry", "wet"), merge=merge,
        maps={"yard": mapping},
    )  # fmt: skip
    assert [metrics["yard/IoU.sun"], metrics["yard/IoU.rain"]] == pytest.approx([100 / 3] * 2)


def test_soft_merging_of_a_network_with_one_output():
    """mmseg's heads for two classes give the probability of the second."""
    chances = torch.tensor([[[0.2, 0.49, 0.51, 0.9]]])
    mapping = ClassMap(("dry", "wet"), ("rain", "sun"), (1, 0))
    # The first class of the group, by which the group is found again.
    assert soft_merge(chances, mapping).tolist() == [[0, 0, 1, 1]]
    with pytest.raises(UserError, match="have no logits: choose merge 'hard'"):
        logits_of({"pred_sem_seg": {}})
