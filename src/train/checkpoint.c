/* Checkpoints: one safetensors file with the weights, the optimiser, the averages and, as a note,
 * where the run stands. Written whole or not at all, checked by a hash when read. */
#include <dirent.h>
#include <errno.h>
#include <inttypes.h>
#include <math.h>
#include <sodium.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/fail.h"
#include "base/json.h"
#include "format/safetensors.h"
#include "tensor/mirror.h"
#include "train/train_impl.h"

#define STATE_NOTE "maliang.training"
#define HASH_NOTE  "maliang.checksum"
#define HASH_BYTES 32
#define PATH_BYTES 4096

/* ---- the tensors of a run ---- */

struct tensors {
    struct ml_saved_tensor *items;
    int count;
};

static void add_state(struct tensors *list, const struct ml_state_list *state)
{
    for (int i = 0; i < state->count; i++) {
        const struct ml_state_tensor *s = &state->items[i];
        struct ml_saved_tensor *saved = &list->items[list->count++];
        *saved = (struct ml_saved_tensor){.name = s->name, .ndim = s->ndim, .data = s->data};
        memcpy(saved->dim, s->dim, sizeof saved->dim);
    }
}

static void add_weights(struct tensors *list, struct trainer *t, bool measured)
{
    for (int i = 0; i < t->model.params.count; i++) {
        const struct ml_param *param = t->model.params.items[i];
        struct ml_saved_tensor *saved = &list->items[list->count++];
        *saved = (struct ml_saved_tensor){.name = param->name, .ndim = param->ndim};
        memcpy(saved->dim, param->dim, sizeof saved->dim);
        saved->data = measured ? trainer_measured(t, i) : param->data;
    }
}

/* Free items with ml_mem_free. All is f32 (which zero is for source and storage), and the host's
 * side is current. */
static int list_tensors(struct trainer *t, bool best, struct tensors *out, struct ml_error *err)
{
    int most = t->model.params.count + t->optim->state.count + (t->ema ? t->ema->state.count : 0);
    struct tensors list = {ml_mem_calloc((size_t)most, sizeof(struct ml_saved_tensor)), 0};
    if (!list.items)
        return ml_fail(err, ML_ERR_MEMORY, "no memory for a checkpoint");
    add_weights(&list, t, best);
    if (!best) {
        add_state(&list, &t->optim->state);
        if (t->ema)
            add_state(&list, &t->ema->state);
    }
    int status = 0;
    for (int i = 0; i < list.count && status == 0; i++)
        status = ml_mirror_fetch(t->job->device, (void *)list.items[i].data, err);
    if (status == 0)
        *out = list;
    else
        ml_mem_free(list.items);
    return status;
}

struct hash_run {
    const struct tensors *list;
    unsigned char (*digest)[HASH_BYTES];
};

static void hash_task(void *arg, int64_t task, int worker)
{
    struct hash_run *run = arg;
    const struct ml_saved_tensor *t = &run->list->items[task];
    crypto_generichash(run->digest[task], HASH_BYTES, t->data,
                       (unsigned long long)ml_saved_count(t) * sizeof(float), NULL, 0);
}

/* BLAKE2b over the digests of all tensors (each its own task) and the note. */
static int checksum(struct trainer *t, const struct tensors *list, const char *note,
                    char out[2 * HASH_BYTES + 1], struct ml_error *err)
{
    struct hash_run run = {list, ml_mem_calloc((size_t)list->count + 1, HASH_BYTES)};
    unsigned char all[HASH_BYTES];
    if (!run.digest)
        return ml_fail(err, ML_ERR_MEMORY, "no memory for a checkpoint");
    ml_pool_run(t->job->device->pool, list->count, hash_task, &run);
    crypto_generichash(run.digest[list->count], HASH_BYTES, (const unsigned char *)note,
                       strlen(note), NULL, 0);
    crypto_generichash(all, HASH_BYTES, run.digest[0],
                       (unsigned long long)(list->count + 1) * HASH_BYTES, NULL, 0);
    sodium_bin2hex(out, 2 * HASH_BYTES + 1, all, HASH_BYTES);
    ml_mem_free(run.digest);
    return 0;
}

/* ---- where the run stands, as JSON ---- */

enum state_type { STATE_INT, STATE_REAL, STATE_BOOL };

static const struct {
    const char *name;
    enum state_type type;
    size_t offset;
} state_fields[] = {
    {"step", STATE_INT, offsetof(struct train_state, step)},
    {"best_step", STATE_INT, offsetof(struct train_state, best_step)},
    {"best_loss", STATE_REAL, offsetof(struct train_state, best_loss)},
    {"stale", STATE_INT, offsetof(struct train_state, stale)},
    {"bad_in_row", STATE_INT, offsetof(struct train_state, bad_in_row)},
    {"skipped", STATE_INT, offsetof(struct train_state, skipped)},
    {"rollbacks", STATE_INT, offsetof(struct train_state, rollbacks)},
    {"lr_scale", STATE_REAL, offsetof(struct train_state, lr_scale)},
    {"tokens", STATE_INT, offsetof(struct train_state, tokens)},
    {"seconds", STATE_REAL, offsetof(struct train_state, seconds)},
    {"log_loss", STATE_REAL, offsetof(struct train_state, log_loss)},
    {"log_count", STATE_INT, offsetof(struct train_state, log_count)},
    {"train_loss", STATE_REAL, offsetof(struct train_state, train_loss)},
    {"validation_loss", STATE_REAL, offsetof(struct train_state, validation_loss)},
    {"pending", STATE_BOOL, offsetof(struct train_state, pending)},
    {"stopped", STATE_BOOL, offsetof(struct train_state, stopped)},
};
#define STATE_FIELDS (int)(sizeof state_fields / sizeof *state_fields)

/* Reals that are not finite are left out. jansson writes 17 digits, so they come back exactly. */
static json_t *state_to_json(const struct train_state *state)
{
    json_t *object = json_object();
    for (int i = 0; object && i < STATE_FIELDS; i++) {
        const void *at = (const char *)state + state_fields[i].offset;
        json_t *value = NULL;
        if (state_fields[i].type == STATE_INT)
            value = json_integer(*(const int64_t *)at);
        else if (state_fields[i].type == STATE_BOOL)
            value = json_boolean(*(const bool *)at);
        else if (isfinite(*(const double *)at))
            value = json_real(*(const double *)at);
        else
            continue;
        if (json_object_set_new(object, state_fields[i].name, value) != 0) {
            json_decref(object);
            return NULL;
        }
    }
    return object;
}

static int state_from_json(struct train_state *out, const json_t *object)
{
    struct train_state state = {0};
    for (int i = 0; i < STATE_FIELDS; i++) {
        void *at = (char *)&state + state_fields[i].offset;
        const json_t *value = json_object_get(object, state_fields[i].name);
        if (state_fields[i].type == STATE_INT) {
            if (!json_is_integer(value))
                return ML_ERR_FORMAT;
            *(int64_t *)at = json_integer_value(value);
        } else if (state_fields[i].type == STATE_BOOL) {
            *(bool *)at = json_is_true(value);
        } else {
            *(double *)at = json_is_number(value) ? json_number_value(value) : NAN;
        }
    }
    if (state.step < 0 || state.log_count < 0 || !isfinite(state.lr_scale))
        return ML_ERR_FORMAT;
    *out = state;
    return 0;
}

static int make_note(struct trainer *t, char **out, struct ml_error *err)
{
    char hash[65];
    ml_recipe_hash(&t->recipe, true, hash);
    json_t *note = json_object(), *state = state_to_json(&t->state);
    int failed = !note || !state;
    failed |= failed || json_object_set(note, "state", state) != 0;
    failed |= failed || json_object_set_new(note, "recipe", json_string(hash)) != 0;
    failed |= failed || json_object_set_new(note, "data", json_string(t->data_hash)) != 0;
    failed |=
        failed || json_object_set_new(note, "optimizer_steps", json_integer(t->optim->steps)) != 0;
    failed |= failed || json_object_set_new(note, "average_steps",
                                            json_integer(t->ema ? t->ema->steps : 0)) != 0;
    int status = failed ? ml_fail(err, ML_ERR_MEMORY, "no memory for a checkpoint")
                        : ml_json_text(out, note, JSON_COMPACT, err);
    json_decref(state);
    json_decref(note);
    return status;
}

/* ---- files ---- */

static char *step_path(char *buffer, const char *folder, int64_t step)
{
    snprintf(buffer, PATH_BYTES, "%s/step-%09" PRId64 ".safetensors", folder, step);
    return buffer;
}

/* The steps for which a folder has files, newest first; free with ml_mem_free. An absent folder has
 * none. */
static int list_steps(const char *folder, int64_t **out, int *count, struct ml_error *err)
{
    int64_t *steps = NULL;
    int n = 0, capacity = 0, status = 0;
    DIR *dir = opendir(folder);
    if (!dir && errno != ENOENT)
        return ml_fail(err, ML_ERR_IO, "cannot list %s: %s", folder, strerror(errno));
    for (struct dirent *entry; dir && status == 0 && (entry = readdir(dir));) {
        int64_t step;
        int used = 0;
        if (sscanf(entry->d_name, "step-%9" SCNd64 ".safetensors%n", &step, &used) != 1 || !used ||
            entry->d_name[used])
            continue;
        if (n == capacity) {
            capacity = capacity ? capacity * 2 : 16;
            int64_t *more = ml_mem_realloc(steps, (size_t)capacity * sizeof *steps);
            if (!more) {
                status = ml_fail(err, ML_ERR_MEMORY, "no memory to list %s", folder);
                break;
            }
            steps = more;
        }
        int at = n++;
        for (; at > 0 && steps[at - 1] < step; at--)
            steps[at] = steps[at - 1];
        steps[at] = step;
    }
    if (dir)
        closedir(dir);
    if (status < 0) {
        ml_mem_free(steps);
        return status;
    }
    *out = steps;
    *count = n;
    return 0;
}

static int write_file(struct trainer *t, const char *folder, bool best, struct ml_error *err)
{
    char path[PATH_BYTES], hash[2 * HASH_BYTES + 1];
    struct tensors list = {0};
    char *note = NULL;
    int status = ml_dir_make(folder, err);
    if (status == 0)
        status = make_note(t, &note, err);
    if (status == 0)
        status = list_tensors(t, best, &list, err);
    if (status == 0)
        status = checksum(t, &list, note, hash, err);
    if (status == 0) {
        struct ml_saved_note notes[2] = {{STATE_NOTE, note}, {HASH_NOTE, hash}};
        struct ml_saved_list saved = {list.items, list.count, notes, 2};
        status = ml_safetensors_write(step_path(path, folder, t->state.step), &saved, err);
    }
    ml_mem_free(list.items);
    ml_mem_free(note);
    return status;
}

static int parse_note(const struct ml_safetensors *file, json_t **out, struct ml_error *err)
{
    const char *note = ml_safetensors_note(file, STATE_NOTE);
    if (!note || !ml_safetensors_note(file, HASH_NOTE))
        return ml_fail(err, ML_ERR_FORMAT, "%s is no checkpoint of a training run", file->path);
    return ml_json_parse(out, note, strlen(note), file->path, err);
}

/* Reads the tensors where they belong and checks them. The run's own memory may hold half of a
 * broken file after a failure: the caller loads another one or gives up. */
static int load_tensors(struct trainer *t, const struct ml_safetensors *file, bool best,
                        struct ml_error *err)
{
    struct tensors list = {0};
    char hash[2 * HASH_BYTES + 1];
    int status = list_tensors(t, best, &list, err);
    for (int i = 0; i < list.count && status == 0; i++) {
        const struct ml_saved_tensor *to = &list.items[i];
        const struct ml_safetensors_entry *entry = ml_safetensors_find(file, to->name);
        if (!entry || entry->ndim != to->ndim ||
            memcmp(entry->dim, to->dim, (size_t)to->ndim * sizeof *to->dim) != 0)
            status = ml_fail(err, ML_ERR_FORMAT, "%s: tensor %s is missing or has another shape",
                             file->path, to->name);
        else
            status = ml_safetensors_load(file, entry, ML_F32, (void *)to->data, err);
        ml_mirror_host_changed(t->job->device, (void *)to->data);
    }
    if (status == 0)
        status = checksum(t, &list, ml_safetensors_note(file, STATE_NOTE), hash, err);
    if (status == 0 && strcmp(hash, ml_safetensors_note(file, HASH_NOTE)) != 0)
        status = ml_fail(err, ML_ERR_FORMAT, "%s: the checksum does not fit, the file is damaged",
                         file->path);
    ml_mem_free(list.items);
    return status;
}

/* A checkpoint of another recipe or other data must not be gone on with. */
static int check_origin(struct trainer *t, const json_t *note, const char *path,
                        struct ml_error *err)
{
    char hash[65];
    const char *recipe = json_string_value(json_object_get(note, "recipe"));
    const char *data = json_string_value(json_object_get(note, "data"));
    ml_recipe_hash(&t->recipe, true, hash);
    if (!recipe || !data)
        return ml_fail(err, ML_ERR_FORMAT, "%s is no checkpoint of a training run", path);
    if (strcmp(data, t->data_hash) != 0)
        return ml_fail(err, ML_ERR_STATE,
                       "%s was trained on other text than the dataset has now: restart the run or "
                       "give it another name",
                       path);
    if (strcmp(recipe, hash) != 0)
        return ml_fail(err, ML_ERR_STATE,
                       "%s was trained by another recipe: restart the run or give it another name",
                       path);
    return 0;
}

static int load_file(struct trainer *t, int64_t step, struct ml_error *err)
{
    char path[PATH_BYTES];
    struct ml_safetensors file = {0};
    struct train_state state = {0};
    json_t *note = NULL;
    int status = ml_safetensors_open(&file, step_path(path, t->checkpoints, step), err);
    if (status < 0)
        return status;
    status = parse_note(&file, &note, err);
    if (status == 0)
        status = check_origin(t, note, path, err);
    if (status == 0 && state_from_json(&state, json_object_get(note, "state")) < 0)
        status = ml_fail(err, ML_ERR_FORMAT, "%s: the state of the run is not readable", path);
    if (status == 0)
        status = load_tensors(t, &file, false, err);
    if (status == 0) {
        t->state = state;
        t->optim->steps = json_integer_value(json_object_get(note, "optimizer_steps"));
        if (t->ema)
            t->ema->steps = json_integer_value(json_object_get(note, "average_steps"));
    }
    json_decref(note);
    ml_safetensors_close(&file);
    return status;
}

int checkpoint_any(struct trainer *t, bool *any, struct ml_error *err)
{
    int64_t *steps = NULL;
    int count = 0;
    int status = list_steps(t->checkpoints, &steps, &count, err);
    ml_mem_free(steps);
    *any = count > 0;
    return status;
}

int checkpoint_load(struct trainer *t, bool *found, struct ml_error *err)
{
    int64_t *steps = NULL;
    int count = 0;
    int status = list_steps(t->checkpoints, &steps, &count, err);
    struct ml_error first = {0};
    *found = false;
    for (int i = 0; i < count && status == 0 && !*found; i++) {
        struct ml_error why = {0};
        int got = load_file(t, steps[i], &why);
        *found = got == 0;
        if (got == ML_ERR_FORMAT || got == ML_ERR_IO || got == ML_ERR_NOT_FOUND)
            ml_log(t->job->log, ML_LOG_WARN, "%s; trying an older checkpoint", why.message);
        else if (got < 0)
            status = ml_fail(err, got, "%s", why.message);
        if (got < 0 && !first.code)
            first = why;
    }
    if (status == 0 && count > 0 && !*found)
        status = ml_fail(err, ML_ERR_FORMAT, "no checkpoint of the run is sound (%s); restart it",
                         first.message);
    ml_mem_free(steps);
    return status;
}

/* ---- keeping only what is needed ---- */

static void remove_file(const char *folder, int64_t step)
{
    char path[PATH_BYTES];
    unlink(step_path(path, folder, step)); /* what cannot be removed only takes room */
}

/* The best step that a checkpoint refers to, or -1. */
static int64_t best_of(struct trainer *t, int64_t step)
{
    char path[PATH_BYTES];
    struct ml_safetensors file = {0};
    struct train_state state = {.best_step = -1};
    json_t *note = NULL;
    if (ml_safetensors_open(&file, step_path(path, t->checkpoints, step), NULL) < 0)
        return -1;
    if (parse_note(&file, &note, NULL) == 0)
        state_from_json(&state, json_object_get(note, "state"));
    json_decref(note);
    ml_safetensors_close(&file);
    return state.best_step;
}

/* Old checkpoints go, and best weights that no kept checkpoint refers to. */
static int prune(struct trainer *t, struct ml_error *err)
{
    int64_t *steps = NULL, *bests = NULL;
    int count = 0, best_count = 0;
    int status = list_steps(t->checkpoints, &steps, &count, err);
    if (status == 0)
        status = list_steps(t->best, &bests, &best_count, err);
    int keep = (int)t->recipe.train.keep;
    for (int i = keep; i < count && status == 0; i++)
        remove_file(t->checkpoints, steps[i]);
    int kept = count < keep ? count : keep;
    int64_t needed = t->state.best_step;
    for (int i = 1; i < kept && status == 0 && best_count > 1; i++) {
        int64_t step = best_of(t, steps[i]);
        needed = step >= 0 && step < needed ? step : needed;
    }
    for (int i = 0; i < best_count && status == 0; i++)
        if (bests[i] < needed)
            remove_file(t->best, bests[i]);
    ml_mem_free(steps);
    ml_mem_free(bests);
    return status;
}

int checkpoint_save(struct trainer *t, struct ml_error *err)
{
    int status = write_file(t, t->checkpoints, false, err);
    if (status < 0)
        return status;
    t->saved_step = t->state.step;
    return prune(t, err);
}

int checkpoint_save_best(struct trainer *t, struct ml_error *err)
{
    return write_file(t, t->best, true, err);
}

int checkpoint_load_best(struct trainer *t, struct ml_error *err)
{
    char path[PATH_BYTES];
    struct ml_safetensors file = {0};
    json_t *note = NULL;
    int status = ml_safetensors_open(&file, step_path(path, t->best, t->state.best_step), err);
    if (status < 0)
        return status;
    status = parse_note(&file, &note, err);
    if (status == 0)
        status = load_tensors(t, &file, true, err);
    json_decref(note);
    ml_safetensors_close(&file);
    return status;
}
