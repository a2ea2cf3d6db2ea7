/* The memory of a training step stays near its lower bound: what is alive at the worst moment. The
 * shapes are those of bench/train_torch.py with every size a quarter, which keeps all proportions
 * between activations, weights and gradients but touches little memory. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "model/text_model.h"
#include "tensor/plan.h"

#define MOST 1.1 /* arena / live */

struct shape {
    struct ml_text_config config;
    int64_t batch;
};

static const struct shape shapes[] = {
    {{.vocab = 64, .width = 96, .layers = 6, .heads = 6, .ffn = 256, .context = 64}, 4},
    {{.vocab = 1600, .width = 128, .layers = 8, .heads = 8, .ffn = 352, .context = 128}, 2},
    {{.vocab = 12564, .width = 192, .layers = 12, .heads = 12, .ffn = 512, .context = 64}, 1},
};

static void plan_step(const struct shape *s, struct ml_device *device, bool bf16, bool recompute)
{
    struct ml_text_config config = s->config;
    struct ml_arena arena;
    struct ml_text_model model;
    struct ml_graph g;
    struct ml_plan *plan = NULL;
    struct ml_tensor *leaves[200], *outputs[201];
    struct ml_error err = {0};
    config.kv_heads = config.heads;
    config.head_dim = config.width / config.heads;
    ml_arena_init(&arena, 0);
    assert_int_equal(ml_text_model_init(&model, &config, &arena, &err), 0);
    ml_graph_init(&g, &arena);
    g.training = true;
    g.compute = bf16 ? ML_BF16 : ML_F32;
    int64_t dims[2] = {s->batch, config.context};
    struct ml_text_batch batch = {.tokens = ml_leaf(&g, "tokens", ML_I32, 2, dims, NULL),
                                  .positions = ml_leaf(&g, "positions", ML_I32, 2, dims, NULL),
                                  .recompute = recompute};
    struct ml_tensor *targets = ml_leaf(&g, "targets", ML_I32, 2, dims, NULL);
    outputs[0] = ml_text_loss(&g, &model, ml_text_hidden(&g, &model, &batch), targets, 0);
    int n = model.params.count;
    assert_true(n <= 200);
    for (int i = 0; i < n; i++)
        leaves[i] = ml_use(&g, model.params.items[i]);
    ml_grad(&g, outputs[0], leaves, n, outputs + 1);
    assert_int_equal(ml_plan_new(&plan, &g, outputs, n + 1, device, &err), 0);
    struct ml_plan_stats stats;
    ml_plan_get_stats(plan, &stats);
    double ratio = (double)stats.arena_bytes / (double)stats.live_bytes;
    print_message("%d wide, %d layers, %s%s: arena %.1f MB, live %.1f MB, ratio %.3f\n",
                  config.width, config.layers, bf16 ? "bf16" : "f32",
                  recompute ? ", recompute" : "", (double)stats.arena_bytes / 1e6,
                  (double)stats.live_bytes / 1e6, ratio);
    assert_true(ratio >= 1 && ratio <= MOST);
    ml_plan_free(plan);
    ml_arena_clear(&arena);
}

static void arena_is_near_the_lower_bound(void **state)
{
    (void)state;
    struct ml_device *device = NULL;
    struct ml_error err = {0};
    assert_int_equal(ml_device_new(&device, 2, ML_ISA_COUNT - 1, &err), 0);
    for (size_t i = 0; i < sizeof shapes / sizeof *shapes; i++)
        for (int how = 0; how < 4; how++)
            plan_step(&shapes[i], device, how & 1, how & 2);
    ml_device_free(device);
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(arena_is_near_the_lower_bound)};
    return cmocka_run_group_tests_name("text_plan", tests, NULL, NULL);
}
