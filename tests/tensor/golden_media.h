/* One case of tests/golden/ops_media.bin against our op: the output and every gradient within 1e-5.
 */
#ifndef ML_TESTS_GOLDEN_MEDIA_H
#define ML_TESTS_GOLDEN_MEDIA_H

#include <stdio.h>
#include <string.h>

#include "golden.h"
#include "gradcheck.h"

/* inputs: one letter each, in the order in which `build` takes them. */
static inline void expect_golden(const char *prefix, const char *inputs,
                                 struct ml_tensor *(*build)(struct ml_graph *,
                                                            struct ml_tensor *const *,
                                                            const void *),
                                 const void *arg)
{
    struct golden golden;
    struct check c = {.n = (int)strlen(inputs), .build = build, .arg = arg};
    char name[CHECK_MAX_INPUTS][2] = {""};
    golden_open(&golden, "ops_media.bin");
    for (int i = 0; i < c.n; i++) {
        name[i][0] = inputs[i];
        const struct golden_entry *e = golden_get(&golden, prefix, name[i]);
        c.in[i] = (struct check_input){.name = name[i], .ndim = e->ndim, .data = e->data};
        memcpy(c.in[i].dim, e->dim, sizeof e->dim);
    }
    struct check_result r;
    check_run(&c, 2, golden_get(&golden, prefix, "p")->data, &r);
    golden_check(golden_get(&golden, prefix, "out"), r.out, r.count, 1e-5);
    for (int i = 0; i < c.n; i++) {
        const char grad[3] = {'d', inputs[i], 0};
        golden_check(golden_get(&golden, prefix, grad), r.grad[i], r.grad_count[i], 1e-5);
    }
    check_result_clear(&r);
    golden_close(&golden);
}

#endif
