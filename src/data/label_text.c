#include "data/label_text.h"

#include <string.h>

#include "base/utf8.h"
#include "data/record_fields.h"

int ml_label_text_load(struct ml_label_text *out, struct ml_workspace *ws, int64_t record,
                       struct ml_arena *arena, struct ml_blob_view *view, struct ml_error *err)
{
    struct ml_label_text t = {0};
    struct ml_record_fields fields;
    const char *bytes;
    size_t n;
    bool good = false, found = false;
    int status = ml_records_get(ws, record, arena, &t.record, err);
    if (status == 0)
        status = ml_records_read(ws, &t.record, view, &bytes, &n, err);
    if (status)
        return status;
    bool is_text = strcmp(t.record.kind, "text") == 0 || strncmp(t.record.type, "text/", 5) == 0;
    status = ml_record_fields_load(&fields, arena, &t.record, is_text ? bytes : "", is_text ? n : 0,
                                   &good, err);
    if (status)
        return status;
    if (good && is_text) {
        t.text = fields.text;
        t.size = fields.size;
        found = true;
    } else if (good) {
        found = ml_record_fields_find(&fields, "caption", &t.text, &t.size) ||
                ml_record_fields_find(&fields, "transcript", &t.text, &t.size);
    }
    if (!found || !ml_utf8_valid(t.text, t.size)) {
        t.text = NULL;
        t.size = 0;
    }
    t.characters = t.text ? (int64_t)ml_utf8_count(t.text, t.size) : 0;
    *out = t;
    return 0;
}
