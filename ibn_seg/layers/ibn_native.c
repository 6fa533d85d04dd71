/* Instance and batch normalisation of one tensor in as few passes over memory as possible.
 *
 * The first or last channels [first, last) are normalised per sample, the others per batch. Moments
 * are taken once per (sample, channel); those of the batch are put together from them (Chan, Golub
 * and LeVeque, 1979, equation 2.1). Blocks of the data are fixed by the shape alone and their
 * results are added in a fixed order, so that the number of threads changes no bit.
 *
 * Within a block the mean is found first and then the squares around it, while the block is in the
 * cache: a large mean costs no digits. Sums of blocks are double.
 */
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

/* ---- NCHW: one plane after the other ---- */

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

/* ---- channels-last: blocks of rows, each row a pixel with all its channels ---- */

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

/* ---- what Python calls; the result is 0, or 1 if there is no memory ---- */

int64_t ibn_problem_size(void)
{
    return sizeof(struct problem);
}

static int run(struct problem *p, int backward)
{
    int64_t cells = p->samples * p->channels;
    int64_t parts = p->channels_last ? cells * blocks_per_sample(p) : 0;
    double *scratch = malloc((2 * cells + 2 * parts) * sizeof(double) + 4 * cells * sizeof(float));
    if (!scratch)
        return 1;
    p->sum = scratch;
    p->product = p->sum + cells;
    p->part_one = p->product + cells;
    p->part_two = p->part_one + parts;
    p->factors = (float *)(p->part_two + parts);
    int64_t grain = 1 + 4096 / (p->samples * p->pixels);
    if (p->channels_last)
        (backward ? rows_backward : rows_forward)(p);
    else
        each(p, backward ? planes_backward : planes_forward, p->channels, grain);
    free(scratch);
    return 0;
}

int ibn_forward(struct problem *p)
{
    return run(p, 0);
}

int ibn_backward(struct problem *p)
{
    return run(p, 1);
}
