/* robots.txt, addresses and headers of consent: any bytes give an answer. The first line is the
 * address that is asked for, the rest is the file. */
#include <stdlib.h>
#include <string.h>

#include "base/arena.h"
#include "base/utf8.h"
#include "data/robots.h"
#include "data/web_url.h"
#include "fuzz.h"

static void check_url(struct ml_arena *arena, const char *text)
{
    struct ml_web_url base, url, again;
    struct ml_error err = {0};
    int status = ml_web_url_parse(&base, arena, "http://a.example/b/c?d", &err);
    if (status == 0)
        status = ml_web_url_resolve(&url, arena, &base, text, &err);
    if (status != err.code || !ml_utf8_valid(err.message, strlen(err.message)))
        abort();
    if (status)
        return;
    if (url.path[0] != '/' || url.path != url.text + url.origin || !*url.host || url.port < 1 ||
        url.port > 65535)
        abort();
    for (const char *c = url.text; *c; c++)
        if ((unsigned char)*c <= 0x20 || (unsigned char)*c >= 0x7f)
            abort();
    /* a spelling that is spelt again stays, unless it has just become too long */
    if (ml_web_url_parse(&again, arena, url.text, &err) != 0 || strcmp(again.text, url.text) != 0)
        abort();
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    const char *text = (const char *)data;
    const char *end = size ? memchr(text, '\n', size) : NULL;
    size_t line = end ? (size_t)(end - text) : size, rest = end ? line + 1 : size;
    char verdict[ML_CONSENT_BYTES] = "", label[32];
    struct ml_arena arena;
    struct ml_robots robots;
    struct ml_robots_answer answer;
    struct ml_error err = {0};
    ml_arena_init(&arena, 0);
    char *path = ml_arena_strndup(&arena, text, line);
    if (!path)
        return 0;
    check_url(&arena, path);
    ml_consent_headers(verdict, path, path, "Maliang");
    ml_consent_usage(path, line, label);
    if (ml_robots_parse(&robots, &arena, text + rest, size - rest, "Maliang", &err) != 0 ||
        ml_robots_ask(&robots, path, &answer, &err) != 0 || !(robots.delay >= 0))
        abort();
    if (verdict[0] && strncmp(verdict, "denied: ", 8) != 0)
        abort();
    ml_arena_clear(&arena);
    return 0;
}
