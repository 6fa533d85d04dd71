"""Put an IBN backbone, or one of timm, into a config that was written for another."""

import os
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ibn_seg.config import find_config, is_pure_python, load_config
from ibn_seg.errors import EnvError, UserError, unknown
from ibn_seg.io import atomic_path
from ibn_seg.run import setup

if TYPE_CHECKING:
    from mmengine.registry import Registry

    from ibn_seg.swap.rewrite import Rewritten
    from ibn_seg.swap.timm_rewrite import TimmRewritten

# What a name of timm begins with.
PREFIX = "timm:"
BUILT, UNTESTABLE, UNTESTED = "built", "not testable here", "not tested"


@dataclass(frozen=True)
class Check:
    """Whether the model of the new config runs.

    Attributes:
        status: 'built', 'not testable here' (the old config's model does not run here either) or
            'not tested' (not asked for).
        detail: The shapes in and out, or the reason.
    """

    status: str
    detail: str = ""


def swap(
    config: str | os.PathLike,
    backbone: str,
    out: str | os.PathLike,
    *,
    drop: Iterable[str] = (),
    weights: str | None = None,
    check: bool = True,
    overwrite: bool = False,
) -> "tuple[Rewritten | TimmRewritten, Check]":
    """Write a config with another backbone, based on the old config, which stays as it is.

    Every option of the old backbone is honoured by the new one or refused. Output strides and the
    number of feature maps stay as they were. Necks and heads get the new backbone's channels. The
    old run's names are removed: `work_dir` becomes None, and `experiment` gets the names of the new
    network.

    Args:
        config: A config for mmseg, mmdet or mmpretrain: a path, or `PACKAGE::folder/name`.
        backbone: One of `ibn_seg.list_models()`, or 'timm:NAME' for a network of timm. The options
            of the old backbone go with it then; see `ibn_seg.swap.timm_rewrite`.
        out: The new config file.
        drop: Options of the old backbone to give up.
        weights: The weights to start from: a path, a URL, a name like 'torchvision://resnet50', or
            'none'. Default: the published weights where they fit, else the batch-norm twin's.
        check: Build the new model and run it on a small image.
        overwrite: Replace `out` if it exists.

    Returns:
        The changes, and whether the new model runs.

    Raises:
        UserError: The config, an argument or an option of the old backbone does not allow the swap.
            No file is written then.
        EnvError: The config's framework is not installed, or `out` cannot be written.
    """
    from ibn_seg.models.specs import MODELS

    if backbone not in MODELS and not backbone.startswith(PREFIX):
        raise unknown("model", backbone, MODELS)
    path, out = find_config(config), Path(out)
    _check_out(path, out, overwrite)
    setup.register()
    from ibn_seg.swap.hosts import host_registry
    from ibn_seg.swap.rewrite import rewrite
    from ibn_seg.swap.timm_rewrite import rewrite_timm

    old = load_config(path, custom_imports=False)._cfg_dict.to_dict()
    with host_registry(old, path) as registry:
        try:
            given_up = dict.fromkeys(drop)
            if backbone.startswith(PREFIX):
                name = backbone.removeprefix(PREFIX)
                result = rewrite_timm(old, name, registry, given_up, weights)
            else:
                result = rewrite(old, MODELS[backbone], registry, given_up, weights)
            verdict = run_both(old, result.config, registry) if check else Check(UNTESTED)
        except EnvError:
            raise
        except UserError as error:
            raise UserError(f"{path}: {error}") from error
    _write(out, _base(path, out), old, result, backbone)
    return result, verdict


def run_both(old: Mapping[str, Any], new: Mapping[str, Any], registry: "Registry") -> Check:
    """Run the new config's model; if it fails, check whether the old model fails too.

    Raises:
        UserError: The new model does not run and the old one does.
    """
    from ibn_seg.swap.trial_run import run_model

    try:
        return Check(BUILT, run_model(new["model"], registry))
    except UserError as error:
        try:
            run_model(old["model"], registry)
        except UserError as old_error:
            return Check(UNTESTABLE, str(old_error))
        raise UserError(f"the model with the new backbone fails: {error}") from error


def _check_out(path: Path, out: Path, overwrite: bool) -> None:
    """Raise unless the new file may be written."""
    if out.suffix != ".py":
        raise UserError(f"{out}: not the name of a config", "let it end in .py")
    if out.exists() and out.samefile(path):
        raise UserError(f"{out}: the new config would replace the old one", "give another name")
    if out.exists() and not overwrite:
        raise UserError(f"{out}: exists", "give another name, or --overwrite")


def _base(path: Path, out: Path) -> str | None:
    """Return the base of the new config, or None where it must hold every setting itself.

    A config in mmengine's pure Python style has no base here, because other configs cannot extend
    it. Nor has one in JSON: only our commands restore its tuples, and mmengine would read lists.
    Configs of installed packages are named by path too. With a package name, mmengine would
    mark every dict with a scope. It also knows no package name for the maintained fork of
    mmsegmentation.
    """
    if path.suffix == ".json" or is_pure_python(path):
        return None
    return Path(os.path.relpath(path.resolve(), out.parent.resolve())).as_posix()


def _write(
    out: Path,
    base: str | None,
    old: Mapping[str, Any],
    result: "Rewritten | TimmRewritten",
    backbone: str,
) -> None:
    """Write the config file after checking that it reads back as intended.

    Raises:
        EnvError: The file cannot be written.
    """
    from ibn_seg.swap.override import override, render

    new = result.config
    settings = {"_base_": base, **override(old, new)} if base else new
    comment = f"{backbone} in place of {result.source.title}, by ibn-seg swap"
    with atomic_path(out) as temporary:
        temporary.write_text(render(settings, comment), encoding="utf-8")
        written = load_config(temporary, custom_imports=False)._cfg_dict.to_dict()
        if written != new:
            different = sorted(k for k in new | written if new.get(k) != written.get(k))
            raise RuntimeError(f"{out}: does not read back as it was meant: {different}")
