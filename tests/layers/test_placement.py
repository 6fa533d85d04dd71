"""What the variants mean, and that nothing else is accepted."""

import dataclasses

import pytest

from ibn_seg.errors import UserError
from ibn_seg.layers import Placement


def first_norms(placement):
    return [placement.replaces_first_norm(stage) for stage in range(len(placement.stages))]


def after_addition(placement, blocks=(3, 4, 6, 3)):
    return [
        (stage, block)
        for stage, count in enumerate(blocks[: len(placement.stages)])
        for block in range(count)
        if placement.follows_addition(stage, block, count)
    ]


def test_variant_a_is_the_first_norm_of_stages_1_to_3():
    placement = Placement.resolve("a")
    assert first_norms(placement) == [True, True, True, False]
    assert after_addition(placement) == []
    assert placement.stem is False


def test_variant_b_is_the_stem_and_the_end_of_stages_1_and_2():
    placement = Placement.resolve("b")
    assert first_norms(placement) == [False] * 4
    assert after_addition(placement) == [(0, 2), (1, 3)]
    assert placement.stem is True


def test_none_is_batch_norm_alone():
    placement = Placement.resolve()
    assert placement == Placement((None,) * 4, stem=False)


@pytest.mark.parametrize("ibn", ["a", "b", None])
def test_shorthand_equals_its_long_form(ibn):
    short = Placement.resolve(ibn)
    assert Placement.resolve(ibn_stages=list(short.stages), ibn_stem=short.stem) == short


def test_stages_are_free():
    placement = Placement.resolve(ibn_stages=["b", None, "a", "a"])
    assert first_norms(placement) == [False, False, True, True]
    assert after_addition(placement) == [(0, 2)]
    assert Placement.resolve(ibn_stem=True) == Placement((None,) * 4, stem=True)


def test_fewer_stages():
    assert Placement.resolve("a", num_stages=2).stages == ("a", "a")


def test_a_placement_cannot_change():
    with pytest.raises(dataclasses.FrozenInstanceError):
        Placement.resolve("a").stem = True


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"ibn": "A"}, "unknown ibn variant 'A': did you mean 'a'\\? allowed: a, b, in, "),
        ({"ibn": "c"}, "unknown ibn variant 'c'"),
        ({"ibn": ["a"]}, "unknown ibn variant"),
        ({"ibn_stages": ["a", "x", None, None]}, "unknown ibn variant 'x'"),
        ({"ibn_stages": ["a", "a"]}, "does not describe 4 stages"),
        ({"ibn_stages": "aaab"}, "does not describe 4 stages"),
        ({"ibn": "a", "ibn_stages": ["a"] * 4}, "together with ibn_stages"),
        ({"ibn": "b", "ibn_stem": False}, "together with ibn_stages or ibn_stem"),
    ],
)
def test_wrong_arguments_are_one_line(arguments, message):
    with pytest.raises(UserError, match=message) as caught:
        Placement.resolve(**arguments)
    assert "\n" not in str(caught.value)
