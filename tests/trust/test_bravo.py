"""BRAVO's index from result files; its formula is compared in tests/parity."""

import numpy as np
import pytest

from ibn_seg import cli
from ibn_seg.io import write_json
from ibn_seg.trust.bravo import SEMANTIC_SUBSETS, UNKNOWN_SUBSETS, bravo_index, values_of

OURS = ("ece", "auroc", "aupr_success", "aupr_error", "fpr95")
THEIRS = ("miou", "ece", "auroc", "auprc_success", "auprc_error", "fpr95")
ODD = ("auroc", "auprc", "fpr95")


def made():
    """Return two results, and BRAVO's 54 values in them."""
    rng = np.random.default_rng(0)
    trust, domains, odd, expected = {}, {}, {}, {}
    for subset in SEMANTIC_SUBSETS:
        first, *values = rng.uniform(0.1, 0.9, 6).tolist()
        trust[subset] = {"pooled": dict(zip(OURS, values, strict=True))}
        domains[subset] = {"mIoU": 100 * first}
        named = zip(THEIRS, (first, *values), strict=True)
        expected |= {f"{subset}_{name}_valid": value for name, value in named}
    for subset in UNKNOWN_SUBSETS:
        values = dict(zip(ODD, rng.uniform(0.1, 0.9, 3).tolist(), strict=True))
        odd[subset] = {"pooled": {f"unknown_{name}": value for name, value in values.items()}}
        expected |= {f"{subset}_{name}_ood": value for name, value in values.items()}
    return [{"trust": trust, "domains": domains}, {"unknown_things": odd}], expected


def test_values_are_those_of_result_files():
    results, expected = made()
    assert len(expected) == 54
    assert values_of(results) == pytest.approx(expected)
    # Other domains are none of BRAVO's.
    assert values_of([{"trust": {"gta5": {"pooled": {}}}}]) == {}


def test_the_command_prints_the_index_or_what_is_missing(tmp_path, capsys):
    results, expected = made()
    files = [str(tmp_path / f"{at}.json") for at in range(2)]
    for file, result in zip(files, results, strict=True):
        write_json(file, result)
    assert cli.run(["bravo", *files]) == 0
    assert f"{100 * bravo_index(expected)['bravo_index']:.2f}" in capsys.readouterr().out
    assert cli.run(["bravo", files[0]]) == 2
    assert "lacks 6 of 54 values, first synobjs_auroc_ood" in capsys.readouterr().err
