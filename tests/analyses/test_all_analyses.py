"""Every analysis of the table has its parts, so that a half-done one is found here."""

import click
import pytest

from ibn_seg.analyses.all_analyses import ANALYSES, analysis, measuring, part


@pytest.mark.parametrize("name", ANALYSES)
def test_its_folder_has_a_command_and_a_contribution(name):
    assert analysis(name).name == name
    command = getattr(part(name, "command"), name)
    assert isinstance(command, click.Command)
    assert command.name == name
    assert callable(part(name, "contribution").contribution)


@pytest.mark.parametrize("name", measuring())
def test_what_plans_may_list_is_a_cell_whose_options_are_on_the_command_line(name):
    cell = part(name, "cell")
    assert all(callable(getattr(cell, one)) for one in ("check", "lacking", "summary"))
    flags = {flag for one in getattr(part(name, "command"), name).params for flag in one.opts}
    assert {one.flag_name for one in part(name, "options").OPTIONS} <= flags
