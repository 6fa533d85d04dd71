"""Single-gallery-shot CMC, the old protocol of CUHK03 (Li et al., CVPR 2014).

For each query, one gallery image of every identity is drawn, and the rank of the right one counts.
Tools draw 10 times. Here the expectation over all draws is computed, so nothing is random.

Let a match stand at a rank, and let a share s_w of the images of another identity w stand before
it. The number of drawn images before the match is a sum of independent events with chances s_w. Its
distribution follows by adding one identity at a time.
"""

from collections.abc import Iterable

import numpy as np

from ibn_seg.errors import UserError
from ibn_seg.reid.ranking import JUNK, SearchLabels


def single_shot_cmc(
    blocks: Iterable[np.ndarray], labels: SearchLabels, ranks: int = 20
) -> np.ndarray:
    """Return the expected CMC, percent, (ranks,).

    mAP is no part of this protocol: one image is right.

    Args:
        blocks: The rows of the distance matrix in order, as for `rank_matches`.
        labels: Identities and cameras. Distractors count as one identity.
        ranks: Length of the curve.

    Raises:
        UserError: No query has a match.
    """
    curves = []
    query = 0
    for block in blocks:
        for row in block:
            curve = _query_curve(row, labels, query, ranks)
            if curve is not None:
                curves.append(curve)
            query += 1
    if not curves:
        raise UserError("no query has a match from another camera")
    return 100 * np.mean(curves, axis=0)


def _query_curve(
    row: np.ndarray, labels: SearchLabels, query: int, ranks: int
) -> np.ndarray | None:
    """Return the chance that the drawn match stands at rank k or better, or None without one."""
    ids, cameras = np.asarray(labels.gallery_ids), np.asarray(labels.gallery_cameras)
    own = labels.query_ids[query]
    kept = (ids != JUNK) & ~((ids == own) & (cameras == labels.query_cameras[query]))
    ordered = ids[kept][np.argsort(row[kept], kind="stable")]
    right = np.flatnonzero(ordered == own)
    if not right.size:
        return None
    _, numbers, sizes = np.unique(ordered, return_inverse=True, return_counts=True)
    mine = numbers[right[0]]
    curve = np.zeros(ranks)
    for place in right:
        shares = np.bincount(numbers[:place], minlength=len(sizes)) / sizes
        curve += np.cumsum(_number_before(np.delete(shares, mine), ranks))
    return curve / right.size


def _number_before(chances: np.ndarray, ranks: int) -> np.ndarray:
    """Return the chances that 0, 1, ..., ranks - 1 of independent events happen."""
    known = np.zeros(ranks)
    known[0] = 1.0
    for chance in chances[chances > 0]:
        known[1:] = known[1:] * (1 - chance) + known[:-1] * chance
        known[0] *= 1 - chance
    return known
