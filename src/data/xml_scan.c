#include "data/xml_scan.h"

#include <errno.h>
#include <iconv.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <strings.h>

#include "base/fail.h"
#include "base/utf8.h"

#define DEFAULT_BYTES      ((size_t)64 << 20)
#define DEFAULT_DEPTH      256
#define DEFAULT_ATTRIBUTES 256
#define MAX_BINDINGS       1024 /* in force at once: each name looks through them */

/* A prefix and the namespace that it stands for while its element is open. */
struct ml_xml_binding {
    size_t prefix, prefix_size; /* within the source; no bytes: the default namespace */
    size_t address;             /* within ml_xml.addresses */
};

struct ml_xml_open {
    size_t name, size; /* within the source, with the prefix */
    size_t bindings;   /* how many bytes of each stack were there before */
    size_t addresses;
};

static const char xml_space[] = "http://www.w3.org/XML/1998/namespace";

/* ---- errors ---- */

static size_t line_at(const struct ml_xml *xml, size_t offset)
{
    size_t line = 1;
    for (size_t i = 0; i < offset; i++)
        line += xml->source[i] == '\n';
    return line;
}

size_t ml_xml_line(const struct ml_xml *xml)
{
    return line_at(xml, xml->start);
}

static int broken(const struct ml_xml *xml, struct ml_error *err, const char *format, ...)
    __attribute__((format(printf, 3, 4)));

static int broken(const struct ml_xml *xml, struct ml_error *err, const char *format, ...)
{
    char what[200];
    va_list list;
    va_start(list, format);
    vsnprintf(what, sizeof what, format, list);
    va_end(list);
    return ml_fail(err, ML_ERR_FORMAT, "line %zu: %s", line_at(xml, xml->at), what);
}

/* ---- encodings ---- */

/* Labels that XML declarations carry, and the table that reads them. Old Chinese labels mean their
 * successor, and Latin-1 means Windows' table, as on the whole web. */
static const char *table_of(const char *label, size_t n)
{
    static const char *const names[][2] = {
        {"gb2312", "GB18030"},        {"gbk", "GB18030"},
        {"gb18030", "GB18030"},       {"big5", "BIG5-HKSCS"},
        {"big5-hkscs", "BIG5-HKSCS"}, {"shift_jis", "CP932"},
        {"euc-jp", "EUC-JP"},         {"euc-kr", "CP949"},
        {"iso-8859-1", "CP1252"},     {"latin1", "CP1252"},
        {"us-ascii", "CP1252"},       {"windows-1252", "CP1252"},
        {"iso-8859-2", "ISO-8859-2"}, {"iso-8859-15", "ISO-8859-15"},
        {"koi8-r", "KOI8-R"},         {"windows-1250", "CP1250"},
        {"windows-1251", "CP1251"},
    };
    for (size_t i = 0; i < sizeof names / sizeof names[0]; i++)
        if (strlen(names[i][0]) == n && strncasecmp(names[i][0], label, n) == 0)
            return names[i][1];
    return NULL;
}

/* The table that <?xml ... encoding="..."?> asks for; NULL: none, or UTF-8. */
static const char *declared_table(const char *bytes, size_t n)
{
    n = n < 200 ? n : 200;
    if (n < 5 || memcmp(bytes, "<?xml", 5) != 0)
        return NULL;
    const char *end = memmem(bytes, n, "?>", 2);
    const char *label = end ? memmem(bytes, (size_t)(end - bytes), "encoding", 8) : NULL;
    if (!label)
        return NULL;
    label += 8;
    while (label < end && strchr(" \t\r\n=", *label))
        label++;
    char quote = label < end ? *label++ : '\0';
    const char *close = memchr(label, quote, (size_t)(end - label));
    bool quoted = quote == '"' || quote == '\'';
    return quoted && close ? table_of(label, (size_t)(close - label)) : NULL;
}

/* By a table of the system's. *valid: every byte was one of its characters. */
static int convert(struct ml_buffer *out, const char *table, const char *bytes, size_t n,
                   bool *valid, struct ml_error *err)
{
    *valid = false;
    iconv_t converter = iconv_open("UTF-8", table);
    if (converter == (iconv_t)-1)
        return 0;
    char *from = (char *)(uintptr_t)bytes;
    size_t left = n, got = 0;
    int status = ml_buffer_reserve(out, n + n / 2 + 16, err);
    while (status == 0 && left > 0) {
        char *to = out->data + out->size;
        size_t room = out->capacity - out->size - 1, before = room;
        errno = 0;
        got = iconv(converter, &from, &left, &to, &room);
        bool full = got == (size_t)-1 && errno == E2BIG;
        out->size += before - room;
        out->data[out->size] = '\0';
        if (!full)
            break;
        status = ml_buffer_reserve(out, out->size + 2 * left + 16, err);
    }
    iconv_close(converter);
    *valid = status == 0 && left == 0 && got != (size_t)-1;
    return status;
}

static int decode(struct ml_xml *xml, const char *bytes, size_t n, struct ml_error *err)
{
    const char *table = ml_utf8_valid(bytes, n) ? NULL : declared_table(bytes, n);
    bool valid = false;
    int status = table ? convert(&xml->converted, table, bytes, n, &valid, err) : 0;
    if (status == 0)
        status = valid ? ml_text_decode(&xml->decoded, xml->converted.data, xml->converted.size,
                                        NULL, err)
                       : ml_text_decode(&xml->decoded, bytes, n, NULL, err);
    if (status)
        return status;
    switch (xml->decoded.verdict) {
    case ML_TEXT_OK:
        break;
    case ML_TEXT_EMPTY:
        return ml_fail(err, ML_ERR_FORMAT, "not XML: there is nothing in it");
    case ML_TEXT_BINARY:
        return ml_fail(err, ML_ERR_FORMAT, "not XML: these bytes are no text");
    case ML_TEXT_BAD_ENCODING:
        return ml_fail(err, ML_ERR_FORMAT, "not XML: its characters are in an unknown encoding");
    }
    xml->source = xml->decoded.text;
    xml->length = xml->decoded.size;
    return 0;
}

int ml_xml_open(struct ml_xml *xml, const char *bytes, size_t n, const struct ml_xml_limits *limits,
                struct ml_error *err)
{
    struct ml_xml opened = {.space = "", .name = "", .text = ""};
    if (limits)
        opened.limits = *limits;
    struct ml_xml_limits *l = &opened.limits;
    l->max_bytes = l->max_bytes ? l->max_bytes : DEFAULT_BYTES;
    l->max_depth = l->max_depth ? l->max_depth : DEFAULT_DEPTH;
    l->max_attributes = l->max_attributes ? l->max_attributes : DEFAULT_ATTRIBUTES;
    int status = n > l->max_bytes ? ML_ERR_LIMIT : decode(&opened, n ? bytes : "", n, err);
    if (status == 0 && opened.length > l->max_bytes)
        status = ML_ERR_LIMIT;
    if (status == ML_ERR_LIMIT)
        ml_fail(err, status, "XML of more than %zu bytes", l->max_bytes);
    if (status)
        ml_xml_close(&opened);
    else
        *xml = opened;
    return status;
}

void ml_xml_close(struct ml_xml *xml)
{
    if (!xml)
        return;
    ml_decoded_clear(&xml->decoded);
    ml_buffer_clear(&xml->converted);
    ml_buffer_clear(&xml->scratch);
    ml_buffer_clear(&xml->list);
    ml_buffer_clear(&xml->elements);
    ml_buffer_clear(&xml->bindings);
    ml_buffer_clear(&xml->addresses);
    *xml = (struct ml_xml){0};
}

/* ---- characters ---- */

static bool is_blank(char c)
{
    return c == ' ' || c == '\t' || c == '\n' || c == '\r';
}

static bool is_name_start(char c)
{
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || c == '_' || c == ':' ||
           (unsigned char)c >= 0x80;
}

static bool is_name(char c)
{
    return is_name_start(c) || (c >= '0' && c <= '9') || c == '-' || c == '.';
}

/* 16 for what is no digit. */
static uint32_t digit_value(char c)
{
    if (c >= '0' && c <= '9')
        return (uint32_t)(c - '0');
    c |= 0x20;
    return c >= 'a' && c <= 'f' ? (uint32_t)(c - 'a' + 10) : 16;
}

/* "#20013" or "#x4E2D" as a character: U+FFFD for what is none. False when it is not a number. */
static bool take_number(const char *text, size_t n, uint32_t *out)
{
    bool hex = n > 1 && text[1] == 'x';
    uint32_t value = 0, base = hex ? 16 : 10;
    size_t i = hex ? 2 : 1;
    if (i >= n)
        return false;
    for (; i < n; i++) {
        uint32_t digit = digit_value(text[i]);
        if (digit >= base)
            return false;
        value = value > 0x10FFFF ? value : value * base + digit;
    }
    char spelt[4];
    bool control = value < 0x20 && value != '\t' && value != '\n' && value != '\r';
    *out = control || ml_utf8_encode(value, spelt) == 0 ? 0xFFFD : value;
    return true;
}

/* What stands between '&' and ';'. */
static bool take_entity(const char *text, size_t n, uint32_t *out)
{
    static const struct {
        const char *name;
        char c;
    } known[] = {{"amp", '&'}, {"lt", '<'}, {"gt", '>'}, {"quot", '"'}, {"apos", '\''}};
    if (n > 0 && text[0] == '#')
        return take_number(text, n, out);
    for (size_t i = 0; i < sizeof known / sizeof known[0]; i++)
        if (strlen(known[i].name) == n && memcmp(known[i].name, text, n) == 0) {
            *out = (uint32_t)known[i].c;
            return true;
        }
    return false;
}

/* Appends text with its references resolved. It never grows: a reference is longer than what it
 * stands for. */
static int put_resolved(struct ml_buffer *out, const char *text, size_t n, struct ml_error *err)
{
    int status = ml_buffer_reserve(out, out->size + n, err);
    for (size_t at = 0; status == 0 && at < n;) {
        const char *amp = memchr(text + at, '&', n - at);
        size_t run = amp ? (size_t)(amp - text) - at : n - at;
        status = ml_buffer_put(out, text + at, run, err);
        at += run;
        if (status || !amp)
            continue;
        size_t most = n - at < 16 ? n - at : 16; /* no name that we know is longer */
        const char *end = memchr(amp, ';', most);
        uint32_t c = '&';
        char spelt[4];
        bool known = end && take_entity(amp + 1, (size_t)(end - amp) - 1, &c);
        status = ml_buffer_put(out, spelt, ml_utf8_encode(c, spelt), err);
        at += known ? (size_t)(end - amp) + 1 : 1;
    }
    return status;
}

/* ---- what is passed over ---- */

static bool stands_at(const struct ml_xml *xml, size_t at, const char *what)
{
    size_t n = strlen(what);
    return xml->length - at >= n && memcmp(xml->source + at, what, n) == 0;
}

/* The offset just behind `end`, looked for from `from` on; 0 when it does not come. */
static size_t behind(const struct ml_xml *xml, size_t from, const char *end)
{
    size_t n = strlen(end);
    if (from > xml->length)
        return 0;
    const char *found = memmem(xml->source + from, xml->length - from, end, n);
    return found ? (size_t)(found - xml->source) + n : 0;
}

/* A document type declaration, with what stands in its brackets: quotes, comments and nested
 * declarations are respected, nothing of it is used. */
static int skip_doctype(struct ml_xml *xml, struct ml_error *err)
{
    size_t at = xml->at + 2, next;
    int depth = 1;
    if (xml->rooted || !stands_at(xml, xml->at, "<!DOCTYPE"))
        return broken(xml, err, "\"<!\" begins neither a comment nor CDATA here");
    for (; at < xml->length && depth > 0; at = next) {
        char c = xml->source[at];
        bool comment = stands_at(xml, at, "<!--");
        next = at + 1;
        if (c == '"' || c == '\'')
            next = behind(xml, at + 1, c == '"' ? "\"" : "'");
        else if (comment)
            next = behind(xml, at + 4, "-->");
        else
            depth += (c == '<' || c == '[') - (c == '>' || c == ']');
        if (next == 0)
            break;
    }
    if (depth > 0)
        return broken(xml, err, "the document type declaration does not end");
    xml->at = at;
    return 0;
}

/* ---- text ---- */

/* A comment, a processing instruction, CDATA or a document type. *tag: none of these. */
static int take_markup(struct ml_xml *xml, bool *tag, struct ml_error *err)
{
    size_t end = 0;
    *tag = false;
    if (stands_at(xml, xml->at, "<!--")) {
        end = behind(xml, xml->at + 4, "-->");
    } else if (stands_at(xml, xml->at, "<?")) {
        end = behind(xml, xml->at + 2, "?>");
    } else if (stands_at(xml, xml->at, "<![CDATA[")) {
        end = behind(xml, xml->at + 9, "]]>");
        if (end) {
            int status =
                ml_buffer_put(&xml->scratch, xml->source + xml->at + 9, end - xml->at - 12, err);
            if (status)
                return status;
        }
    } else if (stands_at(xml, xml->at, "<!")) {
        return skip_doctype(xml, err);
    } else {
        *tag = true;
        return 0;
    }
    if (end == 0)
        return broken(xml, err, "a comment, instruction or CDATA section does not end");
    xml->at = end;
    return 0;
}

/* Up to the next tag or the end. */
static int take_text(struct ml_xml *xml, struct ml_error *err)
{
    int status = 0;
    bool tag = false;
    while (status == 0 && !tag && xml->at < xml->length) {
        const char *from = xml->source + xml->at;
        const char *less = memchr(from, '<', xml->length - xml->at);
        size_t run = less ? (size_t)(less - from) : xml->length - xml->at;
        status = put_resolved(&xml->scratch, from, run, err);
        xml->at += run;
        if (status == 0 && less)
            status = take_markup(xml, &tag, err);
    }
    return status;
}

/* ---- names ---- */

static size_t depth_of(const struct ml_xml *xml)
{
    return xml->elements.size / sizeof(struct ml_xml_open);
}

static const char *find_space(const struct ml_xml *xml, const char *prefix, size_t n)
{
    const struct ml_xml_binding *bindings = (const struct ml_xml_binding *)xml->bindings.data;
    for (size_t i = xml->bindings.size / sizeof *bindings; i-- > 0;)
        if (bindings[i].prefix_size == n &&
            memcmp(xml->source + bindings[i].prefix, prefix, n) == 0)
            return xml->addresses.data + bindings[i].address;
    if (n == 3 && memcmp(prefix, "xml", 3) == 0)
        return xml_space;
    return NULL;
}

/* Splits a name in the scratch buffer into its namespace and what stands behind the prefix. */
static void resolve_name(const struct ml_xml *xml, char *qualified, bool element,
                         const char **space, const char **name)
{
    char *colon = strchr(qualified, ':');
    if (!colon || colon == qualified || !colon[1]) {
        const char *found = element ? find_space(xml, "", 0) : NULL;
        *space = found ? found : "";
        *name = qualified;
        return;
    }
    const char *found = find_space(xml, qualified, (size_t)(colon - qualified));
    *colon = '\0';
    *space = found ? found : qualified;
    *name = colon + 1;
}

static char *copy_name(struct ml_xml *xml, size_t from, size_t n, struct ml_error *err)
{
    size_t at = xml->scratch.size;
    if (ml_buffer_put(&xml->scratch, xml->source + from, n, err) ||
        ml_buffer_put(&xml->scratch, "", 1, err))
        return NULL;
    return xml->scratch.data + at;
}

/* ---- tags ---- */

/* The offset of the tag's '>', past quotes; 0 when it does not come. */
static size_t tag_end(const struct ml_xml *xml)
{
    char quote = '\0';
    for (size_t i = xml->at + 1; i < xml->length; i++) {
        char c = xml->source[i];
        if (quote)
            quote = c == quote ? '\0' : quote;
        else if (c == '"' || c == '\'')
            quote = c;
        else if (c == '>')
            return i;
        if (c == '<')
            return 0; /* in neither place: an earlier quote or bracket is missing */
    }
    return 0;
}

static size_t skip_blank(const struct ml_xml *xml, size_t at, size_t end)
{
    while (at < end && is_blank(xml->source[at]))
        at++;
    return at;
}

static size_t skip_name(const struct ml_xml *xml, size_t at, size_t end)
{
    if (at < end && is_name_start(xml->source[at]))
        while (at < end && is_name(xml->source[at]))
            at++;
    return at;
}

static int declare(struct ml_xml *xml, size_t prefix, size_t n, const char *address,
                   struct ml_error *err)
{
    const struct ml_xml_binding binding = {
        .prefix = prefix, .prefix_size = n, .address = xml->addresses.size};
    if (xml->bindings.size / sizeof binding >= MAX_BINDINGS)
        return ml_fail(err, ML_ERR_LIMIT, "line %zu: more than %d namespaces at once",
                       line_at(xml, xml->at), MAX_BINDINGS);
    int status = ml_buffer_put(&xml->addresses, address, strlen(address) + 1, err);
    return status ? status : ml_buffer_put(&xml->bindings, &binding, sizeof binding, err);
}

/* One name="value"; *at moves behind it. The scratch buffer has room for all of the tag, so that
 * what points into it stays. */
static int take_attribute(struct ml_xml *xml, size_t *at, size_t end, struct ml_error *err)
{
    size_t name = *at, name_end = skip_name(xml, name, end);
    size_t equals = skip_blank(xml, name_end, end);
    size_t open = equals < end ? skip_blank(xml, equals + 1, end) : end;
    if (name_end == name || open >= end || xml->source[equals] != '=' ||
        (xml->source[open] != '"' && xml->source[open] != '\''))
        return broken(xml, err, "a tag holds something that is not name=\"value\"");
    const char *value = xml->source + open + 1;
    const char *close = memchr(value, xml->source[open], end - open - 1);
    if (!close)
        return broken(xml, err, "the value of an attribute does not end");
    *at = (size_t)(close - xml->source) + 1;
    struct ml_xml_attribute attribute = {.name = copy_name(xml, name, name_end - name, err)};
    size_t start = xml->scratch.size;
    int status = attribute.name ? put_resolved(&xml->scratch, value, (size_t)(close - value), err)
                                : ML_ERR_MEMORY;
    if (status == 0)
        status = ml_buffer_put(&xml->scratch, "", 1, err);
    if (status)
        return status;
    attribute.value = xml->scratch.data + start;
    for (char *c = xml->scratch.data + start; *c; c++)
        if (is_blank(*c))
            *c = ' ';
    if (strcmp(attribute.name, "xmlns") == 0)
        return declare(xml, name, 0, attribute.value, err);
    if (strncmp(attribute.name, "xmlns:", 6) == 0)
        return declare(xml, name + 6, name_end - name - 6, attribute.value, err);
    if (xml->list.size / sizeof attribute >= (size_t)xml->limits.max_attributes)
        return ml_fail(err, ML_ERR_LIMIT, "line %zu: more than %d attributes",
                       line_at(xml, xml->at), xml->limits.max_attributes);
    return ml_buffer_put(&xml->list, &attribute, sizeof attribute, err);
}

/* Once all namespaces of the tag are known. */
static int resolve_attributes(struct ml_xml *xml, struct ml_error *err)
{
    struct ml_xml_attribute *list = (struct ml_xml_attribute *)xml->list.data;
    xml->attribute_count = xml->list.size / sizeof *list;
    xml->attributes = list;
    for (size_t i = 0; i < xml->attribute_count; i++) {
        char *qualified = xml->scratch.data + (list[i].name - xml->scratch.data);
        resolve_name(xml, qualified, false, &list[i].space, &list[i].name);
        for (size_t j = 0; j < i; j++)
            if (strcmp(list[i].name, list[j].name) == 0 &&
                strcmp(list[i].space, list[j].space) == 0)
                return broken(xml, err, "the attribute \"%.60s\" stands twice in one tag",
                              list[i].name);
    }
    return 0;
}

static int take_open(struct ml_xml *xml, struct ml_error *err)
{
    size_t end = tag_end(xml), name = xml->at + 1;
    if (skip_name(xml, name, xml->length) == name)
        return broken(xml, err, "\"<\" begins no tag; in text it is written &lt;");
    if (end == 0)
        return broken(xml, err, "a tag does not end");
    size_t next = end + 1;
    bool empty = xml->source[end - 1] == '/';
    end -= empty;
    size_t at = skip_name(xml, name, end);
    const struct ml_xml_open element = {.name = name,
                                        .size = at - name,
                                        .bindings = xml->bindings.size,
                                        .addresses = xml->addresses.size};
    if (depth_of(xml) == 0 && xml->rooted)
        return broken(xml, err, "there is a second root element");
    if (depth_of(xml) >= (size_t)xml->limits.max_depth)
        return ml_fail(err, ML_ERR_LIMIT, "line %zu: elements lie more than %d deep",
                       line_at(xml, xml->at), xml->limits.max_depth);
    int status = ml_buffer_reserve(&xml->scratch, 2 * (next - xml->at) + 2, err);
    char *qualified = status ? NULL : copy_name(xml, name, at - name, err);
    if (!status && !qualified)
        status = ML_ERR_MEMORY;
    for (at = skip_blank(xml, at, end); status == 0 && at < end; at = skip_blank(xml, at, end))
        status = take_attribute(xml, &at, end, err);
    if (status == 0)
        status = resolve_attributes(xml, err);
    if (status == 0)
        status = ml_buffer_put(&xml->elements, &element, sizeof element, err);
    if (status)
        return status;
    resolve_name(xml, qualified, true, &xml->space, &xml->name);
    xml->event = ML_XML_OPEN;
    xml->empty = empty;
    xml->rooted = true;
    xml->at = next;
    return 1;
}

/* Makes the innermost element's CLOSE the event at hand. */
static int emit_close(struct ml_xml *xml, struct ml_error *err)
{
    const struct ml_xml_open *top =
        (const struct ml_xml_open *)(xml->elements.data + xml->elements.size) - 1;
    char *qualified = copy_name(xml, top->name, top->size, err);
    if (!qualified)
        return ML_ERR_MEMORY;
    resolve_name(xml, qualified, true, &xml->space, &xml->name);
    xml->event = ML_XML_CLOSE;
    xml->closed = true;
    return 1;
}

static int take_close(struct ml_xml *xml, struct ml_error *err)
{
    size_t name = xml->at + 2, at = skip_name(xml, name, xml->length);
    size_t end = skip_blank(xml, at, xml->length);
    if (end >= xml->length || xml->source[end] != '>' || at == name)
        return broken(xml, err, "a closing tag does not end");
    if (depth_of(xml) == 0)
        return broken(xml, err, "</%.*s> closes nothing", (int)(at - name < 60 ? at - name : 60),
                      xml->source + name);
    const struct ml_xml_open *top =
        (const struct ml_xml_open *)(xml->elements.data + xml->elements.size) - 1;
    if (top->size != at - name ||
        memcmp(xml->source + top->name, xml->source + name, top->size) != 0)
        return broken(xml, err, "</%.*s> stands where </%.*s> should",
                      (int)(at - name < 60 ? at - name : 60), xml->source + name,
                      (int)(top->size < 60 ? top->size : 60), xml->source + top->name);
    xml->at = end + 1;
    return emit_close(xml, err);
}

/* ---- events ---- */

static void leave_element(struct ml_xml *xml)
{
    xml->elements.size -= sizeof(struct ml_xml_open);
    const struct ml_xml_open *left =
        (const struct ml_xml_open *)(xml->elements.data + xml->elements.size);
    xml->bindings.size = left->bindings;
    xml->addresses.size = left->addresses;
    xml->closed = false;
}

static bool all_blank(const struct ml_buffer *text)
{
    for (size_t i = 0; i < text->size; i++)
        if (!is_blank(text->data[i]))
            return false;
    return true;
}

static int take_end(struct ml_xml *xml, struct ml_error *err)
{
    if (depth_of(xml) > 0) {
        const struct ml_xml_open *top =
            (const struct ml_xml_open *)(xml->elements.data + xml->elements.size) - 1;
        return broken(xml, err, "it ends before </%.*s>", (int)(top->size < 60 ? top->size : 60),
                      xml->source + top->name);
    }
    if (!xml->rooted)
        return broken(xml, err, "there is no element in it");
    xml->event = ML_XML_END;
    return 0;
}

static int take_event(struct ml_xml *xml, struct ml_error *err)
{
    int status = take_text(xml, err);
    if (status)
        return status;
    if (xml->scratch.size > 0 && depth_of(xml) > 0) {
        xml->event = ML_XML_TEXT;
        xml->text = xml->scratch.data;
        xml->size = xml->scratch.size;
        return 1;
    }
    if (!all_blank(&xml->scratch))
        return broken(xml, err,
                      xml->rooted ? "text stands behind the root element"
                                  : "text stands before the root element");
    xml->scratch.size = 0;
    xml->start = xml->at;
    if (xml->at == xml->length)
        return take_end(xml, err);
    return stands_at(xml, xml->at, "</") ? take_close(xml, err) : take_open(xml, err);
}

int ml_xml_next(struct ml_xml *xml, struct ml_error *err)
{
    if (xml->closed)
        leave_element(xml);
    xml->scratch.size = xml->list.size = 0;
    xml->attributes = NULL;
    xml->attribute_count = 0;
    xml->text = xml->space = xml->name = "";
    xml->size = 0;
    xml->start = xml->at;
    int status;
    if (xml->empty) {
        xml->empty = false;
        status = emit_close(xml, err);
    } else {
        status = take_event(xml, err);
    }
    xml->depth = (int)depth_of(xml);
    return status;
}

/* ---- elements ---- */

/* Goes on to the close of the element that has just opened, or fails. */
static int to_close(struct ml_xml *xml, struct ml_buffer *text, struct ml_error *err)
{
    int depth = xml->depth, status;
    while ((status = ml_xml_next(xml, err)) > 0) {
        if (xml->event == ML_XML_CLOSE && xml->depth == depth)
            return 0;
        if (xml->event == ML_XML_TEXT && text)
            status = ml_buffer_put(text, xml->text, xml->size, err);
        if (status < 0)
            return status;
    }
    return status;
}

int ml_xml_skip(struct ml_xml *xml, struct ml_error *err)
{
    return to_close(xml, NULL, err);
}

int ml_xml_read_text(struct ml_xml *xml, struct ml_buffer *out, struct ml_error *err)
{
    return to_close(xml, out, err);
}

int ml_xml_read_inner(struct ml_xml *xml, const char **markup, size_t *n, struct ml_error *err)
{
    size_t from = xml->at;
    int status = to_close(xml, NULL, err);
    if (status)
        return status;
    *markup = xml->source + from;
    *n = xml->start - from;
    return 0;
}

const char *ml_xml_get(const struct ml_xml *xml, const char *space, const char *name)
{
    for (size_t i = 0; i < xml->attribute_count; i++)
        if (strcmp(xml->attributes[i].name, name) == 0 &&
            (!space || strcmp(xml->attributes[i].space, space) == 0))
            return xml->attributes[i].value;
    return NULL;
}

bool ml_xml_is(const struct ml_xml *xml, const char *space, const char *name)
{
    return strcmp(xml->name, name) == 0 && (!space || strcmp(xml->space, space) == 0);
}

void ml_xml_root(const char *bytes, size_t n, char space[128], char name[64])
{
    struct ml_xml xml = {0};
    size_t at = n >= 3 && memcmp(bytes, "\xEF\xBB\xBF", 3) == 0 ? 3 : 0;
    space[0] = name[0] = '\0';
    while (at < n && is_blank(bytes[at]))
        at++;
    bool wide = n >= 2 && (memcmp(bytes, "\xFF\xFE", 2) == 0 || memcmp(bytes, "\xFE\xFF", 2) == 0);
    if (!wide && (at == n || bytes[at] != '<'))
        return;
    if (ml_xml_open(&xml, bytes, n, NULL, NULL) == 0 && ml_xml_next(&xml, NULL) > 0) {
        snprintf(space, 128, "%s", xml.space);
        snprintf(name, 64, "%s", xml.name);
    }
    ml_xml_close(&xml);
}
