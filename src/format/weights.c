#include "format/weights.h"

#include <stdio.h>
#include <string.h>

#include "base/fail.h"
#include "base/json.h"

#define MAX_INDEX_BYTES ((size_t)64 << 20)

static int ends_with(const char *text, const char *end)
{
    size_t n = strlen(text), m = strlen(end);
    return n >= m && strcmp(text + n - m, end) == 0;
}

/* A shard's name is a plain file name: an index must not reach outside its folder. */
static int shard_name_ok(const char *name)
{
    return name && *name && *name != '.' && !strpbrk(name, "/\\\n\r") &&
           ends_with(name, ".safetensors");
}

static int open_shard(struct ml_weights *w, const char *path, struct ml_error *err)
{
    int rc = ml_safetensors_open(&w->shards[w->shard_count], path, err);
    if (rc == 0) {
        w->tensor_count += w->shards[w->shard_count].count;
        w->shard_count++;
    }
    return rc;
}

static int open_single(struct ml_weights *w, const char *path, struct ml_error *err)
{
    w->shards = ml_arena_calloc(&w->arena, 1, sizeof *w->shards);
    if (!w->shards)
        return ml_fail(err, ML_ERR_MEMORY, "%s: out of memory", path);
    return open_shard(w, path, err);
}

/* The shard files that the weight_map names, each once, in the order of first use. */
static int list_shards(struct ml_weights *w, const char *index, json_t *map, const char **names,
                       int *count, struct ml_error *err)
{
    const char *tensor;
    json_t *value;
    json_object_foreach(map, tensor, value)
    {
        const char *file = json_string_value(value);
        int known = 0;
        if (!shard_name_ok(file))
            return ml_fail(err, ML_ERR_FORMAT,
                           "%s: tensor \"%.100s\" is said to lie in \"%.100s\", which is not the "
                           "name of a .safetensors file in the same folder",
                           index, tensor, file ? file : "(not a string)");
        for (int i = *count - 1; i >= 0 && !known; i--)
            known = strcmp(names[i], file) == 0;
        if (known)
            continue;
        if (*count == ML_WEIGHTS_MAX_SHARDS)
            return ml_fail(err, ML_ERR_LIMIT, "%s: more than %d shards", index,
                           ML_WEIGHTS_MAX_SHARDS);
        names[*count] = ml_arena_strdup(&w->arena, file);
        if (!names[(*count)++])
            return ml_fail(err, ML_ERR_MEMORY, "%s: out of memory", index);
    }
    if (*count == 0)
        return ml_fail(err, ML_ERR_FORMAT, "%s: its weight_map is missing or empty", index);
    return 0;
}

/* Each tensor of the map must be in the shard that the map says. */
static int check_map(const struct ml_weights *w, const char *index, json_t *map,
                     const char *const *names, struct ml_error *err)
{
    const char *tensor;
    json_t *value;
    json_object_foreach(map, tensor, value)
    {
        int shard = 0;
        while (strcmp(names[shard], json_string_value(value)) != 0)
            shard++;
        if (!ml_safetensors_find(&w->shards[shard], tensor))
            return ml_fail(err, ML_ERR_FORMAT,
                           "%s: tensor \"%.200s\" is not in %s; get the missing or newer shard",
                           index, tensor, names[shard]);
    }
    for (int i = 0; i < w->shard_count; i++)
        for (int j = 0; j < w->shards[i].count; j++)
            for (int k = i + 1; k < w->shard_count; k++)
                if (ml_safetensors_find(&w->shards[k], w->shards[i].entries[j].name))
                    return ml_fail(err, ML_ERR_FORMAT, "%s: tensor \"%.200s\" is both in %s and %s",
                                   index, w->shards[i].entries[j].name, names[i], names[k]);
    return 0;
}

static int open_shards(struct ml_weights *w, const char *index, json_t *root, struct ml_error *err)
{
    json_t *map = json_object_get(root, "weight_map");
    const char *slash = strrchr(index, '/');
    const char *folder = slash ? ml_arena_strndup(&w->arena, index, (size_t)(slash - index) + 1)
                               : ml_arena_strdup(&w->arena, "");
    const char **names = ml_arena_calloc(&w->arena, ML_WEIGHTS_MAX_SHARDS, sizeof *names);
    int count = 0;
    if (!folder || !names)
        return ml_fail(err, ML_ERR_MEMORY, "%s: out of memory", index);
    int rc = list_shards(w, index, map, names, &count, err);
    if (rc == 0) {
        w->shards = ml_arena_calloc(&w->arena, (size_t)count, sizeof *w->shards);
        if (!w->shards)
            rc = ml_fail(err, ML_ERR_MEMORY, "%s: out of memory", index);
    }
    for (int i = 0; rc == 0 && i < count; i++) {
        const char *path = ml_arena_printf(&w->arena, "%s%s", folder, names[i]);
        rc = path ? open_shard(w, path, err)
                  : ml_fail(err, ML_ERR_MEMORY, "%s: out of memory", index);
    }
    return rc ? rc : check_map(w, index, map, names, err);
}

static int open_index(struct ml_weights *w, const char *index, struct ml_error *err)
{
    char *text = NULL;
    size_t size = 0;
    json_t *root = NULL;
    int rc = ml_file_read(&w->arena, index, MAX_INDEX_BYTES, &text, &size, err);
    if (rc == 0)
        rc = ml_json_parse(&root, text, size, index, err);
    if (rc == 0)
        rc = open_shards(w, index, root, err);
    json_decref(root);
    return rc;
}

static int open_folder(struct ml_weights *w, const char *folder, struct ml_error *err)
{
    static const char *const names[] = {"model.safetensors", "model.safetensors.index.json",
                                        "diffusion_pytorch_model.safetensors",
                                        "diffusion_pytorch_model.safetensors.index.json"};
    for (size_t i = 0; i < sizeof names / sizeof *names; i++) {
        const char *path = ml_path_join(&w->arena, folder, names[i]);
        if (!path)
            return ml_fail(err, ML_ERR_MEMORY, "%s: out of memory", folder);
        if (ml_path_exists(path))
            return ends_with(path, ".json") ? open_index(w, path, err) : open_single(w, path, err);
    }
    return ml_fail(err, ML_ERR_NOT_FOUND,
                   "%s: no model.safetensors (or model.safetensors.index.json) in this folder; "
                   "name the weight file itself",
                   folder);
}

int ml_weights_open(struct ml_weights *out, const char *path, struct ml_error *err)
{
    struct ml_weights w = {0};
    int rc;
    ml_arena_init(&w.arena, 0);
    w.path = ml_arena_strdup(&w.arena, path);
    if (!w.path)
        rc = ml_fail(err, ML_ERR_MEMORY, "%s: out of memory", path);
    else if (ml_path_is_dir(path))
        rc = open_folder(&w, path, err);
    else if (ends_with(path, ".json"))
        rc = open_index(&w, path, err);
    else
        rc = open_single(&w, path, err);
    if (rc == 0)
        *out = w;
    else
        ml_weights_close(&w);
    return rc;
}

void ml_weights_close(struct ml_weights *weights)
{
    if (!weights)
        return;
    for (int i = 0; i < weights->shard_count; i++)
        ml_safetensors_close(&weights->shards[i]);
    ml_arena_clear(&weights->arena);
    memset(weights, 0, sizeof *weights);
}

const struct ml_safetensors_entry *ml_weights_find(const struct ml_weights *weights,
                                                   const char *name,
                                                   const struct ml_safetensors **file)
{
    for (int i = 0; i < weights->shard_count; i++) {
        const struct ml_safetensors_entry *e = ml_safetensors_find(&weights->shards[i], name);
        if (e && file)
            *file = &weights->shards[i];
        if (e)
            return e;
    }
    return NULL;
}

static const char *shape_text(char *out, size_t size, int ndim, const int64_t *dim)
{
    size_t at = 0;
    out[0] = '\0';
    for (int i = 0; i < ndim && at + 24 < size; i++)
        at += (size_t)snprintf(out + at, size - at, "%s%lld", i ? "," : "", (long long)dim[i]);
    return out;
}

int ml_weights_load(const struct ml_weights *weights, const char *name,
                    const struct ml_load_target *target, struct ml_error *err)
{
    const struct ml_safetensors *file = NULL;
    const struct ml_safetensors_entry *e = ml_weights_find(weights, name, &file);
    char theirs[128], ours[128];
    if (!e)
        return ml_fail(err, ML_ERR_NOT_FOUND,
                       "%s: has no tensor \"%s\" among its %lld; are these the weights of this "
                       "model?",
                       weights->path, name, (long long)weights->tensor_count);
    int same = e->ndim == target->ndim;
    for (int i = 0; same && i < e->ndim; i++)
        same = e->dim[i] == target->dim[i];
    if (!same)
        return ml_fail(err, ML_ERR_SHAPE,
                       "%s: tensor \"%s\" is [%s], the model needs [%s]; are these the weights of "
                       "this model?",
                       file->path, name, shape_text(theirs, sizeof theirs, e->ndim, e->dim),
                       shape_text(ours, sizeof ours, target->ndim, target->dim));
    return ml_safetensors_load(file, e, target->dtype, target->data, err);
}

int ml_weights_check_finite(const struct ml_weights *weights, struct ml_error *err)
{
    int rc = 0;
    for (int i = 0; rc == 0 && i < weights->shard_count; i++)
        rc = ml_safetensors_check_finite(&weights->shards[i], err);
    return rc;
}
