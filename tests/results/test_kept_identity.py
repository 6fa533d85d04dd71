"""A difference to another value brings the value back."""

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ibn_seg.errors import UserError
from ibn_seg.results.kept_identity import shortened, whole

VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(),
    lambda below: st.lists(below, max_size=4) | st.dictionaries(st.text(), below, max_size=4),
    max_leaves=12,
)


@given(VALUES, st.dictionaries(st.text(), VALUES, max_size=3))
def test_a_form_brings_the_value_back(value, wholes):
    form = json.loads(json.dumps(shortened(value, wholes)))
    assert json.dumps(whole(form, wholes), sort_keys=True) == json.dumps(value, sort_keys=True)


def test_few_changes_are_said_as_such():
    first = {"config": {"a/b": [1, {"c~": 2}], "long": "x" * 200}, "old": 1}
    other = {"config": {"a/b": [1, {"c~": 2.0}], "long": "x" * 200}, "new": [1]}
    form = shortened(other, {"one": first, "two": {"quite": "different"}})
    assert form == {
        "like": "one",
        "changes": {"/config/a~1b/1/c~0": 2.0, "/new": [1]},
        "without": ["/old"],
    }
    assert whole(form, {"one": first}) == other
    assert first["old"] == 1


@pytest.mark.parametrize(
    "form",
    [
        {"like": "gone", "changes": {}, "without": []},
        {"like": "one", "changes": {"/a/b/c": 1}, "without": []},
        {"like": "one", "changes": {}, "without": ["/z"]},
        {"like": "one"},
    ],
)
def test_a_damaged_form_is_one_line(form):
    with pytest.raises(UserError, match="cannot be restored"):
        whole(form, {"one": {"a": {"d": 1}}})
