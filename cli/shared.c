#include <jansson.h>
#include <stdio.h>
#include <string.h>

#include "base/arena.h"
#include "base/fail.h"
#include "base/json.h"
#include "base/utf8.h"
#include "commands.h"
#include "help.h"

int open_engine(struct cli *cli, struct ml_engine **out, struct ml_error *err)
{
    int64_t threads = 0;
    int status = cli_integer(cli, "threads", 1, 1024, &threads, err);
    struct ml_engine_options options = {
        .threads = (int)threads, .isa = cli_text(cli, "isa"), .device = cli_text(cli, "device")};
    return status == 0 ? ml_engine_open(out, &options, err) : status;
}

int print_json(json_t *value, struct ml_error *err)
{
    char *text = NULL;
    if (!value) /* jansson's answer to a failed allocation */
        return ml_fail(err, ML_ERR_MEMORY, "out of memory for the answer");
    int status = ml_json_text(&text, value, JSON_INDENT(2) | JSON_REAL_PRECISION(9), err);
    json_decref(value);
    if (status != 0)
        return status;
    printf("%s\n", text);
    ml_string_free(text);
    return 0;
}

json_t *json_text(const char *text, size_t bytes)
{
    struct ml_buffer clean = {0};
    struct ml_error err = {0};
    json_t *value = json_stringn(text, bytes);
    for (size_t at = 0; !value && at < bytes && !err.code;) {
        uint32_t c;
        size_t n = ml_utf8_decode(text + at, bytes - at, &c);
        ml_buffer_put(&clean, n ? text + at : "\xef\xbf\xbd", n ? n : 3, &err);
        at += n ? n : 1;
    }
    if (!value && !err.code)
        value = json_stringn(clean.data ? clean.data : "", clean.size);
    ml_buffer_clear(&clean);
    return value;
}

json_t *json_path(const char *path)
{
    return json_text(path, strlen(path));
}

size_t fit_columns(const char *text, int columns, int *used)
{
    size_t at = 0, size = strlen(text);
    *used = 0;
    while (at < size) {
        uint32_t c = '?';
        size_t n = ml_utf8_decode(text + at, size - at, &c);
        int width = ml_utf8_width(c);
        if (*used + width > columns)
            break;
        *used += width;
        at += n ? n : 1;
    }
    return at;
}

void print_column(const char *text, int columns)
{
    int used;
    size_t bytes = fit_columns(text, columns, &used);
    printf("%.*s%*s", (int)bytes, text, columns - used, "");
}

int run_completion(struct cli *cli, struct ml_error *err)
{
    return help_completion(cli->arguments[0], err);
}
