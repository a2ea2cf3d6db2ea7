/* A workspace with a few generated tales in it, and the calls that most cases of this folder make.
 */
#ifndef ML_TESTS_ROUND_H
#define ML_TESTS_ROUND_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/arena.h"
#include "base/files.h"
#include "maliang/maliang.h"

enum { ROUND_PATH = 128, ROUND_TALES = 6 };

struct round {
    char root[ROUND_PATH / 2];
    char workspace[ROUND_PATH], texts[ROUND_PATH], recipe[ROUND_PATH];
    struct ml_engine *engine;
};

static const char round_recipe[] =
    "name: tiny\n"
    "data: {dataset: tales, validation: 0.2}\n"
    "tokenizer: {vocab: 280, special: [\"<|end|>\"]}\n"
    "model: {layers: 1, width: 16, heads: 2, ffn: 32, context: 48}\n"
    "train: {steps: 6, batch: 2, eval_every: 3, checkpoint_every: 2, precision: f32}\n";

#define round_ok(call, err)                                                                        \
    do {                                                                                           \
        int status_ = (call);                                                                      \
        if (status_ != 0)                                                                          \
            fail_msg("%s: %d %s", #call, status_, (err).message);                                  \
    } while (0)

/* The call fails with this code and one line of message that holds the part; err is fresh after. */
#define round_fails(call, code_, part, err)                                                        \
    do {                                                                                           \
        (err) = (struct ml_error){0};                                                              \
        int status_ = (call);                                                                      \
        if (status_ != (code_) || (err).code != (code_) || !(err).message[0] ||                    \
            strchr((err).message, '\n') || !strstr((err).message, (part)))                         \
            fail_msg("%s: %d \"%s\", not %d with \"%s\"", #call, status_, (err).message, (code_),  \
                     (part));                                                                      \
        (err) = (struct ml_error){0};                                                              \
    } while (0)

/* root/name */
static inline const char *round_path(const struct round *r, const char *name, char out[ROUND_PATH])
{
    assert_true(snprintf(out, ROUND_PATH, "%s/%s", r->root, name) < ROUND_PATH);
    return out;
}

static inline void round_put(const char *path, const void *bytes, size_t n)
{
    struct ml_error err = {0};
    round_ok(ml_file_write(path, bytes, n, &err), err);
}

static inline void round_text(const char *path, const char *text)
{
    round_put(path, text, strlen(text));
}

/* Owned by the arena. */
static inline char *round_read(struct ml_arena *arena, const char *path, size_t *size)
{
    struct ml_error err = {0};
    char *bytes = NULL;
    round_ok(ml_file_read(arena, path, 1 << 24, &bytes, size, &err), err);
    return bytes;
}

static inline void round_same_file(const char *a, const char *b)
{
    struct ml_arena arena;
    size_t na, nb;
    ml_arena_init(&arena, 0);
    const char *x = round_read(&arena, a, &na), *y = round_read(&arena, b, &nb);
    if (na != nb || memcmp(x, y, na) != 0)
        fail_msg("%s and %s differ", a, b);
    ml_arena_clear(&arena);
}

static inline int round_collect(const struct round *r, const char *path, const char *dataset,
                                struct ml_collect_result *out, struct ml_error *err)
{
    const struct ml_collect_request request = {
        .workspace = r->workspace, .paths = &path, .path_count = 1, .dataset = dataset};
    return ml_engine_collect(r->engine, &request, out, err);
}

/* setting: "section.key=value" or NULL. */
static inline int round_train(const struct round *r, const char *name, const char *setting,
                              ml_cancel *cancel, struct ml_train_result *out, struct ml_error *err)
{
    const struct ml_train_request request = {.workspace = r->workspace,
                                             .recipe = r->recipe,
                                             .overrides = &setting,
                                             .override_count = setting ? 1 : 0,
                                             .name = name,
                                             .cancel = cancel};
    return ml_engine_train(r->engine, &request, out, err);
}

/* The first sample's text; "" when it fails. */
static inline int round_write(struct ml_engine *engine, const char *workspace, const char *model,
                              const struct ml_write_request *request, char *text, size_t size,
                              struct ml_error *err)
{
    struct ml_text_session *session = NULL;
    struct ml_write_result result = {0};
    text[0] = 0;
    int status = ml_text_session_open(&session, engine, workspace, model, err);
    if (status == 0)
        status = ml_text_session_write(session, request, &result, err);
    if (status == 0)
        snprintf(text, size, "%s", result.samples[0].text);
    ml_write_result_clear(&result);
    ml_text_session_close(session);
    return status;
}

/* In memory where that is possible: each run syncs its files, and nobody waits for the disk. */
static inline void round_open(struct round *r, const struct ml_engine_options *options)
{
    struct ml_error err = {0};
    snprintf(r->root, sizeof r->root, "%s/maliang-round-XXXXXX",
             access("/dev/shm", W_OK) == 0 ? "/dev/shm" : "/tmp");
    assert_non_null(mkdtemp(r->root));
    round_path(r, "workspace", r->workspace);
    round_path(r, "texts", r->texts);
    round_path(r, "recipe.yaml", r->recipe);
    setenv("MALIANG_STARTERS", r->root, 1); /* those of the program are no part of these tests */
    round_ok(ml_dir_make(r->texts, &err), err);
    round_text(r->recipe, round_recipe);
    for (int i = 0; i < ROUND_TALES; i++) {
        char path[ROUND_PATH + 16], text[1024] = "";
        for (int k = 0, n = 0; k < 12; k++)
            n += snprintf(text + n, sizeof text - (size_t)n,
                          "the %d foxes saw %d moons over river %d\n", i, k, i * k % 7);
        snprintf(path, sizeof path, "%s/%d.txt", r->texts, i);
        round_text(path, text);
    }
    round_ok(ml_engine_open(&r->engine, options, &err), err);
}

static inline void round_close(struct round *r)
{
    struct ml_error err = {0};
    ml_engine_close(r->engine);
    ml_dir_remove(r->root, &err);
}

#endif
