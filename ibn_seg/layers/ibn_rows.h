/* The passes in channels-last: blocks of rows, each row a pixel with all its channels. */
#pragma once

#include "ibn_problem.h"

INLINE int64_t rows_per_block(const struct problem *p)
{
    int64_t rows = ROWS_BLOCK / p->channels;
    rows = rows < 32 ? 32 : rows > 512 ? 512 : rows;
    return rows < p->pixels ? rows : p->pixels;
}

INLINE int64_t blocks_per_sample(const struct problem *p)
{
    return (p->pixels + rows_per_block(p) - 1) / rows_per_block(p);
}

struct block {
    int64_t sample, rows, offset; /* offset: of the first value, in floats */
    int64_t part;                 /* of the first of its partial results */
};

INLINE struct block block_of(const struct problem *p, int64_t task)
{
    int64_t blocks = blocks_per_sample(p), size = rows_per_block(p);
    int64_t begin = task % blocks * size;
    struct block block = {task / blocks, p->pixels - begin < size ? p->pixels - begin : size, 0,
                          task * p->channels};
    block.offset = (block.sample * p->pixels + begin) * p->channels;
    return block;
}

/* Moments of V * LANES neighbouring channels; U rows at once keep the adders busy. */
INLINE void strip_moments(const float *x, int64_t rows, int64_t stride, double *mean,
                          double *squares, const int V, const int U)
{
    vec s[4] = {{0}}, d[4] = {{0}}, q[4] = {{0}}, centre[4];
    int64_t r = 0;
    for (; r + U <= rows; r += U)
        for (int u = 0; u < U; u++)
            for (int v = 0; v < V; v++)
                s[u * V + v] += LOAD(x + (r + u) * stride + v * LANES);
    for (; r < rows; r++)
        for (int v = 0; v < V; v++)
            s[v] += LOAD(x + r * stride + v * LANES);
    for (int u = 1; u < U; u++)
        for (int v = 0; v < V; v++)
            s[v] += s[u * V + v];
    for (int v = 0; v < V; v++)
        centre[v] = s[v] / (float)rows;
    for (r = 0; r + U <= rows; r += U)
        for (int u = 0; u < U; u++)
            for (int v = 0; v < V; v++) {
                vec apart = LOAD(x + (r + u) * stride + v * LANES) - centre[v];
                d[u * V + v] += apart;
                q[u * V + v] += apart * apart;
            }
    for (; r < rows; r++)
        for (int v = 0; v < V; v++) {
            vec apart = LOAD(x + r * stride + v * LANES) - centre[v];
            d[v] += apart;
            q[v] += apart * apart;
        }
    for (int u = 1; u < U; u++)
        for (int v = 0; v < V; v++) {
            d[v] += d[u * V + v];
            q[v] += q[u * V + v];
        }
    for (int v = 0; v < V; v++)
        for (int i = 0; i < LANES; i++) {
            double rest = d[v][i];
            mean[v * LANES + i] = centre[v][i] + rest / rows;
            squares[v * LANES + i] = q[v][i] - rest * rest / rows;
        }
}

INLINE void strip_sums(const float *x, const float *dy, const float *mean, int64_t rows,
                       int64_t stride, double *sum, double *product, const int V, const int U)
{
    vec s[4] = {{0}}, t[4] = {{0}}, centre[4];
    for (int v = 0; v < V; v++)
        centre[v] = LOAD(mean + v * LANES);
    int64_t r = 0;
    for (; r + U <= rows; r += U)
        for (int u = 0; u < U; u++)
            for (int v = 0; v < V; v++) {
                vec g = LOAD(dy + (r + u) * stride + v * LANES);
                s[u * V + v] += g;
                t[u * V + v] += g * (LOAD(x + (r + u) * stride + v * LANES) - centre[v]);
            }
    for (; r < rows; r++)
        for (int v = 0; v < V; v++) {
            vec g = LOAD(dy + r * stride + v * LANES);
            s[v] += g;
            t[v] += g * (LOAD(x + r * stride + v * LANES) - centre[v]);
        }
    for (int u = 1; u < U; u++)
        for (int v = 0; v < V; v++) {
            s[v] += s[u * V + v];
            t[v] += t[u * V + v];
        }
    for (int v = 0; v < V; v++)
        for (int i = 0; i < LANES; i++) {
            sum[v * LANES + i] = s[v][i];
            product[v * LANES + i] = t[v][i];
        }
}

/* The channels whose moments are wanted, widened to a vector at least. */
INLINE void wanted(const struct problem *p, int64_t *begin, int64_t *end)
{
    *begin = p->batch_statistics ? 0 : p->first;
    *end = p->batch_statistics ? p->channels : p->last;
    if (*end - *begin < LANES && *begin > p->channels - LANES)
        *begin = p->channels - LANES;
}

static void rows_moments(struct problem *p, int64_t task)
{
    struct block b = block_of(p, task);
    const float *x = p->x + b.offset;
    double *mean = p->part_one + b.part, *squares = p->part_two + b.part;
    int64_t begin, end;
    wanted(p, &begin, &end);
    for (int64_t c = begin; c < end;)
        if (c + 4 * LANES <= end) {
            strip_moments(x + c, b.rows, p->channels, mean + c, squares + c, 4, 1);
            c += 4 * LANES;
        } else {
            /* The last vector may overlap the one before: the same values once more. */
            c = c + LANES <= p->channels ? c : p->channels - LANES;
            strip_moments(x + c, b.rows, p->channels, mean + c, squares + c, 1, 4);
            c += LANES;
        }
}

static void rows_sums(struct problem *p, int64_t task)
{
    struct block b = block_of(p, task);
    const float *x = p->x + b.offset, *dy = p->dy + b.offset;
    const float *mean = p->factors + b.sample * 4 * p->channels;
    double *sum = p->part_one + b.part, *product = p->part_two + b.part;
    for (int64_t c = 0; c < p->channels;)
        if (c + 4 * LANES <= p->channels) {
            strip_sums(x + c, dy + c, mean + c, b.rows, p->channels, sum + c, product + c, 4, 1);
            c += 4 * LANES;
        } else {
            c = c + LANES <= p->channels ? c : p->channels - LANES;
            strip_sums(x + c, dy + c, mean + c, b.rows, p->channels, sum + c, product + c, 1, 4);
            c += LANES;
        }
}

/* Put the moments of the blocks of a sample together. */
static void sample_moments(struct problem *p, int64_t n)
{
    int64_t channels = p->channels, blocks = blocks_per_sample(p), size = rows_per_block(p);
    int64_t begin, end;
    double *restrict mean = p->mean + n * channels, *restrict squares = p->rstd + n * channels;
    wanted(p, &begin, &end);
    for (int64_t c = begin; c < end; c++)
        mean[c] = squares[c] = 0;
    for (int64_t b = 0; b < blocks; b++) {
        const double *part = p->part_one + (n * blocks + b) * channels;
        double share = (double)(b + 1 < blocks ? size : p->pixels - b * size) / p->pixels;
        for (int64_t c = begin; c < end; c++)
            mean[c] += share * part[c];
    }
    for (int64_t b = 0; b < blocks; b++) {
        const double *one = p->part_one + (n * blocks + b) * channels;
        const double *two = p->part_two + (n * blocks + b) * channels;
        double rows = (double)(b + 1 < blocks ? size : p->pixels - b * size);
        for (int64_t c = begin; c < end; c++) {
            double apart = one[c] - mean[c];
            squares[c] += two[c] + rows * apart * apart;
        }
    }
}

static void sample_sums(struct problem *p, int64_t n)
{
    int64_t channels = p->channels, blocks = blocks_per_sample(p);
    const double *mean = p->mean + n * channels;
    double *restrict sum = p->sum + n * channels, *restrict product = p->product + n * channels;
    for (int64_t c = 0; c < channels; c++)
        sum[c] = product[c] = 0;
    for (int64_t b = 0; b < blocks; b++) {
        const double *one = p->part_one + (n * blocks + b) * channels;
        const double *two = p->part_two + (n * blocks + b) * channels;
        for (int64_t c = 0; c < channels; c++) {
            sum[c] += one[c];
            product[c] += two[c];
        }
    }
    for (int64_t c = 0; c < channels; c++)
        product[c] -= (mean[c] - (float)mean[c]) * sum[c];
}

static void rows_apply(struct problem *p, int64_t task)
{
    struct block b = block_of(p, task);
    int64_t channels = p->channels;
    const float *restrict x = p->x + b.offset;
    float *restrict y = p->out + b.offset;
    const float *mean = p->factors + b.sample * 4 * channels;
    const float *scale = mean + channels, *shift = scale + channels;
    for (int64_t r = 0; r < b.rows; r++, x += channels, y += channels)
        for (int64_t c = 0; c < channels; c++)
            y[c] = (x[c] - mean[c]) * scale[c] + shift[c];
}

static void rows_gradient(struct problem *p, int64_t task)
{
    struct block b = block_of(p, task);
    int64_t channels = p->channels;
    const float *restrict x = p->x + b.offset, *restrict dy = p->dy + b.offset;
    float *restrict dx = p->out + b.offset;
    const float *mean = p->factors + b.sample * 4 * channels;
    const float *scale = mean + channels, *slope = scale + channels, *shift = slope + channels;
    /* With running statistics x has no part in the batch norm's gradient, not even as 0 * x. */
    int64_t begin = p->batch_statistics ? 0 : p->first;
    int64_t end = p->batch_statistics ? channels : p->last;
    for (int64_t r = 0; r < b.rows; r++, x += channels, dy += channels, dx += channels) {
        for (int64_t c = 0; c < begin; c++)
            dx[c] = dy[c] * scale[c];
        for (int64_t c = begin; c < end; c++)
            dx[c] = dy[c] * scale[c] + ((x[c] - mean[c]) * slope[c] + shift[c]);
        for (int64_t c = end; c < channels; c++)
            dx[c] = dy[c] * scale[c];
    }
}

static void rows_forward(struct problem *p)
{
    int64_t channels = p->channels, tasks = p->samples * blocks_per_sample(p);
    if (p->batch_statistics || p->first < p->last) {
        each(p, rows_moments, tasks, 1);
        each(p, sample_moments, p->samples, 1);
    }
    for (int64_t c = 0; c < channels; c++)
        if (!is_instance(p, c))
            finish_batch(p, c);
    for (int64_t n = 0; n < p->samples; n++)
        for (int64_t c = 0; c < channels; c++) {
            float f[3], *to = p->factors + n * 4 * channels + c;
            if (is_instance(p, c))
                finish_instance(p, n, c);
            forward_factors(p, n, c, f);
            for (int i = 0; i < 3; i++)
                to[i * channels] = f[i];
        }
    each(p, rows_apply, tasks, 1);
}

static void rows_backward(struct problem *p)
{
    int64_t channels = p->channels, tasks = p->samples * blocks_per_sample(p);
    for (int64_t n = 0; n < p->samples; n++)
        for (int64_t c = 0; c < channels; c++)
            p->factors[n * 4 * channels + c] = (float)p->mean[n * channels + c];
    each(p, rows_sums, tasks, 1);
    each(p, sample_sums, p->samples, 1);
    for (int64_t c = 0; c < channels; c++) {
        double sum, product, count = p->pixels;
        int instance = is_instance(p, c);
        finish_gradients(p, c, &sum, &product);
        for (int64_t n = 0; n < p->samples; n++) {
            int64_t at = n * channels + c;
            float f[4], *to = p->factors + n * 4 * channels + c;
            if (instance)
                backward_factors(p, n, c, p->sum[at], p->product[at], count, f);
            else
                backward_factors(p, n, c, sum, product, count * p->samples, f);
            for (int i = 0; i < 4; i++)
                to[i * channels] = f[i];
        }
    }
    if (p->out)
        each(p, rows_gradient, tasks, 1);
}
