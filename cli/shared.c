#include <jansson.h>
#include <stdio.h>
#include <string.h>

#include "base/json.h"
#include "base/utf8.h"
#include "commands.h"
#include "help.h"

int open_engine(struct cli *cli, struct ml_engine **out, struct ml_error *err)
{
    int64_t threads = 0;
    int status = cli_integer(cli, "threads", 1, 1024, &threads, err);
    struct ml_engine_options options = {.threads = (int)threads, .isa = cli_text(cli, "isa")};
    return status == 0 ? ml_engine_open(out, &options, err) : status;
}

int print_json(json_t *value, struct ml_error *err)
{
    char *text = NULL;
    int status = ml_json_text(&text, value, JSON_INDENT(2) | JSON_REAL_PRECISION(9), err);
    json_decref(value);
    if (status != 0)
        return status;
    printf("%s\n", text);
    ml_string_free(text);
    return 0;
}

void print_column(const char *text, int columns)
{
    int used = 0;
    size_t at = 0, size = strlen(text);
    while (at < size) {
        uint32_t c = '?';
        size_t n = ml_utf8_decode(text + at, size - at, &c);
        int width = ml_utf8_width(c);
        if (used + width > columns)
            break;
        printf("%.*s", (int)(n ? n : 1), text + at);
        used += width;
        at += n ? n : 1;
    }
    printf("%*s", columns - used, "");
}

int run_completion(struct cli *cli, struct ml_error *err)
{
    return help_completion(cli->arguments[0], err);
}
