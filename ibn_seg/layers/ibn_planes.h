/* The passes in NCHW: one plane after the other. */
#pragma once

#include "ibn_problem.h"

INLINE double total(vec v)
{
    double sum = 0;
    for (int i = 0; i < LANES; i++)
        sum += v[i];
    return sum;
}

/* Mean of a plane and the sum of squares around it. */
static void plane_moments(const float *x, int64_t count, double *mean_out, double *squares_out)
{
    double mean = 0, squares = 0;
    for (int64_t begin = 0; begin < count; begin += PLANE_BLOCK, x += PLANE_BLOCK) {
        int64_t size = count - begin < PLANE_BLOCK ? count - begin : PLANE_BLOCK;
        int64_t i = 0;
        vec s[4] = {{0}};
        for (; i + 4 * LANES <= size; i += 4 * LANES)
            for (int v = 0; v < 4; v++)
                s[v] += LOAD(x + i + v * LANES);
        for (; i + LANES <= size; i += LANES)
            s[0] += LOAD(x + i);
        double sum = total(s[0] + s[1] + s[2] + s[3]);
        for (; i < size; i++)
            sum += x[i];

        float centre = (float)(sum / size);
        vec d[2] = {{0}}, q[2] = {{0}};
        for (i = 0; i + 2 * LANES <= size; i += 2 * LANES)
            for (int v = 0; v < 2; v++) {
                vec apart = LOAD(x + i + v * LANES) - centre;
                d[v] += apart;
                q[v] += apart * apart;
            }
        double rest = total(d[0] + d[1]), square = total(q[0] + q[1]);
        for (; i < size; i++) {
            double apart = (double)x[i] - centre;
            rest += apart;
            square += apart * apart;
        }

        double block = centre + rest / size, before = (double)begin, apart = block - mean;
        square -= rest * rest / size;
        mean += apart * size / (before + size);
        squares += square + apart * apart * before * size / (before + size);
    }
    *mean_out = mean;
    *squares_out = squares;
}

static void plane_apply(const float *restrict x, float *restrict y, int64_t count,
                        const float f[3])
{
    float mean = f[0], scale = f[1], shift = f[2];
    for (int64_t i = 0; i < count; i++)
        y[i] = (x[i] - mean) * scale + shift;
}

/* Sum of dy and of dy * (x - mean). */
static void plane_sums(const float *x, const float *dy, int64_t count, double mean,
                       double *sum_out, double *product_out)
{
    double sum = 0, product = 0;
    float centre = (float)mean;
    for (int64_t begin = 0; begin < count; begin += PLANE_BLOCK) {
        int64_t end = count - begin < PLANE_BLOCK ? count : begin + PLANE_BLOCK;
        int64_t i = begin;
        vec s[2] = {{0}}, t[2] = {{0}};
        for (; i + 2 * LANES <= end; i += 2 * LANES)
            for (int v = 0; v < 2; v++) {
                vec g = LOAD(dy + i + v * LANES);
                s[v] += g;
                t[v] += g * (LOAD(x + i + v * LANES) - centre);
            }
        sum += total(s[0] + s[1]);
        product += total(t[0] + t[1]);
        for (; i < end; i++) {
            sum += dy[i];
            product += dy[i] * (x[i] - centre);
        }
    }
    *sum_out = sum;
    *product_out = product - (mean - centre) * sum;
}

static void plane_gradient(const float *restrict x, const float *restrict dy, float *restrict dx,
                           int64_t count, const float f[4])
{
    float mean = f[0], scale = f[1], slope = f[2], shift = f[3];
    for (int64_t i = 0; i < count; i++)
        dx[i] = dy[i] * scale + ((x[i] - mean) * slope + shift);
}

static void plane_scale(const float *restrict dy, float *restrict dx, int64_t count, float scale)
{
    for (int64_t i = 0; i < count; i++)
        dx[i] = dy[i] * scale;
}

/* A task is a channel: all its samples, so that what the first pass read is still in the cache. */
static void planes_forward(struct problem *p, int64_t c)
{
    int instance = is_instance(p, c);
    float f[3];
    for (int64_t n = 0; n < p->samples; n++) {
        int64_t at = n * p->channels + c;
        if (instance || p->batch_statistics)
            plane_moments(p->x + at * p->pixels, p->pixels, p->mean + at, p->rstd + at);
        if (instance) {
            finish_instance(p, n, c);
            forward_factors(p, n, c, f);
            plane_apply(p->x + at * p->pixels, p->out + at * p->pixels, p->pixels, f);
        }
    }
    if (instance)
        return;
    finish_batch(p, c);
    for (int64_t n = p->samples - 1; n >= 0; n--) {
        int64_t at = n * p->channels + c;
        forward_factors(p, n, c, f);
        plane_apply(p->x + at * p->pixels, p->out + at * p->pixels, p->pixels, f);
    }
}

static void planes_backward(struct problem *p, int64_t c)
{
    int instance = is_instance(p, c);
    double count = p->pixels, sum, product;
    float f[4];
    for (int64_t n = 0; n < p->samples; n++) {
        int64_t at = n * p->channels + c, offset = at * p->pixels;
        plane_sums(p->x + offset, p->dy + offset, p->pixels, p->mean[at], p->sum + at,
                   p->product + at);
        if (instance && p->out) {
            backward_factors(p, n, c, p->sum[at], p->product[at], count, f);
            plane_gradient(p->x + offset, p->dy + offset, p->out + offset, p->pixels, f);
        }
    }
    finish_gradients(p, c, &sum, &product);
    if (instance || !p->out)
        return;
    backward_factors(p, 0, c, sum, product, count * p->samples, f);
    for (int64_t n = p->samples - 1; n >= 0; n--) {
        int64_t offset = (n * p->channels + c) * p->pixels;
        if (p->batch_statistics)
            plane_gradient(p->x + offset, p->dy + offset, p->out + offset, p->pixels, f);
        else
            plane_scale(p->dy + offset, p->out + offset, p->pixels, f[1]);
    }
}
