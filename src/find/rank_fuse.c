#include "find/rank_fuse.h"

#include <stdlib.h>

#define OFFSET 60.0

static int best_first(const void *a, const void *b)
{
    const struct ml_fused *x = a, *y = b;
    if (x->score != y->score)
        return x->score < y->score ? 1 : -1;
    return (x->row > y->row) - (x->row < y->row);
}

void ml_rank_fuse(const struct ml_near *a, int na, const struct ml_near *b, int nb,
                  struct ml_fused *out, int *count)
{
    const struct ml_near *lists[] = {a, b};
    const int sizes[] = {na, nb};
    int n = 0;
    for (int list = 0; list < 2; list++)
        for (int i = 0; i < sizes[list]; i++) {
            int at = 0;
            while (at < n && out[at].row != lists[list][i].row)
                at++;
            if (at == n)
                out[n++] = (struct ml_fused){.row = lists[list][i].row};
            out[at].rank[list] = i + 1;
            out[at].value[list] = lists[list][i].cosine;
            out[at].score += 1 / (OFFSET + i + 1);
        }
    qsort(out, (size_t)n, sizeof *out, best_first);
    *count = n;
}
