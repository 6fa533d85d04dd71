"""Errors are one line and survive what data workers and registries do to them."""

import pytest
import torch

from ibn_seg.errors import EnvError, UserError, nearest, unknown


class Broken(torch.utils.data.Dataset):
    def __len__(self) -> int:
        return 2

    def __getitem__(self, index: int) -> int:
        raise UserError("data/00007.png: truncated", "download it again")


def test_unknown_names_the_nearest_and_all_that_is_allowed():
    error = unknown("variant", "A", ["a", "b"])
    assert str(error) == "unknown variant 'A': did you mean 'a'? allowed: a, b"


@pytest.mark.parametrize(("given", "expected"), [("resnet5O", "resnet50"), ("zzz", None)])
def test_nearest(given, expected):
    assert nearest(given, ["resnet18", "resnet50"]) == expected


def test_line_is_the_message():
    assert UserError("x.png: bad", "mend it").line == "x.png: bad: mend it"
    assert UserError("x.png: bad").line == "x.png: bad"


def test_line_survives_a_data_worker():
    loader = torch.utils.data.DataLoader(Broken(), num_workers=1)
    with pytest.raises(UserError) as caught:
        next(iter(loader))
    assert "Traceback" in str(caught.value)
    assert caught.value.line == "data/00007.png: truncated: download it again"


def test_line_survives_being_raised_again_by_type_and_text():
    error = EnvError("disk full", "free space")
    again = type(error)(f"class `X` in y.py: {error}")
    assert isinstance(again, EnvError)
    assert again.line.endswith("disk full: free space")
    assert again.exit_code == 3


def test_hosts_take_it_for_a_wrong_value():
    assert issubclass(UserError, ValueError)
    assert str(UserError("depth=9: out of range", "allowed: 1 to 5")).count("\n") == 0
