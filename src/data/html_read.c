#include "data/html_read.h"

#include <string.h>
#include <strings.h>

#include "base/fail.h"
#include "data/html_charset.h"
#include "data/html_facts.h"
#include "data/html_main.h"
#include "data/html_text.h"

/* Whether the page forbids its use for training: <meta name="robots" content="noai">. */
static bool forbids(const struct ml_html_facts *facts)
{
    return facts->robots && strcasestr(facts->robots, "noai") != NULL;
}

static int give(const struct ml_reader_input *input, struct ml_html_tree *tree,
                const struct ml_reader_sink *sink, struct ml_error *err)
{
    struct ml_html_main chosen;
    struct ml_html_facts facts;
    struct ml_buffer text = {0};
    char *meta = NULL;
    int status = ml_html_find_main(&chosen, tree, err);
    if (status == 0)
        status = ml_html_find_facts(&facts, tree, err);
    if (status == 0 && forbids(&facts)) {
        if (sink->left_out)
            sink->left_out(sink->arg, input->uri,
                           "the page says that it must not be used for training (robots: noai)");
        return 0;
    }
    if (status == 0)
        status = ml_html_write_text(&text, tree, chosen.root, chosen.left_out, err);
    if (status == 0)
        status = ml_html_facts_text(&meta, &facts, err);
    if (status == 0) {
        const struct ml_document document = {.kind = "text",
                                             .type = "text/plain",
                                             .bytes = text.data ? text.data : "",
                                             .size = text.size,
                                             .title = facts.title,
                                             .meta = meta};
        if (text.size)
            status = sink->document(sink->arg, &document, err);
        else if (sink->left_out)
            sink->left_out(sink->arg, input->uri, "no text on the page");
    }
    ml_mem_free(meta);
    ml_buffer_clear(&text);
    return status;
}

static int read_page(const struct ml_reader_input *input, const struct ml_reader_limits *limits,
                     const struct ml_reader_sink *sink, struct ml_error *err)
{
    struct ml_html_decoded decoded = {0};
    struct ml_html_tree tree = {0};
    (void)limits; /* a page has its own (html_tree.h), and its text is no longer than the page */
    int status =
        ml_html_decode(&decoded, input->bytes, input->size, input->charset, input->uri, err);
    if (status == 0)
        status = ml_html_parse(&tree, decoded.text, decoded.size, input->uri, err);
    if (status == 0)
        status = give(input, &tree, sink, err);
    ml_html_tree_clear(&tree);
    ml_html_decoded_clear(&decoded);
    return status;
}

/* The first tag of a page, after blanks, a mark and comments. */
bool ml_looks_like_html(const char *bytes, size_t n)
{
    static const char *const starts[] = {"<!doctype html", "<html", "<head", "<body"};
    size_t at = n >= 3 && memcmp(bytes, "\xEF\xBB\xBF", 3) == 0 ? 3 : 0;
    for (;;) {
        while (at < n && strchr(" \t\r\n", bytes[at]) && bytes[at])
            at++;
        if (n - at < 4 || memcmp(bytes + at, "<!--", 4) != 0)
            break;
        const char *end = memmem(bytes + at, n - at, "-->", 3);
        if (!end)
            return false;
        at = (size_t)(end - bytes) + 3;
    }
    for (size_t i = 0; i < sizeof starts / sizeof starts[0]; i++)
        if (n - at >= strlen(starts[i]) &&
            strncasecmp(bytes + at, starts[i], strlen(starts[i])) == 0)
            return true;
    return false;
}

static const char *const endings[] = {"html", "htm", "xhtml", "xht", NULL};
static const char *const types[] = {"text/html", "application/xhtml+xml", NULL};

const struct ml_reader ml_reader_html = {
    .name = "html 1", .endings = endings, .types = types, .read = read_page};
