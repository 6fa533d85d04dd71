"""Methods by name: in plans, in configs, and as objects that change a config."""

import copy

import pytest

from ibn_seg.errors import UserError
from ibn_seg.methods.all_methods import BASELINE, METHODS, complete_named

# What each method leaves in the backbone of a config.
BACKBONE = {"BN": {}, "IBN-a": {"ibn": "a"}, "IBN-b": {"ibn": "b"}}


def config(**backbone):
    return {"model": {"backbone": {"type": "IBNResNet", "depth": 18, **backbone}}}


@pytest.mark.parametrize("name", METHODS)
@pytest.mark.parametrize(
    "before",
    [{}, {"ibn": "a"}, {"ibn": "b"}, {"ibn_stages": ["a"] * 4}, {"ibn_stem": True},
     {"ibn_stages": ["a", "b", None, None], "ibn_stem": False}],
)  # fmt: skip
def test_applied_methods_are_what_they_say_whatever_was_there(name, before):
    changed = config(**before)
    METHODS[name].apply(changed)
    # An absent key and None mean the same.
    left = {key: value for key, value in changed["model"]["backbone"].items() if value is not None}
    assert {"model": {"backbone": left}} == config(**BACKBONE[name])
    METHODS[name].apply(changed)
    assert METHODS[name].conflicts(changed) == {}
    again = copy.deepcopy(changed)
    METHODS[name].apply(again)
    METHODS[name].complete(again)
    assert again == changed


@pytest.mark.parametrize("name", ["BN", "IBN-b"])
def test_a_share_goes_where_no_norm_is_split(name):
    changed = config(ibn="a", ibn_ratio=0.25)
    METHODS[name].apply(changed)
    assert "ibn_ratio" not in changed["model"]["backbone"]


@pytest.mark.parametrize(
    "before", [{"ibn": "b"}, {"ibn": None}, {"ibn_stages": ["a"] * 4}, {"ibn_stem": True}]
)
def test_completing_keeps_what_the_config_says(before):
    changed = config(**before)
    METHODS["IBN-a"].complete(changed)
    assert changed == config(**before)


def test_a_named_method_is_enough(capsys):
    named = {**config(), "experiment": {"method": "IBN-a"}}
    complete_named(named)
    assert named["model"]["backbone"]["ibn"] == "a"
    assert capsys.readouterr().err == ""


@pytest.mark.parametrize("given", ["b", None])
def test_a_config_that_is_another_method_than_it_says_is_told(capsys, given):
    named = {**config(ibn=given), "experiment": {"method": "IBN-a"}}
    complete_named(named)
    assert named["model"]["backbone"]["ibn"] == given
    assert capsys.readouterr().err == (
        f"experiment.method is 'IBN-a', but model.backbone.ibn is {given!r}: results are named "
        "IBN-a; mend one of the two\n"
    )


def test_one_of_several_processes_tells_it(capsys, monkeypatch):
    monkeypatch.setenv("RANK", "1")
    complete_named({**config(ibn="b"), "experiment": {"method": "IBN-a"}})
    assert capsys.readouterr().err == ""


@pytest.mark.parametrize("model", [{"backbone": {"type": "TheirIBN"}}, {}, "fcn", None])
def test_what_is_no_backbone_of_ours_stays_as_it_is(capsys, model):
    named = {"model": copy.deepcopy(model), "experiment": {"method": "IBN-a"}}
    complete_named(named)
    assert named["model"] == model
    assert capsys.readouterr().err == ""


@pytest.mark.parametrize("experiment", [{}, None, {"method": None}, {"method": "my own"}])
def test_other_names_change_nothing(experiment):
    named = {**config(), "experiment": experiment}
    complete_named(named)
    assert named == {**config(), "experiment": experiment}


def test_conflicts_are_told():
    assert METHODS["IBN-a"].conflicts(config(ibn="b")) == {"model.backbone.ibn": "b"}
    assert METHODS["BN"].conflicts(config(ibn="b")) == {"model.backbone.ibn": "b"}
    assert METHODS["IBN-a"].conflicts(config()) == {"model.backbone.ibn": None}


def test_a_backbone_of_others_is_refused_with_the_way_out():
    other = {"model": {"backbone": {"type": "mmseg.ResNetV1c"}}}
    with pytest.raises(UserError, match=r"IBN-b needs a backbone .* ResNetV1c.*ibn-seg swap"):
        METHODS["IBN-b"].apply(copy.deepcopy(other))
    METHODS["BN"].apply(other)


def test_a_config_without_a_backbone_is_refused():
    with pytest.raises(UserError, match=r"IBN-a changes model\.backbone, which"):
        METHODS["IBN-a"].apply({"model": {}})


def test_the_baseline_comes_first_and_all_name_their_paper():
    assert BASELINE == "BN"
    assert list(METHODS) == ["BN", "IBN-a", "IBN-b"]
    for name, method in METHODS.items():
        assert method.name == name
        assert "arXiv:" in method.paper
        assert method.summary
