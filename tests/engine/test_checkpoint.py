import os
import pickle
import shutil

import numpy as np
import pytest
import torch
from mmengine.logging import HistoryBuffer

from ibn_seg.engine import find_checkpoint
from ibn_seg.engine.checkpoint import AtomicBackend
from ibn_seg.errors import EnvError, UserError
from ibn_seg.io import RESTRICTED_SINCE, load_checkpoint
from ibn_seg.run.result_file import last_checkpoint
from tests.engine.toys import run_toy
from tests.helpers import Malicious

# What mmengine's own checkpoints hold, an older PyTorch cannot be told to read.
OLD_READER = torch.__version__ < RESTRICTED_SINCE
MMENGINES_OWN = {"default_hooks.checkpoint.type": "CheckpointHook", "train_cfg.max_iters": 8}


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    folder = tmp_path_factory.mktemp("run")
    hook = {"default_hooks.checkpoint.max_keep_ckpts": 2, "default_hooks.checkpoint.interval": 3}
    run_toy(folder, **hook)
    return folder


@pytest.fixture
def work_dir(run, tmp_path):
    return shutil.copytree(run, tmp_path / "run")


def test_only_the_newest_are_kept(run):
    assert sorted(path.name for path in run.glob("*.pth")) == ["iter_12.pth", "iter_9.pth"]
    assert (run / "last_checkpoint").read_text().endswith("iter_12.pth")


def test_checkpoints_hold_tensors_and_plain_values_only(run):
    file = run / "iter_12.pth"
    if not OLD_READER:  # which would load nothing else
        assert torch.serialization.get_unsafe_globals_in_checkpoint(file) == []
    hub = load_checkpoint(file)["message_hub"]
    assert len(hub["history"]["train/loss"]["values"]) == 12


@pytest.mark.skipif(OLD_READER, reason=f"PyTorch {torch.__version__} cannot load them safely")
def test_mmengines_own_checkpoints_resume(tmp_path):
    """mmengine issue 1655: torch >= 2.6 refuses what mmengine's hook writes."""
    run_toy(tmp_path / "first", **MMENGINES_OWN)
    file = tmp_path / "first" / "iter_8.pth"
    assert isinstance(
        load_checkpoint(file)["message_hub"]["log_scalars"]["train/loss"], HistoryBuffer
    )
    resumed = run_toy(tmp_path / "second", resume=file)
    assert len(resumed["loss"]) == 12


@pytest.mark.skipif(not OLD_READER, reason=f"PyTorch {torch.__version__} loads them safely")
def test_mmengines_own_checkpoints_are_refused_clearly(tmp_path):
    run_toy(tmp_path / "first", **MMENGINES_OWN)
    file = tmp_path / "first" / "iter_8.pth"
    with pytest.raises(UserError) as caught:
        run_toy(tmp_path / "second", resume=file)
    line = caught.value.line
    assert f"{file}: refused, PyTorch {torch.__version__} cannot load it safely" in line
    assert "2.6" in line
    assert "state dict alone" in line
    # What the line advises works.
    weights = torch.load(file)["state_dict"]
    torch.save(weights, tmp_path / "weights.pth")
    assert load_checkpoint(tmp_path / "weights.pth").keys() == weights.keys()


def test_a_lookup_of_anything_else_is_refused(tmp_path):
    class Lookup:
        def __reduce__(self):
            return (getattr, (HistoryBuffer, "__init__"))

    torch.save({"state_dict": {}, "x": Lookup()}, tmp_path / "a.pth")
    with pytest.raises(UserError):
        load_checkpoint(tmp_path / "a.pth")


def test_classes_that_call_are_still_refused(tmp_path):
    trap = str(tmp_path / "executed")
    history = HistoryBuffer([1.0], [1])
    history._log_history = Malicious(trap)
    for index, payload in enumerate((Malicious(trap), history)):
        torch.save({"state_dict": {}, "x": payload}, tmp_path / f"{index}.pth")
        with pytest.raises(UserError, match="refused"):
            load_checkpoint(tmp_path / f"{index}.pth")
    assert not os.path.exists(trap)


def test_an_array_of_objects_is_refused(tmp_path):
    """Rebuilding arrays is allowed for numbers only."""
    torch.save({"x": np.array([{"a": 1}], dtype=object)}, tmp_path / "objects.pth")
    with pytest.raises(UserError, match="refused"):
        load_checkpoint(tmp_path / "objects.pth")


@pytest.mark.parametrize("note", [None, "", "\0\xff", "/nowhere/iter_99.pth", "iter_12"])
def test_a_missing_or_damaged_note_does_not_matter(work_dir, note):
    (work_dir / "last_checkpoint").unlink()
    if note is not None:
        (work_dir / "last_checkpoint").write_bytes(note.encode("latin1"))
    assert find_checkpoint(work_dir) == work_dir / "iter_12.pth"


def test_damaged_checkpoints_are_passed_over(work_dir, capfd):
    data = (work_dir / "iter_12.pth").read_bytes()
    (work_dir / "iter_12.pth").write_bytes(data[: len(data) // 2])
    (work_dir / "iter_13.pth").write_bytes(b"")
    torch.save({"state_dict": {}}, work_dir / "iter_14.pth")
    assert find_checkpoint(work_dir) == work_dir / "iter_9.pth"
    assert "iter_12.pth" in capfd.readouterr().err


@pytest.mark.parametrize(
    "damage",
    [{"meta": None}, {"meta": {}}, {"meta": {"epoch": 0, "iter": "12"}}, {"optimizer": None}],
)
def test_files_without_a_state_to_go_on_from_are_passed_over(work_dir, capfd, damage):
    content = load_checkpoint(work_dir / "iter_12.pth")
    torch.save({**content, **damage}, work_dir / "iter_12.pth")
    assert find_checkpoint(work_dir) == work_dir / "iter_9.pth"
    assert "iter_12.pth: it holds no training state" in capfd.readouterr().err


def test_a_link_that_leads_nowhere_is_passed_over(work_dir):
    """The file may lie on a disk that is gone."""
    (work_dir / "iter_13.pth").symlink_to("/nowhere/iter_13.pth")
    assert find_checkpoint(work_dir) == work_dir / "iter_12.pth"
    (work_dir / "last_checkpoint").write_text(str(work_dir / "iter_13.pth"))
    assert find_checkpoint(work_dir) == work_dir / "iter_12.pth"


def test_a_newer_checkpoint_than_noted_wins(work_dir):
    (work_dir / "last_checkpoint").write_text(str(work_dir / "iter_9.pth"))
    os.utime(work_dir / "iter_9.pth", (1, 1))
    assert find_checkpoint(work_dir) == work_dir / "iter_12.pth"


@pytest.mark.parametrize("note", [None, "iter_9.pth"])
def test_a_resumed_run_notes_its_checkpoint(work_dir, note):
    """It was killed between the last checkpoint and its note, so that no other follows."""
    (work_dir / "last_checkpoint").unlink()
    if note:
        (work_dir / "last_checkpoint").write_text(str(work_dir / note))
    run_toy(work_dir, resume=work_dir / "iter_12.pth")
    assert last_checkpoint(work_dir) == str(work_dir / "iter_12.pth")


def test_a_higher_number_of_an_earlier_run_does_not(work_dir):
    (work_dir / "last_checkpoint").write_text(str(work_dir / "iter_9.pth"))
    os.utime(work_dir / "iter_12.pth", (1, 1))
    assert find_checkpoint(work_dir) == work_dir / "iter_9.pth"


def test_an_empty_work_dir_has_none(tmp_path):
    assert find_checkpoint(tmp_path) is None
    assert find_checkpoint(tmp_path / "missing") is None


def test_a_failed_write_keeps_the_old_file(tmp_path):
    file = tmp_path / "a.pth"
    file.write_bytes(b"old")
    with pytest.raises(EnvError, match="cannot be written"):
        AtomicBackend().put(b"new", tmp_path / "a.pth" / "below")
    assert file.read_bytes() == b"old"
    AtomicBackend().put(b"new", file)
    assert [path.name for path in tmp_path.iterdir()] == ["a.pth"]
    assert file.read_bytes() == b"new"


def test_a_failed_checkpoint_leaves_the_previous_one(tmp_path, monkeypatch):
    """With one kept, mmengine's hook would have removed it before the write failed."""
    from ibn_seg.engine import checkpoint

    written = []

    def full(path, data):
        if len(written) == 1:
            raise EnvError(f"{path}: cannot be written (no space left on device)")
        written.append(path)
        path = os.fspath(path)
        with open(path, "wb") as file:
            file.write(data)

    monkeypatch.setattr(checkpoint, "write_bytes", full)
    with pytest.raises(EnvError, match="no space left"):
        run_toy(tmp_path, **{"default_hooks.checkpoint.max_keep_ckpts": 1})
    assert find_checkpoint(tmp_path) == tmp_path / "iter_4.pth"


def test_leftovers_of_a_kill_are_removed(tmp_path):
    for name in (".iter_4.abc.tmp.pth", ".last_checkpoint.abc.tmp", ".validations.abc.tmp.json"):
        (tmp_path / name).write_bytes(b"half")
    run_toy(tmp_path)
    assert list(tmp_path.glob(".*")) == []


def test_the_best_checkpoint_replaces_the_previous_best(tmp_path):
    hook = {
        "default_hooks.checkpoint.save_best": "toy/mIoU",
        "default_hooks.checkpoint.rule": "less",
        "train_cfg.val_interval": 1,
    }
    run = run_toy(tmp_path, **hook)
    best = min(run["validations"], key=lambda v: v["metrics"]["toy/mIoU"])["iter"]
    assert [p.name for p in tmp_path.glob("best*")] == [f"best_toy_mIoU_iter_{best}.pth"]


def test_pickle_files_in_a_work_dir_are_not_executed(tmp_path):
    with open(tmp_path / "iter_1.pth", "wb") as file:
        pickle.dump(Malicious(str(tmp_path / "executed")), file)
    assert find_checkpoint(tmp_path) is None
    assert not (tmp_path / "executed").exists()
