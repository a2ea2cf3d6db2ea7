#include "data/office_parts.h"

#include <string.h>
#include <strings.h>

#include "base/fail.h"
#include "data/archive_members.h"
#include "data/readers.h"
#include "data/text_decode.h"

static int fail_memory(struct ml_error *err)
{
    return ml_fail(err, ML_ERR_MEMORY, "out of memory reading an office document");
}

/* Pictures and fonts stay packed. */
static bool is_wanted(void *arg, const char *name)
{
    static const char *const endings[] = {"xml", "rels", "opf", "xhtml", "html", "htm", NULL};
    size_t n;
    const char *ending = ml_reader_ending(name, &n);
    for (size_t i = 0; endings[i]; i++)
        if (strlen(endings[i]) == n && strncasecmp(endings[i], ending, n) == 0)
            return true;
    return false;
}

static int on_member(void *arg, const struct ml_member *member, struct ml_error *err)
{
    struct ml_office_parts *p = arg;
    struct ml_decoded decoded = {0};
    if (p->count == ML_OFFICE_MAX_PARTS)
        return ml_fail(err, ML_ERR_LIMIT, "%s: the document has more than %d parts", member->name,
                       ML_OFFICE_MAX_PARTS);
    int status = ml_text_decode(&decoded, member->bytes, member->size, NULL, err);
    if (status == 0 && decoded.verdict == ML_TEXT_OK) {
        if (p->count == p->capacity) {
            size_t capacity = p->capacity ? 2 * p->capacity : 32;
            struct ml_office_part *grown = ml_mem_realloc(p->list, capacity * sizeof *grown);
            if (!grown) {
                ml_decoded_clear(&decoded);
                return fail_memory(err);
            }
            p->list = grown;
            p->capacity = capacity;
        }
        struct ml_office_part part = {.name = ml_arena_strdup(&p->arena, member->name),
                                      .bytes = ml_mem_alloc(decoded.size + 1),
                                      .size = decoded.size};
        if (part.name && part.bytes) {
            memcpy(part.bytes, decoded.text, decoded.size);
            part.bytes[decoded.size] = '\0';
            p->list[p->count++] = part;
        } else {
            ml_mem_free(part.bytes);
            status = fail_memory(err);
        }
    }
    ml_decoded_clear(&decoded);
    return status;
}

static void on_left_out(void *arg, const char *what, const char *why)
{
    /* Parts that are no parts of a document (names that climb out) are not missed. */
}

int ml_office_parts_open(struct ml_office_parts *parts, const struct ml_reader_input *input,
                         const struct ml_reader_limits *limits, struct ml_error *err)
{
    struct ml_office_parts opened = {0};
    const struct ml_reader_sink sink = {
        .member = on_member, .left_out = on_left_out, .arg = &opened};
    ml_arena_init(&opened.arena, 4096);
    int status = ml_archive_members(input, limits, is_wanted, &sink, err);
    if (status) {
        ml_office_parts_close(&opened);
        return status;
    }
    *parts = opened;
    return 0;
}

void ml_office_parts_close(struct ml_office_parts *parts)
{
    for (size_t i = 0; i < parts->count; i++)
        ml_mem_free(parts->list[i].bytes);
    ml_mem_free(parts->list);
    ml_arena_clear(&parts->arena);
    *parts = (struct ml_office_parts){0};
}

struct ml_office_part *ml_office_part(const struct ml_office_parts *parts, const char *name)
{
    for (size_t i = 0; i < parts->count; i++)
        if (strcmp(parts->list[i].name, name) == 0)
            return &parts->list[i];
    return NULL;
}

static int hex_digit(char c)
{
    return c >= '0' && c <= '9'   ? c - '0'
           : c >= 'a' && c <= 'f' ? c - 'a' + 10
           : c >= 'A' && c <= 'F' ? c - 'A' + 10
                                  : -1;
}

/* %E4 and its kin as bytes, in place. */
static void unescape(char *text)
{
    char *to = text;
    for (const char *c = text; *c; c++) {
        int high = *c == '%' ? hex_digit(c[1]) : -1, low = high >= 0 ? hex_digit(c[2]) : -1;
        bool escaped = low >= 0 && (high || low);
        *to++ = escaped ? (char)(high << 4 | low) : *c;
        c += escaped ? 2 : 0;
    }
    *to = '\0';
}

/* Takes "." and ".." out of a path, in place; what climbs above the top stays at the top. */
static void flatten(char *path)
{
    char *to = path;
    for (const char *part = path; *part;) {
        size_t n = strcspn(part, "/");
        bool end = part[n] == '\0';
        if (n == 2 && part[0] == '.' && part[1] == '.') {
            if (to > path)
                to--;
            while (to > path && to[-1] != '/')
                to--;
        } else if (n > 0 && !(n == 1 && part[0] == '.')) {
            memmove(to, part, n);
            to += n;
            if (!end)
                *to++ = '/';
        }
        part += n + !end;
    }
    *to = '\0';
}

char *ml_office_resolve(struct ml_office_parts *parts, const char *from, const char *link)
{
    const char *slash = strrchr(from, '/');
    int folder = link[0] == '/' || !slash ? 0 : (int)(slash - from) + 1;
    char *path =
        ml_arena_printf(&parts->arena, "%.*s%.*s", folder, from, (int)strcspn(link, "#"), link);
    if (path) {
        unescape(path);
        flatten(path);
    }
    return path;
}
