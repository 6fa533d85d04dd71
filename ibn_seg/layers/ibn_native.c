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
#include "ibn_planes.h"
#include "ibn_problem.h"
#include "ibn_rows.h"

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
