/* An office document or e-book in memory: the text parts of its ZIP file by name. */
#ifndef ML_DATA_OFFICE_PARTS_H
#define ML_DATA_OFFICE_PARTS_H

#include "base/arena.h"
#include "data/office_text.h"
#include "data/reader.h"

/* Parts, links between them and chapters: more is no document that a person made, and lists this
 * long may be looked through one by one. */
#define ML_OFFICE_MAX_PARTS 10000

struct ml_office_part {
    char *name;
    char *bytes; /* UTF-8 with \n at line ends */
    size_t size;
    bool used;
};
struct ml_office_parts {
    struct ml_arena arena;
    struct ml_office_part *list;
    size_t count, capacity;
};
int ml_office_parts_open(struct ml_office_parts *parts, const struct ml_reader_input *input,
                         const struct ml_reader_limits *limits, struct ml_error *err);
void ml_office_parts_close(struct ml_office_parts *parts);
/* By its path in the ZIP file, or NULL. */
struct ml_office_part *ml_office_part(const struct ml_office_parts *parts, const char *name);
/* `link` (percent-encoded, perhaps with #fragment) as seen from the part `from`: "../a.xml" from
 * "x/b.xml" is "a.xml". Owned by the arena; NULL: out of memory. */
char *ml_office_resolve(struct ml_office_parts *parts, const char *from, const char *link);

/* ---- the formats (office_forms.c): text in reading order ---- */

/* Each appends to *text; `left_out` of the sink tells which parts could not be read. */
struct ml_office_reading {
    struct ml_office_parts *parts;
    struct ml_office_text *text;
    const struct ml_reader_sink *sink;
    const char *about; /* the part with title, author ...; NULL: none */
};
int ml_office_docx(struct ml_office_reading *reading, struct ml_error *err);
int ml_office_pptx(struct ml_office_reading *reading, struct ml_error *err);
int ml_office_odf(struct ml_office_reading *reading, struct ml_error *err);
int ml_office_epub(struct ml_office_reading *reading, struct ml_error *err);

#endif
