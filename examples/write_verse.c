/* The smallest program on libmaliang: opens the engine, loads a starter, writes one poem as it
 * comes.
 *
 *     write_verse [FORM [TITLE [SEED]]]         write_verse 五律 登高 7
 *
 * Outside this tree: cc write_verse.c $(pkg-config --cflags --libs --static maliang) */
#include <stdio.h>
#include <stdlib.h>

#include "maliang/maliang.h"

/* Called with whole characters as soon as they are certain; non-zero would stop the sample. */
static int show(void *arg, int sample, const char *text, size_t bytes)
{
    FILE *out = arg;
    (void)sample;
    return fwrite(text, 1, bytes, out) != bytes || fflush(out) != 0;
}

int main(int argc, char **argv)
{
    struct ml_error err = {0};
    struct ml_engine *engine = NULL;
    struct ml_text_session *session = NULL;
    struct ml_write_result result = {0};
    const struct ml_field fields[] = {
        {"form", argc > 1 ? argv[1] : "七絕"},
        {"title", argc > 2 ? argv[2] : "春夜"},
    };
    const struct ml_write_request request = {
        .fields = fields,
        .field_count = 2,
        .seed = argc > 3 ? strtoull(argv[3], NULL, 10) : 3, /* same seed, same poem */
        .stream = show,
        .arg = stdout,
    };
    int status = ml_engine_open(&engine, NULL, &err);
    if (status == 0)
        status = ml_text_session_open(&session, engine, NULL, "verse", &err);
    if (status == 0)
        status = ml_text_session_write(session, &request, &result, &err);
    if (status == 0)
        printf("\n(%d tokens in %.2f s, %d threads)\n", result.samples[0].tokens, result.seconds,
               ml_engine_threads(engine));
    else
        fprintf(stderr, "write_verse: %s\n", err.message);
    ml_write_result_clear(&result);
    ml_text_session_close(session);
    ml_engine_close(engine);
    return status != 0;
}
