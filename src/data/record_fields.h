/* A record's fields as templates and filters see them: text, title, what its meta holds, and form
 * (of Chinese verse, unless the meta says it). */
#ifndef ML_DATA_RECORD_FIELDS_H
#define ML_DATA_RECORD_FIELDS_H

#include "store/records.h"

struct ml_record_field {
    const char *name, *text;
    size_t size;
};
struct ml_record_fields {
    const char *text; /* UTF-8, \n at line ends */
    size_t size;
    struct ml_record_field *fields; /* without text; empty ones are left out */
    int count;
};

/* `bytes` are the record's (ml_records_read). Owned by the arena, but for the text of a record of
 * type text/plain, which is borrowed from bytes. *good is false (and nothing else is set) when the
 * bytes are not what the record's type says. */
int ml_record_fields_load(struct ml_record_fields *out, struct ml_arena *arena,
                          const struct ml_record *record, const char *bytes, size_t n, bool *good,
                          struct ml_error *err);
/* As ml_template_lookup: arg is a struct ml_record_fields. */
bool ml_record_fields_find(void *arg, const char *name, const char **text, size_t *size);

#endif
