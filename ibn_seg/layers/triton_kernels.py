"""The kernels of `triton_passes`: a program handles one or a few tiles of one sample.

Values are float32 within a tile, around the tile's own mean, so a large mean costs no digits.
Results of tiles are combined in float64, in an order that depends only on the shape: every run
gives the same result. In memory a sample is (C, P) or, with LAST, (P, C), where P is its number of
pixels. Other arrays are (N, C) or, with parts of a sample, (N, parts, C).
"""

import triton
import triton.language as tl


@triton.jit
def _where(group, C, first, last, BC: tl.constexpr):
    """Return a group's channels, whether they exist and have an instance norm, and their place.

    The place counts among the channels of their norm.
    """
    c = group * BC + tl.arange(0, BC)
    instance = (c >= first) & (c < last)
    place = tl.where(instance, c - first, tl.where(c < first, c, c - (last - first)))
    return c, c < C, instance, place


@triton.jit
def _offsets(c, p, C, P, LAST: tl.constexpr):
    """Return the offsets of a tile's channels and pixels from the start of a sample."""
    return p[None, :] * C + c[:, None] if LAST else c[:, None] * P + p[None, :]


@triton.jit
def _of_norm(instance_values, batch_values, place, inner, outer, default):
    """Load each channel's value from one of two arrays, in float64."""
    one = tl.load(instance_values + place, mask=inner, other=default)
    other = tl.load(batch_values + place, mask=outer, other=default)
    return tl.where(inner, one, other).to(tl.float64)


@triton.jit
def moments_of_parts(
    x, part_mean, part_squares, C, P, first, last, parts, steps,
    LAST: tl.constexpr, EVERY: tl.constexpr, BC: tl.constexpr, BP: tl.constexpr,
):  # fmt: skip
    """Compute mean and squares of parts of planes, in `steps` tiles one after the other.

    Without EVERY only the instance norm's channels are read.
    """
    groups = tl.cdiv(C, BC)
    group, row = tl.program_id(0) % groups, tl.program_id(0) // groups
    n, part = row // parts, row % parts
    c, exists, instance, _ = _where(group, C, first, last, BC)
    if not EVERY:
        exists = exists & instance
    mean, squares = tl.zeros((BC,), tl.float64), tl.zeros((BC,), tl.float64)
    for step in range(0, steps):
        p = (part * steps + step) * BP + tl.arange(0, BP)
        before = step * BP
        size = tl.minimum(P - part * steps * BP - before, BP)
        if size > 0:
            inside = exists[:, None] & (p < P)[None, :]
            at = n * C * P + _offsets(c, p, C, P, LAST)
            values = tl.load(x + at, mask=inside, other=0.0).to(tl.float32)
            centre = tl.sum(values, axis=1) / size
            apart = tl.where(inside, values - centre[:, None], 0.0)
            # `rest` has the part of the centre that rounding lost.
            rest = tl.sum(apart, axis=1).to(tl.float64)
            square = tl.sum(apart * apart, axis=1).to(tl.float64) - rest * rest / size
            difference = centre.to(tl.float64) + rest / size - mean
            share = size.to(tl.float64) / (before + size)
            mean += difference * share
            squares += square + difference * difference * before * share
    at = row * C + c
    tl.store(part_mean + at, mean, mask=exists)
    tl.store(part_squares + at, squares, mask=exists)


@triton.jit
def _together(
    means, squares, at, C, rows, size, total, c, exists, BC: tl.constexpr, BR: tl.constexpr
):
    """Combine moments of rows from `at` on; a row has `size` values, the last ones fewer.

    Chan, Golub and LeVeque, 1979, equation 2.1, for all rows at once.
    """
    mean = tl.zeros((BC,), tl.float64)
    for begin in range(0, rows, BR):
        r = begin + tl.arange(0, BR)
        count = tl.maximum(tl.minimum(total - r * size, size), 0).to(tl.float64)
        inside = (r < rows)[:, None] & exists[None, :]
        values = tl.load(means + at + r[:, None] * C + c[None, :], mask=inside, other=0.0)
        mean += tl.sum(tl.where(inside, values * count[:, None], 0.0), axis=0)
    mean = mean / total
    square = tl.zeros((BC,), tl.float64)
    for begin in range(0, rows, BR):
        r = begin + tl.arange(0, BR)
        count = tl.maximum(tl.minimum(total - r * size, size), 0).to(tl.float64)
        inside = (r < rows)[:, None] & exists[None, :]
        values = tl.load(means + at + r[:, None] * C + c[None, :], mask=inside, other=0.0)
        own = tl.load(squares + at + r[:, None] * C + c[None, :], mask=inside, other=0.0)
        apart = values - mean[None, :]
        square += tl.sum(tl.where(inside, own + apart * apart * count[:, None], 0.0), axis=0)
    return mean, square


@triton.jit
def moments_of_samples(
    part_mean, part_squares, mean_out, squares_out, C, P, parts, size,
    BC: tl.constexpr, BR: tl.constexpr,
):  # fmt: skip
    """Compute mean and squares of each channel of each sample from its parts."""
    groups = tl.cdiv(C, BC)
    group, n = tl.program_id(0) % groups, tl.program_id(0) // groups
    c = group * BC + tl.arange(0, BC)
    mean, squares = _together(
        part_mean, part_squares, n * parts * C, C, parts, size, P, c, c < C, BC, BR
    )
    tl.store(mean_out + n * C + c, mean, mask=c < C)
    tl.store(squares_out + n * C + c, squares, mask=c < C)


@triton.jit
def finish_forward(
    sample_mean, sample_squares,
    instance_weight, instance_bias, batch_weight, batch_bias, running_mean, running_var,
    batch_mean, batch_var, moments, factors, N, C, P, first, last, instance_eps, batch_eps,
    BATCH: tl.constexpr, BATCH_STATISTICS: tl.constexpr, BC: tl.constexpr, BR: tl.constexpr,
):  # fmt: skip
    """Turn moments of samples into those of the norms, and into the factors of `apply`.

    Without BATCH, channels outside the instance norm stay as they are.
    """
    c, exists, instance, place = _where(tl.program_id(0), C, first, last, BC)
    inner, outer = exists & instance, exists & ~instance & BATCH
    if BATCH_STATISTICS:
        mean, squares = _together(sample_mean, sample_squares, 0, C, N, P, N * P, c, outer, BC, BR)
        count = (N * P).to(tl.float64)
        var = squares / count
        tl.store(batch_mean + place, mean.to(tl.float32), mask=outer)
        tl.store(batch_var + place, (squares / (count - 1)).to(tl.float32), mask=outer)
    else:
        mean = tl.load(running_mean + place, mask=outer, other=0.0).to(tl.float64)
        var = tl.load(running_var + place, mask=outer, other=1.0).to(tl.float64)
    weight = _of_norm(instance_weight, batch_weight, place, inner, outer, 1.0)
    bias = _of_norm(instance_bias, batch_bias, place, inner, outer, 0.0)
    eps = tl.where(instance, instance_eps, batch_eps).to(tl.float64)
    for begin in range(0, N, BR):
        n = begin + tl.arange(0, BR)
        inside = (n < N)[:, None] & exists[None, :]
        own = inside & instance[None, :]
        at = n[:, None] * C + c[None, :]
        own_mean = tl.load(sample_mean + at, mask=own, other=0.0)
        own_var = tl.load(sample_squares + at, mask=own, other=0.0) / P
        centre = tl.where(instance[None, :], own_mean, mean[None, :])
        spread = tl.where(instance[None, :], own_var, var[None, :])
        rstd = 1.0 / tl.sqrt(spread + eps[None, :])
        scale = weight[None, :] * rstd
        # The shift takes the digits of the mean that do not fit into a float32.
        shift = bias[None, :] - (centre - centre.to(tl.float32).to(tl.float64)) * scale
        tl.store(moments + at, centre, mask=inside)
        tl.store(moments + N * C + at, rstd, mask=inside)
        tl.store(factors + at, centre.to(tl.float32), mask=inside)
        tl.store(factors + N * C + at, scale.to(tl.float32), mask=inside)
        tl.store(factors + 2 * N * C + at, shift.to(tl.float32), mask=inside)


@triton.jit
def apply(
    x, y, factors, N, C, P, tiles,
    LAST: tl.constexpr, RELU: tl.constexpr, BC: tl.constexpr, BP: tl.constexpr,
):  # fmt: skip
    """Write y = (x - mean) * scale + shift."""
    groups = tl.cdiv(C, BC)
    group, row = tl.program_id(0) % groups, tl.program_id(0) // groups
    n = row // tiles
    c, p = group * BC + tl.arange(0, BC), row % tiles * BP + tl.arange(0, BP)
    known = n * C + c
    mean = tl.load(factors + known, mask=c < C, other=0.0)
    scale = tl.load(factors + N * C + known, mask=c < C, other=0.0)
    shift = tl.load(factors + 2 * N * C + known, mask=c < C, other=0.0)
    inside = (c < C)[:, None] & (p < P)[None, :]
    at = n * C * P + _offsets(c, p, C, P, LAST)
    values = tl.load(x + at, mask=inside, other=0.0).to(tl.float32)
    values = (values - mean[:, None]) * scale[:, None] + shift[:, None]
    if RELU:
        values = tl.where(values < 0, 0.0, values)  # NaN stays NaN
    tl.store(y + at, values.to(y.dtype.element_ty), mask=inside)


@triton.jit
def sums_of_parts(
    x, dy, moments, sum_out, product_out, C, P, parts, steps,
    LAST: tl.constexpr, BC: tl.constexpr, BP: tl.constexpr,
):  # fmt: skip
    """Sum dy and dy * (x - mean) over parts of planes."""
    groups = tl.cdiv(C, BC)
    group, row = tl.program_id(0) % groups, tl.program_id(0) // groups
    n, part = row // parts, row % parts
    c = group * BC + tl.arange(0, BC)
    mean = tl.load(moments + n * C + c, mask=c < C, other=0.0)
    centre = mean.to(tl.float32)
    total, product = tl.zeros((BC,), tl.float64), tl.zeros((BC,), tl.float64)
    for step in range(0, steps):
        p = (part * steps + step) * BP + tl.arange(0, BP)
        inside = (c < C)[:, None] & (p < P)[None, :]
        at = n * C * P + _offsets(c, p, C, P, LAST)
        values = tl.load(x + at, mask=inside, other=0.0).to(tl.float32)
        slopes = tl.load(dy + at, mask=inside, other=0.0).to(tl.float32)
        apart = tl.where(inside, slopes * (values - centre[:, None]), 0.0)
        total += tl.sum(slopes, axis=1).to(tl.float64)
        product += tl.sum(apart, axis=1).to(tl.float64)
    product -= (mean - centre.to(tl.float64)) * total
    at = row * C + c
    tl.store(sum_out + at, total, mask=c < C)
    tl.store(product_out + at, product, mask=c < C)


@triton.jit
def finish_backward(
    sums, moments, instance_weight, batch_weight,
    instance_dweight, instance_dbias, batch_dweight, batch_dbias,
    factors, N, C, P, first, last,
    BATCH_STATISTICS: tl.constexpr, BC: tl.constexpr, BR: tl.constexpr,
):  # fmt: skip
    """Compute gradients of scale and shift from sums over samples, and factors of `gradient`."""
    c, exists, instance, place = _where(tl.program_id(0), C, first, last, BC)
    total, product = tl.zeros((BC,), tl.float64), tl.zeros((BC,), tl.float64)
    scaled = tl.zeros((BC,), tl.float64)
    for begin in range(0, N, BR):
        n = begin + tl.arange(0, BR)
        inside = (n < N)[:, None] & exists[None, :]
        at = n[:, None] * C + c[None, :]
        products = tl.load(sums + N * C + at, mask=inside, other=0.0)
        rstd = tl.load(moments + N * C + at, mask=inside, other=0.0)
        total += tl.sum(tl.load(sums + at, mask=inside, other=0.0), axis=0)
        product += tl.sum(products, axis=0)
        scaled += tl.sum(products * rstd, axis=0)
    inner, outer = exists & instance, exists & ~instance
    tl.store(instance_dweight + place, scaled.to(tl.float32), mask=inner)
    tl.store(instance_dbias + place, total.to(tl.float32), mask=inner)
    tl.store(batch_dweight + place, scaled.to(tl.float32), mask=outer)
    tl.store(batch_dbias + place, total.to(tl.float32), mask=outer)
    weight = _of_norm(instance_weight, batch_weight, place, inner, outer, 0.0)
    count = tl.where(instance, P, N * P).to(tl.float64)
    for begin in range(0, N, BR):
        n = begin + tl.arange(0, BR)
        inside = (n < N)[:, None] & exists[None, :]
        own = inside & instance[None, :]
        at = n[:, None] * C + c[None, :]
        mean = tl.load(moments + at, mask=inside, other=0.0)
        rstd = tl.load(moments + N * C + at, mask=inside, other=0.0)
        own_sum = tl.load(sums + at, mask=own, other=0.0)
        own_product = tl.load(sums + N * C + at, mask=own, other=0.0)
        one = tl.where(instance[None, :], own_sum, total[None, :])
        two = tl.where(instance[None, :], own_product, product[None, :])
        scale = weight[None, :] * rstd
        slope = -scale * rstd * rstd * two / count[None, :]
        centre = mean.to(tl.float32)
        shift = -scale * one / count[None, :] - slope * (mean - centre.to(tl.float64))
        if not BATCH_STATISTICS:
            slope = tl.where(instance[None, :], slope, 0.0)
            shift = tl.where(instance[None, :], shift, 0.0)
        tl.store(factors + at, centre, mask=inside)
        tl.store(factors + N * C + at, scale.to(tl.float32), mask=inside)
        tl.store(factors + 2 * N * C + at, slope.to(tl.float32), mask=inside)
        tl.store(factors + 3 * N * C + at, shift.to(tl.float32), mask=inside)


@triton.jit
def gradient(
    x, dy, dx, factors, N, C, P, first, last, tiles,
    LAST: tl.constexpr, EVERY: tl.constexpr, BC: tl.constexpr, BP: tl.constexpr,
):  # fmt: skip
    """Write dx = dy * scale + (x - mean) * slope + shift.

    Without EVERY the batch norm's channels are dy * scale, whatever x is: NaN, too.
    """
    groups = tl.cdiv(C, BC)
    group, row = tl.program_id(0) % groups, tl.program_id(0) // groups
    n = row // tiles
    c, exists, instance, _ = _where(group, C, first, last, BC)
    p = row % tiles * BP + tl.arange(0, BP)
    known = n * C + c
    mean = tl.load(factors + known, mask=exists, other=0.0)
    scale = tl.load(factors + N * C + known, mask=exists, other=0.0)
    slope = tl.load(factors + 2 * N * C + known, mask=exists, other=0.0)
    shift = tl.load(factors + 3 * N * C + known, mask=exists, other=0.0)
    inside = exists[:, None] & (p < P)[None, :]
    read = inside
    if not EVERY:
        read = inside & instance[:, None]
    at = n * C * P + _offsets(c, p, C, P, LAST)
    values = tl.load(x + at, mask=read, other=0.0).to(tl.float32)
    slopes = tl.load(dy + at, mask=inside, other=0.0).to(tl.float32)
    rest = (values - mean[:, None]) * slope[:, None] + shift[:, None]
    values = slopes * scale[:, None] + rest
    tl.store(dx + at, values.to(dx.dtype.element_ty), mask=inside)
