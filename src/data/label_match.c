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

/* The place of a key's first record. */
static size_t first_of(const struct index *index, uint64_t value)
{
    size_t low = 0, high = index->count;
    while (low < high) {
        size_t middle = low + (high - low) / 2;
        if (index->keys[middle].value < value)
            low = middle + 1;
        else
            high = middle;
    }
    return low;
}

/* How many records have the key, 2 standing for several; the first in *record. */
static int find(const struct index *index, uint64_t value, int64_t *record)
{
    size_t at = first_of(index, value);
    if (at == index->count || index->keys[at].value != value)
        return 0;
    *record = index->keys[at].record;
    while (at < index->count && index->keys[at].value == value) /* a list may hold one twice */
        if (index->keys[at++].record != *record)
            return 2;
    return 1;
}

static bool has(const struct index *index, uint64_t value, int64_t record)
{
    const struct key key = {value, record};
    return index->count && bsearch(&key, index->keys, index->count, sizeof key, by_key);
}

/* The record of these bytes; where several sources have them, that of the stated source, else the
 * first; 0: none. */
static int64_t find_bytes(const struct ml_label_match *m, const struct ml_label_clue *clue)
{
    uint64_t value = key_of(clue->hash, strlen(clue->hash));
    uint64_t source = key_of(clue->source, strlen(clue->source));
    size_t first = first_of(&m->bytes, value);
    for (size_t at = first; at < m->bytes.count && m->bytes.keys[at].value == value; at++)
        if (has(&m->sources, source, m->bytes.keys[at].record))
            return m->bytes.keys[at].record;
    bool known = first < m->bytes.count && m->bytes.keys[first].value == value;
    return known ? m->bytes.keys[first].record : 0;
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

/* By the last part of a path, as it is or without what was put before it. */
static int64_t find_file(const struct ml_label_match *m, const char *path)
{
    size_t n;
    int64_t record = 0;
    const char *file = last_part(path, &n);
    if (n && find(&m->files, key_of(file, n), &record) == 1)
        return record;
    file = without_prefix(file, &n);
    return file && find(&m->files, key_of(file, n), &record) == 1 ? record : 0;
}

int ml_label_match_find(struct ml_label_match *m, const struct ml_label_clue *clue, int64_t *out,
                        struct ml_error *err)
{
    int64_t record = 0;
    *out = 0;
    if (*clue->hash) {
        *out = find_bytes(m, clue);
        return 0;
    }
    if (*clue->source &&
        find(&m->sources, key_of(clue->source, strlen(clue->source)), &record) == 1)
        *out = record;
    if (!*out)
        *out = find_file(m, clue->file);
    if (*out || !clue->text)
        return 0;
    int status = load_texts(m, err);
    if (status == 0 && find(&m->texts, text_key(clue->text, clue->text_size), &record))
        *out = record; /* of equal texts the first */
    return status;
}
