/* One call of the passes: its arguments, its threads, and from sums to factors. */
#pragma once

#include <math.h>
#include <stdint.h>
#include <stdlib.h>

/* Floats of a vector: as a register has them, for compilers split longer ones through memory. */
#ifdef __AVX512F__
#define LANES 16
#else
#define LANES 8
#endif
#define PLANE_BLOCK 4096 /* floats whose moments are taken together in NCHW: half of an L1 cache */
#define ROWS_BLOCK 16384 /* the same in channels-last: some rows of all channels, in L2 */

typedef float vec __attribute__((vector_size(4 * LANES)));
typedef float loose __attribute__((vector_size(4 * LANES), aligned(4), may_alias));
#define LOAD(p) ((vec) * (const loose *)(p))
#define INLINE static inline __attribute__((always_inline))

typedef void (*parallel_t)(void (*)(void *), void *, unsigned, unsigned);

/* What is to be done; `Problem` in native.py has the same fields. */
struct problem {
    int64_t samples, channels, pixels, first, last;
    int64_t channels_last;    /* memory is (N, H * W, C), else (N, C, H * W) */
    int64_t batch_statistics; /* of the batch itself, else the running ones */
    int64_t threads;
    double instance_eps, batch_eps;
    parallel_t parallel; /* GOMP_parallel of PyTorch's own OpenMP runtime, or null */
    const float *x, *dy;
    float *out; /* y or dx; null if dx is not wanted */
    const float *instance_weight, *instance_bias, *batch_weight, *batch_bias;
    const float *running_mean, *running_var;
    double *mean, *rstd;           /* (N, C), kept for the backward pass */
    float *batch_mean, *batch_var; /* of each batch-normalised channel; the variance is unbiased */
    float *instance_dweight, *instance_dbias, *batch_dweight, *batch_dbias;
    /* Scratch memory. */
    double *sum, *product;       /* (N, C): of dy and of dy * (x - mean) */
    double *part_one, *part_two; /* (N, blocks, C) */
    float *factors;              /* (N, 4, C) */
};

/* ---- threads ---- */

struct loop {
    void (*run)(struct problem *, int64_t);
    struct problem *problem;
    int64_t tasks, grain, next;
};

static void work(void *data)
{
    struct loop *loop = data;
    for (;;) {
        int64_t begin = __atomic_fetch_add(&loop->next, loop->grain, __ATOMIC_RELAXED);
        int64_t end = begin + loop->grain;
        if (begin >= loop->tasks)
            return;
        for (int64_t task = begin; task < end && task < loop->tasks; task++)
            loop->run(loop->problem, task);
    }
}

/* Run all tasks; a thread takes the next `grain` of them when it has done its last. */
static void each(struct problem *p, void (*run)(struct problem *, int64_t), int64_t tasks,
                 int64_t grain)
{
    struct loop loop = {run, p, tasks, grain, 0};
    int64_t most = (tasks + grain - 1) / grain;
    int64_t threads = p->threads < most ? p->threads : most;
    if (threads > 1 && p->parallel)
        p->parallel(work, &loop, (unsigned)threads, 0);
    else
        work(&loop);
}

/* ---- from sums to factors ---- */

INLINE int is_instance(const struct problem *p, int64_t c)
{
    return c >= p->first && c < p->last;
}

/* The place of a channel among those of its norm. */
INLINE int64_t place(const struct problem *p, int64_t c)
{
    if (is_instance(p, c))
        return c - p->first;
    return c < p->first ? c : c - (p->last - p->first);
}

INLINE float weight_of(const struct problem *p, int64_t c)
{
    return (is_instance(p, c) ? p->instance_weight : p->batch_weight)[place(p, c)];
}

INLINE float bias_of(const struct problem *p, int64_t c)
{
    return (is_instance(p, c) ? p->instance_bias : p->batch_bias)[place(p, c)];
}

/* Turn the sum of squares in `rstd` into what its name says. */
INLINE void finish_instance(struct problem *p, int64_t n, int64_t c)
{
    double *rstd = p->rstd + n * p->channels + c;
    *rstd = 1 / sqrt(*rstd / p->pixels + p->instance_eps);
}

/* The same for a channel of the batch norm, from the moments of its samples. */
static void finish_batch(struct problem *p, int64_t c)
{
    int64_t i = place(p, c), step = p->channels, end = p->samples * step + c;
    double mean = 0, squares = 0, var;
    if (p->batch_statistics) {
        double count = (double)p->samples * p->pixels;
        for (int64_t at = c; at < end; at += step)
            mean += p->mean[at];
        mean /= p->samples;
        for (int64_t at = c; at < end; at += step) {
            double apart = p->mean[at] - mean;
            squares += p->rstd[at] + p->pixels * apart * apart;
        }
        var = squares / count;
        p->batch_mean[i] = (float)mean;
        p->batch_var[i] = (float)(squares / (count - 1));
    } else {
        mean = p->running_mean[i];
        var = p->running_var[i];
    }
    double rstd = 1 / sqrt(var + p->batch_eps);
    for (int64_t at = c; at < end; at += step) {
        p->mean[at] = mean;
        p->rstd[at] = rstd;
    }
}

/* y = (x - f[0]) * f[1] + f[2]: the mean is taken off first, and what it has more digits than a
 * float is in f[2]. */
INLINE void forward_factors(const struct problem *p, int64_t n, int64_t c, float f[3])
{
    int64_t at = n * p->channels + c;
    double scale = weight_of(p, c) * p->rstd[at];
    f[0] = (float)p->mean[at];
    f[1] = (float)scale;
    f[2] = (float)(bias_of(p, c) - (p->mean[at] - f[0]) * scale);
}

/* dx = dy * f[1] + (x - f[0]) * f[2] + f[3], from the two sums over `count` values. */
INLINE void backward_factors(const struct problem *p, int64_t n, int64_t c, double sum,
                             double product, double count, float f[4])
{
    int64_t at = n * p->channels + c;
    double rstd = p->rstd[at], scale = weight_of(p, c) * rstd;
    double slope = -scale * rstd * rstd * product / count;
    f[0] = (float)p->mean[at];
    f[1] = (float)scale;
    f[2] = (float)slope;
    f[3] = (float)(-scale * sum / count - slope * (p->mean[at] - f[0]));
}

/* Gradients of the scale and the shift of a channel; sums over the samples in `sum`, `product`. */
static void finish_gradients(struct problem *p, int64_t c, double *sum, double *product)
{
    double scaled = 0;
    *sum = *product = 0;
    for (int64_t n = 0; n < p->samples; n++) {
        int64_t at = n * p->channels + c;
        *sum += p->sum[at];
        *product += p->product[at];
        scaled += p->product[at] * p->rstd[at];
    }
    int instance = is_instance(p, c);
    (instance ? p->instance_dweight : p->batch_dweight)[place(p, c)] = (float)scaled;
    (instance ? p->instance_dbias : p->batch_dbias)[place(p, c)] = (float)*sum;
}
