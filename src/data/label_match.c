#include "data/label_match.h"

#include <stdlib.h>
#include <string.h>

#include "base/fail.h"
#include "data/label_text.h"

/* A key (the first 8 bytes of a SHA-256) and the record that has it. */
struct key {
    uint64_t value;
    int64_t record;
};
struct index {
    struct key *keys; /* sorted */
    size_t count, capacity;
};

struct ml_label_match {
    struct ml_workspace *ws;
    struct index bytes, sources, files, texts;
    bool texts_loaded; /* reading every record is worth it only for files that state nothing else */
};

static uint64_t key_of(const void *bytes, size_t n)
{
    uint8_t hash[ML_HASH_BYTES];
    uint64_t key;
    ml_hash(bytes, n, hash);
    memcpy(&key, hash, sizeof key);
    return key;
}

static int put(struct index *index, uint64_t value, int64_t record, struct ml_error *err)
{
    if (index->count == index->capacity) {
        size_t capacity = index->capacity ? index->capacity * 2 : 256;
        struct key *grown = ml_mem_realloc(index->keys, capacity * sizeof *grown);
        if (!grown)
            return ml_fail(err, ML_ERR_MEMORY, "out of memory looking for records");
        index->keys = grown;
        index->capacity = capacity;
    }
    index->keys[index->count++] = (struct key){value, record};
    return 0;
}

static int by_key(const void *a, const void *b)
{
    const struct key *x = a, *y = b;
    if (x->value != y->value)
        return x->value < y->value ? -1 : 1;
    return (x->record > y->record) - (x->record < y->record);
}

static void sort(struct index *index)
{
    if (index->count)
        qsort(index->keys, index->count, sizeof *index->keys, by_key);
}

/* The records of a key: how many different ones, the first in *first. `also`, unless 0, is one
 * that is asked for. */
static size_t find(const struct index *index, uint64_t value, int64_t *first, int64_t also,
                   bool *has_also)
{
    size_t low = 0, high = index->count, found = 0;
    while (low < high) {
        size_t middle = low + (high - low) / 2;
        if (index->keys[middle].value < value)
            low = middle + 1;
        else
            high = middle;
    }
    *has_also = false;
    for (; low < index->count && index->keys[low].value == value; low++) {
        int64_t record = index->keys[low].record;
        *has_also = *has_also || record == also;
        if (found && record == index->keys[low - 1].record)
            continue;
        *first = found ? *first : record;
        found++;
    }
    return found;
}

/* The last part of a path or URL, without its query. */
static const char *last_part(const char *path, size_t *n)
{
    size_t length = strcspn(path, "?#"), start = length;
    while (start > 0 && path[start - 1] != '/' && path[start - 1] != '\\')
        start--;
    *n = length - start;
    return path + start;
}

int ml_label_match_open(struct ml_label_match **out, struct ml_workspace *ws,
                        const struct ml_dataset *dataset, struct ml_error *err)
{
    struct ml_record_cursor *cursor = NULL;
    struct ml_record record;
    const struct ml_record_filter members = {.dataset = dataset->id};
    struct ml_label_match *m = ml_mem_calloc(1, sizeof *m);
    if (!m)
        return ml_fail(err, ML_ERR_MEMORY, "out of memory looking for records");
    m->ws = ws;
    int got = 0, status = ml_records_open(&cursor, ws, &members, err);
    while (status == 0 && (got = ml_records_next(cursor, &record, err)) > 0) {
        size_t n;
        const char *file = last_part(record.source, &n);
        status = put(&m->bytes, key_of(record.hash, strlen(record.hash)), record.id, err);
        if (status == 0)
            status = put(&m->sources, key_of(record.source, strlen(record.source)), record.id, err);
        if (status == 0 && n)
            status = put(&m->files, key_of(file, n), record.id, err);
    }
    ml_records_close(cursor);
    status = status ? status : got;
    if (status) {
        ml_label_match_close(m);
        return status;
    }
    sort(&m->bytes);
    sort(&m->sources);
    sort(&m->files);
    *out = m;
    return 0;
}

void ml_label_match_close(struct ml_label_match *m)
{
    if (!m)
        return;
    ml_mem_free(m->bytes.keys);
    ml_mem_free(m->sources.keys);
    ml_mem_free(m->files.keys);
    ml_mem_free(m->texts.keys);
    ml_mem_free(m);
}

/* Without the white space at its ends, which other programs like to take off. */
static uint64_t text_key(const char *text, size_t n)
{
    while (n > 0 && strchr(" \t\r\n", text[n - 1]))
        n--;
    while (n > 0 && strchr(" \t\r\n", *text)) {
        text++;
        n--;
    }
    return key_of(text, n);
}

static int load_texts(struct ml_label_match *m, struct ml_error *err)
{
    struct ml_blob_view view = {0};
    struct ml_arena arena;
    int status = 0;
    if (m->texts_loaded)
        return 0;
    m->texts_loaded = true;
    ml_arena_init(&arena, 0);
    for (size_t i = 0; status == 0 && i < m->bytes.count; i++) {
        struct ml_label_text text;
        status = ml_label_text_load(&text, m->ws, m->bytes.keys[i].record, &arena, &view, err);
        if (status == 0 && text.text)
            status = put(&m->texts, text_key(text.text, text.size), text.record.id, err);
        ml_arena_reset(&arena);
    }
    ml_arena_clear(&arena);
    ml_blob_view_clear(&view);
    sort(&m->texts);
    return status;
}

/* Label Studio puts eight digits and a dash before the name of a file that was uploaded. */
static const char *without_prefix(const char *file, size_t *n)
{
    if (*n > 9 && strspn(file, "0123456789abcdef") == 8 && file[8] == '-') {
        *n -= 9;
        return file + 9;
    }
    return NULL;
}

int ml_label_match_find(struct ml_label_match *m, const struct ml_label_clue *clue, int64_t *out,
                        struct ml_error *err)
{
    int64_t by_source = 0, found = 0;
    bool also;
    *out = 0;
    if (*clue->source)
        found = (int64_t)find(&m->sources, key_of(clue->source, strlen(clue->source)), &by_source,
                              0, &also);
    if (found == 1 && !*clue->hash)
        *out = by_source;
    int64_t record = 0;
    if (*clue->hash) { /* the same bytes from several sources: the source decides, else the first */
        size_t n =
            find(&m->bytes, key_of(clue->hash, strlen(clue->hash)), &record, by_source, &also);
        *out = n == 0 ? 0 : also ? by_source : record;
        return 0;
    }
    size_t n = 0;
    const char *file = last_part(clue->file, &n);
    if (!*out && n && find(&m->files, key_of(file, n), &record, 0, &also) == 1)
        *out = record;
    const char *plain = *out == 0 && n ? without_prefix(file, &n) : NULL;
    if (plain && find(&m->files, key_of(plain, n), &record, 0, &also) == 1)
        *out = record;
    if (*out || !clue->text)
        return 0;
    int status = load_texts(m, err);
    if (status == 0 &&
        find(&m->texts, text_key(clue->text, clue->text_size), &record, 0, &also) >= 1)
        *out = record; /* equal texts: the first */
    return status;
}
