"""Published ImageNet weights: those of the authors, and those that others trained."""

import os
from dataclasses import dataclass
from pathlib import Path

from ibn_seg.errors import UserError, unknown
from ibn_seg.io import sha1, sha256
from ibn_seg.models.osmr_weights import OSMR_FILES
from ibn_seg.models.specs import MODELS

AUTHORS = "authors"
SOURCES = (AUTHORS, *OSMR_FILES)

# A mirror's address, or a folder, with the published files under their own names.
MIRROR = "IBN_SEG_WEIGHTS"
# Mean and deviation for normalising RGB images in 0..1 (the authors' imagenet.py).
IMAGE_MEAN = (0.485, 0.456, 0.406)
IMAGE_STD = (0.229, 0.224, 0.225)


def published_url(name: str, source: str = AUTHORS) -> str:
    """Return the URL, or the path in an offline folder, of a model's published weights.

    Args:
        name: One of `list_models()`. A source may follow: 'resnet50_ibn_a.gluoncv2'.
        source: One of `SOURCES`.

    Raises:
        UserError: No such model or source, or it has no weights of this model, or the folder in
            IBN_SEG_WEIGHTS lacks them in their published form.
    """
    name, _, tag = name.partition(".")
    published = _published(name, tag or source)
    mirror = os.environ.get(MIRROR)
    if not mirror:
        return published.url
    if mirror.startswith(("http://", "https://")):
        return f"{mirror.rstrip('/')}/{published.file}"
    folder = Path(mirror).expanduser()
    path = next(
        (folder / each for each in published.names if (folder / each).is_file()),
        folder / published.file,
    )
    if not path.is_file():
        raise UserError(f"{path}: no such file", f"{MIRROR}={mirror} must hold it, or be unset")
    if path.suffix != ".zip":  # else its content is checked when it is unpacked
        _check(path, published)
    return str(path)


def addresses(name: str) -> dict[str, str]:
    """Return the addresses of a model's published weights by source, the authors first."""
    found = {source: _file_of(name, source) for source in SOURCES}
    return {source: file.url for source, file in found.items() if file is not None}


@dataclass(frozen=True)
class _Published:
    """One published file: its address, names under which a folder may hold it, its hash."""

    url: str
    names: tuple[str, ...]
    digits: str
    kind: str

    @property
    def file(self) -> str:
        """The name at the address."""
        return self.names[-1]


def _published(name: str, source: str) -> _Published:
    """Return the published weights of a model.

    Raises:
        UserError: There are none.
    """
    if name not in MODELS:
        raise unknown("model", name, MODELS)
    if source not in SOURCES:
        raise unknown("source of published weights", source, SOURCES)
    found = _file_of(name, source)
    if found is None:
        there = [other for other in MODELS if _file_of(other, source)]
        who = "its authors" if source == AUTHORS else source
        raise UserError(f"{name}: {who} published no weights", f"there are: {', '.join(there)}")
    return found


def _file_of(name: str, source: str) -> _Published | None:
    if source != AUTHORS:
        file = OSMR_FILES[source].get(name)
        return file and _Published(file.url, (file.name, file.archive), file.sha1, "SHA-1")
    spec = MODELS[name]
    if spec.weights is None:
        return None
    return _Published(spec.url, (spec.weights,), spec.sha256, "SHA-256")


def _check(path: Path, published: _Published) -> None:
    """Raise unless a file has the hash of the published one."""
    digest = sha1(path) if published.kind == "SHA-1" else sha256(path)
    found = digest[: len(published.digits)]
    if found != published.digits:
        raise UserError(
            f"{path}: its {published.kind} begins with {found}, expected {published.digits}",
            "the file is not the published one; copy it again",
        )
