"""Methods by name: in plans, in configs, and as objects that change a config."""

import copy
import re

import pytest

from ibn_seg.errors import UserError
from ibn_seg.methods.all_methods import (
    BASELINE,
    METHODS,
    PLUS,
    complete_named,
    find_method,
    is_test_time,
)
from ibn_seg.methods.method import KINDS, sees_target


def config(**backbone):
    return {"model": {"backbone": {"type": "IBNResNet", "depth": 18, **backbone}}}


NORMS = {
    "IBN-a": "a", "IBN-b": "b", "IN": "in", "IW": "iw", "IRW": "irw", "ISW": "isw", "SW": "sw2",
    "SW-3": "sw3", "SW-5": "sw5", "IterNorm": "iternorm",
}  # fmt: skip
STEPS = ("LoadImageFromFile", "LoadUrbanLabels", "RandomCrop", "PackSegInputs")


def whole(**backbone):
    """A config with a training pipeline."""
    pipeline = [{"type": name} for name in STEPS]
    return {**config(**backbone), "train_dataloader": {"dataset": {"pipeline": pipeline}}}


@pytest.mark.parametrize("name", METHODS)
@pytest.mark.parametrize(
    "before",
    [{}, {"ibn": "a"}, {"ibn": "b"}, {"ibn_stages": ["a"] * 4}, {"ibn_stem": True},
     {"ibn_stages": ["a", "b", None, None], "ibn_stem": False}],
)  # fmt: skip
def test_applied_methods_are_what_they_say_whatever_was_there(name, before):
    changed = whole(**before)
    METHODS[name].apply(changed)
    assert changed["model"]["backbone"].get("ibn") == NORMS.get(name)
    assert METHODS[name].conflicts(changed) == {}
    again = copy.deepcopy(changed)
    METHODS[name].apply(again)
    METHODS[name].complete(again)
    assert again == changed


@pytest.mark.parametrize(
    "name", [name for name in METHODS if "colours of crops" not in METHODS[name].places]
)
def test_the_next_method_takes_away_what_the_last_added(name):
    changed = whole()
    METHODS[name].apply(changed)
    METHODS["BN"].apply(changed)
    assert changed["model"]["backbone"].pop("ibn", None) is None
    assert not changed.pop("custom_hooks", [])
    assert changed == whole()


@pytest.mark.parametrize("name", ["IBN-a", "IBN-b"])
def test_a_placement_of_norms_adds_nothing_else(name):
    """So that results of earlier versions keep their identity."""
    changed = whole()
    METHODS[name].apply(changed)
    assert changed["model"]["backbone"].pop("ibn") == NORMS[name]
    assert changed == whole()


@pytest.mark.parametrize("name", ["BN", "IBN-b", "ISW", "PASTA"])
def test_a_share_goes_where_no_norm_is_split(name):
    changed = whole(ibn="a", ibn_ratio=0.25)
    METHODS[name].apply(changed)
    assert "ibn_ratio" not in changed["model"]["backbone"]


@pytest.mark.parametrize(
    "before", [{"ibn": "b"}, {"ibn": None}, {"ibn_stages": ["a"] * 4}, {"ibn_stem": True}]
)
def test_completing_keeps_what_the_config_says(before):
    changed = config(**before)
    METHODS["IBN-a"].complete(changed)
    assert changed == config(**before)


def test_norms_placed_by_other_keys_leave_room_for_other_methods(capsys):
    named = {**config(ibn_stages=["b", "b", None, None]), "experiment": {"method": "MixStyle"}}
    complete_named(named)
    layer = {"type": "MixStyle", "places": ["end(1)", "end(2)"]}
    assert named["model"]["backbone"]["randomise"] == [layer]
    named["model"]["backbone"]["randomise"] = [{**layer, "p": 0.1}]
    complete_named(named)
    assert "model.backbone.randomise is" in capsys.readouterr().err


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


@pytest.mark.parametrize(
    ("name", "guess"),
    [("MixStile", "MixStyle"), ("Pasta", "PASTA"), ("IBN-b + Pasta", "IBN-b + PASTA"),
     ("IBN_b", "IBN-b"), ("IBN-a 1500", None), ("my own", None), ("IBN-b + mine", None)],
)  # fmt: skip
def test_a_misspelt_name_is_told_and_changes_nothing(capsys, name, guess):
    named = {**config(), "experiment": {"method": name}}
    complete_named(named)
    assert named == {**config(), "experiment": {"method": name}}
    said = f"{name!r} is no method of ibn_seg, so it changes nothing; did you mean {guess!r}?\n"
    assert capsys.readouterr().err == (f"experiment.method: {said}" if guess else "")


def test_conflicts_are_told():
    assert METHODS["IBN-a"].conflicts(config(ibn="b")) == {"model.backbone.ibn": "b"}
    assert METHODS["BN"].conflicts(config(ibn="b")) == {"model.backbone.ibn": "b"}
    assert METHODS["IBN-a"].conflicts(config()) == {"model.backbone.ibn": None}
    assert METHODS["SAN-SAW"].conflicts(config(semantic={"regions": 0})) == {
        "model.backbone.semantic": {"regions": 0}
    }


def test_what_labels_need_is_no_conflict():
    of_labels = {"num_classes": 3, "selected_classes": [0, 1]}
    assert METHODS["SAN-SAW"].conflicts(config(semantic=of_labels)) == {}
    given = config(semantic={**of_labels, "whitens": False})
    assert METHODS["SAN"].conflicts(given) == {}


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
    assert list(METHODS)[:3] == ["BN", "IBN-a", "IBN-b"]
    for name, method in METHODS.items():
        assert method.name == name
        assert "arXiv:" in method.paper
        assert method.summary
        assert method.kind in KINDS
        assert PLUS not in name
    kinds = [method.kind for method in METHODS.values()]
    assert kinds == sorted(kinds, key=KINDS.index)  # tables keep kinds together


def types(changed):
    return [step["type"] for step in changed["train_dataloader"]["dataset"]["pipeline"]]


def test_methods_of_different_places_are_combined():
    changed = whole()
    method = find_method("IBN-b + PASTA + MixStyle")
    method.apply(changed)
    assert changed["model"]["backbone"]["ibn"] == "b"
    assert changed["model"]["backbone"]["randomise"][0]["type"] == "MixStyle"
    assert types(changed) == [*STEPS[:2], "PASTA", *STEPS[2:]]
    assert changed["custom_hooks"] == [{"type": "MethodHook"}]
    assert method.conflicts(changed) == {}
    both = whole()
    find_method("MixStyle + RandConv").apply(both)
    assert [one["type"] for one in both["model"]["backbone"]["randomise"]] == [
        "MixStyle", "RandConv",
    ]  # fmt: skip
    assert find_method("IBN-b + TENT").kind == "test time"


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("ISW + IBN-b", "ISW and IBN-b both take the norms"),
        ("MixStyle + EFDMix", "MixStyle and EFDMix both take the end of stage 1"),
        ("PASTA + FDA", "both take the spectrum of frames"),
        ("AdaBN + TENT", "AdaBN and TENT both take the test"),
        ("BN + PASTA", "BN is the network that the others change: leave it out"),
        ("ISW + ISW", "names a method twice"),
        ("IBN-b + Pasta", "unknown method 'Pasta': did you mean 'PASTA'"),
        ("MixStile", "unknown method 'MixStile': did you mean 'MixStyle'"),
    ],
)
def test_what_cannot_be_combined_is_refused_with_the_reason(name, message):
    with pytest.raises(UserError, match=re.escape(message)):
        find_method(name)


def test_strong_colour_replaces_the_protocol_s_jitter_and_keeps_what_a_config_says(capsys):
    jitter = {"type": "ColorJitter", "brightness": 0.4}
    changed = whole()
    changed["train_dataloader"]["dataset"]["pipeline"].insert(3, dict(jitter))
    named = {**copy.deepcopy(changed), "experiment": {"method": "strong colour"}}
    METHODS["strong colour"].apply(changed)
    assert types(changed) == [*STEPS[:3], "ColorJitter", "RandomGaussianBlur", STEPS[3]]
    assert changed["train_dataloader"]["dataset"]["pipeline"][3]["brightness"] == 0.8
    complete_named(named)
    assert named["train_dataloader"]["dataset"]["pipeline"][3] == jitter
    assert "is 'strong colour', but train_dataloader: ColorJitter is" in capsys.readouterr().err


def test_steps_on_whole_frames_go_into_a_crop_that_loads_them():
    crop = {"type": "LoadRandomCrop", "frame_steps": []}
    nested = {"datasets": [{"pipeline": [dict(crop), {"type": "PackSegInputs"}]}]}
    changed = {**config(), "train_dataloader": {"dataset": {"dataset": nested}}}
    METHODS["FDA"].apply(changed)
    (inner,) = changed["train_dataloader"]["dataset"]["dataset"]["datasets"]
    assert inner["pipeline"][0]["frame_steps"] == [{"type": "FourierStyle"}]
    METHODS["PASTA"].apply(changed)
    assert inner["pipeline"][0]["frame_steps"] == [{"type": "PASTA"}]


def test_a_pipeline_without_a_place_for_the_step_is_refused():
    bare = {**config(), "train_dataloader": {"dataset": {"pipeline": [{"type": "Own"}]}}}
    with pytest.raises(UserError, match=r"PASTA changes whole frames, and no step .* loads labels"):
        METHODS["PASTA"].apply(bare)
    with pytest.raises(UserError, match="PASTA changes train_dataloader's pipeline, which is not"):
        METHODS["PASTA"].apply(config())


def test_a_network_of_others_takes_methods_that_change_no_layer():
    other = {**whole(), "model": {"backbone": {"type": "mmseg.ResNetV1c"}}}
    before = copy.deepcopy(other["model"])
    for name in ("PASTA", "AdaBN", "strong colour"):
        METHODS[name].apply(other)
        assert other["model"] == before
    with pytest.raises(UserError, match=r"MixStyle needs a backbone .*ibn-seg swap"):
        METHODS["MixStyle"].apply(other)


@pytest.mark.parametrize("name", [*METHODS, "IBN-b + TENT"])
def test_a_config_and_a_name_tell_whether_images_of_the_target_are_seen(name):
    changed = whole()
    find_method(name).apply(changed)
    expected = find_method(name).kind == "test time"
    assert sees_target(changed) == is_test_time(name) == expected


@pytest.mark.parametrize("name", ["my own", "my TENT", None, "IBN-a + IBN-b"])
def test_other_names_see_no_target(name):
    assert not is_test_time(name)
