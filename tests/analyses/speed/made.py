"""Results as `ibn-seg speed` writes them."""

from collections.abc import Mapping

from tests.leaderboard.made import Folder


def add_speed(folder: Folder, training: Mapping, time: float, **changes: object) -> dict:
    """Add the speed of a training, with a time over BN."""
    return folder.analysis("speed", training, {
        "size": [512, 256], "device": "cpu", "cpu": "Processor 1 (AVX2)", "threads": 1,
        "repeats": 15, "few_repeats": False, "own_twin": training["method"] == "BN",
        "network": {"parameters": 11_177_536, "multiply_adds": 4_560_000_000},
        "time_over_bn": {"median": time, "low_quartile": time - 0.1, "high_quartile": time + 0.1},
        "peak_memory_over_bn": 1.25, **changes,
    })  # fmt: skip
