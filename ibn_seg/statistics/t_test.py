"""The paired t-test, and the number of seeds needed to tell two methods apart."""

import math
import statistics
from collections.abc import Sequence
from dataclasses import dataclass
from types import ModuleType

from ibn_seg.errors import EnvError

POWER = 0.8
ALPHA = 0.05
MOST_SEEDS = 1000
# Beyond these shifts the test always rejects, or never (under 1e-11) on the wrong side. SciPy's
# distribution gives NaN there, in older versions from 7.6 on.
_ALWAYS = 100.0
_NEVER_BELOW = 6.0


@dataclass(frozen=True)
class TTest:
    """A two-sided paired t-test of the mean difference against 0.

    Args:
        t: Mean difference over its standard error; infinite if all differences are the same.
        degrees_of_freedom: Number of pairs minus 1.
        p_value: Probability of a |t| at least as large if there is no difference.
    """

    t: float
    degrees_of_freedom: int
    p_value: float


@dataclass(frozen=True)
class SeedsNeeded:
    """The number of seeds needed to tell two methods apart.

    Args:
        seeds: The smallest number of paired seeds, or None for the given `reason`.
        reason: Why there is no number, as words after 'seeds needed:'.
    """

    seeds: int | None
    reason: str | None = None


def paired_t_test(differences: Sequence[float]) -> TTest | None:
    """Return the paired t-test (Student, The probable error of a mean, Biometrika 6, 1908).

    Args:
        differences: One difference per seed that both methods have.

    Returns:
        None for fewer than two seeds. Differences without any spread give t = 0 and p = 1 if they
        are 0, else an infinite t and p = 0.

    Raises:
        EnvError: SciPy is missing.
    """
    n = len(differences)
    if n < 2:
        return None
    mean, sd = statistics.fmean(differences), statistics.stdev(differences)
    if sd == 0:
        t = math.copysign(math.inf, mean) if mean else 0.0
        return TTest(t, n - 1, 0.0 if mean else 1.0)
    t = mean / (sd / math.sqrt(n))
    return TTest(t, n - 1, float(2 * _scipy_stats().t.sf(abs(t), n - 1)))


def t_interval(values: Sequence[float], alpha: float = ALPHA) -> tuple[float, float] | None:
    """Return the confidence interval of a mean by Student's t distribution.

    It says what other seeds would give, on the same images.

    Args:
        values: One value per seed, such as paired differences.
        alpha: 1 - confidence.

    Returns:
        Its ends, or None for fewer than two values.

    Raises:
        EnvError: SciPy is missing.
    """
    n = len(values)
    if n < 2:
        return None
    half = float(_scipy_stats().t.isf(alpha / 2, n - 1)) * statistics.stdev(values) / math.sqrt(n)
    mean = statistics.fmean(values)
    return mean - half, mean + half


def power(effect: float, n: int, alpha: float = ALPHA) -> float:
    """Return the power of the two-sided paired t-test.

    The statistic of n pairs follows the noncentral t distribution with n - 1 degrees of freedom and
    noncentrality d * sqrt(n). Source: Cohen, Statistical Power Analysis for the Behavioral
    Sciences, 1988, chapter 2.

    Args:
        effect: Mean of the differences over their standard deviation (Cohen's d_z).
        n: Number of pairs, at least 2.
        alpha: Probability of a false alarm.

    Raises:
        EnvError: SciPy is missing.
    """
    stats = _scipy_stats()
    shift = abs(effect) * math.sqrt(n)
    critical = stats.t.isf(alpha / 2, n - 1)
    if shift > critical + _ALWAYS:
        return 1.0
    above = float(stats.nct.sf(critical, n - 1, shift))
    if shift > _NEVER_BELOW:
        return above
    return above + float(stats.nct.cdf(-critical, n - 1, shift))


def seeds_needed(
    mean: float,
    sd: float | None,
    *,
    wanted: float = POWER,
    alpha: float = ALPHA,
    most: int = MOST_SEEDS,
) -> SeedsNeeded:
    """Return the smallest number of paired seeds for the t-test to find the difference.

    It assumes that mean and deviation are the true ones. From three seeds both are rough, and so is
    the result.

    Args:
        mean: Mean of the paired differences, points.
        sd: Their sample standard deviation (n - 1), points; None if there was one seed.
        wanted: Power.
        alpha: Probability of a false alarm, two-sided.
        most: Where to stop looking.

    Raises:
        EnvError: SciPy is missing.
    """
    if sd is None:
        return SeedsNeeded(None, "one seed shows no spread")
    if mean == 0:
        return SeedsNeeded(None, "no difference to be found")
    if sd == 0:
        return SeedsNeeded(2)
    effect = abs(mean) / sd
    # Power grows with n, so halving finds the first n without trying all.
    if power(effect, most, alpha) < wanted:
        return SeedsNeeded(None, f"more than {most:,}")
    low, high = 2, most
    while low < high:
        middle = (low + high) // 2
        if power(effect, middle, alpha) < wanted:
            low = middle + 1
        else:
            high = middle
    return SeedsNeeded(low)


def _scipy_stats() -> ModuleType:
    try:
        from scipy import stats
    except ImportError as error:
        raise EnvError(
            "scipy is missing, which the paired t-test needs",
            "pip install scipy (mmsegmentation brings it)",
        ) from error
    return stats
