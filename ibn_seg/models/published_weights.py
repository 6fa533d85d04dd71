"""The authors' published ImageNet weights: their location, and other sources for them."""

import os
from pathlib import Path

from ibn_seg.errors import UserError, unknown
from ibn_seg.io import sha256
from ibn_seg.models.specs import MODELS

# A mirror's address, or a folder, with the published files under their own names.
MIRROR = "IBN_SEG_WEIGHTS"
# Mean and deviation for normalising RGB images in 0..1 (the authors' imagenet.py).
IMAGE_MEAN = (0.485, 0.456, 0.406)
IMAGE_STD = (0.229, 0.224, 0.225)


def published_url(name: str) -> str:
    """Return the URL, or the path in an offline folder, of a model's published weights.

    Args:
        name: One of `list_models()`.

    Raises:
        UserError: No such model, or its weights were never published, or the folder in
            IBN_SEG_WEIGHTS lacks them in their published form.
    """
    if name not in MODELS:
        raise unknown("model", name, MODELS)
    spec = MODELS[name]
    if spec.weights is None:
        there = [other for other, known in MODELS.items() if known.weights]
        raise UserError(
            f"{name}: its authors published no weights", f"there are: {', '.join(there)}"
        )
    mirror = os.environ.get(MIRROR)
    if not mirror:
        return spec.url
    if mirror.startswith(("http://", "https://")):
        return f"{mirror.rstrip('/')}/{spec.weights}"
    path = Path(mirror).expanduser() / spec.weights
    if not path.is_file():
        raise UserError(f"{path}: no such file", f"{MIRROR}={mirror} must hold it, or be unset")
    found = sha256(path)[: len(spec.sha256)]
    if found != spec.sha256:
        raise UserError(
            f"{path}: its SHA-256 begins with {found}, expected {spec.sha256}",
            "the file is not the published one; copy it again",
        )
    return str(path)
