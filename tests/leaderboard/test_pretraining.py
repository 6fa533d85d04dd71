"""Networks of different pretraining are never ranked together."""

import pytest

from ibn_seg.leaderboard import write_leaderboard
from ibn_seg.leaderboard.compare import compare
from ibn_seg.leaderboard.network_table import network_table
from ibn_seg.leaderboard.pretraining_groups import ACROSS
from ibn_seg.leaderboard.read import read_board
from ibn_seg.leaderboard.score_tables import main_notes
from ibn_seg.leaderboard.sections import published_table
from ibn_seg.pretraining import data_of_tag, pretraining_of
from ibn_seg.report.published_figures import published_rows
from tests.leaderboard.made import DOMAINS, Folder, skill_of


@pytest.fixture
def folder(tmp_path):
    """BN from scratch and from ImageNet, and IBN-a from ImageNet, one backbone's name."""
    made = Folder(tmp_path / "results")
    facts = {"pretraining": "ImageNet-1k", "parameters": 2_000_000, "trained_parameters": 500_000}
    made.train("BN", 0, skill_of("BN"), record={"pretraining": "none"})
    made.train("IBN-a", 0, skill_of("IBN-a"), entropy=1, record=facts)
    made.train("BN", 1, skill_of("BN"), entropy=2, record={**facts, "tuning": "lora"})
    made.write()
    return made.path


def test_groups_have_one_pretraining(folder):
    (found,) = compare(read_board([folder]), "BN")
    methods = {group.pretraining: [row.method for row in group.rows] for group in found.groups}
    assert methods == {"none": ["BN"], "ImageNet-1k": ["BN", "IBN-a"]}
    assert [group.title for group in found.groups] == [
        "ResNet-18, FCN, from scratch",
        "ResNet-18, FCN, pretrained on ImageNet-1k",
    ]
    # Both have seed 0, but their first weights differ.
    assert not any(row.differences for row in found.rows)


def test_seeds_are_incomplete_only_beside_a_baseline_of_the_same_pretraining(tmp_path):
    made = Folder(tmp_path / "results")
    made.train("BN", 2, skill_of("BN"))
    for seed in (0, 1):
        for method in ("BN", "IBN-a"):
            made.train(method, seed, skill_of(method), record={"pretraining": "ImageNet-1k"})
    board = read_board([made.write()])
    (found,) = compare(board, "BN")
    notes = main_notes(board, found, chosen=False, compared=True)
    assert not any(note.startswith("Incomplete seeds") for note in notes)


def test_the_page_says_that_groups_are_no_ranking(folder, tmp_path):
    page, *exports = write_leaderboard(
        [folder], tmp_path / "page.html", exports=["csv", "markdown"], published="none"
    )
    assert ACROSS in page.read_text()
    csv, markdown = (path.read_text() for path in exports)
    assert ACROSS in markdown
    assert "ResNet-18,FCN,ImageNet-1k,IBN-a" in csv


def test_one_pretraining_needs_no_word(tmp_path):
    made = Folder(tmp_path / "results")
    made.train("BN", 0, skill_of("BN"))
    made.write()
    comparisons = compare(read_board([made.path]), "BN")
    assert comparisons[0].groups[0].title == "ResNet-18, FCN"
    assert network_table(comparisons) is None


def test_the_table_of_networks(folder):
    table = network_table(compare(read_board([folder]), "BN"))
    rows = {tuple(cell.text for cell in row[:2]): row for row in table.rows}
    assert [cell.text for cell in rows["BN", "ImageNet-1k"][3:]] == ["lora", "0.50", "2.00"]
    assert rows["BN", "none"][4].value is None


def test_published_rows_stand_by_pretraining():
    rows = published_rows("all")
    unknown = {row.backbone for row in rows if row.pretraining == "not stated"}
    assert unknown == {"Swin-L", "not stated in abstract"}
    assert {row.pretraining for row in rows if row.backbone == "DINOv2-L"} == {"LVD-142M"}
    (vltseg,) = {
        row.pretraining for row in rows if row.paper == "VLTSeg" and row.backbone[-1] == "L"
    }
    assert vltseg == "Merged-2B"
    table = published_table("GTAV", [row for row in rows if row.train_set == "GTAV"])
    titles = [part.title for part in table.parts]
    assert "Pretrained on LVD-142M" in titles
    assert len(titles) == len(set(titles)) > 5


RESNET = {"type": "mmseg.ResNetV1c"}
PUBLISHED = {"type": "Pretrained", "checkpoint": "torchvision://resnet50"}
OURS = {"type": "TimmBackbone", "model": "vit_base_patch14_dinov2.lvd142m", "pretrained": True}


@pytest.mark.parametrize(
    ("config", "data"),
    [
        ({"model": {"backbone": RESNET}}, "none"),
        ({"model": {"backbone": {**RESNET, "init_cfg": PUBLISHED}}}, "ImageNet-1k"),
        ({"model": {"backbone": RESNET, "pretrained": "open-mmlab://resnet50_v1c"}}, "ImageNet-1k"),
        ({"model": {"backbone": {**RESNET, "init_cfg": [{"type": "Kaiming"}]}}}, "none"),
        ({"model": {"backbone": RESNET}, "load_from": "runs/iter_9.pth"}, "weights of iter_9.pth"),
        ({"model": {"backbone": OURS}}, "LVD-142M"),
        ({"model": {"backbone": {**OURS, "pretrained": None}}}, "none"),
        ({"model": {"backbone": {**OURS, "pretrained": "a/own.pth"}}}, "weights of own.pth"),
        ({"model": {"backbone": {**OURS, "pretrained": "own.pth"}},
          "experiment": {"pretraining": "SAT-493M"}}, "SAT-493M"),
        ({"model": {"backbone": {"type": "TIMMBackbone", "model_name": "resnet50.a1_in1k"}}},
         "ImageNet-1k"),
        ({"model": {"backbone": {**OURS, "model": "convnext_atto"}}},
         "timm's default weights of convnext_atto"),
    ],
)  # fmt: skip
def test_pretraining_of_a_config(config, data):
    assert pretraining_of(config) == data


@pytest.mark.parametrize(
    ("tag", "data"),
    [
        ("fb_in22k_ft_in1k_384", "ImageNet-22k + ImageNet-1k"),
        ("laion2b_ft_in12k_in1k", "LAION-2B + ImageNet-12k + ImageNet-1k"),
        ("dinov3_lvd1689m", "LVD-1689M"),
        ("mae", "ImageNet-1k"),
        ("new_thing", "timm's new_thing"),
    ],
)
def test_data_of_a_tag(tag, data):
    assert data_of_tag(tag) == data


def test_ways_of_tuning_are_compared_with_the_first(tmp_path):
    """A plan of foundation models has no BN."""
    folder = Folder(tmp_path / "bench", baseline="full")
    for method, level in (("full", 0.7), ("frozen", 0.4)):
        folder.train(method, 0, dict.fromkeys(DOMAINS, level), backbone="ViT-tiny")
    page, text = write_leaderboard([folder.write()], tmp_path / "page.html", exports=["markdown"])
    assert "With one seed, frozen reads" in page.read_text()
    assert "vs full" in text.read_text()
