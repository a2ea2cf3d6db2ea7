/* Web pages: any bytes are refused or give valid UTF-8 without a NUL; links and facts too. */
#include "fuzz.h"

#include <stdlib.h>
#include <string.h>

#include "base/utf8.h"
#include "data/html_charset.h"
#include "data/html_facts.h"
#include "data/html_read.h"

static int take(void *arg, const struct ml_document *d, struct ml_error *err)
{
    if (!ml_utf8_valid(d->bytes, d->size) || memchr(d->bytes, '\0', d->size) ||
        (d->title && !ml_utf8_valid(d->title, strlen(d->title))))
        abort();
    return 0;
}

static int pass(void *arg, const char *reference, struct ml_error *err)
{
    return 0;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static const struct ml_reader_limits limits;
    const struct ml_reader_input input = {
        .uri = "http://h/p", .bytes = size ? (const char *)data : "", .size = size};
    const struct ml_reader_sink sink = {.document = take};
    struct ml_html_decoded decoded = {0};
    struct ml_html_tree tree = {0};
    const char *base;
    ml_reader_html.read(&input, &limits, &sink, NULL);
    if (ml_html_decode(&decoded, input.bytes, size, size % 2 ? "big5" : NULL, "fuzz", NULL) == 0 &&
        ml_html_parse(&tree, decoded.text, decoded.size, "fuzz", NULL) == 0)
        ml_html_links(&tree, &base, pass, NULL, NULL);
    ml_html_tree_clear(&tree);
    ml_html_decoded_clear(&decoded);
    return 0;
}
