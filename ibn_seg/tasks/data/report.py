"""A check as JSON."""

from typing import Any

from ibn_seg.datasets.labels import CLASSES
from ibn_seg.tasks.data.check import Check, class_totals, shortage
from ibn_seg.tasks.data.findings import KINDS
from ibn_seg.tasks.data.parts import Listing


def check_report(name: str, result: Check) -> dict[str, Any]:
    """Return everything that a check found, for a JSON file.

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
        "forms": {kind: dict(forms.most_common()) for kind, forms in result.forms.items()},
        "sizes": {f"{w}x{h}": count for (w, h), count in result.sizes.most_common()},
        "official_size": "x".join(map(str, result.entry.size)) if result.entry.size else None,
        "classes": class_rows(result),
        "workers": result.workers,
        "seconds": result.seconds,
    }


def class_rows(result: Check) -> list[dict[str, Any]]:
    """Return pixels and label files of each class, and of what is ignored."""
    rows = list(class_totals(result))
    total = sum(pixels for _, pixels, _ in rows) or 1
    return [
        {
            "train_id": index,
            "name": CLASSES[index] if index < len(CLASSES) else "ignored",
            "pixels": pixels,
            "percent": 100 * pixels / total,
            "labels": labels if index < len(CLASSES) else None,
        }
        for index, pixels, labels in rows
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
