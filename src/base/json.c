#include "base/json.h"

#include <pthread.h>

#include "base/arena.h"
#include "base/fail.h"

static void set_allocator(void)
{
    json_set_alloc_funcs(ml_mem_alloc_packed, ml_mem_free);
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
    json_t *value = json_loadb(text, n, JSON_REJECT_DUPLICATES | JSON_DECODE_ANY, &error);
    if (!value) {
        if (json_error_code(&error) == json_error_out_of_memory)
            return ml_fail(err, ML_ERR_MEMORY, "%s: out of memory reading JSON", what);
        return ml_fail(err, ML_ERR_FORMAT, "%s: not valid JSON: line %d, column %d: %s", what,
                       error.line, error.column, error.text);
    }
    *out = value;
    return 0;
}

int ml_json_text(char **out, const json_t *value, size_t flags, struct ml_error *err)
{
    ml_json_setup();
    char *text = json_dumps(value, flags | JSON_ENCODE_ANY);
    if (!text)
        return ml_fail(err, ML_ERR_MEMORY, "out of memory writing JSON");
    *out = text;
    return 0;
}
