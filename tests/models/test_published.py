"""The authors' weights: from where they are published, a mirror or a folder, into the networks."""

import pytest
import torch

from ibn_seg.errors import EnvError, UserError
from ibn_seg.models import create_model, list_models
from ibn_seg.models.published_weights import published_url
from tests.models.local_server import released

NAME = "resnet18_ibn_a"


@pytest.fixture
def release(tmp_path, monkeypatch):
    """A folder and an address with a file like the published one, and its weights."""
    with released(NAME, tmp_path, monkeypatch) as release:
        yield release


def assert_loaded(model, weights, but=()):
    for key, value in model.state_dict().items():
        if not key.startswith(but):
            assert torch.equal(value, weights[key]), key


def test_key_for_key_and_kept(release, tmp_path):
    folder, _, weights = release
    model = create_model(NAME, pretrained=True)
    assert_loaded(model, weights)
    kept = list((tmp_path / "hub" / "checkpoints").iterdir())
    assert [path.name for path in kept] == [path.name for path in folder.iterdir()]
    next(folder.iterdir()).unlink()
    assert_loaded(create_model(NAME, pretrained=True), weights)


def test_other_classes_keep_their_start(release):
    model = create_model(NAME, pretrained=True, num_classes=7)
    assert model.fc.weight.shape == (7, 512)
    assert_loaded(model, release[2], but=("fc.",))


def test_features_leave_the_classifier_out(release):
    model = create_model(NAME, pretrained=True, features_only=True, output_stride=8)
    assert not hasattr(model, "fc")
    assert_loaded(model, release[2])


def test_a_folder_without_network(release, monkeypatch):
    folder, _, weights = release
    monkeypatch.setenv("IBN_SEG_WEIGHTS", str(folder))
    assert_loaded(create_model(NAME, pretrained=True), weights)
    file = next(folder.iterdir())
    file.write_bytes(file.read_bytes()[:-1] + b"?")
    with pytest.raises(UserError, match=r"its SHA-256 begins with .*, expected"):
        create_model(NAME, pretrained=True)
    file.unlink()
    with pytest.raises(
        UserError, match=r"no such file: IBN_SEG_WEIGHTS=.* must hold it, or be unset"
    ):
        create_model(NAME, pretrained=True)


def test_a_wrong_file_on_the_mirror_is_not_kept(release, tmp_path):
    file = next(release[0].iterdir())
    file.write_bytes(file.read_bytes()[:-1] + b"?")
    with pytest.raises(UserError, match=r"its SHA-256 begins with .*, expected"):
        create_model(NAME, pretrained=True)
    assert list((tmp_path / "hub" / "checkpoints").iterdir()) == []


def test_a_mirror_that_is_not_there(monkeypatch, tmp_path):
    monkeypatch.setattr(torch.hub, "_hub_dir", str(tmp_path / "hub"))
    monkeypatch.setenv("IBN_SEG_WEIGHTS", "http://127.0.0.1:9")
    with pytest.raises(EnvError, match="cannot be reached"):
        create_model(NAME, pretrained=True)


def test_no_weights_is_an_error_that_names_those_that_are():
    with pytest.raises(UserError, match="resnet152_ibn_a: its authors published no weights") as e:
        create_model("resnet152_ibn_a", pretrained=True)
    for name in list_models(pretrained=True):
        assert name in str(e.value)


def test_addresses(monkeypatch):
    monkeypatch.delenv("IBN_SEG_WEIGHTS", raising=False)
    start = "https://github.com/XingangPan/IBN-Net/releases/download/v1.0/"
    assert published_url("resnet50_ibn_a") == f"{start}resnet50_ibn_a-d9d0bb7b.pth"
    with pytest.raises(UserError, match="did you mean 'resnet50_ibn_a'"):
        published_url("resnet50_ibna")
