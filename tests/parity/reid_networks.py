"""The figures of the strong baseline's networks, and its readers of data sets, by the product."""

import tempfile
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import torch

from ibn_seg.reid.bnneck import StrongBaseline, from_bot_names, strong_baseline
from ibn_seg.reid.ranking import JUNK
from ibn_seg.reid.sets.all_sets import picture_set
from ibn_seg.reid.sets.picture_set import Picture, training_labels
from tests.parity import reid_inputs
from tests.parity.golden import filled_tensor
from tests.parity.reid_outcome import Figure, distance, unknown, wrong_inputs

Given = Mapping[str, Any]
# Of a case that does not list its tensors.
CLASSES = 751
_RELU = " with ReLU in the stem"
# Where the files of the trees lie that the file gives without folders, and the name of each set.
_SETS = {
    "Market-1501": "market1501",
    "DukeMTMC-reID": "dukemtmc_reid",
    "MSMT17": "msmt17",
    "PersonX": "personx",
    "RandPerson": "randperson",
}


def networks(seeds: Given, about: Given) -> Iterator[Figure]:
    """Compare features, scores and the size of every network."""
    for seed, cases in seeds.items():
        # The map is a sixteenth of the picture in height and width.
        shapes = [case["feature_map"] for name, case in cases.items() if name != "inputs"]
        count, _, height, width = shapes[0]
        images = reid_inputs.images(int(seed), count, 16 * height, 16 * width)
        if problem := wrong_inputs(cases.get("inputs", {}), {"images": images}):
            yield Figure(f"networks {seed}", np.inf, 0.0, problem)
            continue
        for name, case in cases.items():
            if name != "inputs":
                yield from network(f"network {name} {seed}", name, case, int(seed), images, about)


def network(
    title: str, name: str, case: Given, seed: int, images: np.ndarray, about: Given
) -> Iterator[Figure]:
    """Compare one network."""
    bare = name.removesuffix(_RELU)
    cadene = bare.startswith("se_")
    # BoT's plain ResNets lack the stem's ReLU; those with IBN or attention have it.
    relu = name.endswith(_RELU) or bare.endswith(("_ibn_a", "_ibn_b")) or cadene
    shape = _listed_shapes(case).get("classifier.weight", (CLASSES,))
    model = strong_baseline(bare, shape[0], stem_relu=relu, cadene=cadene, zero_init_residual=False)
    yield Figure(f"{title} tensors", _size_error(model, case), 0.0)
    weights = {key: filled_tensor(_bot_name(key, cadene), tuple(value.shape), seed)
               for key, value in model.state_dict().items()}  # fmt: skip
    model.load_state_dict(weights)
    batch = torch.from_numpy(images)
    tolerances = about["tolerances"]
    with torch.no_grad():
        model.eval()
        shape = list(model.base(batch)[-1].shape)
        yield Figure(f"{title} map", distance(shape, case["feature_map"]), 0.0)
        figures = {"eval_after_bnneck": model(batch), "eval_before_bnneck": model.pooled(batch)}
        model.train()
        figures["train_scores"], figures["train_features"] = model(batch)
    for key, values in figures.items():
        kind = "train_scores" if key == "train_scores" else "eval and train_features"
        yield Figure(f"{title} {key}", _summary_error(values, case[key]),
                     tolerances[f"networks {kind}"])  # fmt: skip


def _bot_name(key: str, cadene: bool) -> str:
    """Return the name of one of our tensors in BoT's network."""
    if not cadene:
        return key
    key = key.replace(".se.", ".se_module.")
    stem = key.startswith(("base.conv1.", "base.bn1."))
    return key.replace("base.", "base.layer0.", 1) if stem else key


def _size_error(model: StrongBaseline, case: Given) -> float:
    """Return how many tensors and parameters are too many or lacking, but for the unused `fc`."""
    shapes = _listed_shapes(case)
    theirs = from_bot_names({key: torch.zeros(shape) for key, shape in shapes.items()})
    unused = [shape for key, shape in shapes.items() if key.startswith("base.fc.")]
    ours = {key: tuple(value.shape) for key, value in model.state_dict().items()}
    trainable = [p for p in model.named_parameters() if p[1].requires_grad]
    counted = [
        len(ours) + len(unused),
        len(trainable) + len(unused),
        sum(p.numel() for _, p in trainable) + sum(int(np.prod(shape)) for shape in unused),
        sum(name.endswith("bias") for name, _ in trainable) + sum(len(s) == 1 for s in unused),
    ]
    keys = ("state_dict_entries", "trainable_tensors", "trainable_parameters",
            "trainable_bias_tensors")  # fmt: skip
    wrong = sum(count != case[key] for count, key in zip(counted, keys, strict=True))
    different = {key for key in {*ours, *theirs} if ours.get(key) != _shape(theirs.get(key))}
    return float(wrong + (len(different) if shapes else 0))


def _listed_shapes(case: Given) -> dict[str, tuple[int, ...]]:
    """Return the shapes of the file's list of tensors; empty where the case has no list."""
    lines = (line.partition(" ") for line in case.get("state_dict", []))
    return {key: tuple(map(int, filter(None, shape.split("x")))) for key, _, shape in lines}


def _shape(value: torch.Tensor | None) -> tuple[int, ...] | None:
    return None if value is None else tuple(value.shape)


def _summary_error(values: torch.Tensor, given: Given) -> float:
    """Return the largest error: of values by the largest, of the mean by it too, of the norm."""
    x = values.double()
    scale = x.abs().max().item()
    pairs = [
        (x[0, : len(given["first"])].tolist(), given["first"], scale),
        (x[-1, -len(given["last"]) :].tolist(), given["last"], scale),
        ([x.mean().item()], [given["mean"]], scale),
        ([x.norm().item()], [given["norm"]], given["norm"]),
    ]
    return max(float(np.abs(np.subtract(ours, theirs)).max() / by) for ours, theirs, by in pairs)


def file_names(trees: Given, about: Given) -> Iterator[Figure]:
    """Compare identity and camera of every file of small trees of empty files."""
    for title, case in trees.items():
        if title not in _SETS:
            yield unknown(f"file names {title}", f"data set {title!r}")
            continue
        with tempfile.TemporaryDirectory() as folder:
            write_tree(Path(folder), title, case)
            yield from _listed(title, case, picture_set(_SETS[title], folder))


def _listed(title: str, case: Given, found: Any) -> Iterator[Figure]:
    """Compare the parts of one tree."""
    for part in found.parts:
        pictures = [p for p in found.pictures(part) if p.identity != JUNK] if part in case or (
            part == "train" and "train_images" in case) else None  # fmt: skip
        if pictures is None:
            continue
        name = f"file names {title} {part}"
        if part in case:
            rows = _rows(pictures, relabel=title == "RandPerson")
            problem = "" if rows == sorted(map(tuple, case[part])) else f"found {rows}"
            yield Figure(name, float(bool(problem)), 0.0, problem)
        if part == "train" and "train_images" in case:
            ours = {
                "train_images": len(pictures),
                "train_identities": len({p.identity for p in pictures}),
                "train_cameras": sorted({p.camera for p in pictures}),
            }
            wrong = [key for key, value in ours.items() if case.get(key, value) != value]
            yield Figure(f"{name} counts", float(len(wrong)), 0.0, ", ".join(wrong))


def _rows(pictures: list[Picture], relabel: bool) -> list[tuple[str, int, int]]:
    """Return name, identity and camera of pictures, sorted by name."""
    ids = training_labels(pictures) if relabel else [p.identity for p in pictures]
    return sorted((p.path.name, one, p.camera) for p, one in zip(pictures, ids, strict=True))


def write_tree(root: Path, title: str, case: Given) -> None:
    """Write the files of a tree, empty: those the file lists, or else those it names."""
    folders = dict(case.get("files", {}))
    for name, lines in case.get("lists", {}).items():
        (root / name).write_text("".join(f"{line}\n" for line in lines), encoding="utf-8")
        side = "train" if name in ("list_train.txt", "list_val.txt") else "test"
        for line in lines:
            path = Path(side, line.rpartition(" ")[0])
            folders.setdefault(str(path.parent), []).append(path.name)
    if not folders:
        places = {"train": "subset" if title == "RandPerson" else "bounding_box_train",
                  "query": "query", "gallery": "bounding_box_test"}  # fmt: skip
        folders = {places[part]: [row[0] for row in case[part]] for part in places if part in case}
    for folder, names in folders.items():
        (root / folder).mkdir(parents=True, exist_ok=True)
        for name in names:
            (root / folder / name).touch()
