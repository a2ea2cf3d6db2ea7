#include "data/readers.h"

#include <string.h>
#include <strings.h>

#include "data/media_probe.h"

#define DEFAULT_OUT_BYTES ((uint64_t)4 << 30)
#define DEFAULT_MEMBERS   1000000
#define DEFAULT_SECONDS   60

/* One row a reader. `looks` says whether the first bytes are of the format when neither name nor
 * type tells; NULL: no bytes are unmistakable (a table looks like any text). Rows further up win.
 * The readers of pages (html) and of web archives (warc) are two more rows. */
static const struct row {
    const struct ml_reader *reader;
    bool (*looks)(const char *bytes, size_t n);
} rows[] = {
    {&ml_reader_csv, NULL},
    {&ml_reader_json, NULL},
    {&ml_reader_markdown, NULL},
    {&ml_reader_subtitle, NULL},
    {&ml_reader_media, ml_looks_like_media},
    {&ml_reader_pdf, ml_looks_like_pdf},
    {&ml_reader_office, NULL}, /* without its name it is a ZIP file like any other */
    {&ml_reader_archive, ml_looks_like_archive},
};
#define N_ROWS (sizeof rows / sizeof rows[0])

const char *ml_reader_ending(const char *uri, size_t *n)
{
    size_t length = strlen(uri);
    if (strstr(uri, "://"))
        length = strcspn(uri, "?#");
    const char *end = uri + length, *at = end;
    while (at > uri && at[-1] != '/' && at[-1] != '.')
        at--;
    /* A dot in front is a hidden file, not an ending. */
    bool has = at > uri + 1 && at[-1] == '.' && at[-2] != '/';
    *n = has ? (size_t)(end - at) : 0;
    return has ? at : end;
}

static bool is_among(const char *word, size_t n, const char *const *words)
{
    while (*words && (strlen(*words) != n || strncasecmp(word, *words, n) != 0))
        words++;
    return *words != NULL;
}

const struct ml_reader *ml_reader_find(const struct ml_reader_input *input)
{
    size_t n;
    const char *ending = ml_reader_ending(input->uri, &n);
    for (size_t i = 0; input->type && i < N_ROWS; i++)
        if (is_among(input->type, strlen(input->type), rows[i].reader->types))
            return rows[i].reader;
    for (size_t i = 0; n > 0 && i < N_ROWS; i++)
        if (is_among(ending, n, rows[i].reader->endings))
            return rows[i].reader;
    /* Only what has no ending: an unknown one (.xlsx, .jar) says that it is something else. */
    for (size_t i = 0; n == 0 && input->size > 0 && i < N_ROWS; i++)
        if (rows[i].looks && rows[i].looks(input->bytes, input->size))
            return rows[i].reader;
    return NULL;
}

struct ml_reader_limits ml_reader_limits_or_default(const struct ml_reader_limits *limits)
{
    struct ml_reader_limits filled = *limits;
    if (!filled.max_out_bytes)
        filled.max_out_bytes = DEFAULT_OUT_BYTES;
    if (!filled.max_members)
        filled.max_members = DEFAULT_MEMBERS;
    if (filled.max_seconds <= 0)
        filled.max_seconds = DEFAULT_SECONDS;
    return filled;
}
