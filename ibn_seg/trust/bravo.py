"""BRAVO's index: harmonic means over its subsets (valeoai/bravo_challenge@d54005d)."""

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from ibn_seg.errors import UserError

SEMANTIC = ("miou", "ece", "auroc", "auprc_success", "auprc_error", "fpr95")
UNKNOWN = ("auroc", "auprc", "fpr95")
# Measures that are better when lower enter as 1 - x.
_LOWER = {"ece", "fpr95"}
# Our names of its measures.
_OURS = {
    "ece": "ece", "auroc": "auroc", "auprc_success": "aupr_success",
    "auprc_error": "aupr_error", "fpr95": "fpr95",
}  # fmt: skip
SEMANTIC_SUBSETS = (
    "ACDCfog", "ACDCrain", "ACDCnight", "ACDCsnow", "synrain", "synobjs", "synflare",
    "outofcontext",
)  # fmt: skip
UNKNOWN_SUBSETS = ("SMIYC", "synobjs")


def part_names(subset: str) -> tuple[str, ...]:
    """Return the names of a subset's values, such as ACDCfog_ece_valid; none if unknown."""
    semantic = [f"{subset}_{m}_valid" for m in SEMANTIC] if subset in SEMANTIC_SUBSETS else []
    unknown = [f"{subset}_{m}_ood" for m in UNKNOWN] if subset in UNKNOWN_SUBSETS else []
    return (*semantic, *unknown)


def bravo_index(values: Mapping[str, float | None]) -> dict[str, float]:
    """Return the harmonic means of each subset and of all, and the index.

    The index is the harmonic mean of two means: of all 48 semantic values at once, and of all 6
    values of unknown things. A single 0 makes it 0.

    Args:
        values: By name, such as ACDCfog_miou_valid or SMIYC_fpr95_ood, each 0..1.

    Returns:
        `SUBSET_hmean` of each subset, `semantic_hmean`, `ood_hmean` and `bravo_index`.

    Raises:
        UserError: A value is missing or undefined, or is not from 0 to 1.
    """
    subsets = dict.fromkeys((*SEMANTIC_SUBSETS, *UNKNOWN_SUBSETS))
    names = [name for subset in subsets for name in part_names(subset)]
    missing = [name for name in names if values.get(name) is None]
    if missing:
        raise UserError(
            f"BRAVO's index lacks {len(missing)} of {len(names)} values, first {missing[0]}",
            "it is defined for all of them together",
        )
    good = {name: _higher_is_better(name, values[name]) for name in names}
    found = {f"{s}_hmean": harmonic_mean([good[n] for n in part_names(s)]) for s in subsets}
    for kind, suffix in (("semantic", "_valid"), ("ood", "_ood")):
        parts = [value for name, value in good.items() if name.endswith(suffix)]
        found[f"{kind}_hmean"] = harmonic_mean(parts)
    found["bravo_index"] = harmonic_mean([found["semantic_hmean"], found["ood_hmean"]])
    return found


def values_of(results: Iterable[Mapping[str, Any]]) -> dict[str, float | None]:
    """Return the values of the subsets that result files hold.

    A domain counts if it has the name of a subset, such as ACDCfog. All pixels count, not BRAVO's
    sample of 100,000 of each picture.

    Args:
        results: Contents of `test.json` of predictions with pictures of confidence, of
            `calibration.json`, and of `unknown.json`.

    Returns:
        By name, as for `bravo_index`; those that no result holds are left out.
    """
    found: dict[str, float | None] = {}
    for result in results:
        for subset in SEMANTIC_SUBSETS:
            if subset in (result.get("trust") or {}):
                pooled = result["trust"][subset]["pooled"]
                shares = {"miou": result["domains"][subset]["mIoU"] / 100}
                shares |= {name: pooled[ours] for name, ours in _OURS.items()}
                found |= {f"{subset}_{name}_valid": value for name, value in shares.items()}
        for subset in UNKNOWN_SUBSETS:
            if subset in (result.get("unknown_things") or {}):
                pooled = result["unknown_things"][subset]["pooled"]
                found |= {f"{subset}_{m}_ood": pooled[f"unknown_{m}"] for m in UNKNOWN}
    return found


def harmonic_mean(values: Sequence[float]) -> float:
    """Return the harmonic mean of numbers of at least 0; it is 0 if one is 0."""
    return 0.0 if min(values) == 0 else len(values) / sum(1 / value for value in values)


def _higher_is_better(name: str, value: float) -> float:
    if not 0 <= value <= 1:
        raise UserError(f"{name} is {value:g}", "allowed: 0..1")
    return 1 - value if name.split("_")[1] in _LOWER else value
