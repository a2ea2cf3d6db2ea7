/* From a job to a run that stands at its first or its next step. */
#include <math.h>
#include <sodium.h>
#include <string.h>
#include <unistd.h>

#include "base/fail.h"
#include "base/progress.h"
#include "kernel/peak.h"
#include "tensor/mirror.h"
#include "train/train_impl.h"

void trainer_report(struct trainer *t, const char *stage, double done, double total)
{
    const struct ml_recipe *r = &t->recipe;
    if (!t->job->progress)
        return;
    bool training = strcmp(stage, "train") == 0;
    double a_step = (double)(r->train.batch * r->train.accumulation * r->train.context);
    struct ml_train_progress p = {
        .stage = stage,
        .step = training ? t->state.step : (int64_t)done,
        .steps = training ? r->train.steps : (int64_t)total,
        .loss = t->state.train_loss,
        .validation_loss = t->state.validation_loss,
        .gradient_norm = t->gradient_norm,
        .learning_rate = t->learning_rate,
    };
    if (training && t->step_seconds > 0) {
        struct ml_text_config config = t->model.config;
        config.context = (int)r->train.context;
        p.tokens_per_second = a_step / t->step_seconds;
        if (t->peak > 0)
            p.peak_share = p.tokens_per_second * ml_text_train_flops(&config) / t->peak;
        p.seconds_left = (double)(r->train.steps - t->state.step) * t->step_seconds;
    }
    if (training)
        p.epoch = ml_batches_epoch(t->train, t->state.step * r->train.accumulation);
    t->job->progress(t->job->arg, &p);
}

static void tokenizer_progress(void *arg, double done, double total)
{
    trainer_report(arg, "tokenizer", done, total);
}

static void data_progress(void *arg, double done, double total)
{
    trainer_report(arg, "data", done, total);
}

static int fail_memory(struct ml_error *err)
{
    return ml_fail(err, ML_ERR_MEMORY, "no memory to set up the training");
}

/* ---- the run's folder ---- */

static int throw_away(struct trainer *t, struct ml_error *err)
{
    static const char *const files[] = {"recipe.yaml", "tokenizer.json", "metrics.jsonl",
                                        "loss.png", ML_TENSORBOARD_FILE};
    const char *folders[] = {t->checkpoints, t->best, t->result};
    for (int i = 0; i < 3; i++)
        if (ml_path_exists(folders[i])) {
            int status = ml_dir_remove(folders[i], err);
            if (status < 0)
                return status;
        }
    for (size_t i = 0; i < sizeof files / sizeof *files; i++) {
        char *path = ml_path_join(&t->arena, t->job->folder, files[i]);
        if (!path)
            return fail_memory(err);
        unlink(path);
    }
    return 0;
}

static int open_folder(struct trainer *t, struct ml_error *err)
{
    const char *folder = t->job->folder;
    char *lock = ml_path_join(&t->arena, folder, ".lock");
    t->checkpoints = ml_path_join(&t->arena, folder, "checkpoints");
    t->best = ml_path_join(&t->arena, folder, "best");
    t->result = ml_path_join(&t->arena, folder, "model");
    if (!lock || !t->checkpoints || !t->best || !t->result)
        return fail_memory(err);
    bool taken = false;
    int status = ml_dir_make(folder, err);
    if (status == 0)
        status = ml_write_lock_open(&t->lock, lock, err);
    if (status == 0)
        status = ml_write_lock_take(&t->lock, 0, &taken, err);
    if (status == 0 && !taken)
        status = ml_fail(err, ML_ERR_STATE,
                         "process %ld is training in %s: wait for it or choose another name",
                         ml_write_lock_owner(&t->lock), folder);
    return status == 0 && t->job->restart ? throw_away(t, err) : status;
}

/* ---- text ---- */

static int64_t total_bytes(const struct ml_train_text *texts, int64_t count)
{
    int64_t bytes = 0;
    for (int64_t i = 0; i < count; i++)
        bytes += (int64_t)texts[i].size;
    return bytes;
}

/* A resumed run keeps the tokenizer that it began with. */
static int open_tokenizer(struct trainer *t, bool resumed, struct ml_error *err)
{
    const struct ml_train_job *job = t->job;
    char *path = ml_path_join(&t->arena, job->folder, "tokenizer.json");
    if (!path)
        return fail_memory(err);
    int status;
    if (resumed) {
        status = ml_tokenizer_open(&t->tokenizer, path, err);
    } else {
        struct ml_tokens_learning learning = {job->cancel, tokenizer_progress, t};
        status = ml_tokens_learn(&t->tokenizer, &t->recipe, job->train, job->train_count, &learning,
                                 err);
        if (status == 0)
            status = ml_tokenizer_save(t->tokenizer, path, err);
    }
    if (status < 0)
        return status;
    t->end = t->recipe.tokenizer.special.count
                 ? ml_tokenizer_special(t->tokenizer, t->recipe.tokenizer.special.items[0])
                 : -1;
    return 0;
}

static int encode(struct trainer *t, struct ml_error *err)
{
    const struct ml_train_job *job = t->job;
    struct ml_tokens_options options = {job->device->pool, job->cancel, data_progress, t};
    int status = ml_tokens_encode(&t->train_tokens, t->tokenizer, job->train, job->train_count,
                                  &options, err);
    if (status == 0)
        status = ml_tokens_encode(&t->validation_tokens, t->tokenizer, job->validation,
                                  job->validation_count, &options, err);
    if (status < 0)
        return status;
    /* What a checkpoint belongs to: every token and where documents begin. */
    crypto_hash_sha256_state state;
    unsigned char digest[crypto_hash_sha256_BYTES];
    const struct ml_tokens *sets[2] = {&t->train_tokens, &t->validation_tokens};
    crypto_hash_sha256_init(&state);
    for (int i = 0; i < 2; i++) {
        crypto_hash_sha256_update(&state, (const unsigned char *)sets[i]->start,
                                  (size_t)(sets[i]->count + 1) * sizeof(int64_t));
        crypto_hash_sha256_update(&state, (const unsigned char *)sets[i]->ids.ids,
                                  sets[i]->ids.count * sizeof(int32_t));
    }
    crypto_hash_sha256_final(&state, digest);
    sodium_bin2hex(t->data_hash, sizeof t->data_hash, digest, sizeof digest);
    return 0;
}

static int make_batches(struct trainer *t, struct ml_error *err)
{
    const struct ml_recipe *r = &t->recipe;
    struct ml_batches_options options = {
        .documents = r->data.packing == ML_PACK_DOCUMENTS,
        .sequential = r->train.order == ML_ORDER_SEQUENTIAL,
        .batch = (int)r->train.batch,
        .context = (int)r->train.context,
        .seed = (uint64_t)r->train.seed,
        .end = t->end,
    };
    struct ml_token_documents train = ml_tokens_documents(&t->train_tokens);
    struct ml_token_documents validation = ml_tokens_documents(&t->validation_tokens);
    int status = ml_batches_new(&t->train, &train, &options, err);
    if (status < 0 || t->validation_tokens.ids.count == 0)
        return status;
    options.sequential = options.once = true;
    return ml_batches_new(&t->validation, &validation, &options, err);
}

/* ---- model and optimiser ---- */

static int make_model(struct trainer *t, struct ml_error *err)
{
    const struct ml_recipe *r = &t->recipe;
    struct ml_device *device = t->job->device;
    struct ml_text_config config = {
        .vocab = ml_tokenizer_size(t->tokenizer),
        .width = (int)r->model.width,
        .layers = (int)r->model.layers,
        .heads = (int)r->model.heads,
        .kv_heads = (int)r->model.kv_heads,
        .head_dim = (int)r->model.head_dim,
        .ffn = (int)r->model.ffn,
        .context = (int)r->model.context,
        .rope_theta = (float)r->model.rope_theta,
        .dropout = (float)r->model.dropout,
        .untied = r->model.untied,
    };
    bool hardware = ml_device_has_bf16(device);
    t->bf16 = r->train.precision == ML_PRECISION_BF16 ||
              (r->train.precision == ML_PRECISION_AUTO && hardware);
    struct ml_optim_options options = {
        .kind = r->train.optimizer == 1 ? ML_OPTIM_MUON : ML_OPTIM_ADAMW,
        .beta1 = (float)r->train.beta1,
        .beta2 = (float)r->train.beta2,
        .eps = (float)r->train.eps,
        .weight_decay = (float)r->train.weight_decay,
        .bf16 = t->bf16 && hardware,
    };
    int status = ml_text_model_init(&t->model, &config, &t->arena, err);
    if (status == 0)
        status = ml_params_allocate(&t->model.params, ML_F32, err);
    if (status == 0)
        status = ml_optim_new(&t->optim, &t->model.params, &options, device, err);
    if (status == 0 && r->train.ema > 0)
        status = ml_ema_new(&t->ema, &t->model.params, r->train.ema, device, err);
    if (status == 0 && t->validation)
        status = train_graph_open(t, &t->measure, false, err);
    if (status == 0)
        status = train_graph_open(t, &t->forward, true, err);
    return status;
}

/* On an accelerator the sums are mirrors of memory that the host never touches. */
static int move_sums(struct trainer *t, struct ml_error *err)
{
    int n = t->model.params.count, status = 0;
    t->sum_hosts = ml_arena_calloc(&t->arena, (size_t)n, sizeof *t->sum_hosts);
    if (!t->sum_hosts)
        return fail_memory(err);
    for (; t->sums_held < n && status == 0; t->sums_held += status == 0) {
        int i = t->sums_held;
        void *memory = NULL;
        t->sum_hosts[i] = t->sums[i];
        status =
            ml_mirror_hold(t->job->device, t->sums[i],
                           (size_t)ml_param_count(t->model.params.items[i]) * sizeof(float), err);
        if (status == 0)
            status = ml_mirror_use(t->job->device, t->sum_hosts[i], &memory, err);
        t->sums[i] = memory;
    }
    return status;
}

static int make_sums(struct trainer *t, struct ml_error *err)
{
    int n = t->model.params.count;
    t->grads = ml_arena_calloc(&t->arena, (size_t)n, sizeof *t->grads);
    if (!t->grads)
        return fail_memory(err);
    if (t->recipe.train.accumulation == 1)
        return 0;
    t->sums = ml_arena_calloc(&t->arena, (size_t)n, sizeof *t->sums);
    for (int i = 0; t->sums && i < n; i++) {
        t->sums[i] = ml_arena_calloc(&t->arena, (size_t)ml_param_count(t->model.params.items[i]),
                                     sizeof(float));
        if (!t->sums[i])
            return fail_memory(err);
    }
    if (!t->sums)
        return fail_memory(err);
    return t->job->device->accelerator ? move_sums(t, err) : 0;
}

void trainer_changed(struct trainer *t)
{
    struct ml_device *device = t->job->device;
    for (int i = 0; i < t->model.params.count; i++)
        ml_mirror_host_changed(device, t->model.params.items[i]->data);
    for (int i = 0; i < t->optim->state.count; i++)
        ml_mirror_host_changed(device, t->optim->state.items[i].data);
    for (int i = 0; t->ema && i < t->ema->state.count; i++)
        ml_mirror_host_changed(device, t->ema->state.items[i].data);
}

/* The start of every run: weights from the seed, nothing learnt yet. */
static void begin(struct trainer *t)
{
    ml_params_randomize(&t->model.params, (uint64_t)t->recipe.train.seed);
    for (int i = 0; i < t->optim->state.count; i++) {
        struct ml_state_tensor *s = &t->optim->state.items[i];
        int64_t n = 1;
        for (int d = 0; d < s->ndim; d++)
            n *= s->dim[d];
        memset(s->data, 0, (size_t)n * sizeof(float));
    }
    t->optim->steps = 0;
    for (int i = 0; t->ema && i < t->model.params.count; i++)
        memcpy(t->ema->state.items[i].data, t->model.params.items[i]->data,
               (size_t)ml_param_count(t->model.params.items[i]) * sizeof(float));
    if (t->ema)
        t->ema->steps = 0;
    trainer_changed(t);
    t->state = (struct train_state){.best_step = -1,
                                    .best_loss = NAN,
                                    .lr_scale = 1,
                                    .train_loss = NAN,
                                    .validation_loss = NAN};
}

/* Seconds that a step takes, from three trial steps whose effect is thrown away. */
static int time_a_step(struct trainer *t, double *seconds, struct ml_error *err)
{
    int64_t parts = t->recipe.train.accumulation;
    struct ml_optim_rates rates = {0};
    *seconds = INFINITY;
    begin(t);
    ml_batches_get(t->train, 0, &t->forward.batch);
    for (int trial = 0; trial < 3; trial++) {
        double start = ml_time();
        int status = ml_run(t->forward.plan, 0, err);
        if (status == 0)
            status = ml_device_wait(t->job->device, err);
        double forward = ml_time() - start;
        for (int i = 0; i < t->model.params.count; i++)
            t->grads[i] = ml_plan_numbers(t->forward.plan, t->forward.grads[i]);
        start = ml_time();
        if (status == 0)
            status = ml_optim_step(t->optim, t->grads, &rates, err);
        if (status == 0)
            status = ml_device_wait(t->job->device, err);
        if (status < 0)
            return status;
        *seconds = fmin(*seconds, (double)parts * forward + ml_time() - start);
    }
    return 0;
}

/* ---- the filled-in recipe ---- */

/* A run that counted its steps by the clock keeps the number that it found. */
static void take_steps(struct trainer *t, const struct ml_recipe *earlier)
{
    struct ml_recipe *r = &t->recipe;
    if (r->train.steps || r->train.epochs > 0 || r->train.minutes <= 0)
        return;
    r->train.steps = earlier->train.steps;
}

static int compare_recipe(struct trainer *t, const struct ml_recipe *earlier, struct ml_error *err)
{
    const struct ml_recipe_field *field = ml_recipe_difference(earlier, &t->recipe);
    char before[120], now[120];
    if (!field)
        return 0;
    return ml_fail(
        err, ML_ERR_STATE,
        "the run in %s was started with %s: %s, now it is %s: restart it or give the new "
        "one another name",
        t->job->folder, field->name, ml_recipe_value(earlier, field, before, sizeof before),
        ml_recipe_value(&t->recipe, field, now, sizeof now));
}

static int settle_recipe(struct trainer *t, bool resumed, struct ml_error *err)
{
    struct ml_recipe earlier;
    struct ml_buffer text = {0};
    char *path = ml_path_join(&t->arena, t->job->folder, "recipe.yaml");
    double seconds = 0;
    int status = path ? 0 : fail_memory(err);
    bool known = resumed && path && ml_path_exists(path);
    if (status == 0 && known)
        status = ml_recipe_open(&earlier, &t->arena, path, err);
    if (status == 0 && known)
        take_steps(t, &earlier);
    if (status == 0)
        status = ml_recipe_set_steps(&t->recipe, t->train->windows, 0, err);
    if (status == 0 && !t->recipe.train.steps)
        status = time_a_step(t, &seconds, err);
    if (status == 0)
        status = ml_recipe_set_steps(&t->recipe, t->train->windows, seconds, err);
    if (status == 0 && known)
        status = compare_recipe(t, &earlier, err);
    if (status == 0)
        status = ml_recipe_print(&t->recipe, &text, err);
    if (status == 0)
        status = ml_file_write(path, text.data, text.size, err);
    ml_buffer_clear(&text);
    return status;
}

/* ---- all of it ---- */

static int open_data(struct trainer *t, bool *resumed, struct ml_error *err)
{
    struct ml_recipe_facts facts = {total_bytes(t->job->train, t->job->train_count), 0};
    if (facts.bytes == 0)
        return ml_fail(err, ML_ERR_NOT_FOUND, "there is no text to train on");
    int status = checkpoint_any(t, resumed, err);
    if (status == 0)
        status = ml_recipe_resolve(&t->recipe, &facts, err);
    if (status == 0)
        status = open_tokenizer(t, *resumed, err);
    if (status == 0)
        status = encode(t, err);
    facts.tokens = (int64_t)t->train_tokens.ids.count;
    if (status == 0)
        status = ml_recipe_resolve(&t->recipe, &facts, err);
    return status == 0 ? make_batches(t, err) : status;
}

int trainer_open(struct trainer *t, const struct ml_train_job *job, struct ml_error *err)
{
    bool resumed = false, found = false;
    *t = (struct trainer){.job = job, .recipe = *job->recipe, .lock = {-1}, .end = -1};
    t->resumed_from = t->saved_step = -1;
    t->state.train_loss = t->state.validation_loss = NAN;
    ml_arena_init(&t->arena, 1 << 20);
    int status = open_folder(t, err);
    if (status == 0)
        status = open_data(t, &resumed, err);
    if (status == 0)
        status = make_model(t, err);
    if (status == 0)
        status = make_sums(t, err);
    if (status == 0)
        status = settle_recipe(t, resumed, err);
    if (status < 0)
        return status;
    if (job->progress && !job->device->accelerator)
        t->peak = ml_peak_flops(&job->device->kernels, t->bf16, job->device->pool);
    begin(t);
    status = checkpoint_load(t, &found, err);
    if (status == 0 && found)
        t->resumed_from = t->saved_step = t->state.step;
    if (status == 0 && !found) {
        begin(t);
        status = checkpoint_save(t, err); /* also finds a full disk before hours of work */
    }
    return status == 0 ? ml_metrics_open(&t->metrics, job->folder, t->state.step, err) : status;
}

void trainer_close(struct trainer *t)
{
    ml_metrics_close(&t->metrics);
    train_graph_close(&t->forward);
    train_graph_close(&t->measure);
    for (int i = 0; i < t->sums_held; i++)
        ml_mirror_drop(t->job->device, t->sum_hosts[i]);
    ml_ema_free(t->ema);
    ml_optim_free(t->optim);
    ml_batches_free(t->train);
    ml_batches_free(t->validation);
    ml_tokens_clear(&t->train_tokens);
    ml_tokens_clear(&t->validation_tokens);
    ml_tokenizer_free(t->tokenizer);
    ml_write_lock_close(&t->lock);
    ml_arena_clear(&t->arena);
}
