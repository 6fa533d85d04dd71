"""The figures of searches, computed by the product: measures, distances, re-ranking, queries."""

from collections.abc import Iterator, Mapping
from typing import Any

import numpy as np

from ibn_seg.reid.distances import distance_blocks, mean_of_views, normalised
from ibn_seg.reid.measures import query_measures, scores
from ibn_seg.reid.ranking import DISTRACTOR, JUNK, SearchLabels, rank_matches
from ibn_seg.reid.reranking import Reranking, reranked_blocks
from ibn_seg.reid.single_shot import single_shot_cmc
from tests.parity import reid_inputs
from tests.parity.reid_outcome import Figure, deviations, distance, unknown, wrong_inputs

Given = Mapping[str, Any]
# Engines that drop queries without a match, and the measure that each calls mAP.
_DROPPING = ("bot", "torchreid", "torchreid_cython", "fastreid")
_ORDERS = {"order_of_gallery": "gallery", "matches_first": "matches_first",
           "matches_last": "matches_last"}  # fmt: skip
_LABELS = ("q_pids", "q_cams", "g_pids", "g_cams")


def worked_examples(cases: list[Given], about: Given) -> Iterator[Figure]:
    """Compare the measures of lists of ranks."""
    for number, case in enumerate(cases):
        right = np.zeros(case["gallery"], int)
        right[np.array(case["matches_at_ranks"]) - 1] = 1
        labels = SearchLabels(np.array([1]), np.array([0]), right, np.ones(len(right), int))
        each = query_measures(rank_matches([np.arange(len(right), dtype=float)[None]], labels))
        found = [each.precision[0], each.trapezoid[0], each.inverse[0]]
        error = distance(found, [case[key] for key in ("AP_hits", "AP_trapezoid", "INP")])
        yield Figure(f"worked example {number + 1}", error, about["tolerances"]["retrieval"])


def retrieval(seeds: Given, about: Given) -> Iterator[Figure]:
    """Compare the measures of every search, as each engine defines them."""
    for seed, searches in seeds.items():
        for name, case in searches.items():
            title = f"retrieval {name} {seed}"
            if name not in reid_inputs.RETRIEVAL:
                yield unknown(title, f"search {name!r}")
                continue
            made = reid_inputs.retrieval(name, int(seed))
            if problem := wrong_inputs(case["inputs"], made):
                yield Figure(title, np.inf, 0.0, problem)
                continue
            yield from _search(title, case, made, about)


def _search(title: str, case: Given, made: Given, about: Given) -> Iterator[Figure]:
    """Compare one search; a part of the case may be another way to look at the same search."""
    for key, given in case.items():
        if key == "inputs":
            continue
        if key in _ORDERS or key in ("junk_passed_in", "junk_dropped"):
            for engine, figures in given.items():
                way = _ORDERS.get(key, "gallery")
                passed = key == "junk_passed_in" and engine != "market1501"
                name = f"{title} {key} {engine}"
                yield _engine(name, engine, figures, _junk_as_wrong(made, passed), way, about)
        elif key == "single_gallery_shot":
            yield from _single_shot(f"{title} {key}", given, made, about)
        else:
            yield _engine(f"{title} {key}", key, given, made, "gallery", about)


def _junk_as_wrong(made: Given, passed_in: bool) -> Given:
    """Return the search with junk as distractors, as engines see it that do not know junk."""
    ids = made["g_pids"]
    return {**made, "g_pids": np.where(ids == JUNK, DISTRACTOR, ids) if passed_in else ids}


def _engine(
    name: str, engine: str, figures: Given, made: Given, order: str, about: Given
) -> Figure:
    """Compare what an engine printed with the measure of that definition."""
    labels = SearchLabels(*(made[key] for key in _LABELS))
    matches = rank_matches([made["dist"]], labels, order)
    each, allowed = query_measures(matches), about["tolerances"]["retrieval"]
    if engine in _DROPPING:
        found = scores(matches)
        mean, values = found.mean_precision, each.precision[each.valid]
    elif engine == "market1501":
        found = scores(matches, count_unmatched=True)
        mean, values = found.trapezoid, each.trapezoid
    elif engine == "open_reid":
        found = scores(matches)
        together = rank_matches([made["dist"]], labels, "together")
        mean, values = scores(together).mean_precision, np.zeros(0)
    else:
        return unknown(name, f"engine {engine!r}")
    if "error" in figures:
        falls = bool((np.diff(found.cmc) < 0).any())
        return Figure(name, float(falls), 0.0, "the CMC falls" if falls else "")
    allowed = about["tolerances"].get(engine, allowed)
    ours = {
        "cmc": found.cmc / 100,
        "mAP": mean / 100,
        "mINP": found.mean_inverse / 100,
        "AP": values,
        "INP": each.inverse[each.valid],
        "without_match": found.dropped,
    }
    if missing := figures.keys() - ours.keys():
        return unknown(name, f"figure {min(missing)!r}")
    errors = [
        _curve_error(ours[key], value) if key == "cmc" else distance(ours[key], _numbers(value))
        for key, value in figures.items()
    ]
    return Figure(name, max(errors), allowed)


def _numbers(value: Any) -> np.ndarray:
    """Return numbers of the file, null as NaN."""
    return np.array(value, dtype=float)


def _curve_error(found: np.ndarray, expected: list[float]) -> float:
    """Compare curves; one that ends keeps its last value, and one that falls its highest."""
    length = len(expected)
    found = np.pad(found, (0, max(0, length - len(found))), mode="edge")[:length]
    return distance(found, np.maximum.accumulate(expected))


def _single_shot(name: str, given: Given, made: Given, about: Given) -> Iterator[Figure]:
    """Compare the expected curve exactly, and the mean of draws within four standard errors."""
    labels = SearchLabels(*(made[key] for key in _LABELS))
    tolerance = about["tolerances"]["retrieval"]
    expected = given["cmc_expected"]
    curve = single_shot_cmc([made["dist"]], labels, len(expected)) / 100
    yield Figure(f"{name} expected", distance(curve, expected), tolerance)
    pairs = zip(curve, given["cmc_mean_of_repeats"], given["standard_error"], strict=True)
    drawn = max(deviations(ours - theirs, error) for ours, theirs, error in pairs)
    yield Figure(f"{name} draws (standard errors)", drawn, 4.0)
    mean = scores(rank_matches([made["dist"]], labels)).mean_precision / 100
    yield Figure(f"{name} mAP", distance(mean, given["mAP"]), tolerance)


def distances(seeds: Given, about: Given) -> Iterator[Figure]:
    """Compare the corner of each distance matrix."""
    for seed, case in seeds.items():
        made = reid_inputs.features(int(seed))
        if problem := wrong_inputs(case["inputs"], made):
            yield Figure(f"distances {seed}", np.inf, 0.0, problem)
            continue
        plain, unit = (made["q"], made["g"]), (normalised(made["q"]), normalised(made["g"]))
        kinds = {
            "bot_normalised": (*unit, "euclidean"),
            "torchreid_euclidean": (*plain, "euclidean"),
            "torchreid_euclidean_normalised": (*unit, "euclidean"),
            "torchreid_cosine": (*plain, "cosine"),
            "fastreid_cosine": (*plain, "cosine"),
            "fastreid_euclidean": (*plain, "euclidean"),
        }
        for key, expected in case.items():
            if key in ("of", "inputs"):
                continue
            name = f"distances {seed} {key}"
            if key not in kinds:
                yield unknown(name, f"distance {key!r}")
                continue
            rows, columns = np.shape(expected)
            found = np.concatenate(list(distance_blocks(*kinds[key])))[:rows, :columns]
            # Squares of features of length 1 or so are compared as they are.
            error = float(np.abs(found - expected).max())
            yield Figure(name, error, about["tolerances"]["distances"])


def reranking(seeds: Given, about: Given) -> Iterator[Figure]:
    """Compare re-ranked distances and their scores, and how far other tools' variants are."""
    tolerances = about["tolerances"]
    for seed, case in seeds.items():
        made = reid_inputs.features(int(seed))
        if problem := wrong_inputs(case["inputs"], made):
            yield Figure(f"reranking {seed}", np.inf, 0.0, problem)
            continue
        ours = {text: _reranked(made, text) for text in case["parameters"]}
        for text, given in case["parameters"].items():
            name = f"reranking {seed} {text}"
            yield Figure(name, distance(ours[text], given["zhong"]), tolerances["reranking"])
            yield _scored(f"{name} scores", ours[text], made, given, about)
        unit = normalised(made["q"]), normalised(made["g"])
        plain = np.concatenate(list(distance_blocks(*unit)))
        yield _scored(f"reranking {seed} before", plain, made, case["before"], about)
        if "others" in case:
            yield from _variants(f"reranking {seed}", case["others"], made, about)


def _reranked(made: Given, text: str) -> np.ndarray:
    """Return our re-ranked distances for parameters such as 'k1=20 k2=6 lambda=0.3'."""
    given = dict(part.split("=") for part in text.split())
    parameters = Reranking(int(given["k1"]), int(given["k2"]), float(given["lambda"]))
    return np.concatenate(list(reranked_blocks(made["q"], made["g"], parameters)))


def _scored(name: str, matrix: np.ndarray, made: Given, given: Given, about: Given) -> Figure:
    """Compare rank-1 and both mAPs of a distance matrix."""
    labels = SearchLabels(*(made[key] for key in _LABELS))
    matches = rank_matches([np.asarray(matrix, float)], labels)
    found, everyone = scores(matches), scores(matches, count_unmatched=True)
    ours = [found.cmc[0] / 100, found.mean_precision / 100, everyone.trapezoid / 100]
    expected = [given[key] for key in ("rank1", "mAP", "mAP_market1501")]
    return Figure(name, distance(ours, expected), about["tolerances"]["retrieval"])


def _variants(title: str, others: Given, made: Given, about: Given) -> Iterator[Figure]:
    """Compare how far each variant of other tools is from ours, and the scores of each."""
    tolerances = about["tolerances"]
    ours = _reranked(made, others["parameters"])
    for key, expected in others["largest_difference_to_zhong"].items():
        apart = float(np.abs(ours - np.array(others[key])).max())
        yield Figure(f"{title} distance to {key}", abs(apart - expected), tolerances["reranking"])
        if key == "bot":
            yield Figure(f"{title} bot (float16)", apart, tolerances["reranking bot (float16)"])
    for key, given in others["scores"].items():
        yield _scored(f"{title} scores of {key}", others[key], made, given, about)


def multi_query(seeds: Given, about: Given) -> Iterator[Figure]:
    """Compare searches with one and with several pictures of each query."""
    tolerance = about["tolerances"]["multi_query"]
    for seed, case in seeds.items():
        made = reid_inputs.multi_query(int(seed))
        title = f"multi-query {seed}"
        if problem := wrong_inputs(case["inputs"], made):
            yield Figure(title, np.inf, 0.0, problem)
            continue
        labels = SearchLabels(*(made[key] for key in _LABELS))
        means = mean_of_views(made["views"], made["views_of"], len(made["q"]))
        for key, features in (("single_query", made["q"]), ("multi_query", means)):
            matches = rank_matches(distance_blocks(features, made["g"], "cosine"), labels)
            found = scores(matches, count_unmatched=True)
            errors = [
                _curve_error(found.cmc / 100, case[key]["cmc"]),
                distance(found.trapezoid / 100, case[key]["mAP"]),
                distance(query_measures(matches).trapezoid, _numbers(case[key]["AP"])),
            ]
            yield Figure(f"{title} {key}", max(errors), tolerance)
