/* The source "emoji:FONT": the font's bytes are the input, the names are CLDR's as Debian installs
 * them. */
#include <stdio.h>
#include <string.h>

#include "base/fail.h"
#include "base/files.h"
#include "data/emoji.h"
#include "data/readers.h"

#define MAX_NAMES_BYTES ((size_t)16 << 20)

static int load_names(struct ml_emoji_names *names, const char *language, struct ml_error *err)
{
    static const char *const folders[] = {"annotations", "annotationsDerived"};
    struct ml_arena arena;
    char path[200], *xml = NULL;
    size_t n = 0;
    int status = 0;
    ml_arena_init(&arena, 0);
    for (int i = 0; i < 2 && status == 0; i++) {
        snprintf(path, sizeof path, "%s/%s/%s.xml", ML_EMOJI_CLDR, folders[i], language);
        ml_arena_reset(&arena);
        status = ml_file_read(&arena, path, MAX_NAMES_BYTES, &xml, &n, err);
        if (status == 0)
            status = ml_emoji_names_add(names, xml, n, err);
        if (status == ML_ERR_FORMAT)
            ml_fail_context(err, "%s", path);
    }
    ml_arena_clear(&arena);
    ml_emoji_names_sort(names);
    return status;
}

static int read_emoji(const struct ml_reader_input *input, const struct ml_reader_limits *limits,
                      const struct ml_reader_sink *sink, struct ml_error *err)
{
    struct ml_emoji_font font;
    struct ml_emoji_names english = {0}, chinese = {0};
    (void)limits; /* no more comes out than lies in the font and the names */
    int status = ml_emoji_font_open(&font, input->uri, input->bytes, input->size, err);
    if (status)
        return status;
    if (!ml_path_is_dir(ML_EMOJI_CLDR))
        return ml_fail(err, ML_ERR_UNSUPPORTED,
                       "%s: what emoji are called is not installed; install the package "
                       "unicode-cldr-core",
                       input->uri);
    status = load_names(&english, "en", err);
    if (status == 0)
        status = load_names(&chinese, "zh", err);
    if (status == 0)
        status = ml_emoji_give(&font, &english, &chinese, sink, err);
    ml_emoji_names_clear(&english);
    ml_emoji_names_clear(&chinese);
    return status;
}

/* Neither ending nor type: a font is material only when it is asked for (data/collect_special.h).
 */
const struct ml_reader ml_reader_emoji = {
    .name = "emoji 1",
    .endings = (const char *const[]){NULL},
    .types = (const char *const[]){NULL},
    .read = read_emoji,
};
