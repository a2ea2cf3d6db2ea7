#include "base/json.h"

#include <pthread.h>
#include <stdbool.h>

#include "base/arena.h"
#include "base/fail.h"

/* jansson 2.14 does not look at every allocation: a text that it grows byte by byte silently loses
 * a byte when growing fails. So we note failures ourselves, for the thread that parses. */
static _Thread_local bool allocation_failed;

static void *allocate(size_t bytes)
{
    void *block = ml_mem_alloc_packed(bytes);
    if (!block)
        allocation_failed = true;
    return block;
}

static void set_allocator(void)
{
    json_set_alloc_funcs(allocate, ml_mem_free);
}

void ml_json_setup(void)
{
    static pthread_once_t once = PTHREAD_ONCE_INIT;
    pthread_once(&once, set_allocator);
}

int ml_json_parse(json_t **out, const char *text, size_t n, const char *what, struct ml_error *err)
{
    ml_json_setup();
    json_error_t error;
    allocation_failed = false;
    json_t *value = json_loadb(text, n, JSON_REJECT_DUPLICATES | JSON_DECODE_ANY, &error);
    if (allocation_failed) {
        json_decref(value);
        return ml_fail(err, ML_ERR_MEMORY, "%s: out of memory reading JSON", what);
    }
    if (!value)
        return ml_fail(err, ML_ERR_FORMAT, "%s: not valid JSON: line %d, column %d: %s", what,
                       error.line, error.column, error.text);
    *out = value;
    return 0;
}

int ml_json_text(char **out, const json_t *value, size_t flags, struct ml_error *err)
{
    ml_json_setup();
    allocation_failed = false;
    char *text = json_dumps(value, flags | JSON_ENCODE_ANY);
    if (allocation_failed) {
        ml_mem_free(text);
        return ml_fail(err, ML_ERR_MEMORY, "out of memory writing JSON");
    }
    if (!text)
        return ml_fail(err, ML_ERR_ARG, "a value cannot be written as JSON (it contains itself)");
    *out = text;
    return 0;
}
