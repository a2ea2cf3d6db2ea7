/* A queue is a row of `meta`, "queue:NAME", with a JSON object: there are few of them, and only
 * their names are ever asked for. */
#include "store/queues.h"

#include <stdbool.h>
#include <string.h>

#include "base/fail.h"
#include "base/json.h"
#include "base/words.h"
#include "store/store_impl.h"

#define PREFIX "queue:"

static int fail_memory(struct ml_error *err)
{
    return ml_fail(err, ML_ERR_MEMORY, "out of memory reading the queues");
}

static int read_entry(struct ml_queue_entry *out, struct ml_arena *arena, const char *key,
                      const char *text, struct ml_error *err)
{
    json_t *value = NULL;
    int status = ml_json_parse(&value, text, strlen(text), "a queue of the workspace", err);
    if (status)
        return status;
    const char *dataset = json_string_value(json_object_get(value, "dataset"));
    const char *task = json_string_value(json_object_get(value, "task"));
    if (!dataset || !task) {
        status = ml_fail(err, ML_ERR_FORMAT, "the queue %s is damaged in the workspace",
                         key + strlen(PREFIX));
    } else {
        struct ml_queue_entry e = {.name = ml_arena_strdup(arena, key + strlen(PREFIX)),
                                   .dataset = ml_arena_strdup(arena, dataset),
                                   .task = ml_arena_strdup(arena, task),
                                   .created =
                                       json_integer_value(json_object_get(value, "created"))};
        if (!e.name || !e.dataset || !e.task)
            status = fail_memory(err);
        else
            *out = e;
    }
    json_decref(value);
    return status;
}

/* ML_ERR_NOT_FOUND without a message. */
static int find(struct ml_workspace *ws, const char *name, struct ml_arena *arena,
                struct ml_queue_entry *out, struct ml_error *err)
{
    struct ml_stmt *stmt;
    char *key = ml_arena_printf(arena, PREFIX "%s", name);
    if (!key)
        return fail_memory(err);
    int status = ml_db_prepare(&stmt, ws->db, "SELECT value FROM meta WHERE key = $1", err);
    if (status)
        return status;
    ml_stmt_put_text(stmt, key);
    int got = ml_stmt_step(stmt, err);
    status = got > 0   ? read_entry(out, arena, key, ml_stmt_text(stmt, 0), err)
             : got < 0 ? got
                       : ML_ERR_NOT_FOUND;
    ml_stmt_end(stmt);
    return status;
}

int ml_queues_list(struct ml_workspace *ws, struct ml_arena *arena, struct ml_queue_entry **out,
                   size_t *count, struct ml_error *err)
{
    struct ml_queue_entry *list = NULL;
    size_t n = 0, capacity = 0;
    struct ml_stmt *stmt;
    int got = 0, status = ml_db_prepare(&stmt, ws->db,
                                        "SELECT key, value FROM meta WHERE key >= '" PREFIX
                                        "' AND key < 'queue;' ORDER BY key",
                                        err);
    if (status)
        return status;
    while (status == 0 && (got = ml_stmt_step(stmt, err)) > 0) {
        if (n == capacity) {
            capacity = capacity ? capacity * 2 : 16;
            struct ml_queue_entry *grown = ml_arena_calloc(arena, capacity, sizeof *grown);
            if (grown && n)
                memcpy(grown, list, n * sizeof *grown);
            list = grown;
        }
        status =
            list ? read_entry(&list[n++], arena, ml_stmt_text(stmt, 0), ml_stmt_text(stmt, 1), err)
                 : fail_memory(err);
    }
    ml_stmt_end(stmt);
    if (status == 0 && got < 0)
        status = got;
    if (status)
        return status;
    *out = list;
    *count = n;
    return 0;
}

static int fail_unknown(struct ml_workspace *ws, const char *name, struct ml_error *err)
{
    struct ml_arena arena;
    struct ml_queue_entry *list;
    size_t count;
    const char **names, *near = NULL;
    ml_arena_init(&arena, 0);
    if (ml_queues_list(ws, &arena, &list, &count, NULL) == 0 && count > 0 &&
        (names = ml_arena_calloc(&arena, count, sizeof *names))) {
        for (size_t i = 0; i < count; i++)
            names[i] = list[i].name;
        near = ml_word_nearest(name, names, (int)count);
    }
    int status =
        near ? ml_fail(err, ML_ERR_NOT_FOUND, "there is no queue \"%.120s\"; did you mean \"%s\"?",
                       name, near)
             : ml_fail(err, ML_ERR_NOT_FOUND,
                       "there is no queue \"%.120s\"; `maliang label start` makes one", name);
    ml_arena_clear(&arena);
    return status;
}

int ml_queues_get(struct ml_workspace *ws, const char *name, struct ml_arena *arena,
                  struct ml_queue_entry *out, struct ml_error *err)
{
    int status = find(ws, name, arena, out, err);
    return status == ML_ERR_NOT_FOUND ? fail_unknown(ws, name, err) : status;
}

static int insert(struct ml_workspace *ws, const struct ml_queue_entry *queue,
                  struct ml_arena *arena, struct ml_error *err)
{
    ml_json_setup();
    struct ml_stmt *stmt;
    char *text = NULL, *key = ml_arena_printf(arena, PREFIX "%s", queue->name);
    json_t *value =
        json_pack("{s:s, s:s, s:I}", "dataset", queue->dataset, "task", queue->task, "created",
                  (json_int_t)(queue->created ? queue->created : ml_unix_time()));
    int status = key && value ? ml_json_text(&text, value, JSON_COMPACT, err) : fail_memory(err);
    json_decref(value);
    if (status == 0)
        status = ml_db_prepare(&stmt, ws->db, "INSERT INTO meta(key, value) VALUES($1, $2)", err);
    if (status == 0) {
        ml_stmt_put_text(stmt, key);
        ml_stmt_put_text(stmt, text);
        status = ml_stmt_run(stmt, err);
    }
    ml_mem_free(text);
    return status;
}

int ml_queues_add(struct ml_workspace *ws, const struct ml_queue_entry *queue, struct ml_error *err)
{
    struct ml_arena arena;
    struct ml_queue_entry there;
    int status = ml_name_check(queue->name, "queue", err);
    if (status == 0)
        status = ml_workspace_begin(ws, err);
    if (status)
        return status;
    ml_arena_init(&arena, 0);
    status = find(ws, queue->name, &arena, &there, err);
    if (status == ML_ERR_NOT_FOUND)
        status = insert(ws, queue, &arena, err);
    else if (status == 0 &&
             (strcmp(there.dataset, queue->dataset) != 0 || strcmp(there.task, queue->task) != 0))
        status =
            ml_fail(err, ML_ERR_STATE,
                    "there is a queue \"%s\" with another task or dataset (%s) already; choose "
                    "another name",
                    queue->name, there.dataset);
    status = ml_workspace_end(ws, status, err);
    ml_arena_clear(&arena);
    return status;
}
