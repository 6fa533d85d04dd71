import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from ibn_seg.analyses.divergence.domain_pairs import Pair, built_share, halves, read_pairs
from ibn_seg.datasets.labels import CLASSES
from ibn_seg.errors import UserError


def test_what_a_user_writes():
    assert [pair.label for pair in read_pairs([])] == [
        "appearance:scenes/source,scenes/target", "content:scenes/source", "null:scenes/source",
    ]  # fmt: skip
    (pair,) = read_pairs(["domains:gta5, cityscapes"])
    assert (pair.kind, pair.names) == ("domains", ("gta5", "cityscapes"))
    assert read_pairs(["appearance:target,scenes/source"])[0].names == (
        "scenes/target", "scenes/source",
    )  # fmt: skip


@pytest.mark.parametrize(
    ("given", "message"),
    [
        (["apearance"], "unknown pair 'apearance': did you mean 'appearance'"),
        (["domains"], "two different domains"),
        (["domains:a,a"], "two different domains"),
        (["null:a,b"], "one domain"),
        (["null", "null:scenes/source"], "twice"),
    ],
)
def test_bad_pairs_are_one_line(given, message):
    with pytest.raises(UserError, match=message):
        read_pairs(given)


@given(st.lists(st.floats(0, 1), min_size=2, max_size=40), st.integers(0, 99))
def test_halves_are_disjoint_and_equal_and_content_is_split_by_share(shares, seed):
    shares = np.array(shares)
    for kind in ("content", "null"):
        a, b = halves(Pair(kind, ("x",)), len(shares), shares, seed)
        assert len(a) == len(b) == len(shares) // 2
        assert not set(a) & set(b)
    a, b = halves(Pair("content", ("x",)), len(shares), shares, seed)
    assert shares[a].max() <= shares[b].min()
    again = halves(Pair("null", ("x",)), len(shares), None, seed)
    assert all(map(np.array_equal, again, halves(Pair("null", ("x",)), len(shares), None, seed)))


def test_random_halves_depend_on_the_seed():
    pair = Pair("null", ("x",))
    assert not np.array_equal(halves(pair, 50, None, 0)[0], halves(pair, 50, None, 1)[0])


def test_built_share_counts_buildings_against_green():
    label = np.full((4, 4), 255, np.uint8)
    assert built_share(label, CLASSES) == 0.5
    label[0] = CLASSES.index("building")
    label[1, :2] = CLASSES.index("vegetation")
    label[1, 2:] = CLASSES.index("terrain")
    label[2, :4] = CLASSES.index("building")
    assert built_share(label, CLASSES) == pytest.approx(8 / 12)
