"""Losses, schedule, erasing and batches: bad input, seeds, ranks; figures are in the parity."""

import itertools

import numpy as np
import pytest
import torch

from ibn_seg.engine.sampling import SeededDataset
from ibn_seg.errors import UserError
from ibn_seg.reid.bnneck import from_bot_names, strong_baseline
from ibn_seg.reid.erasing import PaintRectangle, drawn_rectangle
from ibn_seg.reid.identity_sampling import IdentitySampler, identity_batches
from ibn_seg.reid.retrieval_losses import CenterLoss, smoothed_cross_entropy, triplet_loss
from ibn_seg.reid.warm_up import warm_up_and_steps


def test_smoothing_is_that_of_pytorch():
    scores, labels = torch.randn(6, 5), torch.tensor([0, 1, 2, 3, 4, 0])
    expected = torch.nn.functional.cross_entropy(scores, labels, label_smoothing=0.2)
    torch.testing.assert_close(smoothed_cross_entropy(scores, labels, 0.2), expected)


def test_the_centers_move_as_without_the_weight():
    loss = CenterLoss(3, 4, weight=0.01)
    features = torch.randn(2, 4, requires_grad=True)
    before, labels = loss.centers.detach().clone(), torch.tensor([1, 1])
    value = loss(features, labels)
    value.backward()
    apart = features.detach() - before[1]
    torch.testing.assert_close(value.detach(), 0.01 * apart.square().sum(dim=1).mean())
    torch.testing.assert_close(features.grad, 0.01 * apart)
    loss.step(0.5)
    # Both images pull by 2 / 2 * apart.
    torch.testing.assert_close(loss.centers.detach()[1], before[1] + 0.5 * apart.sum(dim=0))
    torch.testing.assert_close(loss.centers.detach()[0], before[0])
    assert loss.centers.grad is None


class Pictures(torch.utils.data.Dataset):
    """A data set of labels alone."""

    labels = np.repeat(np.arange(10), [1, 2, 3, 4, 5, 6, 7, 8, 9, 10])

    def __len__(self):
        return len(self.labels)

    def __getitem__(self, index):
        return index


def test_batches_depend_on_seed_and_epoch_alone():
    one, again, other, later = (
        identity_batches(Pictures.labels, 4, 2, seed, epoch)
        for seed, epoch in ((1, 0), (1, 0), (2, 0), (1, 1))
    )
    assert np.array_equal(one, again)
    assert not np.array_equal(one[0], other[0])
    assert not np.array_equal(one[0], later[0])


def test_a_sampler_goes_on_where_another_stopped():
    sampler = IdentitySampler(SeededDataset(Pictures(), 3), 3, identities=4, images=2)
    keys = list(itertools.islice(sampler, 200))
    later = IdentitySampler(SeededDataset(Pictures(), 3), 3, identities=4, images=2)
    later.start = 120
    assert list(itertools.islice(later, 80)) == keys[120:]
    first = identity_batches(Pictures.labels, 4, 2, 3, 0)
    assert [index for _, index in keys[: first.size]] == first.ravel().tolist()
    assert [index for _, index in keys[first.size :]][:8] == identity_batches(
        Pictures.labels, 4, 2, 3, 1
    )[0].tolist()


def test_ranks_share_the_batches():
    """Each has whole batches; together they are those of one process."""
    alone = IdentitySampler(Pictures(), 3, identities=4, images=2)
    keys = list(itertools.islice(alone, 64))
    found = []
    for rank in (0, 1):
        sampler = IdentitySampler(Pictures(), 3, identities=4, images=2)
        sampler.rank, sampler.world_size = rank, 2
        found.append(list(itertools.islice(sampler, 32)))
        assert len(sampler) == len(alone) // 16 * 8
    joined = [found[turn % 2][turn // 2 * 8 : turn // 2 * 8 + 8] for turn in range(8)]
    assert [key for part in joined for key in part] == keys


def test_more_identities_than_there_are_is_one_line():
    with pytest.raises(UserError, match="a batch of 11 identities, but only 10 are in"):
        IdentitySampler(Pictures(), 0, identities=11, images=2)


def test_a_rectangle_never_covers_a_side():
    generator = np.random.RandomState(0)
    for _ in range(300):
        place = drawn_rectangle(12, 6, generator)
        rows, columns = (side.stop - side.start for side in place)
        assert rows < 12
        assert columns < 6
        assert place[0].stop <= 12
        assert place[1].stop <= 6
    assert drawn_rectangle(1, 1, generator) is None


def test_a_picture_is_painted_or_not():
    image = {"img": np.zeros((8, 4, 3), np.float32)}
    assert not PaintRectangle(prob=0.0).transform(image)["img"].any()
    painted = PaintRectangle(prob=1.0, fill=(1, 2, 3)).transform(image)["img"]
    assert np.unique(painted[painted.any(axis=2)], axis=0).tolist() == [[1, 2, 3]]


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: PaintRectangle(prob=2), "prob=2"),
        (lambda: PaintRectangle(area=(0.5, 0.1)), "area="),
        (lambda: warm_up_and_steps(warm_up="cosine"), "unknown warm-up 'cosine'"),
        (lambda: warm_up_and_steps(milestones=(0,)), "epochs count from 1"),
        (lambda: triplet_loss(torch.ones(3, 2), torch.zeros(3)), "a batch with one identity"),
        (
            lambda: triplet_loss(torch.ones(2, 2), torch.arange(2), mining="easy"),
            "unknown mining 'easy'",
        ),
        (
            lambda: smoothed_cross_entropy(torch.ones(2, 2), torch.zeros(2).long(), over="none"),
            "unknown classes of the smoothing",
        ),
        (
            lambda: strong_baseline("resnet18", 3, cadene=True),
            "cadene=True for resnet18",
        ),
        (lambda: strong_baseline("densenet121", 3, stem_relu=False), "stem_relu=False"),
    ],
)
def test_bad_values_are_one_line(call, message):
    with pytest.raises(UserError, match=message):
        call()


def test_without_classes_the_network_is_searched_with():
    model = strong_baseline("resnet18", None).eval()
    with torch.no_grad():
        assert model(torch.zeros(1, 3, 64, 32)).shape == (1, 512)
        assert model.base(torch.zeros(1, 3, 64, 32))[0].shape == (1, 512, 4, 2)
    with pytest.raises(UserError, match="cannot be trained"):
        model.train()(torch.zeros(2, 3, 64, 32))


@pytest.mark.parametrize("name", ["densenet121_ibn_a", "mx_resnext50_ibn_b"])
def test_other_families_have_last_stride_1_too(name):
    model = strong_baseline(name, 3).eval()
    with torch.no_grad():
        assert model.base(torch.zeros(1, 3, 64, 32))[0].shape[2:] == (4, 2)


def test_names_of_bot_are_ours():
    names = ["base.layer0.conv1.weight", "base.layer1.0.se_module.fc1.bias", "base.fc.weight"]
    found = from_bot_names(dict.fromkeys(names, torch.zeros(1)))
    assert list(found) == ["base.conv1.weight", "base.layer1.0.se.fc1.bias"]
