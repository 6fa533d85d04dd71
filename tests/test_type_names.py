"""A config's `type` in all of its spellings means the same class, and no other one."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ibn_seg.type_names import is_named, short_name

NAME = st.from_regex(r"[A-Za-z_]\w{0,8}", fullmatch=True)


class CheckpointHook:
    """Somebody's own class of a well-known name."""


@pytest.mark.parametrize(
    "kind",
    ["CheckpointHook", "mmengine.CheckpointHook", "mmengine.hooks.CheckpointHook",
     "mmengine.hooks.checkpoint_hook.CheckpointHook", "mmseg.CheckpointHook"],
)  # fmt: skip
def test_spellings_of_one_class(kind):
    assert short_name(kind) == "CheckpointHook"
    assert is_named(kind, "LoggerHook", "CheckpointHook")
    assert not is_named(kind, "LoggerHook")


def test_classes_themselves():
    hooks = pytest.importorskip("mmengine.hooks")
    assert is_named(hooks.CheckpointHook, "CheckpointHook")
    assert short_name(hooks.CheckpointHook) == "CheckpointHook"


@pytest.mark.parametrize("kind", [CheckpointHook, "my_code.CheckpointHook", "mmdet.CheckpointHook"])
def test_a_class_of_the_same_name_in_another_package_is_another(kind):
    assert short_name(kind) == "CheckpointHook"
    assert not is_named(kind, "CheckpointHook")


@pytest.mark.parametrize("kind", [None, 3, "", {}])
def test_what_is_no_type(kind):
    assert short_name(kind) == ""
    assert not is_named(kind, "CheckpointHook")


@given(st.lists(NAME, min_size=1, max_size=4), NAME)
def test_the_module_changes_nothing(modules, name):
    full = ".".join(["mmseg", *modules, name])
    assert short_name(full) == name
    assert is_named(full, name)
    assert not is_named(full, name + "2")
