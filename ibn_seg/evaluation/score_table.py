"""The printed table of one domain."""

from collections.abc import Sequence

from prettytable import PrettyTable

from ibn_seg.evaluation.confusion import DomainResult


def score_table(domain: str, result: DomainResult, classes: Sequence[str]) -> str:
    """Return the printed table of one domain; numbers are rounded here and nowhere else."""
    table = PrettyTable(["class", "IoU", "Acc"], align="r")
    table.align["class"] = "l"
    for name in classes:
        values = (scored.get(name) for scored in (result.IoU, result.Acc))
        table.add_row([name, *("-" if value is None else f"{value:.2f}" for value in values)])
    lines = [
        f"{domain}, {result.images} images: mIoU {result.mIoU:.2f}, mAcc {result.mAcc:.2f}, "
        f"aAcc {result.aAcc:.2f} (percent)",
        table.get_string(),
    ]
    if result.absent:
        lines.append(f"absent, not in the mean: {', '.join(result.absent)}")
    if result.mapping is not None:
        lines += _map_lines(result)
    if result.unlabelled:
        lines.append(
            f"predicted but in no label, IoU 0 in the mean: {', '.join(result.unlabelled)}"
        )
    return "\n".join(lines)


def _map_lines(result: DomainResult) -> list[str]:
    """Return what was mapped to what, one line per group, and the share without a group."""
    lines = [f"{len(result.classes)} predicted classes in {len(result.mapping['groups'])} groups:"]
    lines += [
        f"  {group}: {', '.join(members) or '-'}"
        for group, members in result.mapping["groups"].items()
    ]
    if none := result.mapping["none"]:
        lines.append(
            f"  without a group: {', '.join(none)} ({result.no_group:.2f} % of the labelled pixels)"
        )
    return lines
