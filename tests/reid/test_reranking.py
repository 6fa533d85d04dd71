"""Re-ranking against its definition in plain loops, and its memory."""

import numpy as np
import pytest

from ibn_seg.errors import UserError
from ibn_seg.reid import reranking
from ibn_seg.reid.reranking import Reranking, needed_memory, reranked_blocks


def plain(query, gallery, k1, k2, weight):
    """Return the re-ranked distances with whole matrices."""
    x = np.concatenate([query, gallery]).astype(float)
    x /= np.linalg.norm(x, axis=1, keepdims=True)
    d = np.maximum(2 - 2 * x @ x.T, 0)
    d /= d.max(axis=1, keepdims=True)
    order = np.argsort(d, axis=1, kind="stable")

    def near(i, k):
        return set(order[i, : k + 1].tolist())

    def reciprocal(i, k):
        return {j for j in near(i, k) if i in near(j, k)}

    v = np.zeros_like(d)
    for i in range(len(x)):
        own = reciprocal(i, k1)
        full = set(own)
        for j in own:
            half = reciprocal(j, round(k1 / 2))
            if len(half & own) > 2 / 3 * len(half):
                full |= half
        columns = sorted(full)
        v[i, columns] = np.exp(-d[i, columns])
    v /= v.sum(axis=1, keepdims=True)
    if k2 > 1:
        v = np.array([v[order[i, :k2]].mean(axis=0) for i in range(len(x))])
    shared = np.minimum(v[: len(query), None], v[None, len(query) :]).sum(axis=2)
    jaccard = 1 - shared / (2 - shared)
    return (1 - weight) * jaccard + weight * d[: len(query), len(query) :]


def clusters(seed, count):
    rng = np.random.default_rng(seed)
    return rng.normal(size=(9, 12))[rng.integers(0, 9, count)] + 0.6 * rng.normal(size=(count, 12))


@pytest.mark.parametrize("parameters", [(20, 6, 0.3), (5, 1, 0.0), (90, 6, 0.3)])
def test_it_is_the_definition(parameters, monkeypatch):
    """The last has more neighbours than there are pictures; blocks are of a few rows."""
    monkeypatch.setattr(reranking, "_BLOCK_ENTRIES", 500)
    query, gallery = clusters(1, 16), clusters(2, 48)
    blocks = list(reranked_blocks(query, gallery, Reranking(*parameters)))
    assert len(blocks) == 2
    np.testing.assert_allclose(
        np.concatenate(blocks), plain(query, gallery, *parameters), atol=2e-6
    )


def test_weight_1_is_the_plain_distance():
    query, gallery = clusters(1, 4), clusters(2, 30)
    found = np.concatenate(list(reranked_blocks(query, gallery, Reranking(weight=1.0))))
    assert np.array_equal(np.argsort(found, axis=1)[:, 0],
                          np.argsort(plain(query, gallery, 5, 1, 1.0), axis=1)[:, 0])  # fmt: skip


def test_bad_parameters_are_one_line():
    with pytest.raises(UserError, match="allowed: k1, k2 >= 1"):
        Reranking(k1=0)


def test_memory_is_said_and_does_not_grow_with_the_square():
    small, large = (needed_memory(count, 4 * count, 512, Reranking()) for count in (4000, 40000))
    assert large < 11 * small
    # 50,000 pictures: a tenth of one whole matrix of float32.
    assert large < 4 * (5 * 40000) ** 2 / 10
