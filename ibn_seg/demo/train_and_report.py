"""Runs the embedded experiment: renders scenes, trains BN, IBN-a and IBN-b, and reports.

Everything uses the same code as on real data. The data sets read the real layouts, mmengine's
Runner trains, and the metric is every other config's. The networks train on the source. Every step
is resumable: a finished step is skipped, and an interrupted one resumes.
"""

import os
import shlex
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from ibn_seg.config import SCHEME, load_config
from ibn_seg.errors import UserError
from ibn_seg.io import atomic_path, read_json, write_json
from ibn_seg.progress import progress_callback
from ibn_seg.run.result_file import read_result
from ibn_seg.run.setup import register, scenes_at

if TYPE_CHECKING:
    from mmengine.config import Config

    from ibn_seg.report import Panel

METHODS = {
    "BN": "demo/mlp_r18_1xb8-600_scenes-128x128",
    "IBN-a": "demo/mlp_r18-ibn-a_1xb8-600_scenes-128x128",
    "IBN-b": "demo/mlp_r18-ibn-b_1xb8-600_scenes-128x128",
}


@dataclass(frozen=True)
class DemoPlan:
    """The demo's plan; a work dir holds the results of one plan.

    Args:
        iterations: Training iterations of each network.
        source_frames: Rendered frames of the source. A fifth is held out (see `GTA5Dataset`).
        target_train: Rendered training frames of the target. The demo never trains on them.
        target_val: Rendered validation frames of the target.
        scenes_seed: Seed of the rendered scenes, the same for every network. It differs from the
            seed whose frames were looked at when the styles were chosen.
    """

    iterations: int = 600
    source_frames: int = 500
    target_train: int = 20
    target_val: int = 100
    scenes_seed: int = 1

    def cfg_options(self, seed: int) -> dict:
        """Return the differences to the shipped configs; the full demo changes only the seed."""
        options: dict = {"randomness.seed": seed}
        if self.iterations != DemoPlan.iterations:
            options["train_cfg.max_iters"] = self.iterations
            options["train_cfg.val_interval"] = self.iterations
            warm_up = max(2, self.iterations // 20)
            options["param_scheduler.0.end"] = warm_up
            options["param_scheduler.1.begin"] = warm_up
            options["param_scheduler.1.end"] = self.iterations
        return options


FULL = DemoPlan()
QUICK = DemoPlan(iterations=100, source_frames=250, target_val=40)

Say = Callable[[str], None]


def demo(
    work_dir: str | os.PathLike,
    plan: DemoPlan = FULL,
    *,
    seeds: Sequence[int] = (0,),
    workers: int = 1,
    say: Say = print,
) -> tuple[list[dict], Path]:
    """Run the embedded experiment, or the rest of it, and write its report.

    Args:
        work_dir: Folder of scenes, checkpoints, results and the report.
        plan: Sizes and iterations.
        seeds: Training seeds; every method is trained once per seed.
        workers: Number of processes that render the scenes.
        say: Receives one line per step.

    Returns:
        The results, one per network, and the path of `report.html`.

    Raises:
        UserError: The folder holds the results of another plan.
        EnvError: The folder cannot be written, or the disk is full.
    """
    from ibn_seg.report import write_report
    from ibn_seg.report.panel_images import contact_sheet

    work_dir = Path(work_dir)
    _claim(work_dir, plan)
    register()
    scenes = work_dir / "scenes"
    say(f"Rendering the street scenes into {scenes}")
    _render(scenes, plan, workers)
    with scenes_at(scenes):
        results = [
            _train(work_dir, method, name, seed, plan, say)
            for seed in seeds
            for method, name in METHODS.items()
        ]
        say("Drawing predictions for the report")
        panels = _panels(work_dir, seeds[0], plan)
    with atomic_path(work_dir / "effect.png") as path:
        contact_sheet(panels[:4]).save(path)
    report = work_dir / "report.html"
    write_report(
        results,
        panels,
        report,
        title="IBN-Net on scenes it has never seen",
        notes=_notes(plan, seeds),
    )
    return results, report


def _claim(work_dir: Path, plan: DemoPlan) -> None:
    """Record the plan in the work dir, or check it against the recorded one."""
    path = work_dir / "plan.json"
    if not path.exists():
        write_json(path, asdict(plan))
    elif read_json(path) != asdict(plan):
        raise UserError(
            f"{work_dir}: holds the results of another demo plan ({path.name})",
            "give another --work-dir, or delete the folder",
        )


def _render(scenes: Path, plan: DemoPlan, workers: int) -> None:
    from ibn_seg.scenes import write_pair

    with progress_callback("scenes") as progress:
        write_pair(
            scenes,
            source_frames=plan.source_frames,
            target_train=plan.target_train,
            target_val=plan.target_val,
            seed=plan.scenes_seed,
            workers=workers,
            progress=progress,
        )


def _run_dir(work_dir: Path, method: str, seed: int) -> Path:
    return work_dir / f"{method.lower()}_seed{seed}"


def _load(name: str, seed: int, plan: DemoPlan) -> "Config":
    return load_config(SCHEME + name, plan.cfg_options(seed))


def _train(work_dir: Path, method: str, name: str, seed: int, plan: DemoPlan, say: Say) -> dict:
    """Return the result of one network, and train it first if needed."""
    from ibn_seg.run.segmentation import train

    run_dir = _run_dir(work_dir, method, seed)
    finished = read_result(run_dir)
    if finished is not None:
        say(f"{method}, seed {seed}: finished before")
        return finished
    say(f"{method}, seed {seed}: training on the source, evaluating on source and target")
    return train(
        _load(name, seed, plan),
        work_dir=run_dir,
        resume=True,
        quiet=True,
        command=_command(work_dir / "scenes", run_dir, name, seed, plan),
    )


def _command(scenes: Path, run_dir: Path, name: str, seed: int, plan: DemoPlan) -> str:
    """Return the shell line that repeats one training from scratch."""
    frames = {
        "--source": plan.source_frames, "--target-train": plan.target_train,
        "--target-val": plan.target_val, "--seed": plan.scenes_seed,
    }  # fmt: skip
    render = ["ibn-seg", "scenes", str(scenes)]
    render += [str(word) for pair in frames.items() for word in pair]
    run = ["ibn-seg", "train", SCHEME + name, "--work-dir", str(run_dir), "--cfg-options"]
    run += [f"{key}={value}" for key, value in plan.cfg_options(seed).items()]
    return f"{shlex.join(render)} && IBN_SEG_SCENES={shlex.quote(str(scenes))} {shlex.join(run)}"


def _panels(work_dir: Path, seed: int, plan: DemoPlan) -> list["Panel"]:
    """Return evenly spaced validation scenes of both domains with every network's prediction.

    Only their positions decide the choice, before any prediction is made.
    """
    from ibn_seg.engine import find_checkpoint
    from ibn_seg.panels.pictures import evenly_spaced, make_panels, samples_of

    configs = {method: _load(name, seed, plan) for method, name in METHODS.items()}
    source = configs["BN"].experiment.source
    # The unseen domain is the point of the report, so it comes first and gets more room.
    domains = sorted(samples_of(configs["BN"]).items(), key=lambda item: item[0] == source)
    chosen = [
        sample
        for domain, samples in domains
        for sample in evenly_spaced(samples.values(), 2 if domain == source else 4)
    ]
    networks = {
        method: (config, find_checkpoint(_run_dir(work_dir, method, seed)))
        for method, config in configs.items()
    }
    with progress_callback("predict") as progress:
        return make_panels(
            networks,
            [(sample.domain, sample.name) for sample in chosen],
            [f"{sample.domain}, {Path(sample.path).name}" for sample in chosen],
            progress,
        )


def _notes(plan: DemoPlan, seeds: Sequence[int]) -> list[str]:
    """Return the facts that a reader needs about the experiment."""
    return [
        f"Source: {plan.source_frames} rendered frames in GTA5's layout, a fifth of them held out "
        "for evaluation. Target: "
        f"{plan.target_val} rendered frames in Cityscapes' layout, never seen in training.",
        "Both domains share one distribution of geometry and differ in appearance only.",
        f"Every network: ResNet-18 from scratch, {plan.iterations} iterations of "
        "batch 8; all settings but the layout of the norms are equal. The last checkpoint is "
        "scored.",
        f"Seeds: {', '.join(map(str, seeds))}. The scenes shown are evenly spaced over the "
        "validation sets, chosen before any prediction was made.",
    ]
