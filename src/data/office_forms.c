/* DOCX, PPTX, OpenDocument and EPUB: which parts, in which order, and what their elements are
 * (data/office_parts.h). */
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "base/fail.h"
#include "data/office_parts.h"

static int fail_memory(struct ml_error *err)
{
    return ml_fail(err, ML_ERR_MEMORY, "out of memory reading an office document");
}

/* Reads one part, once: a list that names it a million times makes no longer book. What is broken
 * in it is told and the rest goes on. */
static int walk_part(struct ml_office_reading *r, const char *name,
                     const struct ml_office_form *form, void *arg, struct ml_error *err)
{
    struct ml_office_part *part = ml_office_part(r->parts, name);
    struct ml_error inner = {0};
    if (!part || part->used) {
        if (!part)
            r->sink->left_out(r->sink->arg, name, "this part is missing, empty or encrypted");
        return 0;
    }
    part->used = true;
    int status = ml_office_walk(r->text, part->bytes, part->size, form, arg, &inner);
    if (status == ML_ERR_FORMAT) {
        r->sink->left_out(r->sink->arg, name, inner.message);
        return 0;
    }
    return status ? ml_fail(err, status, "%s", inner.message) : 0;
}

/* ---- DOCX ---- */

/* Which paragraph styles are headings. Their numbers differ by language ("Heading1", "1"), their
 * names do not ("heading 1"). */
struct docx_styles {
    struct {
        char *id;
        int level;
    } list[32];
    int count;
};

static int level_of_style(const char *name)
{
    if (strcasecmp(name, "title") == 0)
        return 1;
    return strncasecmp(name, "heading ", 8) == 0 ? atoi(name + 8) : 0;
}

static int read_styles(struct ml_office_reading *r, struct docx_styles *styles,
                       struct ml_error *err)
{
    const struct ml_office_part *part = ml_office_part(r->parts, "word/styles.xml");
    struct ml_error ignored = {0}; /* without styles there are no headings, that is all */
    struct ml_zip_xml x;
    char *id = NULL;
    if (!part)
        return 0;
    ml_zip_xml_open(&x, part->bytes, part->size);
    while (ml_zip_xml_next(&x, &ignored) > 0) {
        if (x.event != ML_ZIP_XML_OPEN)
            continue;
        const char *value = ml_zip_xml_get(&x, strcmp(x.name, "style") == 0 ? "styleId" : "val");
        if (strcmp(x.name, "style") == 0)
            id = value ? ml_arena_strdup(&r->parts->arena, value) : NULL;
        int level = strcmp(x.name, "name") == 0 && value ? level_of_style(value) : 0;
        if (id && level >= 1 && level <= 9 && styles->count < 32) {
            styles->list[styles->count].id = id;
            styles->list[styles->count++].level = level;
            id = NULL;
        }
    }
    ml_zip_xml_close(&x);
    return ignored.code == ML_ERR_MEMORY ? fail_memory(err) : 0;
}

static void docx_open(struct ml_office_text *t, const struct ml_zip_xml *x, void *arg)
{
    const struct docx_styles *styles = arg;
    const char *value = ml_zip_xml_get(x, "val");
    if (strcmp(x->name, "p") == 0) {
        t->items = 0;
        t->item_new = false;
    } else if (strcmp(x->name, "pStyle") == 0 && value) {
        for (int i = 0; i < styles->count; i++)
            if (strcmp(styles->list[i].id, value) == 0)
                t->heading = styles->list[i].level;
    } else if (strcmp(x->name, "ilvl") == 0 && t->heading == 0) {
        ml_office_make_item(t, value ? atoi(value) : 0);
    } else if (strcmp(x->name, "numId") == 0 && value && strcmp(value, "0") == 0) {
        t->items = 0; /* a list's style whose mark was taken off */
        t->item_new = false;
    }
}

int ml_office_docx(struct ml_office_reading *r, struct ml_error *err)
{
    static const struct ml_office_rule rules[] = {
        {"p", ML_OFFICE_BLOCK, 0},        {"t", ML_OFFICE_TEXT, 0},
        {"br", ML_OFFICE_BREAK, 0},       {"cr", ML_OFFICE_BREAK, 0},
        {"tabs", ML_OFFICE_SKIP, 0},      {"tab", ML_OFFICE_TAB, 0},
        {"tbl", ML_OFFICE_TABLE, 0},      {"tr", ML_OFFICE_ROW, 0},
        {"tc", ML_OFFICE_CELL, 0},        {"del", ML_OFFICE_SKIP, 0},
        {"moveFrom", ML_OFFICE_SKIP, 0},  {"Fallback", ML_OFFICE_SKIP, 0},
        {"pPrChange", ML_OFFICE_SKIP, 0}, {NULL, ML_OFFICE_NONE, 0},
    };
    static const struct ml_office_form form = {
        .rules = rules, .marked = true, .keep_space = true, .open = docx_open};
    struct docx_styles styles = {.count = 0};
    r->about = "docProps/core.xml";
    int status = read_styles(r, &styles, err);
    return status ? status : walk_part(r, "word/document.xml", &form, &styles, err);
}

/* ---- links between parts ---- */

struct links {
    struct {
        char *id, *target;
    } * list;
    size_t count, capacity;
};

static int put_link(struct links *links, char *id, char *target, struct ml_error *err)
{
    if (!id || !target)
        return fail_memory(err);
    if (links->count == ML_OFFICE_MAX_PARTS)
        return ml_fail(err, ML_ERR_LIMIT, "more than %d links between its parts",
                       ML_OFFICE_MAX_PARTS);
    if (links->count == links->capacity) {
        size_t capacity = links->capacity ? 2 * links->capacity : 64;
        void *grown = ml_mem_realloc(links->list, capacity * sizeof *links->list);
        if (!grown)
            return fail_memory(err);
        links->list = grown;
        links->capacity = capacity;
    }
    links->list[links->count].id = id;
    links->list[links->count++].target = target;
    return 0;
}

static const char *target_of(const struct links *links, const char *id)
{
    for (size_t i = 0; i < links->count; i++)
        if (strcmp(links->list[i].id, id) == 0)
            return links->list[i].target;
    return NULL;
}

/* All elements `element` of a part: attribute `id` -> the part that attribute `target` names. */
static int read_links(struct ml_office_parts *parts, const char *name, const char *base,
                      const char *const words[3], struct links *links, struct ml_error *err)
{
    const struct ml_office_part *part = ml_office_part(parts, name);
    struct ml_zip_xml x;
    int got = 0;
    if (!part)
        return 0;
    ml_zip_xml_open(&x, part->bytes, part->size);
    while ((got = ml_zip_xml_next(&x, err)) > 0) {
        if (x.event != ML_ZIP_XML_OPEN || strcmp(x.name, words[0]) != 0)
            continue;
        const char *id = ml_zip_xml_get(&x, words[1]), *target = ml_zip_xml_get(&x, words[2]);
        int status = id && target ? put_link(links, ml_arena_strdup(&parts->arena, id),
                                             ml_office_resolve(parts, base, target), err)
                                  : 0;
        if (status) {
            got = status;
            break;
        }
    }
    ml_zip_xml_close(&x);
    return got;
}

/* Walks the parts that elements `element` of part `list` name by attribute `attribute`. */
static int walk_list(struct ml_office_reading *r, const char *list, const char *element,
                     const char *attribute, const struct links *links,
                     const struct ml_office_form *form, struct ml_error *err)
{
    const struct ml_office_part *part = ml_office_part(r->parts, list);
    struct ml_zip_xml x;
    int got = 0, count = 0;
    if (!part)
        return ml_fail(err, ML_ERR_FORMAT, "its part %s is missing", list);
    ml_zip_xml_open(&x, part->bytes, part->size);
    while (count < ML_OFFICE_MAX_PARTS && (got = ml_zip_xml_next(&x, err)) > 0) {
        if (x.event != ML_ZIP_XML_OPEN || strcmp(x.name, element) != 0)
            continue;
        const char *id = ml_zip_xml_get(&x, attribute);
        count++;
        const char *target = id ? target_of(links, id) : NULL;
        int status = target ? walk_part(r, target, form, NULL, err) : 0;
        if (status) {
            got = status;
            break;
        }
    }
    ml_zip_xml_close(&x);
    return got < 0 ? got : 0;
}

/* ---- PPTX ---- */

static void pptx_open(struct ml_office_text *t, const struct ml_zip_xml *x, void *arg)
{
    const char *type = strcmp(x->name, "ph") == 0 ? ml_zip_xml_get(x, "type") : NULL;
    if (type && (strcmp(type, "title") == 0 || strcmp(type, "ctrTitle") == 0))
        t->mark = 1; /* the paragraphs of this shape are the title */
    else if (strcmp(x->name, "sp") == 0)
        t->mark = 0;
    else if (strcmp(x->name, "p") == 0)
        t->heading = t->mark;
}

int ml_office_pptx(struct ml_office_reading *r, struct ml_error *err)
{
    static const struct ml_office_rule rules[] = {
        {"p", ML_OFFICE_BLOCK, 0},   {"t", ML_OFFICE_TEXT, 0},        {"br", ML_OFFICE_BREAK, 0},
        {"tbl", ML_OFFICE_TABLE, 0}, {"tr", ML_OFFICE_ROW, 0},        {"tc", ML_OFFICE_CELL, 0},
        {"fld", ML_OFFICE_SKIP, 0},  {"Fallback", ML_OFFICE_SKIP, 0}, {NULL, ML_OFFICE_NONE, 0},
    };
    static const struct ml_office_form form = {
        .rules = rules, .marked = true, .keep_space = true, .open = pptx_open};
    static const char *const words[] = {"Relationship", "Id", "Target"};
    struct links links = {0};
    r->about = "docProps/core.xml";
    int status = read_links(r->parts, "ppt/_rels/presentation.xml.rels", "ppt/presentation.xml",
                            words, &links, err);
    if (status == 0)
        status = walk_list(r, "ppt/presentation.xml", "sldId", "r:id", &links, &form, err);
    ml_mem_free(links.list);
    return status;
}

/* ---- OpenDocument ---- */

static void odf_open(struct ml_office_text *t, const struct ml_zip_xml *x, void *arg)
{
    const char *level = strcmp(x->name, "h") == 0 ? ml_zip_xml_get(x, "outline-level") : NULL;
    if (level)
        t->heading = atoi(level) > 0 ? atoi(level) : 1;
}

int ml_office_odf(struct ml_office_reading *r, struct ml_error *err)
{
    static const struct ml_office_rule rules[] = {
        {"p", ML_OFFICE_BLOCK, 0},
        {"h", ML_OFFICE_HEADING, 1},
        {"list-item", ML_OFFICE_ITEM, 0},
        {"table", ML_OFFICE_TABLE, 0},
        {"table-row", ML_OFFICE_ROW, 0},
        {"table-cell", ML_OFFICE_CELL, 0},
        {"line-break", ML_OFFICE_BREAK, 0},
        {"tab", ML_OFFICE_TAB, 0},
        {"s", ML_OFFICE_SPACE, 0},
        {"tracked-changes", ML_OFFICE_SKIP, 0},
        {"annotation", ML_OFFICE_SKIP, 0},
        {"note", ML_OFFICE_SKIP, 0},
        {"index-title", ML_OFFICE_SKIP, 0},
        {"table-of-content", ML_OFFICE_SKIP, 0},
        {"automatic-styles", ML_OFFICE_SKIP, 0},
        {"font-face-decls", ML_OFFICE_SKIP, 0},
        {"scripts", ML_OFFICE_SKIP, 0},
        {NULL, ML_OFFICE_NONE, 0},
    };
    static const struct ml_office_form form = {.rules = rules, .open = odf_open};
    r->about = "meta.xml";
    return walk_part(r, "content.xml", &form, NULL, err);
}

/* ---- EPUB ---- */

/* The package file that META-INF/container.xml names; owned by the parts. */
static int find_package(struct ml_office_reading *r, char **out, struct ml_error *err)
{
    const struct ml_office_part *part = ml_office_part(r->parts, "META-INF/container.xml");
    struct ml_zip_xml x;
    int got;
    *out = NULL;
    if (!part)
        return ml_fail(err, ML_ERR_FORMAT, "its META-INF/container.xml is missing");
    ml_zip_xml_open(&x, part->bytes, part->size);
    while ((got = ml_zip_xml_next(&x, err)) > 0 && !*out) {
        const char *path = x.event == ML_ZIP_XML_OPEN && strcmp(x.name, "rootfile") == 0
                               ? ml_zip_xml_get(&x, "full-path")
                               : NULL;
        if (path && !(*out = ml_office_resolve(r->parts, "", path)))
            got = fail_memory(err);
        if (got < 0)
            break;
    }
    ml_zip_xml_close(&x);
    if (got < 0)
        return got;
    return *out ? 0 : ml_fail(err, ML_ERR_FORMAT, "its container names no package");
}

int ml_office_epub(struct ml_office_reading *r, struct ml_error *err)
{
    static const struct ml_office_rule rules[] = {
        {"p", ML_OFFICE_BLOCK, 0},       {"div", ML_OFFICE_BLOCK, 0},
        {"h1", ML_OFFICE_HEADING, 1},    {"h2", ML_OFFICE_HEADING, 2},
        {"h3", ML_OFFICE_HEADING, 3},    {"h4", ML_OFFICE_HEADING, 4},
        {"h5", ML_OFFICE_HEADING, 5},    {"h6", ML_OFFICE_HEADING, 6},
        {"li", ML_OFFICE_ITEM, 0},       {"br", ML_OFFICE_BREAK, 0},
        {"pre", ML_OFFICE_PRE, 0},       {"blockquote", ML_OFFICE_BLOCK, 0},
        {"section", ML_OFFICE_BLOCK, 0}, {"article", ML_OFFICE_BLOCK, 0},
        {"aside", ML_OFFICE_BLOCK, 0},   {"figcaption", ML_OFFICE_BLOCK, 0},
        {"caption", ML_OFFICE_BLOCK, 0}, {"dt", ML_OFFICE_BLOCK, 0},
        {"dd", ML_OFFICE_BLOCK, 0},      {"hr", ML_OFFICE_BLOCK, 0},
        {"ul", ML_OFFICE_BLOCK, 0},      {"ol", ML_OFFICE_BLOCK, 0},
        {"table", ML_OFFICE_TABLE, 0},   {"tr", ML_OFFICE_ROW, 0},
        {"td", ML_OFFICE_CELL, 0},       {"th", ML_OFFICE_CELL, 0},
        {"head", ML_OFFICE_SKIP, 0},     {"script", ML_OFFICE_SKIP, 0},
        {"style", ML_OFFICE_SKIP, 0},    {"svg", ML_OFFICE_SKIP, 0},
        {"nav", ML_OFFICE_SKIP, 0},      {"rt", ML_OFFICE_SKIP, 0},
        {"rp", ML_OFFICE_SKIP, 0},       {NULL, ML_OFFICE_NONE, 0},
    };
    static const struct ml_office_form form = {.rules = rules};
    static const char *const words[] = {"item", "id", "href"};
    struct links links = {0};
    char *package;
    int status = find_package(r, &package, err);
    if (status)
        return status;
    r->about = package;
    status = read_links(r->parts, package, package, words, &links, err);
    if (status == 0)
        status = walk_list(r, package, "itemref", "idref", &links, &form, err);
    ml_mem_free(links.list);
    return status;
}
