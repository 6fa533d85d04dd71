"""The weights of gluoncv2 and pytorchcv: archives from a real server, checked and unpacked."""

import dataclasses
import hashlib
import zipfile
from contextlib import contextmanager

import numpy as np
import pytest
import torch

import ibn_seg
from ibn_seg.cli import run
from ibn_seg.errors import UserError
from ibn_seg.io import load_checkpoint
from ibn_seg.models import ResNet, create_model, list_models, published_weights, unpack_weights
from ibn_seg.models.osmr_weights import OSMR_FILES, sha1_of, unpacked_name
from ibn_seg.models.published_weights import published_url
from ibn_seg.models.sources import bare_weights, read_checkpoint
from ibn_seg.models.weights import load_backbone_weights
from ibn_seg.plugins.checkpoint_names import resolve
from tests.models.local_server import serve
from tests.mxnet_files import write_params

NAME = "resnet18_ibn_b"
SOURCES = ("gluoncv2", "pytorchcv")


def gluon_names(state, library):
    """Weights of a residual network of ours under the names of a library."""
    found = {}
    for key, value in state.items():
        module, _, end = key.rpartition(".")
        if end == "num_batches_tracked":
            continue
        parts = module.split(".")
        conv = value.dim() == 4
        if module in ("conv1", "bn1"):
            kind = "conv" if conv else "bn" if "bn1.running_mean" in state else "inst_norm"
            name = f"features.init_block.conv.{kind}"
        elif module == "fc":
            name = "output"
        else:
            stage, unit, rest = parts[0][5:], int(parts[1]) + 1, parts[2:]
            start = f"features.stage{stage}.unit{unit}"
            names = {
                ("downsample", "0"): "identity_conv.conv", ("downsample", "1"): "identity_conv.bn",
                ("IN",): "inst_norm", ("bn1", "IN"): "body.conv1.ibn.inst_norm",
                ("bn1", "BN"): "body.conv1.ibn.batch_norm",
            }  # fmt: skip
            own = f"body.conv{rest[0][-1]}.{'conv' if conv else 'bn'}"
            name = f"{start}.{names.get(tuple(rest), own)}"
        found[f"{name}.{end}"] = value
    return (
        {numbered(key): value for key, value in found.items()} if library == "gluoncv2" else found
    )


def numbered(key):
    """gluoncv2's name of a key of pytorchcv."""
    norm = key.split(".")[-2] in ("bn", "inst_norm", "batch_norm")
    ends = {"weight": "gamma", "bias": "beta"} if norm else {}
    start, _, end = key.rpartition(".")
    start = start.replace("features.init_block", "features.0").replace("output", "output.1")
    words = start.split(".")
    if len(words) > 2 and words[1].startswith("stage"):
        words[1:3] = [words[1][5:], str(int(words[2][4:]) - 1)]
    return f"{'.'.join(words)}.{ends.get(end, end)}"


def write_file(folder, library, state):
    """Write a file as a library publishes it, under a name that ends in its SHA-1."""
    weights = gluon_names(state, library)
    if library == "gluoncv2":
        arrays = {key: np.array(value, "f4") for key, value in weights.items()}
        new, suffix = write_params(folder / "new", arrays), "params"
    else:
        new, suffix = folder / "new", "pth"
        torch.save(weights, new, _use_new_zipfile_serialization=False)
    digest = hashlib.sha1(new.read_bytes()).hexdigest()
    return new.rename(folder / f"ibnb_resnet18-0123-{digest[:8]}.{suffix}"), digest


@contextmanager
def released(library, tmp_path, monkeypatch):
    """Serve an archive like a published one; yield it, the weights and the folder of downloads."""
    folder, made = tmp_path / "release", tmp_path / "made"
    folder.mkdir()
    made.mkdir()
    with torch.device("meta"):
        network = create_model(NAME)
    state = network.to_empty(device="cpu").state_dict()
    for number, value in enumerate(state.values()):
        value.fill_(number / 100 if value.is_floating_point() else 0)
    file, digest = write_file(made, library, state)
    archive = folder / f"{file.name}.zip"
    with zipfile.ZipFile(archive, "w") as opened:
        opened.write(file, file.name)
    entry = dataclasses.replace(OSMR_FILES[library]["resnet50_ibn_b"], name=file.name, sha1=digest)
    monkeypatch.setitem(OSMR_FILES[library], NAME, entry)
    monkeypatch.setattr(torch.hub, "_hub_dir", str(tmp_path / "hub"))
    with serve(folder) as address:
        monkeypatch.setenv("IBN_SEG_WEIGHTS", address)
        yield archive, state, tmp_path / "hub" / "checkpoints"


def assert_loaded(model, state):
    for key, value in model.state_dict().items():
        assert torch.equal(value, state[key]), key


@pytest.mark.parametrize("library", SOURCES)
def test_named_weights_are_unpacked_and_kept(library, tmp_path, monkeypatch):
    with released(library, tmp_path, monkeypatch) as (archive, state, hub):
        assert_loaded(create_model(NAME, pretrained=library), state)
        assert [path.name for path in hub.iterdir()] == [archive.name.removesuffix(".zip")]
        archive.unlink()
        model = create_model(NAME, pretrained=library, num_classes=7)
        state["fc.weight"], state["fc.bias"] = model.fc.weight, model.fc.bias
        assert_loaded(model, state)
        name = f"ibn://{NAME}.{library}"
        assert resolve(name).endswith(archive.name)
        backbone = create_model(NAME, features_only=True)
        load_backbone_weights(backbone, resolve(name))
        assert_loaded(backbone, state)
        found = torch.hub.load(
            str(ibn_seg.__path__[0] + "/.."), NAME, source="local", pretrained=library
        )
        assert torch.equal(found.fc.weight, read_output(hub))


def read_output(hub):
    return bare_weights(load_checkpoint(next(hub.iterdir())))[0]["fc.weight"]


def test_a_folder_holds_the_file_packed_or_not(tmp_path, monkeypatch):
    with released("gluoncv2", tmp_path, monkeypatch) as (archive, state, hub):
        monkeypatch.setenv("IBN_SEG_WEIGHTS", str(archive.parent))
        assert_loaded(create_model(NAME, pretrained="gluoncv2"), state)
        kept = next(hub.iterdir())
        kept.rename(archive.parent / kept.name)
        archive.unlink()
        assert_loaded(create_model(NAME, pretrained="gluoncv2"), state)
        assert list(hub.iterdir()) == []
        (archive.parent / kept.name).write_bytes(b"other")
        with pytest.raises(UserError, match="its SHA-1 begins with"):
            create_model(NAME, pretrained="gluoncv2")
        (archive.parent / kept.name).unlink()
        with pytest.raises(UserError, match=r"\.params\.zip: no such file: IBN_SEG_WEIGHTS"):
            create_model(NAME, pretrained="gluoncv2")


def replaced(archive, members):
    """Write an archive with other members, as bytes by name."""
    with zipfile.ZipFile(archive, "w", zipfile.ZIP_DEFLATED) as opened:
        for name, data in members:
            opened.writestr(name, data)


def test_bad_archives_are_refused_and_leave_nothing(tmp_path, monkeypatch):
    with released("gluoncv2", tmp_path, monkeypatch) as (archive, _, hub):
        name, content = archive.name.removesuffix(".zip"), b"weights" * 50
        entry = OSMR_FILES["gluoncv2"][NAME]
        digest = hashlib.sha1(content).hexdigest()
        monkeypatch.setitem(OSMR_FILES["gluoncv2"], NAME, dataclasses.replace(entry, sha1=digest))
        replaced(archive, [(name, content)])
        good, changed = archive.read_bytes(), content[:-1] + b"?"
        monkeypatch.setattr(unpack_weights, "MOST_BYTES", len(content) + 1)
        cases = {
            "the SHA-1 of .* begins with [0-9a-f]{40}, expected": [(name, changed)],
            r"holds \['\.\./x', .*\], expected": [("../x", b""), (name, content)],
            r"holds \['/tmp/": [(f"/tmp/{name}", content)],
            r"holds \['sub/": [(f"sub/{name}", content)],
            r"holds \[\], expected": [],
            "more than .* bytes": [(name, bytes(len(content) + 2))],
        }
        for message, members in cases.items():
            replaced(archive, members)
            assert_refused(message, hub)
        place = 30 + len(name)  # behind the header of a member
        for damaged in (good[:-9], good[:place] + b"????" + good[place + 4 :], b"no archive"):
            archive.write_bytes(damaged)
            assert_refused("not a readable ZIP archive", hub)
        archive.unlink()
        assert_refused("404", hub)
    assert not (tmp_path / "hub" / "x").exists()


def assert_refused(message, hub):
    with pytest.raises(UserError, match=message) as raised:
        read_checkpoint(published_url(NAME, "gluoncv2"))
    assert "\n" not in str(raised.value)
    assert list(hub.iterdir()) == []


def test_addresses_of_such_files_are_checked_by_sha1(tmp_path, monkeypatch):
    """Elsewhere such digits are those of a SHA-256."""
    with released("gluoncv2", tmp_path, monkeypatch) as (archive, _, hub):
        name = archive.name.removesuffix(".zip")
        with zipfile.ZipFile(archive) as opened:
            opened.extract(name, archive.parent)
        with serve(archive.parent) as address:
            for file in (archive.name, name):
                read_checkpoint(f"{address}/{file}")
                assert [path.name for path in hub.iterdir()] == [name]
                (hub / name).unlink()
            (archive.parent / name).write_bytes(b"other")
            with pytest.raises(UserError, match="its SHA-1 begins with"):
                read_checkpoint(f"{address}/{name}")
    assert list(hub.iterdir()) == []


def test_names_of_files():
    file = "resnet50b-0611-ee91e6d9.params"
    assert sha1_of(f"{file}.zip") == sha1_of(file) == "ee91e6d9"
    assert unpacked_name(f"{file}.zip") == file
    assert len(sha1_of("ibn_resnet50-0559-0f75710a.params")) == 40
    for other in ("resnet50-0676ba61.pth", "x-0611-ee91e6d9.zip", "x-0611-ee91e6d9.pth.gz"):
        assert sha1_of(other) is unpacked_name(other) is None


def test_the_name_of_a_plain_resnet_says_where_its_strides_are(tmp_path):
    small = {"stem_channels": 4, "base_channels": 4}
    state = ResNet(50, **small, num_classes=3).state_dict()
    arrays = {k: np.array(v, "f4") for k, v in gluon_names(state, "gluoncv2").items()}
    theirs = write_params(tmp_path / "resnet50-0633-00000000.params", arrays)
    with pytest.raises(UserError, match="set style='caffe', or take the file of its b variant"):
        load_backbone_weights(ResNet(50, **small), theirs)
    load_backbone_weights(ResNet(50, **small, style="caffe"), theirs)
    load_backbone_weights(
        ResNet(50, **small), theirs.rename(tmp_path / "resnet50b-0611-00000000.params")
    )


def test_addresses(monkeypatch):
    monkeypatch.delenv("IBN_SEG_WEIGHTS", raising=False)
    start = "https://github.com/osmr/imgclsmob/releases/download"
    assert published_url("resnet50_ibn_a", "gluoncv2") == (
        f"{start}/v0.0.495/ibn_resnet50-0559-0f75710a.params.zip"
    )
    assert published_url("densenet169_ibn_a.pytorchcv") == (
        f"{start}/v0.0.500/ibn_densenet169-0619-ec2c0556.pth.zip"
    )
    names = {"resnet50_ibn_a", "resnet50_ibn_b", "resnet101_ibn_a", "resnext101_ibn_a",
             "densenet121_ibn_a", "densenet169_ibn_a"}  # fmt: skip
    for library in SOURCES:
        assert set(list_models(pretrained=library)) == names
        for file in OSMR_FILES[library].values():
            assert sha1_of(file.archive) == file.sha1
            assert 0 < file.top5_error < file.top1_error < 25


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (
            ("resnet18_ibn_a", "gluoncv2"),
            "gluoncv2 published no weights: there are: resnet50_ibn_a",
        ),
        (("resnet50_ibn_a", "gluon"), "unknown source of published weights 'gluon': did you mean"),
        (("resnet50_ibn_a", 5), "pretrained=5 is no source of weights: give True or one of"),
    ],
)
def test_what_is_not_there_is_one_line(arguments, message):
    with pytest.raises(UserError, match=message):
        create_model(arguments[0], pretrained=arguments[1])


def test_the_list_says_whose_figures_these_are(capsys):
    assert run(["models", "resnet50_ibn_b"]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert any("resnet50_ibn_b" in line and "authors" in line for line in lines)
    assert any(line.split() == ["21.79", "5.97", "gluoncv2"] for line in lines)
    assert any("README of osmr/imgclsmob" in line for line in lines)
    assert published_weights.addresses("resnet50_ibn_b").keys() == {"authors", *SOURCES}
