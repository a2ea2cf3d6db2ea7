/* What a recipe leaves open, filled in from the data. The rules are small on purpose: a person can
 * predict them, and each can be overridden. */
#include <inttypes.h>
#include <math.h>

#include "base/fail.h"
#include "train/recipe.h"

static int64_t clamp(int64_t value, int64_t low, int64_t high)
{
    return value < low ? low : value > high ? high : value;
}

/* Vocabulary: the power of two nearest to 2.5 times the root of the text's bytes: 100 KB gives
 * 1024, 1 MB 2048, 10 MB 8192. */
static int64_t auto_vocab(int64_t bytes)
{
    double target = 2.5 * sqrt((double)bytes);
    return clamp((int64_t)1 << llround(log2(target > 1 ? target : 1)), 512, 32768);
}

/* Shapes by tokens of text: more would overfit before it learns more, less leaves text unused. */
static const struct {
    int64_t tokens, layers, width;
} sizes[] = {{1500000, 4, 128},
             {6000000, 6, 256},
             {40000000, 6, 384},
             {200000000, 8, 512},
             {INT64_MAX, 12, 768}};

static void resolve_model(struct ml_recipe *r, int64_t tokens)
{
    int i = 0;
    while (tokens > sizes[i].tokens)
        i++;
    r->model.layers = r->model.layers ? r->model.layers : sizes[i].layers;
    r->model.width = r->model.width ? r->model.width : sizes[i].width;
    if (!r->model.heads) {
        int64_t heads =
            r->model.head_dim ? r->model.width / r->model.head_dim : r->model.width / 64;
        r->model.heads = r->model.head_dim ? clamp(heads, 1, 1024) : clamp(heads, 4, 1024);
    }
    r->model.kv_heads = r->model.kv_heads ? r->model.kv_heads : r->model.heads;
    r->model.head_dim = r->model.head_dim ? r->model.head_dim : r->model.width / r->model.heads;
    r->model.ffn = r->model.ffn ? r->model.ffn : (r->model.width * 8 / 3 + 31) / 32 * 32;
    if (r->model.rope_theta == 0)
        r->model.rope_theta = r->model.context < 4096 ? 1e4 : 1e6;
}

static int check_model(const struct ml_recipe *r, struct ml_error *err)
{
    if (r->model.heads % r->model.kv_heads)
        return ml_fail(err, ML_ERR_ARG,
                       "recipe: model.heads (%" PRId64 ") must be a multiple of model.kv_heads "
                       "(%" PRId64 ")",
                       r->model.heads, r->model.kv_heads);
    if (r->model.head_dim < 2 || r->model.head_dim % 2)
        return ml_fail(err, ML_ERR_ARG,
                       "recipe: model.head_dim is %" PRId64 ", but must be even (width %" PRId64
                       ", heads %" PRId64 ")",
                       r->model.head_dim, r->model.width, r->model.heads);
    if (r->train.context > r->model.context)
        return ml_fail(err, ML_ERR_ARG,
                       "recipe: train.context (%" PRId64 ") must not be larger than model.context "
                       "(%" PRId64 ")",
                       r->train.context, r->model.context);
    return 0;
}

static void resolve_rates(struct ml_recipe *r)
{
    if (r->train.lr == 0) {
        double lr = 0.001 * sqrt(384.0 / (double)r->model.width);
        r->train.lr = fmin(lr, 0.002);
    }
    if (r->train.matrix_lr == 0)
        r->train.matrix_lr = 2 * r->train.lr;
}

int ml_recipe_resolve(struct ml_recipe *recipe, const struct ml_recipe_facts *facts,
                      struct ml_error *err)
{
    struct ml_recipe *r = recipe;
    if (!r->tokenizer.vocab && r->tokenizer.kind == ML_RECIPE_BPE && facts->bytes > 0)
        r->tokenizer.vocab = auto_vocab(facts->bytes);
    if (facts->tokens <= 0)
        return 0;
    resolve_model(r, facts->tokens);
    r->train.context = r->train.context ? r->train.context : r->model.context;
    int status = check_model(r, err);
    if (status < 0)
        return status;
    if (!r->train.batch) {
        int64_t windows = (facts->tokens + r->train.context - 1) / r->train.context;
        r->train.batch = clamp(4096 / r->train.context, 1, clamp(windows, 1, 64));
    }
    resolve_rates(r);
    return 0;
}

int ml_recipe_set_steps(struct ml_recipe *recipe, int64_t windows, double seconds_a_step,
                        struct ml_error *err)
{
    struct ml_recipe *r = recipe;
    double a_step = (double)r->train.batch * (double)r->train.accumulation;
    if (windows <= 0)
        return ml_fail(err, ML_ERR_ARG, "recipe: there is no window to train on");
    if (!r->train.steps && r->train.epochs > 0)
        r->train.steps = (int64_t)fmax(1, ceil(r->train.epochs * (double)windows / a_step));
    if (!r->train.steps && r->train.minutes > 0) {
        if (seconds_a_step <= 0)
            return 0;
        r->train.steps = clamp((int64_t)(r->train.minutes * 60 / seconds_a_step), 1, 1000000000);
    }
    if (!r->train.steps)
        r->train.steps = clamp((int64_t)ceil(10.0 * (double)windows / a_step), 200, 20000);
    int64_t steps = r->train.steps;
    if (!r->train.warmup)
        r->train.warmup = clamp(steps / 50, steps < 10 ? 1 : 10, 1000);
    if (!r->train.eval_every)
        r->train.eval_every = clamp((steps + 19) / 20, 1, 1000);
    if (!r->train.checkpoint_every)
        r->train.checkpoint_every = r->train.eval_every;
    return 0;
}
