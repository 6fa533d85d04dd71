"""Read weights from local files and URLs, and find the backbone in them."""

import re
import tempfile
import zlib
from collections import Counter
from collections.abc import Mapping
from pathlib import Path
from urllib.parse import urlparse

import torch

from ibn_seg.errors import UserError
from ibn_seg.io import load_checkpoint, sha1, sha256, write_error
from ibn_seg.models.download import download
from ibn_seg.models.gluon_names import from_gluon, is_gluon
from ibn_seg.models.mxnet_names import DATA, Preprocessing, from_symbol, is_symbol
from ibn_seg.models.osmr_weights import sha1_of, unpacked_name
from ibn_seg.models.state_dicts import all_weights, select, without_wrappers
from ibn_seg.models.unpack_weights import unpack

# Parts beside `backbone.` in the checkpoints of whole segmentors, detectors, classifiers.
HEADS = {
    *("decode_head", "auxiliary_head", "data_preprocessor", "head"),  # mmseg, mmpretrain
    *("neck", "rpn_head", "bbox_head", "roi_head", "mask_head"),  # mmdet
    *("classifier", "aux_classifier"),  # torchvision
}
# timm names the deep stem after the convolution that it replaces.
_TIMM_DEEP_STEM = "conv1.0.weight"
# By convention, the first digits of a published file's SHA-256 end its name. Eight digits that look
# like a date are a date.
_DATE = r"(?:19|20)\d\d(?:0[1-9]|1[0-2])(?:0[1-9]|[12]\d|3[01])"
_HASH_IN_NAME = re.compile(rf"-(?!{_DATE}\.)([0-9a-f]{{8,64}})\.[^.]+$")


def read_checkpoint(source: str | Path, stand_ins: bool = True) -> Mapping:
    """Return the content of a checkpoint, tensors on the CPU.

    Args:
        source: A local path or an http(s) URL. Downloads are kept in PyTorch's hub folder. If the
            file's name ends in its hash (`resnet50-0676ba61.pth`), they are checked against it.
            Archives of gluoncv2 and pytorchcv are unpacked there.
        stand_ins: As for `io.load_checkpoint`.

    Raises:
        UserError: No such file, not a checkpoint, or it holds what may not be loaded.
        EnvError: The URL cannot be reached, or the disk is full.
    """
    source = str(source)
    if not source.startswith(("http://", "https://")):
        return load_checkpoint(_local(Path(source).expanduser()), stand_ins=stand_ins)
    path = _download(source)
    try:
        return load_checkpoint(path, stand_ins=stand_ins)
    except UserError as error:
        path.unlink(missing_ok=True)
        raise UserError(f"{source}: {error}") from error


def bare_weights(
    checkpoint: Mapping, prefix: str | None = None
) -> tuple[dict[str, torch.Tensor], list[str]]:
    """Return a backbone's tensors by their bare names, and the entries that were left out.

    It unwraps dictionaries (`state_dict`, `model`, ...) and removes the prefixes `module.` and
    `backbone.`. Heads beside a `backbone.` are left out. timm's deep stem gets mmseg's names, and
    weights of gluoncv2, of pytorchcv and of IBN-Net.mxnet get ours.

    Args:
        checkpoint: The content of a checkpoint file.
        prefix: Take only the tensors below this name, for example 'backbone'. It may begin with
            the name of a wrapping dictionary, for example 'state_dict_ema'.

    Raises:
        UserError: There are no weights in it, or none below `prefix`.
    """
    weights, dropped = all_weights(checkpoint, (prefix or "").partition(".")[0])
    if prefix:
        everything = len(weights)
        weights = select(weights, prefix.removeprefix("module.").rstrip(".") + ".")
        if everything > len(weights):
            dropped.append(f"everything outside {prefix} ({everything - len(weights)} keys)")
        weights = without_wrappers(weights)
    if any(key.startswith("backbone.") for key in weights):
        heads = Counter(key.partition(".")[0] for key in weights if _is_head(key))
        dropped += [f"{head}.* ({count} keys)" for head, count in heads.items()]
        weights = {
            key.removeprefix("backbone."): value
            for key, value in weights.items()
            if not _is_head(key)
        }
    if is_symbol(weights):
        weights, data = from_symbol(weights)
        dropped += [] if data is None else [f"{DATA}.* (preprocessing: {data})"]
    elif is_gluon(weights):
        weights = from_gluon(weights)
    if _TIMM_DEEP_STEM in weights:
        weights = {_from_timm(key): value for key, value in weights.items()}
    return weights, dropped


def preprocessing_of(checkpoint: Mapping) -> Preprocessing | None:
    """Return how a checkpoint of MXNet wants its images, or None if it does not say.

    Args:
        checkpoint: The content of a `.params` file, or of a file that `ibn-seg import-mxnet` wrote.

    Raises:
        UserError: The names in it are damaged.
    """
    meta = checkpoint.get("meta")
    found = meta.get("preprocessing") if isinstance(meta, Mapping) else None
    if isinstance(found, Mapping) and found.keys() == {"mean", "std"}:
        return Preprocessing(tuple(found["mean"]), tuple(found["std"]))
    weights = {key: v for key, v in checkpoint.items() if isinstance(v, torch.Tensor)}
    return from_symbol(weights)[1] if is_symbol(weights) else None


def _is_head(key: str) -> bool:
    return key.partition(".")[0] in HEADS


def _from_timm(key: str) -> str:
    """Return mmseg's name of a key of timm's deep-stem networks."""
    for theirs, ours in (("conv1.", "stem."), ("bn1.", "stem.7.")):
        if key.startswith(theirs):
            return ours + key.removeprefix(theirs)
    return key


def _download(url: str) -> Path:
    """Fetch `url` into PyTorch's hub folder, unless it exists there, and return the file."""
    name = Path(urlparse(url).path).name
    if not name:
        raise UserError(f"{url}: names no file", "give the full URL of a .pth file")
    folder = hub_folder()
    if unpacked := unpacked_name(name):
        return _download_osmr(url, name, folder / unpacked)
    match = _HASH_IN_NAME.search(name)
    prefix = match.group(1) if match else None
    # Only a name with a hash identifies its file; other files are told apart by their URL.
    path = folder / (name if prefix else f"{zlib.crc32(url.encode()):08x}_{name}")
    if not path.is_file() or (prefix and not sha256(path).startswith(prefix)):
        download(url, path, prefix)
    return path


def hub_folder() -> Path:
    """Return the folder of PyTorch's hub that keeps downloads."""
    return Path(torch.hub.get_dir()) / "checkpoints"


def _download_osmr(url: str, name: str, path: Path) -> Path:
    """Fetch a file of gluoncv2 or pytorchcv, packed or not, unless it exists, and return it."""
    digits = sha1_of(name)
    if path.is_file() and sha1(path).startswith(digits):
        return path
    if name == path.name:
        download(url, path, digits, sha1)
        return path
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        # Each process has an archive of its own: no hash is known by which others could trust it.
        with tempfile.TemporaryDirectory(prefix=".", dir=path.parent) as work:
            archive = Path(work) / name
            download(url, archive)
            unpack(archive, path, digits, url)
    except OSError as error:
        raise write_error(path, error) from error
    return path


def _local(path: Path) -> Path:
    """Return a local file; an archive of gluoncv2 or pytorchcv is unpacked among the downloads."""
    unpacked = unpacked_name(path.name)
    if unpacked is None or unpacked == path.name or not path.is_file():
        return path
    target, digits = hub_folder() / unpacked, sha1_of(unpacked)
    if not (target.is_file() and sha1(target).startswith(digits)):
        unpack(path, target, digits, str(path))
    return target
