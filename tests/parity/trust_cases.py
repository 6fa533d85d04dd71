"""The figures of a file of trust, one by one, with what the product computes for each."""

import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from ibn_seg.evaluation.confusion import confusion_matrix, scores
from ibn_seg.trust import calibration_error as calibration
from ibn_seg.trust.bravo import bravo_index
from ibn_seg.trust.calibration_error import ConfidenceCounts, count_pixels, reliability
from ibn_seg.trust.confidence_bins import LEVEL_KIND, LEVELS, ConfidenceBins
from ibn_seg.trust.image_confidences import count_image, stack_images
from ibn_seg.trust.probabilities import PixelConfidence, from_logits
from ibn_seg.trust.rejection import aurc, prr
from ibn_seg.trust.temperature import fit_temperature, nll_sums
from ibn_seg.trust.trust_measures import DETECTION, detection_measures, trust_measures
from tests.trust import made_pixels

VOID = 255
# The names of the files' measures, and ours.
NAMES = {
    **{name: name for name in DETECTION},
    "ece15": "ece", "pixels": "pixels", "auprc": "unknown_auprc",
}  # fmt: skip
# Figures of others' code without a definition in the reference, or of a fit that stopped early.
NOT_OURS = re.compile(r"ace\d+_|lbfgs_|prr_as_released")


@dataclass(frozen=True)
class Figure:
    """One figure of a file beside ours.

    Attributes:
        name: Where it stands.
        expected: The file's number, list, or None where a measure is undefined.
        found: Ours.
        kind: The name of its tolerance.
    """

    name: str
    expected: Any
    found: Any
    kind: str

    @property
    def error(self) -> float:
        """The largest difference; infinite where one of the two is missing."""
        if self.expected is None or self.found is None:
            return 0.0 if self.expected is self.found else np.inf
        pair = [np.asarray(one, np.float64) for one in (self.found, self.expected)]
        if pair[0].shape != pair[1].shape:
            return np.inf
        worst = np.abs(pair[0] - pair[1]).max(initial=0.0)
        return float(np.inf if np.isnan(worst) else worst)


def numbers(recipe: str, name: str) -> tuple[list[float], dict[str, float]]:
    """Return the numbers and named numbers of a call such as 'scores(500, seed=0)' in a recipe.

    Raises:
        ValueError: There is no such call.
    """
    call = re.match(rf"{name}\(([^()]*)\)", recipe)
    if call is None:
        raise ValueError(f"recipe {recipe!r} has no {name}(...)")
    plain, named = [], {}
    for word in call[1].split(","):
        key, equals, value = word.partition("=")
        number = float(value if equals else key)
        if equals:
            named[key.strip()] = number
        else:
            plain.append(number)
    return plain, named


def made_scores(recipe: str) -> tuple[np.ndarray, np.ndarray]:
    """Return the logits and labels of a recipe 'scores(PIXELS, seed=S, sharpness=X)'."""
    (pixels,), named = numbers(recipe, "scores")
    whole = {name: int(named.pop(name)) for name in ("seed", "classes") if name in named}
    return made_pixels.scores(int(pixels), **whole, **named)


def main_figures(given: Mapping[str, Any]) -> Iterator[Figure]:
    """Yield the figures of images, pooled and one by one, and with invalid pixels."""
    plain, named = numbers(given["recipe"], "images")
    made = made_pixels.images(*map(int, plain), **{name: int(v) for name, v in named.items()})
    seed = int(named.get("seed", 0))
    names = [str(at) for at in range(len(made))]
    counted = [_counted(*image) for image in made]
    result = trust_measures(stack_images(names, LEVELS, counted))
    yield from _named("main.pooled", given["pooled"], result["pooled"])
    yield from _named("main.mean of images", given["mean_of_images"], result["mean_of_images"])
    for at, expected in enumerate(given["per_image"]):
        alone = trust_measures(stack_images(["one"], LEVELS, [counted[at]]))["pooled"]
        yield from _named(f"main.image {at}", expected, alone)
        right = round(alone["pixels"] * (1 - alone["error_rate"]))
        yield Figure(f"main.image {at}.correct", expected["correct"], right, "main")
    if "with_invalid" in given:
        yield from _invalid_figures(given["with_invalid"], made, seed)


def _counted(
    prediction: np.ndarray, level: np.ndarray, label: np.ndarray, mask: np.ndarray | None = None
) -> Any:
    unknown = None if mask is None else mask & (label != VOID)
    confidence = (level + 0.5) / LEVELS.count
    return count_image(LEVELS, prediction, confidence, label, num_classes=19, unknown=unknown)


def _invalid_figures(given: Mapping[str, Any], made: Sequence, seed: int) -> Iterator[Figure]:
    """Yield the figures of images some of whose pixels are invalid."""
    counted, confusion = [], np.zeros((19, 19), np.int64)
    for at, (prediction, level, label) in enumerate(made):
        lowered, mask = made_pixels.invalid(level, seed + at)
        counted.append(_counted(prediction, lowered, label, mask))
        valid = np.where(mask, VOID, label).astype(np.uint8)
        confusion += confusion_matrix(prediction, valid, 19)
    images = stack_images([str(at) for at in range(len(made))], LEVELS, counted)
    found = trust_measures(images)["pooled"]
    miou = scores(confusion, [str(k) for k in range(19)]).mIoU / 100
    yield from _named("invalid.semantic", given["semantic"], {**found, "miou": miou})
    unknown = {name: found[f"unknown_{name}"] for name in ("auroc", "auprc", "fpr95")}
    yield from _named("invalid.ood", given["ood"], {**unknown, "unknown_auprc": unknown["auprc"]})
    of_unknown = int(images.counts[:, 2].sum())
    yield Figure("invalid.invalid", given["invalid"], of_unknown, "main")
    yield Figure("invalid.pixels", given["pixels"], of_unknown + found["pixels"], "main")


def _named(where: str, expected: Mapping[str, Any], found: Mapping[str, Any]) -> Iterator[Figure]:
    """Yield each expected measure by its name."""
    for name, value in expected.items():
        if name != "correct":
            yield Figure(f"{where}.{name}", value, found.get(NAMES.get(name, name)), "main")


def edge_figures(given: Mapping[str, Any]) -> Iterator[Figure]:
    """Yield the figures of single pixels; where BRAVO has no AUROC, our four are undefined."""
    for case, one in given.items():
        level, right = np.array(one["levels"]), np.array(one["correct"], bool)
        low, high = (np.bincount(level[kind], minlength=LEVELS.count) for kind in (~right, right))
        counts = ConfidenceCounts(LEVELS.values(), low, high)
        found = detection_measures(low, high)
        expected = dict(one["bravo"])
        if "error" in expected:
            expected |= dict.fromkeys(DETECTION)
            expected.pop("error")
        found |= {"ece": float(calibration.ece(reliability(counts)))}
        for name, value in expected.items():
            yield Figure(f"edges.{case}.{name}", value, found.get(NAMES.get(name, name)), "edges")


def index_figures(given: Mapping[str, Any]) -> Iterator[Figure]:
    """Yield the harmonic means of BRAVO's index."""
    found = bravo_index(given["given"])
    for name, value in given["result"].items():
        yield Figure(f"bravo_index.{name}", value, found.get(name), "bravo_index")


class FloatMeasures:
    """Measures of float64 probabilities, in the names of the file."""

    def __init__(self, found: PixelConfidence, labels: np.ndarray, logits: np.ndarray) -> None:
        self.found, self.labels, self.logits = found, labels, logits
        self.right = found.prediction == labels
        self.counts = count_pixels(found.confidence, self.right)

    def plain(self) -> dict[str, Callable[[], Any]]:
        """Return the measures that stand alone."""
        found, labels = self.found, self.labels
        return {
            "pixels": lambda: len(labels),
            "correct": lambda: int(self.right.sum()),
            "nll": lambda: found.nll(labels).mean(),
            "brier_sum_over_classes": lambda: found.brier(labels).mean(),
            "brier_of_confidence": lambda: ((found.confidence - self.right) ** 2).mean(),
            "mean_confidence": lambda: found.confidence.mean(),
            "mean_entropy": lambda: -found.negative_entropy.mean(),
            "prr": lambda: prr(self.counts),
            "aurc": lambda: aurc(self.counts),
        }

    def of_source(self, source: str, name: str) -> Any:
        """Return a measure as a source names it; None if it is not known.

        The number of bins stands in one of the names, as in `ece15` or `torchmetrics_15`.
        """
        if split := re.fullmatch(r"sce(\d+)_predicted_classes_(\d+)_to_(\d+)", name):
            return self._by_predicted_class(*map(int, split.groups()))
        digits = re.search(r"(?:ece|mce|classwise|torchmetrics_)(\d+)", f"{name} {source}")
        bins = int(digits[1]) if digits else 0
        word = name if name in ("l1", "l2") else re.sub(r"\d+", "", name)
        measures = {
            "ks": lambda: calibration.ks_error(self.counts),
            "ece_equal_population": lambda: calibration.equal_mass_ece(self.counts, bins),
            "classwise": lambda: self._one_vs_rest(bins),
            "classwise_mean": lambda: self._one_vs_rest(bins).mean(),
            **dict.fromkeys(("ece", "l1"), lambda: calibration.ece(self._diagram(bins))),
            **dict.fromkeys(("mce", "max"), lambda: calibration.mce(self._diagram(bins))),
            "l2": lambda: calibration.rms(self._diagram(bins)),
        }
        return measures[word]() if word in measures else None

    def _diagram(self, bins: int) -> np.ndarray:
        return reliability(self.counts, bins)

    def _one_vs_rest(self, bins: int) -> np.ndarray:
        probabilities = np.exp(self.found.log_probability)
        return calibration.one_vs_rest_eces(probabilities, self.labels, bins)

    def _by_predicted_class(self, bins: int, first: int, last: int) -> float:
        """Return LTS's SCE: its loop stops at `last`, and divides by all pixels."""
        total = 0.0
        for k in range(first, last + 1):
            mine = self.found.prediction == k
            if mine.any():
                part = count_pixels(self.found.confidence[mine], self.right[mine])
                total += float(calibration.ece(reliability(part, bins))) * mine.sum()
        return total / len(self.labels)

    def detection(self) -> dict[str, dict[str, float | None]]:
        """Return the detection of errors by each score of confidence."""
        by_score = {
            "max_probability": self.found.confidence,
            "negative_entropy": self.found.negative_entropy,
            "margin": self.found.margin,
            "max_logit": self.logits.max(axis=-1),
        }
        counts = {name: count_pixels(score, self.right) for name, score in by_score.items()}
        return {name: detection_measures(one.wrong, one.right) for name, one in counts.items()}


def float_figures(given: Mapping[str, Any]) -> Iterator[Figure | str]:
    """Yield the figures of float64 probabilities."""
    for case, one in given.items():
        logits, labels = made_scores(one["recipe"])
        used = labels != VOID
        ours = FloatMeasures(from_logits(logits[used]), labels[used].astype(int), logits[used])
        plain = ours.plain()
        for name, value in one.items():
            where = f"float.{case}.{name}"
            if name == "misclassification":
                yield from _score_figures(where, value, ours.detection())
            elif isinstance(value, Mapping):
                yield from _source_figures(where, value, ours, name)
            elif name.startswith("netcal_"):
                found = ours.of_source("netcal", name.removeprefix("netcal_"))
                yield Figure(where, value, found, "netcal")
            elif name != "recipe":
                yield Figure(where, value, plain[name]() if name in plain else None, name)


def _score_figures(
    where: str, given: Mapping[str, Mapping], found: Mapping[str, Mapping]
) -> Iterator[Figure]:
    """Yield the detection of errors by each score of confidence."""
    for score, expected in given.items():
        for measure, number in expected.items():
            ours = found.get(score, {}).get(measure)
            yield Figure(f"{where}.{score}.{measure}", number, ours, "misclassification")


def _source_figures(
    where: str, given: Mapping[str, Any], ours: FloatMeasures, source: str
) -> Iterator[Figure | str]:
    """Yield the measures that one source's code gave."""
    for measure, number in given.items():
        if NOT_OURS.match(measure):
            yield f"{where}.{measure}: no definition"
        else:
            yield Figure(f"{where}.{measure}", number, ours.of_source(source, measure), source)


def temperature_figures(given: Mapping[str, Any]) -> Iterator[Figure | str]:
    """Yield the figures of temperatures."""
    for case, one in given.items():
        logits, labels = made_scores(one["recipe"])
        used = labels != VOID
        logits, labels = logits[used], labels[used].astype(int)
        fitted = fit_temperature(logits, labels)
        grid = np.arange(0.5, 10, 0.01)
        at = {"1": 1.0, "T_nll": fitted.value}
        if any("relis" in name for name in one):
            errors = [_ece_at(logits, labels, t) for t in grid]
            at["relis_T"] = float(grid[int(np.argmin(errors))])
        found = {"pixels": len(labels), "T_nll": fitted.value}
        found |= {"relis_grid_T_ece": at.get("relis_T")}
        for name, t in at.items():
            scaled = from_logits(logits, t)
            found[f"nll_at_{name}"] = nll_sums(logits, labels, t)[0] / len(labels)
            found[f"ece15_at_{name}"] = _ece_at(logits, labels, t)
            found[f"brier_at_{name}"] = scaled.brier(labels).mean()
        for name, value in one.items():
            if NOT_OURS.match(name):
                yield f"temperature.{case}.{name}: not converged"
            elif name != "recipe":
                kind = "temperature.T_nll" if name == "T_nll" else name.partition("_at_")[0]
                yield Figure(f"temperature.{case}.{name}", value, found.get(name), kind)


def _ece_at(logits: np.ndarray, labels: np.ndarray, temperature: float) -> float:
    found = from_logits(logits, temperature)
    counts = ConfidenceCounts(
        found.confidence, *((found.prediction == labels) == kind for kind in (False, True))
    )
    return float(calibration.ece(reliability(counts)))


def example_figures(given: Mapping[str, Any]) -> Iterator[Figure]:
    """Yield the measures of counts by level, as in `confidence_example`."""
    names = {"ECE": "ece", "AUROC": "auroc", "FPR95": "fpr95"}
    names |= {"AUPR_success": "aupr_success", "AUPR_error": "aupr_error"}
    for case, one in given.items():
        if not isinstance(one, Mapping):
            continue
        wrong, right = np.array(one["wrong"]), np.array(one["right"])
        bins = ConfidenceBins(LEVEL_KIND, len(right))
        counts = ConfidenceCounts(bins.values(), wrong, right)
        found = {**detection_measures(wrong, right), "ece": calibration.ece(reliability(counts))}
        for name, value in one.items():
            if name not in ("wrong", "right"):
                yield Figure(f"{case}.{name}", value, found.get(names.get(name, "")), "main")
