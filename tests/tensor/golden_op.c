#include "golden_op.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "base/arena.h"
#include "golden.h"

static const void *as_integers(struct ml_arena *arena, const struct golden_entry *e)
{
    int32_t *integers = ml_arena_alloc(arena, (size_t)e->count * sizeof *integers + 1);
    assert_non_null(integers);
    for (int64_t i = 0; i < e->count; i++)
        integers[i] = (int32_t)e->data[i];
    return integers;
}

void golden_check_op(const char *file, const char *prefix, const struct check *c, double tolerance)
{
    struct golden golden;
    struct ml_arena arena;
    struct check filled = *c;
    ml_arena_init(&arena, 0);
    golden_open(&golden, file);
    for (int i = 0; i < c->n; i++) {
        const struct golden_entry *e = golden_get(&golden, prefix, c->in[i].name);
        filled.in[i].ndim = e->ndim;
        memcpy(filled.in[i].dim, e->dim, sizeof e->dim);
        filled.in[i].data = c->in[i].dtype == ML_I32 ? as_integers(&arena, e) : e->data;
    }
    struct check_result r;
    check_run(&filled, 2, golden_get(&golden, prefix, "p")->data, &r);
    golden_check(golden_get(&golden, prefix, "out"), r.out, r.count, tolerance);
    for (int i = 0; i < c->n; i++) {
        char name[64];
        snprintf(name, sizeof name, "d%s", c->in[i].name);
        if (r.grad[i])
            golden_check(golden_get(&golden, prefix, name), r.grad[i], r.grad_count[i], tolerance);
    }
    check_result_clear(&r);
    golden_close(&golden);
    ml_arena_clear(&arena);
}
