/* Office documents and e-books: DOCX, PPTX, OpenDocument text, EPUB. One document of Markdown a
 * file. */
#include <string.h>

#include "base/fail.h"
#include "base/json.h"
#include "data/office_parts.h"
#include "data/readers.h"

static int fail_memory(struct ml_error *err)
{
    return ml_fail(err, ML_ERR_MEMORY, "out of memory reading an office document");
}

/* ---- what it says about itself ---- */

/* Elements of Dublin Core and OpenDocument under the name that a field of ours has. */
static const char *field_for(const char *element)
{
    static const char *const names[][2] = {
        {"title", "title"},        {"creator", "author"}, {"initial-creator", "author"},
        {"language", "language"},  {"date", "date"},      {"created", "date"},
        {"creation-date", "date"}, {"rights", "rights"},  {"publisher", "publisher"},
    };
    for (size_t i = 0; i < sizeof names / sizeof names[0]; i++)
        if (strcmp(names[i][0], element) == 0)
            return names[i][1];
    return NULL;
}

/* The first value of each field; several authors are joined. */
static int add_field(json_t *meta, const char *name, const char *text, size_t n,
                     struct ml_error *err)
{
    const json_t *before = json_object_get(meta, name);
    while (n > 0 && strchr(" \t\n", *text)) {
        text++;
        n--;
    }
    while (n > 0 && strchr(" \t\n", text[n - 1]))
        n--;
    if (n == 0 || (before && strcmp(name, "author") != 0))
        return 0;
    json_t *value = before ? json_sprintf("%s; %.*s", json_string_value(before), (int)n, text)
                           : json_stringn(text, n);
    if (before && json_string_length(before) > 1000) {
        json_decref(value);
        return 0;
    }
    return json_object_set_new(meta, name, value) == 0 ? 0 : fail_memory(err);
}

static int read_about(const struct ml_office_parts *parts, const char *name, json_t *meta,
                      struct ml_error *err)
{
    const struct ml_office_part *part = name ? ml_office_part(parts, name) : NULL;
    struct ml_error inner = {0};
    struct ml_zip_xml x;
    const char *field = NULL;
    int status = 0;
    if (!part)
        return 0;
    ml_zip_xml_open(&x, part->bytes, part->size);
    while (status == 0 && ml_zip_xml_next(&x, &inner) > 0) {
        if (x.event == ML_ZIP_XML_OPEN)
            field = field_for(x.name);
        else if (x.event == ML_ZIP_XML_CLOSE)
            field = NULL;
        else if (field)
            status = add_field(meta, field, x.text, x.size, err);
        if (x.event == ML_ZIP_XML_OPEN && strcmp(x.name, "manifest") == 0)
            break; /* nothing about the book follows in an EPUB's package */
    }
    ml_zip_xml_close(&x);
    return inner.code == ML_ERR_MEMORY ? fail_memory(err) : status;
}

/* ---- the document ---- */

static int give(const struct ml_office_reading *r, const struct ml_reader_sink *sink,
                struct ml_error *err)
{
    char *fields = NULL, *title = NULL;
    json_t *meta = json_object();
    int status = meta ? read_about(r->parts, r->about, meta, err) : fail_memory(err);
    const char *named = json_string_value(json_object_get(meta, "title"));
    if (status == 0 && named && !(title = ml_arena_strdup(&r->parts->arena, named)))
        status = fail_memory(err);
    for (char *c = title; c && *c; c++) /* one line, however it was folded */
        *c = *c == '\n' ? ' ' : *c;
    json_object_del(meta, "title");
    if (status == 0 && json_object_size(meta) > 0)
        status = ml_json_text(&fields, meta, JSON_COMPACT, err);
    const struct ml_document document = {.kind = "text",
                                         .type = "text/plain",
                                         .bytes = r->text->out.data,
                                         .size = r->text->out.size,
                                         .title = title,
                                         .meta = fields};
    if (status == 0)
        status = sink->document(sink->arg, &document, err);
    ml_mem_free(fields);
    json_decref(meta);
    return status;
}

static int read_parts(struct ml_office_reading *r, const struct ml_reader_input *input,
                      struct ml_error *err)
{
    static const struct {
        const char *part;
        int (*read)(struct ml_office_reading *reading, struct ml_error *err);
    } forms[] = {{"word/document.xml", ml_office_docx},
                 {"ppt/presentation.xml", ml_office_pptx},
                 {"META-INF/container.xml", ml_office_epub},
                 {"content.xml", ml_office_odf}};
    for (size_t i = 0; i < sizeof forms / sizeof forms[0]; i++) {
        struct ml_error inner = {0};
        if (!ml_office_part(r->parts, forms[i].part))
            continue;
        int status = forms[i].read(r, &inner);
        if (status)
            return ml_fail(err, status, "%s: %s", input->uri, inner.message);
        if (r->text->out.size == 0)
            return ml_fail(err, ML_ERR_FORMAT, "%s: no text in it (pictures only, or encrypted)",
                           input->uri);
        return 0;
    }
    return ml_fail(err, ML_ERR_FORMAT,
                   "%s: a ZIP file, but no Word, PowerPoint, OpenDocument or EPUB document",
                   input->uri);
}

static int read_office(const struct ml_reader_input *input, const struct ml_reader_limits *limits,
                       const struct ml_reader_sink *sink, struct ml_error *err)
{
    struct ml_office_parts parts;
    struct ml_office_text text = {0};
    struct ml_office_reading reading = {.parts = &parts, .text = &text, .sink = sink};
    if (input->size >= 4 && memcmp(input->bytes, "\xD0\xCF\x11\xE0", 4) == 0)
        return ml_fail(
            err, ML_ERR_FORMAT,
            "%s: it has a password, or is of the old binary format; save it anew without",
            input->uri);
    int status = ml_office_parts_open(&parts, input, limits, err);
    if (status)
        return status;
    ml_json_setup();
    status = read_parts(&reading, input, err);
    if (status == 0)
        status = give(&reading, sink, err);
    ml_office_text_clear(&text);
    ml_office_parts_close(&parts);
    return status;
}

const struct ml_reader ml_reader_office = {
    .name = "office 1",
    .endings = (const char *const[]){"docx", "docm", "dotx", "pptx", "pptm", "odt", "ott", "odp",
                                     "epub", NULL},
    .types =
        (const char *const[]){
            "application/vnd.openxmlformats-officedocument.wordprocessingml.document",
            "application/vnd.openxmlformats-officedocument.presentationml.presentation",
            "application/vnd.oasis.opendocument.text",
            "application/vnd.oasis.opendocument.presentation", "application/epub+zip", NULL},
    .read = read_office,
};
