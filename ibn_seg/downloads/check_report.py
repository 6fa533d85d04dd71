"""Turns a check into JSON."""

from collections.abc import Iterable, Sequence
from typing import Any

import numpy as np

from ibn_seg.datasets.labels import IGNORE_INDEX
from ibn_seg.downloads.check import Check, shortage
from ibn_seg.downloads.findings import KINDS
from ibn_seg.downloads.parts import Listing


def check_report(name: str, result: Check) -> dict[str, Any]:
    """Return all results of a check, for a JSON file.

    Args:
        name: The data set's name.
        result: The check.
    """
    return {
        "data_set": name,
        "root": str(result.root),
        "labels_only": result.labels_only,
        "files": result.files,
        "parts": [_part(listing) for listing in result.listings],
        "summary": result.counts(),
        "findings": [
            {
                "kind": finding.kind,
                "harmful": KINDS[finding.kind].harmful,
                "files": list(finding.files),
                "text": finding.text,
            }
            for finding in result.findings
        ],
        "notes": result.notes,
        "forms": {kind: dict(forms.most_common()) for kind, forms in result.forms.items()},
        "sizes": {f"{w}x{h}": count for (w, h), count in result.sizes.most_common()},
        "official_size": "x".join(map(str, result.card.size)) if result.card.size else None,
        "classes": class_rows(result.classes, result.pixels.values(), result.present.values()),
        "workers": result.workers,
        "seconds": result.seconds,
    }


def class_rows(
    classes: Sequence[str], pixels: Iterable[np.ndarray], present: Iterable[np.ndarray]
) -> list[dict[str, Any]]:
    """Return the pixels and label files of each class, and of ignored pixels.

    Args:
        classes: The names of the C classes.
        pixels: (256,) pixels of each class, over any number of parts.
        present: (256,) number of label files with each class, over the same parts.
    """
    counted = sum(pixels, np.zeros(256, np.int64))
    files = sum(present, np.zeros(256, np.int64))
    total = max(int(counted.sum()), 1)
    return [
        {
            "train_id": index,
            "name": classes[index] if index < len(classes) else "ignored",
            "pixels": int(counted[index]),
            "percent": 100 * int(counted[index]) / total,
            "labels": int(files[index]) if index < len(classes) else None,
        }
        for index in (*range(len(classes)), IGNORE_INDEX)
    ]


def _part(listing: Listing) -> dict[str, Any]:
    part = listing.part
    return {
        "name": part.name,
        "arguments": dict(part.arguments),
        "images": len(listing.images),
        "labels": len(listing.labels),
        "pairs": listing.pairs,
        "official": part.count,
        "official_is_sure": part.sure,
        "left_out_always": listing.known,
        "left_out_by_list": listing.excluded,
        "absent": listing.absent,
        "shortage": shortage(listing),
    }
