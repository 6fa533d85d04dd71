"""The figures of training, computed by the product: losses, sampler, schedule, erasing."""

import re
from collections.abc import Callable, Iterator, Mapping
from typing import Any

import numpy as np
import torch
from mmengine.registry import PARAM_SCHEDULERS

from ibn_seg.reid import retrieval_losses as losses
from ibn_seg.reid.erasing import PaintRectangle
from ibn_seg.reid.identity_sampling import identity_batches, upper_bound
from ibn_seg.reid.warm_up import warm_up_and_steps
from tests.parity import reid_inputs
from tests.parity.reid_outcome import Figure, deviations, distance, unknown, wrong_inputs

Given = Mapping[str, Any]
_EPOCHS = 60
_KINDS = ("balanced", "duplicates", "unequal")


def loss_figures(seeds: Given, about: Given) -> Iterator[Figure]:
    """Compare losses and gradients of every batch."""
    for seed, kinds in seeds.items():
        for kind, case in kinds.items():
            title = f"losses {kind} {seed}"
            if kind not in _KINDS:
                yield unknown(title, f"batch {kind!r}")
                continue
            made = reid_inputs.batch(int(seed), kind)
            if problem := wrong_inputs(case["inputs"], made):
                yield Figure(title, np.inf, 0.0, problem)
                continue
            tensors = {name: torch.from_numpy(value) for name, value in made.items()}
            for key, given in case.items():
                if key in ("inputs", "labels"):
                    continue
                yield from _loss(f"{title} {key}", key, kind, given, tensors, about)


def _loss(
    name: str, key: str, kind: str, given: Any, made: dict[str, torch.Tensor], about: Given
) -> Iterator[Figure]:
    """Compare one loss with its gradients."""
    given = given if isinstance(given, Mapping) else {"loss": given}
    if "error" in given:
        # The original cannot take identities with different numbers of images; ours can.
        value = losses.triplet_loss(made["feats"], made["labels"])
        yield Figure(name, 0.0, 0.0, "" if value.isfinite() else "not finite")
        return
    leaves = {leaf: made[leaf].clone().requires_grad_() for leaf in ("feats", "scores", "centres")}
    found = _computed(key, given, leaves, made["labels"])
    if found is None:
        yield unknown(name, f"loss {key!r}")
        return
    tolerances = about["tolerances"]
    special = tolerances["losses of kind duplicates"] if kind == "duplicates" else 0.0
    for figure, expected in given.items():
        if figure in ("epsilon", "classes"):
            continue
        gradient = figure.startswith("grad") or figure == "centres_after_step"
        allowed = max(special, tolerances["gradients" if gradient else "losses"])
        if figure not in found:
            yield unknown(f"{name} {figure}", f"figure {figure!r}")
            continue
        error = distance(found[figure].detach().numpy(), expected)
        yield Figure(f"{name} {figure}", error, allowed)


def _computed(
    key: str, given: Given, leaves: dict[str, torch.Tensor], labels: torch.Tensor
) -> dict[str, torch.Tensor] | None:
    """Return all figures of a loss by their names in the file, or None for an unknown one."""
    if key == "total":
        return _total(leaves, labels)
    if key == "center":
        return _center(leaves, labels)
    if "triplet" in key:
        return _triplet(key, leaves["feats"], labels)
    options = _smoothing(key, given)
    if options is None:
        return None
    scores = leaves["scores"]
    loss = losses.smoothed_cross_entropy(scores, labels, **options)
    return {"loss": loss, "grad": torch.autograd.grad(loss, scores)[0]}


def _smoothing(key: str, given: Given) -> dict[str, Any] | None:
    """Return the arguments of a smoothed cross entropy, from its name in the file."""
    epsilon = given.get("epsilon", losses.SMOOTHING)
    if key == "cross_entropy":
        return {"smoothing": 0.0}
    if match := re.fullmatch(r"label_smooth_fastreid_adaptive_([\d.]+)", key):
        return {"smoothing": float(match[1]), "over": "others", "adaptive": True}
    known = {
        "label_smooth_bot": "all",
        "torchreid_label_smooth": "all",
        "label_smooth_fastreid": "others",
    }
    return {"smoothing": epsilon, "over": known[key]} if key in known else None


def _triplet(
    key: str, features: torch.Tensor, labels: torch.Tensor
) -> dict[str, torch.Tensor] | None:
    """Return loss, gradient and mined distances of a triplet loss, from its name in the file."""
    match = re.fullmatch(
        r"(?:torchreid_|fastreid_)?triplet_(?P<mining>hard_|weighted_)?"
        r"(?:margin_(?P<margin>[\d.]+)|soft)(?P<form>_normalised|_cosine)?",
        key,
    )
    if match is None:
        return None
    options = {
        "normalise": match["form"] == "_normalised",
        "cosine": match["form"] == "_cosine",
        "mining": (match["mining"] or "hard_").rstrip("_"),
    }
    margin = None if match["margin"] is None else float(match["margin"])
    loss = losses.triplet_loss(features, labels, margin, **options)
    seen = torch.nn.functional.normalize(features) if options["normalise"] else features
    pair = losses.mined_distances(
        losses.triplet_distances(seen, options["cosine"]), labels, options["mining"]
    )
    return {
        "loss": loss,
        "grad": torch.autograd.grad(loss, features)[0],
        "hardest_positive": pair[0],
        "hardest_negative": pair[1],
    }


def _centers(leaves: dict[str, torch.Tensor], weight: float) -> losses.CenterLoss:
    """Return the center loss with the centres of the case."""
    layer = losses.CenterLoss(*leaves["centres"].shape, weight=weight)
    with torch.no_grad():
        layer.centers.copy_(leaves["centres"])
    return layer


def _center(leaves: dict[str, torch.Tensor], labels: torch.Tensor) -> dict[str, torch.Tensor]:
    layer = _centers(leaves, 1.0)
    loss = layer(leaves["feats"], labels)
    pair = torch.autograd.grad(loss, [leaves["feats"], layer.centers])
    return {"loss": loss, "grad_features": pair[0], "grad_centres": pair[1]}


def _total(leaves: dict[str, torch.Tensor], labels: torch.Tensor) -> dict[str, torch.Tensor]:
    """Return the sum of the strong baseline's losses, and the centres after their step."""
    layer = _centers(leaves, losses.CENTER_WEIGHT)
    loss = losses.smoothed_cross_entropy(leaves["scores"], labels)
    loss = loss + losses.triplet_loss(leaves["feats"], labels) + layer(leaves["feats"], labels)
    loss.backward()
    layer.step()
    return {
        "loss": loss,
        "grad_scores": leaves["scores"].grad,
        "grad_features": leaves["feats"].grad,
        "centres_after_step": layer.centers,
    }


def sampler(seeds: Given, about: Given) -> Iterator[Figure]:
    """Compare the properties of batches over many epochs; means within four standard errors."""
    for seed, cases in seeds.items():
        for kind, case in cases.items():
            name = f"sampler {kind} {seed}"
            if "inputs" not in case:
                yield Figure(name, 0.0, 0.0, "the file has no list of identities", True)
                continue
            labels = reid_inputs.identities(int(seed), case["identities"])
            if problem := wrong_inputs(case["inputs"], {"identities": labels}):
                yield Figure(name, np.inf, 0.0, problem)
                continue
            yield from _sampled(name, case, labels)


def _sampled(name: str, case: Given, labels: np.ndarray) -> Iterator[Figure]:
    """Compare the epochs of one list of identities."""
    size, images = case["P"], case["K"]
    epochs = [identity_batches(labels, size, images, 0, epoch) for epoch in range(_EPOCHS)]
    broken = [rule for epoch in epochs for rule in _broken(epoch, labels, size, images)]
    yield Figure(f"{name} rules", float(len(broken)), 0.0, broken[0] if broken else "")
    counts = np.bincount(labels)
    exact = [len(labels), len(counts), int((counts < images).sum()), upper_bound(labels, images)]
    keys = ("images", "identities", "identities_with_fewer_than_K", "upper_bound_images")
    yield Figure(f"{name} counts", distance(exact, [case[key] for key in keys]), 0.0)
    lengths = np.array([len(epoch) for epoch in epochs])
    seen = np.array([len(np.unique(epoch)) / len(labels) for epoch in epochs])
    runs = 20  # of the original, see the file's `about`
    for what, values, expected in (
        ("batches", lengths, case["batches_min_mean_max"][1]),
        ("share of images", seen, case["share_of_images_seen_mean"]),
    ):
        spread = values.std(ddof=1)
        apart = deviations(
            values.mean() - expected, spread / np.sqrt(runs), spread / np.sqrt(len(values))
        )
        yield Figure(f"{name} {what} (standard errors)", apart, 4.0)


def _broken(batches: np.ndarray, labels: np.ndarray, size: int, images: int) -> Iterator[str]:
    """Yield the rules of the sampler that an epoch breaks."""
    groups = labels[batches].reshape(len(batches), size, images)
    counts = np.bincount(labels)
    drawn = np.bincount(labels[batches.ravel()], minlength=len(counts))
    if (groups != groups[:, :, :1]).any():
        yield "images of an identity do not stand together"
    if any(len(np.unique(batch[:, 0])) != size for batch in groups):
        yield "an identity is twice in a batch"
    if (drawn > np.maximum(counts, images) // images * images).any():
        yield "an identity is drawn too often"
    many = batches.ravel()[counts[labels[batches.ravel()]] >= images]
    if len(np.unique(many)) != len(many):
        yield "an image is drawn twice"
    if (np.maximum(counts, images) // images - drawn // images > 0).sum() >= size:
        yield "the epoch ends although identities are left"


def learning_rates(cases: Given, about: Given) -> Iterator[Figure]:
    """Compare the rate of every epoch, as mmengine's schedulers set it."""
    for name, case in cases.items():
        schedule = warm_up_and_steps(
            case["milestones"],
            case["gamma"],
            case["warmup_iters"],
            case["warmup_factor"],
            case.get("warmup_method", "linear"),
        )
        optimizer = torch.optim.SGD([torch.zeros(1, requires_grad=True)], lr=case["base_lr"])
        steps = [PARAM_SCHEDULERS.build({**step, "optimizer": optimizer}) for step in schedule]
        rates = []
        for _ in case["lr_by_epoch"]:
            rates.append(optimizer.param_groups[0]["lr"])
            optimizer.step()
            for step in steps:
                step.step()
        error = distance(rates, case["lr_by_epoch"])
        yield Figure(f"learning rate {name}", error, about["tolerances"]["learning_rate"])


def random_erasing(case: Given, about: Given) -> Iterator[Figure]:
    """Compare shares and quantiles of many draws, within four standard errors."""
    height, width = case["image"]
    shares, ratios = _painted(height, width, case["draws"], case["fill_in_normalised_space"])
    count = case["draws"]
    share = len(shares) / count
    error = np.sqrt(share * (1 - share) / count)
    both = f"random erasing {height}x{width} "
    apart = deviations(share - case["share_erased"], error, error)
    yield Figure(f"{both}share erased (standard errors)", apart, 4.0)
    error = shares.std(ddof=1) / np.sqrt(len(shares))
    apart = deviations(shares.mean() - case["area_share_mean"], error, error)
    yield Figure(f"{both}mean area (standard errors)", apart, 4.0)
    # A pixel more or less in height and width.
    rounding = (height + width) / (height * width)
    ends = np.array([shares.min(), shares.max()]) - case["area_share_min_max"]
    yield Figure(f"{both}least and largest area", float(np.abs(ends).max()), rounding)
    measured: dict[str, Callable[[], np.ndarray]] = {
        "area_share": lambda: shares,
        "height_over_width": lambda: ratios,
    }
    for key, values in case.items():
        match = re.fullmatch(r"(.+)_quantiles_([\d_]+)", key)
        if match is not None:
            levels = np.array(match[2].split("_"), float) / 100
            yield _quantiles(f"{both}{match[1]} quantiles", measured[match[1]](), levels, values)


def _quantiles(name: str, values: np.ndarray, levels: np.ndarray, given: list[float]) -> Figure:
    """Compare which share of ours lies below the quantiles of the file."""
    # Quantiles of the file have three digits; values on one of them count half.
    below = [(np.mean(values < one - 5e-4) + np.mean(values <= one + 5e-4)) / 2 for one in given]
    errors = np.sqrt(levels * (1 - levels) / len(values))
    apart = [deviations(*three, three[1]) for three in zip(below - levels, errors, strict=True)]
    return Figure(f"{name} (standard errors)", max(apart), 4.0)


def _painted(
    height: int, width: int, draws: int, fill: list[float]
) -> tuple[np.ndarray, np.ndarray]:
    """Return area share and height over width of all rectangles that the transform paints."""
    step = PaintRectangle(fill=tuple(fill))
    shares, ratios = [], []
    state = np.random.get_state()
    np.random.seed(0)
    for _ in range(draws):
        image = step.transform({"img": np.zeros((height, width, 3), np.float32)})["img"]
        painted = image[..., 0] != 0
        if painted.any():
            rows, columns = painted.any(axis=1).sum(), painted.any(axis=0).sum()
            if (image[painted] != np.float32(fill)).any():
                raise ValueError("another value was painted")
            shares.append(rows * columns / (height * width))
            ratios.append(rows / columns)
    np.random.set_state(state)
    return np.array(shares), np.array(ratios)
