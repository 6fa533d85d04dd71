"""Plans: what they mean, and one helpful line for everything that can be wrong with them."""

from pathlib import Path

import pytest
import yaml

from ibn_seg.benchmark.plan import read_plan
from ibn_seg.benchmark.plan_parts import Budget, Choice, Scenes
from ibn_seg.errors import UserError

GOOD = {
    "name": "good",
    "segmentors": {"all-MLP": "ibn_seg::demo/mlp_r18_1xb8-600_scenes-128x128"},
    "backbones": {"ResNet-18": {}},
    "methods": {"BN": {}, "IBN-a": {"model.backbone.ibn": "a"}},
    "seeds": [0, 1],
}


def write(folder: Path, text: str) -> Path:
    path = folder / "plan.yaml"
    path.write_text(text)
    return path


def test_every_key(tmp_path):
    given = GOOD | {
        "backbones": {"ResNet-50": "r50"},
        "segmentors": {"DeepLabV3+": "x_{backbone}.py"},
        "sources": ["gta5"], "targets": ["world", {"type": "IDDDataset", "data_root": "x"}],
        "schedule": {"iterations": 5, "options": {"optim_wrapper.optimizer.lr": 0.1}},
        "protocol": "rein", "threads": 2, "processes": 3, "gpus": 4,
        "budget": {"hours": 1.5, "cells": 4}, "selection": "best-on-source-validation",
        "intervals": "seeds",
        "scenes": {"source": 5, "target_train": 0, "target_val": 2, "size": [64, 32]},
        "also": [{"seeds": [7], "methods": {"BN": None}}],
        "oracles": {"sources": ["cityscapes"], "seeds": [0]},
        "analyses": {"robustness": {"severities": [1, 5], "methods": ["BN"]},
                     "divergence": {"pairs": ["appearance", None], "images": 9}},
        "transfer": {"targets": {"dashcam": "x.py"}, "shares": [1, 2.5], "methods": ["IBN-a"],
                     "schedule": {"iterations": 2}},
    }  # fmt: skip
    plan = read_plan(write(tmp_path, yaml.safe_dump(given)))
    first, second = plan.blocks
    assert first.backbones == (Choice("ResNet-50", config="r50"),)
    assert first.methods[1] == Choice("IBN-a", {"model.backbone.ibn": "a"})
    assert first.sources == (Choice("gta5"),)
    assert first.targets[0] == "world"
    assert first.schedule.iterations == 5
    assert (second.seeds, second.methods) == ((7,), (Choice("BN"),))
    assert second.sources == first.sources
    assert (plan.threads, plan.processes, plan.gpus) == (2, 3, 4)
    assert plan.budget == Budget(1.5, 4)
    assert plan.selection == "best-on-source-validation"
    assert plan.intervals == "seeds"
    assert plan.scenes == Scenes(5, 0, 2, size=(64, 32))
    assert [m.name for m in plan.oracles.methods] == ["BN"]
    assert (plan.oracles.sources, plan.oracles.seeds) == ((Choice("cityscapes"),), (0,))
    assert plan.oracles.schedule == first.schedule
    compared, measured = sorted(plan.analyses, key=lambda one: one.task)
    assert measured.options == {"severities": [1, 5], "corruptions": [], "domains": [], "seed": 0}
    assert measured.covers("BN", "ResNet-50", "gta5", 3)
    assert not measured.covers("IBN-a", "ResNet-50", "gta5", 3)
    assert compared.options["pairs"] == ["appearance", "null"]
    assert (plan.transfer.shares, plan.transfer.starts) == ((1.0, 2.5), ("source", "scratch"))
    assert plan.transfer.block.schedule.iterations == 2
    assert plan.transfer.block.methods == first.methods[1:]


def test_a_plan_of_the_package():
    plan = read_plan("ibn_seg::benchmark/demo")
    assert len(plan.blocks[0].seeds) == 3
    assert plan.address == read_plan(plan.file).address == "ibn_seg::benchmark/demo"
    with pytest.raises(UserError, match="did you mean 'ibn_seg::benchmark/demo'"):
        read_plan("ibn_seg::benchmark/dmo")


BAD = [
    ({"sedes": [0]}, "sedes: unknown key 'sedes': did you mean 'seeds'?"),
    ({"seeds": []}, "seeds: is an empty list: expected a list such as [0, 1, 2]"),
    ({"seeds": 3}, "seeds: is 3: expected a list"),
    ({"seeds": [0, -1]}, "seeds.1: is -1: expected a whole number of 0 or more"),
    ({"seeds": [0, True]}, "seeds.1: is True: expected a whole number"),
    ({"seeds": [0, 0]}, "seeds.1: 0 is given twice"),
    ({"methods": {}}, "methods: is empty: expected at least one"),
    ({"methods": {"BN": {"modle.x": 1}}}, "methods.BN.modle.x: unknown part of a config 'modle': "
                                          "did you mean 'model'?"),
    ({"methods": {"BN": {"optim_wrapper.optimizer.lr": "1e-3"}}},
     "methods.BN.optim_wrapper.optimizer.lr: YAML reads 1e-3 as a text: write 1.0e-3"),
    ({"methods": {"BN": [1]}}, "methods.BN: is a list: expected a mapping"),
    ({"methods": {True: {}}}, "methods.True: this key is True: write it in quotes"),
    ({"backbones": ["A", "A"]}, "backbones.1: 'A' is given twice"),
    ({"backbones": {"ResNet-50": "r50"}}, "backbones.ResNet-50: 'r50' stands for {backbone}"),
    ({"segmentors": {"S": "x_{backbone}.py"}}, "backbones.ResNet-18: no word for {backbone}"),
    ({"segmentors": {"S": 5}}, "segmentors.S: is 5: expected a text"),
    ({"segmentors": ["S"]}, "segmentors: is a list: expected a mapping"),
    ({"targets": [{"data_root": "x"}]}, "targets.0: has no type"),
    ({"targets": ["a", "a"]}, "targets.1: 'a' is given twice"),
    ({"schedule": {"iteration": 3}}, "schedule.iteration: unknown key 'iteration': did you mean "
                                     "'iterations'?"),
    ({"schedule": {"iterations": 0}}, "schedule.iterations: is 0: expected a whole number of 1"),
    ({"protocol": "riens"}, "protocol: unknown protocol 'riens': did you mean 'rein'?"),
    ({"threads": "2"}, "threads: is '2': expected a whole number of 1 or more"),
    ({"gpus": -1}, "gpus: is -1: expected a number above 0"),
    ({"gpus": 1.5}, "gpus: is 1.5: give a whole number, or a share of one such as 0.5"),
    ({"gpus": 0.5, "processes": 2},
     "gpus: is 0.5 for 2 processes: each needs a GPU of its own"),
    ({"budget": {"hours": float("inf")}}, "budget.hours: is inf: expected a number above 0"),
    ({"budget": {"days": 1}}, "budget.days: unknown key 'days'"),
    ({"intervals": "seed"}, "intervals: unknown kind of intervals 'seed': did you mean 'seeds'"),
    ({"selection": "best-on-target"}, "selection: unknown rule 'best-on-target': did you mean "
                                      "'best-on-source-validation'?"),
    ({"scenes": {"source": 5}}, "scenes.target_train: is missing"),
    ({"scenes": {"source": 5, "target_train": 0, "target_val": 2, "size": [1]}},
     "scenes.size: has 1 numbers: expected [256, 128]"),
    ({"also": [{"threads": 2}]}, "also.0.threads: unknown key 'threads'"),
    ({"also": [{"seeds": ["x"]}]}, "also.0.seeds.0: is 'x': expected a whole number"),
    ({"oracles": {"methods": ["BN"]}}, "oracles.sources: is missing"),
    ({"oracles": {"sources": ["x"], "methods": ["IBNa"]}}, "oracles.methods.0: unknown method "
                                                           "'IBNa': did you mean 'IBN-a'?"),
    ({"analyses": {"robust": {}}}, "analyses.robust: unknown key 'robust': did you mean "
                                   "'robustness'?"),
    ({"analyses": {"robustness": {"severities": [6]}}}, "analyses.robustness.severities.0: "
                                                        "unknown severity 6"),
    ({"analyses": {"robustness": {"seeds": [0, 7]}}}, "analyses.robustness.seeds.1: "
                                                      "unknown seed 7"),
    ({"analyses": {"divergence": {"images": 1}}}, "analyses.divergence.images: is 1: expected"),
    ({"transfer": {"targets": ["x"]}}, "transfer.shares: is missing"),
    ({"transfer": {"targets": ["x"], "shares": [0]}}, "transfer.shares.0: is 0: expected a number"),
    ({"transfer": {"targets": ["x"], "shares": [101]}}, "transfer.shares.0: is 101: expected "
                                                        "percent, up to 100"),
    ({"transfer": {"targets": ["x"], "shares": [1], "starts": ["sorce"]}},
     "transfer.starts.0: unknown start 'sorce': did you mean 'source'?"),
    ({"transfer": {"targets": ["x"], "shares": [1]}, "sources": ["a", "b"]},
     "transfer: the plan has several sources"),
    ({"scenes": {"source": 5, "target_train": 0, "target_val": 2, "adverse_val": -1}},
     "scenes.adverse_val: is -1: expected a whole number of 0 or more"),
    ({"scenes": {"source": 5, "target_train": 0, "target_val": 2, "varied": -1}},
     "scenes.varied: is -1: expected a whole number of 0 or more"),
    ({"scenes": {"source": 5, "target_train": 0, "target_val": 2, "varied": 2,
                 "varied_without": ["weather", "optic"]}},
     "scenes.varied_without.1: unknown kind of variation 'optic': did you mean 'optics'?"),
    ({"name": "a/b"}, "name: is 'a/b': allowed: letters, digits"),
    ({"name": None}, "name: is empty: expected a text"),
]  # fmt: skip


@pytest.mark.parametrize(("change", "message"), BAD, ids=[str(next(iter(c))) for c, _ in BAD])
def test_one_line_for_what_is_wrong(tmp_path, change, message):
    path = write(tmp_path, yaml.safe_dump(GOOD | change))
    with pytest.raises(UserError) as caught:
        read_plan(path)
    assert caught.value.line.startswith(f"{path}: {message}"), caught.value.line
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("key", ["name", "methods", "segmentors", "backbones", "seeds"])
def test_missing_key(tmp_path, key):
    given = {name: value for name, value in GOOD.items() if name != key}
    with pytest.raises(UserError, match=f"{key}: is missing: a plan needs name"):
        read_plan(write(tmp_path, yaml.safe_dump(given)))


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("name: a\nname: b\n", "line 2: name is given twice"),
        ("methods:\n  BN: {}\n  BN: {}\n", "line 3: methods.BN is given twice"),
        ("name: [a\n", "line 2: not YAML"),
        ("- 1\n", "the plan: is a list: expected a mapping"),
        ("", "the plan: is empty: expected a mapping"),
        ("name: !!python/object/apply:os.getcwd []\n", "not YAML"),
    ],
)
def test_files_that_are_no_plans(tmp_path, text, message):
    with pytest.raises(UserError) as caught:
        read_plan(write(tmp_path, text))
    assert message in caught.value.line


def test_no_such_file(tmp_path):
    with pytest.raises(UserError, match="no such plan"):
        read_plan(tmp_path / "none.yaml")
    with pytest.raises(UserError, match="is a folder"):
        read_plan(tmp_path)
