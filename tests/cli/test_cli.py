import errno
import os
import subprocess
import sys

import click
import pytest
from click.testing import CliRunner

from ibn_seg import cli
from ibn_seg.command_options import fold_pairs
from ibn_seg.errors import EnvError, UserError
from ibn_seg.run.config_loading import read_options
from tests.tiny import ROOT, command, environment


@pytest.mark.parametrize("name", [None, *cli.COMMANDS])
def test_help_explains_and_loads_nothing_heavy(name):
    args = ["--help"] if name is None else [name, "--help"]
    code = (
        "import sys; from ibn_seg.cli import run; code = run(sys.argv[1:]);"
        "assert not {'torch', 'mmengine', 'numpy'} & set(sys.modules); sys.exit(code)"
    )
    done = subprocess.run(
        [sys.executable, "-c", code, *args], capture_output=True, text=True, check=False,
        env=environment(), timeout=60,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    assert "Usage: ibn-seg" in done.stdout
    assert "Examples:\n    ibn-seg" in done.stdout, "the examples must keep their lines"


def test_every_command_is_in_the_overview():
    overview = CliRunner().invoke(cli.cli, ["--help"]).output
    for name, (_, summary) in cli.COMMANDS.items():
        assert name in overview
        assert summary.split(".")[0] in " ".join(overview.split())


def test_options_are_mmsegs():
    names = {
        name: {option for parameter in cli.cli.get_command(None, name).params
               for option in parameter.opts}
        for name in ("train", "test")
    }  # fmt: skip
    assert names["train"] >= {
        "--work-dir", "--resume", "--amp", "--cfg-options", "--launcher", "--local_rank",
        "--local-rank", "--seed",
    }  # fmt: skip
    assert names["test"] >= {
        "--work-dir", "--out", "--show", "--show-dir", "--wait-time", "--cfg-options",
        "--launcher", "--tta", "--local_rank", "--local-rank",
    }  # fmt: skip


def test_several_options_after_one_flag():
    args = ["c.py", "--cfg-options", "a.b=1", "c=[1,2]", "--seed", "3", "x=y"]
    assert fold_pairs(args) == [
        "c.py", "--cfg-options", "a.b=1", "--cfg-options", "c=[1,2]", "--seed", "3", "x=y",
    ]  # fmt: skip
    assert fold_pairs(["--cfg-options", "a=1", "c.py"]) == ["--cfg-options", "a=1", "c.py"]


def test_options_are_read_by_mmengines_rules():
    given = ["a.b=1", "c=[1,2]", "d=(1,2.5)", "e=true", "f=x,y", "g=None", "h=[(1,2),(3,4)]", "i=="]
    assert read_options(given) == {
        "a.b": 1, "c": [1, 2], "d": (1, 2.5), "e": True, "f": ["x", "y"], "g": None,
        "h": [(1, 2), (3, 4)], "i": "=",
    }  # fmt: skip


def test_the_recorded_command_can_be_run_again(monkeypatch):
    seen = []

    def train(config, **options):
        seen.append(options["command"])
        raise UserError("enough")

    monkeypatch.setattr("ibn_seg.run.segmentation.train", train)
    monkeypatch.setattr("sys.argv", ["tools/train.py", "my c.py", "--seed", "1"])
    monkeypatch.delenv("TORCHELASTIC_RUN_ID", raising=False)
    cli.run(["train", "my c.py", "--seed", "1"])
    for key, value in (
        ("TORCHELASTIC_RUN_ID", "none"), ("LOCAL_WORLD_SIZE", "2"), ("WORLD_SIZE", "2"),
        ("LOCAL_RANK", "0"),
    ):  # fmt: skip
        monkeypatch.setenv(key, value)
    cli.run(["train", "c.py", "--launcher", "pytorch", "--local-rank=0"])
    monkeypatch.setenv("WORLD_SIZE", "8")
    cli.run(["train", "c.py", "--launcher", "pytorch"])
    assert seen == [
        "ibn-seg train 'my c.py' --seed 1",
        "torchrun --nproc_per_node=2 -m ibn_seg train c.py --launcher pytorch",
        "torchrun --nnodes=4 --nproc_per_node=2 -m ibn_seg train c.py --launcher pytorch",
    ]


def test_blanks_inside_words_are_kept():
    """mmengine removes them, also from the name of a folder."""
    given = ["a=/my data/x", "b=[my x.pth, 2 , (c d, 1)]", "c= 1 ", "d='e f'", "g=1, 2"]
    assert read_options(given) == {
        "a": "/my data/x", "b": ["my x.pth", 2, ("c d", 1)], "c": 1, "d": "e f", "g": [1, 2],
    }  # fmt: skip


@pytest.mark.parametrize("wrong", ["a", "=1", "a=[1", "a=(1,2]"])
def test_options_that_are_none(wrong):
    with pytest.raises(UserError, match="--cfg-options"):
        read_options([wrong])


@pytest.mark.parametrize("wrong", ["a=dict(b=1,c=2)", "a=[dict(b=1,c=2)]", "a=f(1,2)"])
def test_options_that_mmengine_would_read_for_ever(wrong):
    with pytest.raises(UserError) as caught:
        read_options(["b=1", wrong])
    assert caught.value.line == (
        f"--cfg-options {wrong!r} cannot be read: write a dict by its keys: a.b=1 a.c=2"
    )


@pytest.mark.parametrize(
    ("raised", "code", "line"),
    [
        (UserError("x.png: cut", "copy it again"), 2, "error: x.png: cut: copy it again"),
        (EnvError("disk full"), 3, "error: disk full"),
        (KeyboardInterrupt(), 130, "interrupted"),
        (OSError(errno.ENOSPC, "No space left on device", "/full/a"), 3, "/full/a: No space left"),
        (OSError(errno.EFBIG, "File too large"), 3, "error: File too large"),
        (PermissionError(errno.EACCES, "Permission denied", "/x"), 3, "/x: Permission denied"),
        (
            OSError("Caught OSError in worker\nOSError: [Errno 28] No space left on device: '/f'"),
            3,
            "error: No space left on device: '/f'",
        ),
        (
            UserError(
                "Caught UserError in DataLoader worker process 0.\nTraceback ...\n"
                "ibn_seg.errors.UserError: a.png: truncated: copy it again"
            ),
            2,
            "error: a.png: truncated: copy it again",
        ),
    ],
)
def test_exit_codes_and_one_line(monkeypatch, capsys, raised, code, line):
    @click.command()
    def broken():
        raise raised

    monkeypatch.setattr(cli.LazyGroup, "get_command", lambda self, ctx, name: broken)
    assert cli.run(["train"]) == code
    err = capsys.readouterr().err.strip()
    assert line in err
    assert len(err.splitlines()) == 1


@pytest.mark.parametrize("error", [SyntaxError("cannot format"), UserError("cannot load")])
def test_an_interrupt_that_became_another_error_is_an_interrupt(monkeypatch, capsys, error):
    """mmengine's formatting of configs, at every checkpoint, turns Ctrl-C into a SyntaxError."""

    @click.command()
    def broken():
        try:
            raise KeyboardInterrupt
        except KeyboardInterrupt:
            raise error  # noqa: B904 - as it does

    monkeypatch.setattr(cli.LazyGroup, "get_command", lambda self, ctx, name: broken)
    assert cli.run(["train"]) == cli.INTERRUPTED
    assert capsys.readouterr().err == "interrupted\n"


def test_a_bug_keeps_its_traceback(monkeypatch):
    @click.command()
    def broken():
        raise ZeroDivisionError

    monkeypatch.setattr(cli.LazyGroup, "get_command", lambda self, ctx, name: broken)
    with pytest.raises(ZeroDivisionError):
        cli.run(["train"])


def test_usage_errors(capsys):
    assert cli.run(["trian"]) == 2
    assert "did you mean 'train'" in capsys.readouterr().err
    assert cli.run(["train"]) == 2
    assert "CONFIG" in capsys.readouterr().err
    assert cli.run(["scenes", "x", "--size", "big"]) == 2
    assert "256x128" in capsys.readouterr().err
    assert cli.run(["train", "x.py", "--launcher", "ssh"]) == 2
    assert cli.run(["train", "missing.py"]) == 2
    assert "missing.py: no such config file" in capsys.readouterr().err


def test_models_lists_every_backbone(capsys):
    from ibn_seg.models.specs import MODELS

    assert cli.run(["models"]) == 0
    out = capsys.readouterr().out
    assert all(name in out for name in MODELS)
    assert cli.run(["models", "resnet51"]) == 2
    assert "did you mean 'resnet50'" in capsys.readouterr().err


def test_scenes_are_rendered(tmp_path, capsys):
    args = ["scenes", str(tmp_path), "--size", "64x32", "--source", "2", "--target-train", "1"]
    assert cli.run([*args, "--target-val", "1"]) == 0
    assert len(list(tmp_path.glob("gta5/images/*.png"))) == 2
    assert len(list(tmp_path.glob("cityscapes/leftImg8bit/val/*/*.png"))) == 1


@pytest.mark.parametrize("tool", ["train", "test"])
def test_tools_are_the_same_commands(tool):
    done = subprocess.run(
        command("--help", python=(str(ROOT / "tools" / f"{tool}.py"),)),
        capture_output=True, text=True, check=False, env=environment(), timeout=60,
    )  # fmt: skip
    assert f"Usage: ibn-seg {tool}" in done.stdout


@pytest.mark.parametrize("script", ["dist_train", "dist_test", "slurm_train"])
def test_scripts_say_how_they_are_used(script):
    done = subprocess.run(
        ["bash", str(ROOT / "tools" / f"{script}.sh")],
        capture_output=True, text=True, check=False, timeout=30,
    )  # fmt: skip
    assert done.returncode == 2
    assert done.stderr.startswith("usage:")


def test_slurm_starts_srun_with_mmsegs_arguments(tmp_path):
    srun = tmp_path / "srun"
    srun.write_text('#!/bin/sh\nfor a in "$@"; do echo "$a"; done\n')
    srun.chmod(0o755)
    env = {**environment(), "PATH": f"{tmp_path}:/usr/bin:/bin", "GPUS": "8", "SRUN_ARGS": "-x n1"}
    done = subprocess.run(
        ["bash", str(ROOT / "tools/slurm_train.sh"), "gpu", "job", "c.py", "--seed", "1"],
        capture_output=True, text=True, check=True, env=env, timeout=30,
    )  # fmt: skip
    args = done.stdout.split("\n")[:-1]
    assert args[:3] == ["-p", "gpu", "--job-name=job"]
    assert {"--ntasks=8", "--gres=gpu:4", "-x", "n1"} <= set(args)
    assert args[-5:] == ["c.py", "--launcher", "slurm", "--seed", "1"]


@pytest.mark.skipif(not os.path.exists("/dev/full"), reason="this system has no /dev/full")
@pytest.mark.parametrize(
    ("arguments", "code"),
    [
        (["no-such-command"], 2),
        (["test", "nowhere.py", "nowhere.pth"], 2),
        (["scenes", "/dev/full/scenes", "--source", "1"], 3),
    ],
)
def test_the_exit_code_is_right_where_the_line_cannot_be_written(arguments, code):
    """A full disk is often that of the log as well."""
    with open("/dev/full", "w") as full:
        done = subprocess.run(
            command(*arguments), env=environment(), stdout=subprocess.DEVNULL, stderr=full,
            check=False, timeout=60,
        )  # fmt: skip
    assert done.returncode == code


@pytest.mark.parametrize("args", [["--help"], ["test", "--help"], ["models"]])
def test_a_reader_that_has_gone_ends_with_141(args):
    reader, writer = os.pipe()
    os.close(reader)
    done = subprocess.run(
        [sys.executable, "-m", "ibn_seg", *args], stdout=writer, stderr=subprocess.PIPE, check=False
    )
    os.close(writer)
    assert (done.returncode, done.stderr) == (141, b"")


def test_an_error_that_is_its_own_cause_is_one_line(monkeypatch, capsys):
    @click.command()
    def broken():
        error = UserError("x.png: cut")
        raise error from error

    monkeypatch.setattr(cli.LazyGroup, "get_command", lambda self, ctx, name: broken)
    assert cli.run(["train"]) == 2
    assert "error: x.png: cut" in capsys.readouterr().err
