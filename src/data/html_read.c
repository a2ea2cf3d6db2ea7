#include "data/html_read.h"

#include <ctype.h>
#include <stdio.h>
#include <string.h>
#include <strings.h>

#include "base/fail.h"
#include "data/html_charset.h"
#include "data/html_facts.h"
#include "data/html_main.h"
#include "data/html_text.h"

#define DENIED "denied: <meta name=robots> noai"

/* Whether the page forbids its use for training: <meta name="robots" content="noai">. */
static bool forbids(const struct ml_html_facts *facts)
{
    return facts->robots && strcasestr(facts->robots, "noai") != NULL;
}

/* The SPDX name of a Creative Commons licence by its address ("https://creativecommons.org/
 * licenses/by-sa/4.0/" is CC-BY-SA-4.0); NULL for others and for those of one country. */
static const char *spdx_of(const char *url, char out[32])
{
    static const char *const kinds[] = {"by", "by-sa", "by-nc", "by-nd", "by-nc-sa", "by-nc-nd"};
    const char *at = url ? strcasestr(url, "creativecommons.org/") : NULL;
    if (!at)
        return NULL;
    at += strlen("creativecommons.org/");
    if (strncasecmp(at, "publicdomain/zero/1.0", 21) == 0)
        return "CC0-1.0";
    if (strncasecmp(at, "licenses/", 9) != 0)
        return NULL;
    at += 9;
    size_t kind = strcspn(at, "/"), version = strspn(at + kind + (at[kind] == '/'), "0123456789.");
    const char *number = at + kind + (at[kind] == '/'), *rest = number + version;
    bool known = false;
    for (size_t i = 0; i < sizeof kinds / sizeof *kinds; i++)
        known = known || (strlen(kinds[i]) == kind && strncasecmp(kinds[i], at, kind) == 0);
    if (!known || version != 3 ||
        (*rest && strcmp(rest, "/") != 0 && strncmp(rest, "/deed", 5) != 0 &&
         strncmp(rest, "/legal", 6) != 0))
        return NULL;
    int n = snprintf(out, 32, "CC-%.*s-%.3s", (int)kind, at, number);
    for (int i = 0; i < n; i++)
        out[i] = (char)toupper((unsigned char)out[i]);
    return out;
}

static int give(const struct ml_reader_input *input, struct ml_html_tree *tree,
                const struct ml_reader_sink *sink, struct ml_error *err)
{
    struct ml_html_main chosen;
    struct ml_html_facts facts;
    struct ml_buffer text = {0};
    char *meta = NULL, licence[32];
    int status = ml_html_find_main(&chosen, tree, err);
    if (status == 0)
        status = ml_html_find_facts(&facts, tree, err);
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
                                             .meta = meta,
                                             .consent = forbids(&facts) ? DENIED : NULL,
                                             .licence = spdx_of(facts.licence, licence)};
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
