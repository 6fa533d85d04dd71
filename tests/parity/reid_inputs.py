"""Deterministic inputs of the re-identification figures in `golden_reid.json`.

Everything here is made by NumPy's PCG64 from a seed, so that a test can make the
same inputs on any machine. Distances are whole numbers divided by a power of two:
they are exact in float32 and float64, and the order of a row never depends on
rounding. `golden_reid.json` says which function and seed belong to which figures.
"""

import zlib

import numpy as np

RETRIEVAL = ("random", "cameras", "junk", "ties", "small")


def _rng(seed: int, topic: str) -> np.random.Generator:
    return np.random.default_rng([seed, zlib.crc32(topic.encode())])


def _ranked(noise: np.ndarray, step: float = 256.0) -> np.ndarray:
    """Replace each row by its ranks, a permutation of 0..n-1, divided by `step`."""
    return np.argsort(np.argsort(noise, axis=1, kind="stable"), axis=1, kind="stable") / step


def retrieval(name: str, seed: int) -> dict:
    """Return one retrieval problem: distances, identities and cameras.

    random:  every identity in several cameras, distractors (identity 0) in the gallery.
    cameras: two cameras; identities 91..93 are queries only, 81..82 are in the gallery
             in the query's own camera only: five queries without a valid match.
    junk:    like random, and some gallery images have identity -1.
    ties:    distances 0, 1/4, 1/2, 3/4 only, so that most of them are equal.
    small:   12 gallery images, fewer than the 50 ranks that are asked for.
    """
    rng = _rng(seed, "retrieval/" + name)
    ids, cams, n_q, n_g = 10, 5, 24, 150
    if name == "cameras":
        cams, n_q, n_g = 2, 20, 90
    if name == "small":
        ids, cams, n_q, n_g = 3, 3, 9, 12
    q_pids = rng.integers(1, ids + 1, n_q)
    q_cams = rng.integers(0, cams, n_q)
    g_pids = rng.integers(1, ids + 1, n_g)
    g_cams = rng.integers(0, cams, n_g)
    if name in ("random", "junk", "ties"):
        g_pids[rng.random(n_g) < 0.12] = 0
    if name == "junk":
        g_pids[rng.random(n_g) < 0.15] = -1
    if name == "cameras":
        q_pids[:3], q_pids[3:5] = (91, 92, 93), (81, 82)
        g_pids[:6] = (81, 81, 81, 82, 82, 82)
        g_cams[:3], g_cams[3:6] = q_cams[3], q_cams[4]
    noise = rng.standard_normal((n_q, n_g)) + 2.2 * (q_pids[:, None] != g_pids[None, :])
    coarse = np.clip(np.round(noise + 0.5), 0, 3) / 4.0 + 0.0
    dist = coarse if name == "ties" else _ranked(noise)
    return {"dist": dist, "q_pids": q_pids, "q_cams": q_cams, "g_pids": g_pids, "g_cams": g_cams}


def features(seed: int, n_q: int = 12, n_g: int = 60, ids: int = 8, dim: int = 16) -> dict:
    """Return query and gallery features (float32, not normalised), identities and cameras."""
    rng = _rng(seed, "features")
    centres = rng.standard_normal((ids, dim))
    q_pids, g_pids = np.arange(n_q) % ids, rng.integers(0, ids, n_g)
    q_cams, g_cams = rng.integers(0, 4, n_q), rng.integers(0, 4, n_g)
    scale = rng.uniform(0.5, 2.0, (n_q + n_g, 1))
    noise = 0.9 * rng.standard_normal((n_q + n_g, dim))
    both = (centres[np.concatenate([q_pids, g_pids])] + noise) * scale
    both = both.astype(np.float32)
    return {"q": both[:n_q], "g": both[n_q:], "q_pids": q_pids, "q_cams": q_cams,
            "g_pids": g_pids, "g_cams": g_cams}  # fmt: skip


def multi_query(seed: int) -> dict:
    """Return `features` and more views of each query's person in the query's own camera."""
    case = features(seed)
    rng = _rng(seed, "multi_query")
    counts = rng.integers(1, 5, len(case["q_pids"]))
    rows = np.repeat(np.arange(len(counts)), counts)
    noise = 0.8 * rng.standard_normal((len(rows), case["q"].shape[1]))
    case["views"] = (case["q"][rows] + noise).astype(np.float32)
    case["views_of"] = rows
    return case


def batch(seed: int, kind: str = "balanced") -> dict:
    """Return a batch: features (B, 12), scores (B, 10), labels (B,), centres (10, 12).

    balanced:   4 identities with 4 images each, shuffled.
    duplicates: balanced, and all images of the first label share one feature.
    unequal:    identities with 5, 4, 3 and 2 images.
    """
    rng = _rng(seed, "batch/" + kind)
    pids = rng.choice(10, 4, replace=False)
    counts = (5, 4, 3, 2) if kind == "unequal" else (4, 4, 4, 4)
    labels = rng.permutation(np.repeat(pids, counts))
    spread = rng.standard_normal((10, 12))
    feats = spread[labels] + 0.8 * rng.standard_normal((len(labels), 12))
    if kind == "duplicates":
        feats[labels == labels[0]] = feats[0]
    return {
        "feats": feats.astype(np.float32),
        "scores": (2.0 * rng.standard_normal((len(labels), 10))).astype(np.float32),
        "labels": labels.astype(np.int64),
        "centres": rng.standard_normal((10, 12)).astype(np.float32),
    }


def identities(seed: int, n: int = 40) -> np.ndarray:
    """Return the identity of each training image: n identities with 1 to 13 images, shuffled."""
    rng = _rng(seed, "identities")
    return rng.permutation(np.repeat(np.arange(n), rng.integers(1, 14, n)))


def images(seed: int, n: int = 2, height: int = 256, width: int = 128) -> np.ndarray:
    """Return normalised network inputs, shape (n, 3, height, width), float32."""
    return _rng(seed, "images").standard_normal((n, 3, height, width)).astype(np.float32)
