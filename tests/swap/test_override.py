"""The override that is written, merged into its base by mmengine, is the config that was meant."""

import keyword

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from mmengine.config import Config, ConfigDict

from ibn_seg.swap.override import override, render

KEYS = st.sampled_from(["type", "a", "b", "c", "d", "e"])
LEAVES = st.none() | st.booleans() | st.integers(-3, 3) | st.floats(-1, 1) | st.text(max_size=3)
VALUES = st.recursive(
    LEAVES,
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.lists(inner, max_size=3).map(tuple)
        | st.dictionaries(KEYS, inner, max_size=4)
    ),
    max_leaves=12,
)
CONFIGS = st.dictionaries(KEYS, VALUES, max_size=5)


def plain(merged):
    return ConfigDict(merged).to_dict()


def typed(value):
    """Return a value that tells a tuple from a list and True from 1."""
    if isinstance(value, dict):
        return {key: typed(item) for key, item in value.items()}
    if isinstance(value, (list, tuple)):
        return type(value).__name__, [typed(item) for item in value]
    return type(value).__name__, value


@settings(deadline=None)
@given(old=CONFIGS, changes=CONFIGS)
def test_merging_gives_the_new_config(old, changes):
    new = {**old, **changes}
    merged = Config._merge_a_into_b(ConfigDict(override(old, new)), ConfigDict(old))
    assert typed(plain(merged)) == typed(new)


@settings(deadline=None)
@given(config=CONFIGS)
def test_nothing_is_said_where_nothing_differs(config):
    assert override(config, config) == {}


@settings(deadline=None)
@given(config=CONFIGS)
def test_the_text_reads_back_as_the_config(config):
    found = {}
    exec(render(config, "a comment"), {}, found)
    assert typed(found) == typed(config)


def test_what_differs_alone_is_written():
    old = {"model": {"backbone": {"type": "A", "depth": 50, "style": "x"}, "head": {"n": [1, 2]}}}
    new = {"model": {"backbone": {"type": "B", "depth": 50, "style": "x"}, "head": {"n": [1, 2]}}}
    assert override(old, new) == {"model": {"backbone": {"type": "B"}}}
    del new["model"]["backbone"]["style"]
    assert override(old, new) == {
        "model": {"backbone": {"_delete_": True, "type": "B", "depth": 50}}
    }
    with pytest.raises(ValueError, match="model"):
        override(old, {})


def test_long_values_are_broken_at_79_columns_and_odd_keys_stay_keys():
    config = {"hooks": {"names": [f"number {i}" for i in range(30)], "class": 1, "a b": (2,)}}
    text = render(config, "first line\nsecond line")
    assert text.startswith("# first line\n# second line\nhooks = {\n")
    assert max(map(len, text.splitlines())) < 80
    assert keyword.iskeyword("class")
    found = {}
    exec(text, {}, found)
    assert found == config
