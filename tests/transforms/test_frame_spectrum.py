"""Changes of whole frames in the frequency domain, in pipelines."""

import cv2
import numpy as np
import pytest
from mmengine.registry import TRANSFORMS

from ibn_seg.errors import UserError
from ibn_seg.transforms import frame_spectrum, spectrum
from ibn_seg.transforms.random_crop import LoadRandomCrop
from tests.helpers import write_gta5

rng = np.random.default_rng(0)
FRAME = rng.integers(0, 256, (20, 26, 3), np.uint8)


def changed(transform, frame=FRAME, **more):
    np.random.seed(3)
    return transform({"img": frame.copy(), **more})["img"]


@pytest.fixture
def partner(tmp_path):
    cv2.imwrite(str(tmp_path / "other.png"), rng.integers(0, 90, (10, 12, 3), np.uint8))
    return {"partner_path": str(tmp_path / "other.png")}


def test_without_noise_pasta_is_the_frame():
    still = frame_spectrum.PASTA(alpha=0, k=1, beta=0)
    # Truncation to 8 bits may take a level.
    assert np.abs(changed(still).astype(int) - FRAME).max() <= 1


@pytest.mark.parametrize("size", [(20, 26), (21, 26), (20, 27), (21, 27), (1, 1)])
def test_pasta_leaves_the_brightness_to_beta_whatever_the_size(size):
    strength = spectrum.pasta_strength(*size)
    assert strength[0, 0] == 0.25
    assert strength.max() == pytest.approx(9.25 if max(size) > 1 else 0.25)
    released = spectrum.pasta_strength(*size, odd="released")
    assert (released[0, 0] == 0.25) == (max(size) == 1 or not any(side % 2 for side in size))
    assert changed(frame_spectrum.PASTA(), np.resize(FRAME, (*size, 3))).shape == (*size, 3)


def test_the_same_draws_give_the_same_frame():
    pasta = frame_spectrum.PASTA()
    assert (changed(pasta) == changed(pasta)).all()
    assert (changed(pasta) != FRAME).mean() > 0.5


@pytest.mark.parametrize("kind", [frame_spectrum.AmplitudeMix, frame_spectrum.FourierStyle])
def test_a_partner_of_any_size_changes_the_frame(kind, partner):
    found = changed(kind(), **partner)
    assert found.shape == FRAME.shape
    assert found.dtype == np.uint8
    # The partner is dark.
    assert found.mean() < FRAME.mean() - 3


def test_no_share_of_a_partner_is_the_frame(partner):
    still = changed(frame_spectrum.AmplitudeMix(alpha=0), **partner)
    assert np.abs(still.astype(int) - FRAME).max() <= 1
    assert (changed(frame_spectrum.FourierStyle(prob=0), **partner) == FRAME).all()


def test_what_is_missing_or_out_of_range_is_one_line():
    with pytest.raises(UserError, match="AmplitudeMix: 'partner_path' is missing: use a data set"):
        changed(frame_spectrum.AmplitudeMix())
    with pytest.raises(UserError, match=r"PASTA: alpha=-1"):
        frame_spectrum.PASTA(alpha=-1)
    with pytest.raises(UserError, match=r"FourierStyle: shares=\(0.7,\)"):
        frame_spectrum.FourierStyle(shares=(0.7,))
    with pytest.raises(UserError, match="PASTA: odd='x'"):
        spectrum.pasta_strength(3, 3, odd="x")


def test_a_crop_is_cut_from_the_changed_frame(tmp_path):
    """With a data set of ours, which draws the partner; labels stay."""
    from ibn_seg.datasets.gta5 import GTA5Dataset

    write_gta5(tmp_path)
    crop = {"type": "LoadRandomCrop", "scale": (64, 32), "ratio_range": (0.5, 2.0), "crop_size": 16}
    samples = []
    for steps in ([], [{"type": "PASTA"}], [{"type": "FourierStyle"}]):
        pipeline = [{**crop, "frame_steps": steps}]
        data = GTA5Dataset(data_root=str(tmp_path), split="train", pipeline=pipeline)
        np.random.seed(0)
        samples.append(data[0])
    plain, pasta, fda = samples
    assert pasta["img"].shape[2] == 3
    assert "partner_path" not in pasta
    assert fda["partner_path"].endswith(".png")
    assert TRANSFORMS.get("PASTA") is frame_spectrum.PASTA
    chain = LoadRandomCrop((64, 32), 16, (1.0, 1.0), frame_steps=[{"type": "PASTA", "beta": 0.0}])
    assert not chain.needs_partner
    assert plain["img"].dtype == pasta["img"].dtype == np.uint8
