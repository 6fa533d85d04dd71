"""The cases of EoMT: a network of timm with queries in its last blocks."""

import torch

from ibn_seg.foundation.mask_transformer import MaskTransformer, pixel_scores
from tests.parity.foundation_case import Found, fill, normal
from tests.parity.foundation_networks import backbone
from tests.parity.recipes import Case

_SIZES = ("embed_dim", "depth", "num_heads")


def eomt(case: Case) -> Found:
    params = case.params
    # The figures' networks have layer scales, whatever timm's default is.
    args = {**{key: params[key] for key in _SIZES}, "init_values": 1.0}
    model = backbone(params["arch"], args, img_size=params["img_size"], norm=True)
    fill(case, model.network)
    patch = model.network.patch_embed.patch_size[0]
    transformer = MaskTransformer(
        params["embed_dim"], patch, params["num_classes"], params["num_q"], params["num_blocks"]
    )
    fill(case, transformer.eval())
    queries = transformer.q.weight
    queries.data.copy_(normal(case, "q.weight", queries.shape))
    found: Found = {}
    predictions = transformer(model.network, _images(case))
    for number, prediction in enumerate(predictions):
        found[f"mask_logits{number}"] = prediction.masks
        found[f"class_logits{number}"] = prediction.classes
    return {**found, "per_pixel": pixel_scores(predictions[-1])}


def _images(case: Case) -> torch.Tensor:
    """Return images of values around a half, normalised."""
    x = normal(case, f"{case.name}.x", case.given["input"])
    mean, std = (
        # The authors' network holds them in float32.
        torch.tensor(case.params[f"pixel_{key}"]).double().view(1, 3, 1, 1)
        for key in ("mean", "std")
    )
    return (0.5 + 0.25 * x - mean) / std


RUNNERS = {"models/eomt.py": eomt}
