#include "data/zip_xml.h"

#include <string.h>

#include "base/fail.h"
#include "base/utf8.h"

void ml_zip_xml_open(struct ml_zip_xml *x, const char *bytes, size_t n)
{
    *x = (struct ml_zip_xml){.source = bytes, .length = n, .name = "", .text = ""};
}

void ml_zip_xml_close(struct ml_zip_xml *x)
{
    ml_buffer_clear(&x->scratch);
    *x = (struct ml_zip_xml){0};
}

static int fail_at(const struct ml_zip_xml *x, const char *why, struct ml_error *err)
{
    return ml_fail(err, ML_ERR_FORMAT, "XML, byte %zu: %s", x->at, why);
}

/* ---- characters ---- */

/* The character of "#20013" or "#x4E2D"; 0: it is none. */
static uint32_t numbered(const char *text, size_t n)
{
    bool hex = n > 1 && text[1] == 'x';
    uint32_t value = 0;
    for (size_t i = hex ? 2 : 1; i < n; i++) {
        const char *digits = "0123456789abcdefABCDEF", *digit = strchr(digits, text[i]);
        uint32_t d = digit ? (uint32_t)(digit - digits) : 99;
        d = d >= 16 && d < 22 ? d - 6 : d;
        if (d >= (hex ? 16u : 10u) || value > 0x10FFFF)
            return 0;
        value = value * (hex ? 16 : 10) + d;
    }
    return value;
}

/* Appends what &name; stands for; how many bytes of the source it took, 0: nothing that we know. */
static size_t put_entity(struct ml_zip_xml *x, const char *text, size_t n, int *status,
                         struct ml_error *err)
{
    static const struct {
        const char *name, *text;
    } known[] = {{"lt", "<"},    {"gt", ">"},    {"amp", "&"},   {"quot", "\""},  {"apos", "'"},
                 {"nbsp", " "},  {"mdash", "—"}, {"ndash", "–"}, {"hellip", "…"}, {"lsquo", "‘"},
                 {"rsquo", "’"}, {"ldquo", "“"}, {"rdquo", "”"}, {"middot", "·"}, {"copy", "©"}};
    const char *end = memchr(text, ';', n < 12 ? n : 12);
    char bytes[4];
    if (!end)
        return 0;
    size_t length = (size_t)(end - text) - 1;
    if (text[1] == '#') {
        uint32_t c = numbered(text + 1, length);
        c = c == '\r' ? '\n' : c;
        size_t size = c ? ml_utf8_encode(c, bytes) : 0;
        *status = size ? ml_buffer_put(&x->scratch, bytes, size, err) : 0;
        return size ? length + 2 : 0;
    }
    for (size_t i = 0; i < sizeof known / sizeof known[0]; i++)
        if (strlen(known[i].name) == length && memcmp(known[i].name, text + 1, length) == 0) {
            *status = ml_buffer_put(&x->scratch, known[i].text, strlen(known[i].text), err);
            return length + 2;
        }
    return 0;
}

/* Text with its entities resolved and \n at line ends; what is no entity stays as it stands. */
static int put_text(struct ml_zip_xml *x, const char *text, size_t n, struct ml_error *err)
{
    int status = 0;
    for (size_t i = 0; i < n && status == 0;) {
        size_t run = i;
        while (run < n && text[run] != '&' && text[run] != '\r' && text[run] != '\0')
            run++;
        if (run > i)
            status = ml_buffer_put(&x->scratch, text + i, run - i, err);
        i = run;
        if (status || i == n)
            break;
        size_t took = text[i] == '&' ? put_entity(x, text + i, n - i, &status, err) : 0;
        if (took == 0 && text[i] == '&')
            status = ml_buffer_put(&x->scratch, "&", 1, err);
        else if (text[i] == '\r' && (i + 1 == n || text[i + 1] != '\n'))
            status = ml_buffer_put(&x->scratch, "\n", 1, err);
        i += took ? took : 1;
    }
    return status;
}

/* ---- tags ---- */

static bool is_space(char c)
{
    return c == ' ' || c == '\t' || c == '\n' || c == '\r';
}

static const char *without_prefix(const char *name)
{
    const char *colon = strchr(name, ':');
    return colon ? colon + 1 : name;
}

/* A name at x->at, as an offset into scratch. */
static int take_name(struct ml_zip_xml *x, size_t *out, struct ml_error *err)
{
    size_t from = x->at;
    while (x->at < x->length && !is_space(x->source[x->at]) && !strchr("=/>", x->source[x->at]))
        x->at++;
    *out = x->scratch.size;
    if (x->at == from || x->at == x->length)
        return fail_at(x, "a tag without a name, or cut off", err);
    int status = ml_buffer_put(&x->scratch, x->source + from, x->at - from, err);
    return status ? status : ml_buffer_put(&x->scratch, "", 1, err);
}

static void pass_space(struct ml_zip_xml *x)
{
    while (x->at < x->length && is_space(x->source[x->at]))
        x->at++;
}

static int take_attribute(struct ml_zip_xml *x, struct ml_error *err)
{
    size_t name, value;
    int status = take_name(x, &name, err);
    if (status)
        return status;
    pass_space(x);
    if (x->at + 1 >= x->length || x->source[x->at] != '=')
        return fail_at(x, "an attribute without a value", err);
    x->at++;
    pass_space(x);
    char quote = x->at < x->length ? x->source[x->at] : '\0';
    const char *end = quote == '"' || quote == '\''
                          ? memchr(x->source + x->at + 1, quote, x->length - x->at - 1)
                          : NULL;
    if (!end)
        return fail_at(x, "an attribute's value without its quotes", err);
    value = x->scratch.size;
    status = put_text(x, x->source + x->at + 1, (size_t)(end - x->source) - x->at - 1, err);
    if (status == 0)
        status = ml_buffer_put(&x->scratch, "", 1, err);
    x->at = (size_t)(end - x->source) + 1;
    if (x->attribute_count < ML_ZIP_XML_MAX_ATTRIBUTES) {
        x->attributes[x->attribute_count].name = name;
        x->attributes[x->attribute_count++].value = value;
    }
    return status;
}

static int take_open(struct ml_zip_xml *x, struct ml_error *err)
{
    size_t name;
    int status = take_name(x, &name, err);
    x->attribute_count = 0;
    for (; status == 0; status = take_attribute(x, err)) {
        pass_space(x);
        if (x->at >= x->length)
            return fail_at(x, "a tag that is cut off", err);
        if (x->source[x->at] == '>' || x->source[x->at] == '/')
            break;
    }
    if (status)
        return status;
    x->empty = x->source[x->at] == '/';
    x->at += x->empty;
    if (x->at >= x->length || x->source[x->at] != '>')
        return fail_at(x, "a tag that does not end", err);
    x->at++;
    if (x->depth == ML_ZIP_XML_MAX_DEPTH)
        return fail_at(x, "elements lie too deep", err);
    x->depth++;
    x->event = ML_ZIP_XML_OPEN;
    x->name = without_prefix(x->scratch.data + name);
    return 1;
}

static int take_close(struct ml_zip_xml *x, struct ml_error *err)
{
    size_t name;
    x->at++;
    int status = take_name(x, &name, err);
    if (status)
        return status;
    pass_space(x);
    if (x->at >= x->length || x->source[x->at] != '>' || x->depth == 0)
        return fail_at(x, "a closing tag that does not belong there", err);
    x->at++;
    x->event = ML_ZIP_XML_CLOSE;
    x->name = without_prefix(x->scratch.data + name);
    return 1;
}

/* Past `end`, which begins at or behind x->at. False: there is none. */
static bool pass_over(struct ml_zip_xml *x, const char *end)
{
    const char *found = memmem(x->source + x->at, x->length - x->at, end, strlen(end));
    if (!found)
        return false;
    x->at = (size_t)(found - x->source) + strlen(end);
    return true;
}

static bool starts(const struct ml_zip_xml *x, const char *word)
{
    size_t n = strlen(word);
    return x->length - x->at >= n && memcmp(x->source + x->at, word, n) == 0;
}

static int take_text(struct ml_zip_xml *x, const char *from, size_t n, bool plain,
                     struct ml_error *err)
{
    int status = plain ? ml_buffer_put(&x->scratch, from, n, err) : put_text(x, from, n, err);
    if (status)
        return status;
    x->event = ML_ZIP_XML_TEXT;
    x->text = x->scratch.size ? x->scratch.data : "";
    x->size = x->scratch.size;
    return 1;
}

/* What begins with <, after it. 0: nothing to tell of (a comment). */
static int take_markup(struct ml_zip_xml *x, struct ml_error *err)
{
    bool whole = true;
    if (starts(x, "![CDATA[")) {
        size_t from = x->at + 8;
        if (!pass_over(x, "]]>"))
            return fail_at(x, "CDATA without an end", err);
        return take_text(x, x->source + from, x->at - 3 - from, true, err);
    }
    if (starts(x, "!--"))
        whole = pass_over(x, "-->");
    else if (starts(x, "?"))
        whole = pass_over(x, "?>");
    else if (starts(x, "!")) /* a document type; one that declares entities is not understood */
        whole = pass_over(x, ">");
    else
        return starts(x, "/") ? take_close(x, err) : take_open(x, err);
    return whole ? 0 : fail_at(x, "markup without an end", err);
}

int ml_zip_xml_next(struct ml_zip_xml *x, struct ml_error *err)
{
    if (x->empty) {
        x->empty = false;
        x->event = ML_ZIP_XML_CLOSE;
        return 1;
    }
    /* An element is left when its close has been looked at. */
    if (x->event == ML_ZIP_XML_CLOSE && x->depth > 0)
        x->depth--;
    x->event = ML_ZIP_XML_TEXT;
    while (x->at < x->length) {
        const char *from = x->source + x->at, *tag = memchr(from, '<', x->length - x->at);
        size_t n = tag ? (size_t)(tag - from) : x->length - x->at;
        x->scratch.size = 0;
        x->at += n;
        if (n > 0)
            return take_text(x, from, n, false, err);
        x->at++;
        int got = take_markup(x, err);
        if (got)
            return got;
    }
    return x->depth > 0 ? fail_at(x, "it is cut off", err) : 0;
}

const char *ml_zip_xml_get(const struct ml_zip_xml *x, const char *name)
{
    bool whole = strchr(name, ':') != NULL;
    for (int i = 0; i < x->attribute_count; i++) {
        const char *own = x->scratch.data + x->attributes[i].name;
        if (strcmp(whole ? own : without_prefix(own), name) == 0)
            return x->scratch.data + x->attributes[i].value;
    }
    return NULL;
}
