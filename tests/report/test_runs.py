"""What is refused: one line that names the result."""

import copy

import pytest

from ibn_seg.errors import UserError
from ibn_seg.report import wording
from ibn_seg.report.runs import order_methods, read_runs
from ibn_seg.report.scores import rows_of_runs


def _without(result: dict, *path: str) -> dict:
    changed = copy.deepcopy(result)
    inner = changed
    for key in path[:-1]:
        inner = inner[key]
    del inner[path[-1]]
    return changed


def _with(result: dict, value: object, *path: str) -> dict:
    changed = copy.deepcopy(result)
    inner = changed
    for key in path[:-1]:
        inner = inner[key]
    inner[path[-1]] = value
    return changed


@pytest.mark.parametrize(
    "path",
    [
        ("method",),
        ("seed",),
        ("source",),
        ("domains",),
        ("domains", "cityscapes", "mIoU"),
        ("domains", "cityscapes", "IoU"),
        ("domains", "cityscapes", "absent"),
        ("domains", "cityscapes", "images"),
        ("curves", "loss"),
    ],
)
def test_missing_key_is_named_with_its_result(results, path):
    results[4] = _without(results[4], *path)
    with pytest.raises(
        UserError, match=rf"resnet18-ibn-a_seed1.*'{path[-1]}' is missing"
    ) as caught:
        read_runs(results)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("value", "path"),
    [
        (None, ("method",)),
        ("0", ("seed",)),
        (True, ("seed",)),
        (None, ("source",)),
        (2, ("schema",)),
        ({}, ("domains",)),
        (None, ("domains", "gta5", "mIoU")),
        (float("nan"), ("domains", "gta5", "aAcc")),
        (101.0, ("domains", "gta5", "IoU", "road")),
        ([1.0, 2.0], ("curves", "loss")),
    ],
)
def test_wrong_value_is_named_with_its_result(results, value, path):
    results[4] = _with(results[4], value, *path)
    with pytest.raises(UserError, match=rf"resnet18-ibn-a_seed1.*{path[-1]}") as caught:
        read_runs(results)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("value", "path", "said"),
    [
        ("cityscapes", ("source",), "source 'cityscapes', expected 'gta5'"),
        ("ResNet-50", ("backbone",), "backbone 'ResNet-50', expected 'ResNet-18'"),
        ("rein", ("protocol",), "protocol 'rein', expected 'native'"),
        ("soft", ("merge",), "merge 'soft', expected 'hard'"),
        (59, ("domains", "cityscapes", "images"), "59 images of cityscapes, expected 60"),
        (["road"], ("domains", "cityscapes", "unlabelled"), "classes are in the labels of cit"),
    ],
)
def test_results_of_different_experiments_are_refused(results, value, path, said):
    results[4] = _with(results[4], value, *path)
    with pytest.raises(UserError, match="resnet18-ibn-a_seed1") as caught:
        read_runs(results)
    assert said in str(caught.value)


def test_differing_domains_are_refused(results):
    results[4] = _without(results[4], "domains", "cityscapes")
    with pytest.raises(UserError, match=r"seed1.*evaluated on gta5, expected gta5, cityscapes"):
        read_runs(results)


def test_a_run_given_twice_is_refused(results):
    with pytest.raises(UserError, match="same method 'BN' and seed 0"):
        read_runs([*results, results[0]])


def test_no_results_are_refused():
    with pytest.raises(UserError, match="no results"):
        read_runs([])


def test_methods_come_in_the_paper_s_order_then_as_given():
    given = ["Mine", "IBN-b", "BN", "Mine", "Other", "IBN-a"]
    assert order_methods(given) == ("BN", "IBN-a", "IBN-b", "Mine", "Other")


def test_gap_and_mean_over_targets(make_result):
    (run,) = read_runs([make_result("BN", 0, {"acdc": 20.0, "gta5": 50.0, "bdd": 31.0})])
    assert list(run.domains) == ["gta5", "acdc", "bdd"]
    assert run.targets == ("acdc", "bdd")
    assert run.targets_miou == pytest.approx(25.5)
    assert run.gap == pytest.approx(24.5)


def test_a_misspelt_source_is_no_other_domain(results):
    results[1]["source"] = "gta"
    with pytest.raises(UserError, match=r"'source' of result '.*' 'gta': did you mean 'gta5'"):
        read_runs(results)


def test_a_test_run_of_targets_only_has_no_gap_and_no_curves(make_result):
    result = make_result("BN", 0, {"cityscapes": 20.0}, kind="test")
    del result["curves"], result["iterations"]
    (run,) = read_runs([result])
    assert run.gap is None
    assert run.loss is None
    assert run.validation == {}


def test_a_diverged_loss_stays_readable(results):
    results[0]["curves"]["loss"][3] = None
    run = read_runs(results)[0]
    assert run.loss.values[3] != run.loss.values[3]


def _of_classes(result: dict, domain: str, names: tuple[str, ...]) -> dict:
    """Return a result whose domain is scored over other classes."""
    value = result["domains"][domain]["mIoU"]
    return _with(_with(result, dict.fromkeys(names, value), "domains", domain, "IoU"), [],
                 "domains", domain, "absent")  # fmt: skip


def test_scores_over_different_classes_are_not_averaged(make_result):
    result = make_result("BN", 0, {"gta5": 50.0, "idd_lite": 20.0, "acdc": 31.0, "camvid": 40.0})
    result = _of_classes(_of_classes(result, "idd_lite", ("a", "b")), "camvid", ("a", "b"))
    (run,) = read_runs([result])
    assert run.compared == ("idd_lite", "camvid")
    assert run.score == pytest.approx(30.0)
    assert run.targets_miou is None
    assert run.gap is None


def test_the_gap_over_the_targets_classes_is_the_recorded_one(make_result):
    result = make_result("BN", 0, {"gta5": 50.0, "camvid": 20.0}, gap=12.5)
    (run,) = read_runs([_of_classes(result, "camvid", ("a", "b"))])
    assert run.targets_miou == pytest.approx(20.0)
    assert run.gap == 12.5
    assert wording.headline(rows_of_runs([run])).text == (
        "BN reaches 20.0 % mIoU on the unseen domain camvid, 12.5 points below the source gta5 over"
        " the same classes."
    )
    (run,) = read_runs([_of_classes({**result, "gap": None}, "camvid", ("a", "b"))])
    assert run.gap is None
