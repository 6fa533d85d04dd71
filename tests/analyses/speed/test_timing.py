"""Two functions timed in turn, by a clock of the test."""

import pytest

from ibn_seg.analyses.speed.timing import Times, quartiles, time_in_turn


class Machine:
    """Two functions that take 2 and 1 seconds, and their clock."""

    def __init__(self):
        self.now, self.order = 0.0, []

    def network(self):
        self.order.append("network")
        self.now += 2

    def twin(self):
        self.order.append("twin")
        self.now += 1

    def clock(self):
        return self.now


def test_both_run_in_turn_and_the_one_that_goes_first_changes():
    machine, moved = Machine(), []
    times = time_in_turn(
        machine.network, machine.twin, 4, machine.clock, lambda *counts: moved.append(counts)
    )
    a, b = "network", "twin"
    assert machine.order[-8:] == [a, b, b, a, a, b, b, a]
    warm_up = machine.order[:-8]
    assert warm_up.count(a) == warm_up.count(b) > 0
    assert times == Times((2.0,) * 4, (1.0,) * 4)
    assert moved == [(1, 4), (2, 4), (3, 4), (4, 4)]


def test_a_machine_that_slows_down_keeps_the_ratio():
    machine = Machine()
    slow = iter(range(1, 100))

    def network():
        machine.now += 3 * machine.pace

    def twin():
        machine.now += 2 * machine.pace

    def clock():
        # Two calls for each function, two functions for each repeat.
        machine.pace = 1 + next(slow) // 4
        return machine.now

    machine.pace = 1
    times = time_in_turn(network, twin, 8, clock)
    assert max(times.network) > 4 * min(times.network)
    assert quartiles(times.ratios)["median"] == pytest.approx(1.5, rel=0.1)


def test_ratios_are_of_the_same_repeat():
    times = Times((1.0, 8.0, 3.0), (1.0, 4.0, 2.0))
    assert times.ratios == (1.0, 2.0, 1.5)
    found = quartiles(times.ratios)
    assert found == {"median": 1.5, "low_quartile": 1.25, "high_quartile": 1.75}
