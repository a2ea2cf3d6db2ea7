#include "data/synonyms.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/fail.h"
#include "base/files.h"
#include "base/utf8.h"

#define MAX_WORD_BYTES 200

struct entry {
    uint64_t key;   /* of the word, whatever its case */
    uint32_t first; /* of its group in `words` */
    uint32_t count;
};

struct ml_synonyms {
    struct ml_arena arena; /* the words */
    const char **words;
    size_t word_count, word_capacity;
    struct entry *entries; /* in the order of their keys */
    size_t count, capacity;
    int longest; /* parts of the longest word */
};

static int fail_memory(struct ml_error *err)
{
    return ml_fail(err, ML_ERR_MEMORY, "out of memory reading words that mean the same");
}

/* One more word or character of a word. */
static uint64_t extend(uint64_t key, uint64_t hash)
{
    return (key ^ hash) * 0x9E3779B97F4A7C15u + (key >> 29);
}

/* ---- reading ---- */

struct reading {
    struct ml_synonyms *out;
    struct ml_word_scan scan;
    const char *name;
    size_t line;
};

static int grow(void **list, size_t *capacity, size_t count, size_t size, struct ml_error *err)
{
    if (count < *capacity)
        return 0;
    size_t more = *capacity ? 2 * *capacity : 256;
    void *grown = ml_mem_realloc(*list, more * size);
    if (!grown)
        return fail_memory(err);
    *list = grown;
    *capacity = more;
    return 0;
}

/* Words that cannot be found in a text (too long, without a letter) are left out. */
static int add_word(struct reading *r, const char *word, size_t n, uint32_t first,
                    struct ml_error *err)
{
    struct ml_synonyms *s = r->out;
    uint64_t key = 0;
    if (n == 0 || n > MAX_WORD_BYTES)
        return 0;
    int status = ml_word_scan(&r->scan, word, n, err);
    if (status || r->scan.word_count == 0 || r->scan.word_count > ML_SYNONYM_PARTS)
        return status;
    for (size_t i = 0; i < r->scan.word_count; i++)
        key = extend(key, r->scan.words[i].hash);
    status = grow((void **)&s->words, &s->word_capacity, s->word_count, sizeof *s->words, err);
    if (status == 0)
        status = grow((void **)&s->entries, &s->capacity, s->count, sizeof *s->entries, err);
    char *copy = status == 0 ? ml_arena_strndup(&s->arena, word, n) : NULL;
    if (status == 0 && !copy)
        status = fail_memory(err);
    if (status)
        return status;
    s->words[s->word_count++] = copy;
    s->entries[s->count++] = (struct entry){.key = key, .first = first};
    if ((int)r->scan.word_count > s->longest)
        s->longest = (int)r->scan.word_count;
    return 0;
}

/* Bytes of a separator at the beginning of text; 0: it is none. */
static size_t separator(const char *text, const char *end, bool blanks)
{
    static const char *const wide[] = {"，", "、", "　"};
    if (*text == ',' || *text == '\t' || *text == '\r' || (blanks && *text == ' '))
        return 1;
    for (size_t i = 0; i < 3; i++)
        if (end - text >= 3 && memcmp(text, wide[i], 3) == 0)
            return i < 2 || blanks ? 3 : 0;
    return 0;
}

/* Cilin's code of a group ("Aa01A01="), if the line begins with one; *other: not of synonyms. */
static const char *skip_code(const char *line, const char *end, bool *other)
{
    const char *at = line;
    *other = false;
    while (at < end && *at != ' ' && *at != '\t')
        at++;
    if (at - line != 8 || at == end || !strchr("=#@", at[-1]) || line[0] < 'A' || line[0] > 'Z')
        return line;
    *other = at[-1] != '=';
    return at;
}

static int read_line(struct reading *r, const char *line, size_t n, struct ml_error *err)
{
    struct ml_synonyms *s = r->out;
    const char *end = line + n;
    bool other, blanks = true;
    size_t first_word = s->word_count, first_entry = s->count;
    int status = 0;
    if (!ml_utf8_valid(line, n))
        return ml_fail(err, ML_ERR_FORMAT, "%s: line %zu is not UTF-8; save the file as UTF-8",
                       r->name, r->line);
    const char *at = skip_code(line, end, &other);
    if (other || n == 0 || *line == '#')
        return 0;
    for (const char *p = at; p < end; p++)
        blanks = blanks && separator(p, end, false) == 0;
    if (at > line) /* Cilin's lines are separated by blanks alone */
        blanks = true;
    while (status == 0 && at < end) {
        size_t gap = separator(at, end, blanks);
        const char *word = at += gap ? gap : 0;
        if (gap)
            continue;
        while (at < end && !separator(at, end, blanks))
            at++;
        while (word < at && *word == ' ')
            word++;
        size_t bytes = (size_t)(at - word);
        while (bytes > 0 && word[bytes - 1] == ' ')
            bytes--;
        status = add_word(r, word, bytes, (uint32_t)first_word, err);
    }
    for (size_t i = first_entry; i < s->count; i++)
        s->entries[i].count = (uint32_t)(s->word_count - first_word);
    return status;
}

/* Of a word in two groups the first in the file counts. */
static int by_key(const void *a, const void *b)
{
    const struct entry *x = a, *y = b;
    if (x->key != y->key)
        return x->key < y->key ? -1 : 1;
    return x->first < y->first ? -1 : x->first > y->first;
}

int ml_synonyms_parse(struct ml_synonyms **out, const char *text, size_t n, const char *name,
                      struct ml_error *err)
{
    struct ml_synonyms *s = n <= ML_SYNONYM_MAX_BYTES ? ml_mem_calloc(1, sizeof *s) : NULL;
    struct reading r = {.out = s, .name = name};
    int status = 0;
    if (n > ML_SYNONYM_MAX_BYTES)
        return ml_fail(err, ML_ERR_LIMIT, "%s: more than %llu bytes; use a smaller file", name,
                       (unsigned long long)ML_SYNONYM_MAX_BYTES);
    if (!s)
        return fail_memory(err);
    ml_arena_init(&s->arena, 0);
    for (size_t at = 0; status == 0 && at < n;) {
        const char *end = memchr(text + at, '\n', n - at);
        size_t length = end ? (size_t)(end - text) - at : n - at;
        r.line++;
        size_t mark = r.line == 1 && length >= 3 && memcmp(text, "\xEF\xBB\xBF", 3) == 0 ? 3 : 0;
        status = read_line(&r, text + at + mark, length - mark, err);
        at += length + 1;
    }
    ml_word_scan_clear(&r.scan);
    if (status) {
        ml_synonyms_free(s);
        return status;
    }
    if (s->count > 0)
        qsort(s->entries, s->count, sizeof *s->entries, by_key);
    *out = s;
    return 0;
}

int ml_synonyms_load(struct ml_synonyms **out, const char *path, struct ml_error *err)
{
    struct ml_arena arena;
    char *text;
    size_t n;
    ml_arena_init(&arena, 0);
    int status = ml_file_read(&arena, path, ML_SYNONYM_MAX_BYTES, &text, &n, err);
    if (status == 0)
        status = ml_synonyms_parse(out, text, n, path, err);
    ml_arena_clear(&arena);
    return status;
}

void ml_synonyms_free(struct ml_synonyms *s)
{
    if (!s)
        return;
    ml_mem_free(s->words);
    ml_mem_free(s->entries);
    ml_arena_clear(&s->arena);
    ml_mem_free(s);
}

/* ---- finding ---- */

static const struct entry *look_up(const struct ml_synonyms *s, uint64_t key)
{
    size_t low = 0, high = s->count;
    while (low < high) {
        size_t middle = low + (high - low) / 2;
        if (s->entries[middle].key < key)
            low = middle + 1;
        else
            high = middle;
    }
    return low < s->count && s->entries[low].key == key ? &s->entries[low] : NULL;
}

/* Whether two words of a scan stand beside each other: nothing between them, or one blank. */
static bool adjoin(const struct ml_word_scan *scan, size_t left)
{
    const struct ml_scan_word *a = &scan->words[left], *b = a + 1;
    size_t end = a->start + a->bytes;
    return b->start == end || (b->start == end + 1 && scan->text[end] == ' ');
}

int ml_synonyms_find(const struct ml_synonyms *s, const struct ml_word_scan *scan, size_t at,
                     struct ml_synonym_group *out)
{
    uint64_t key = 0;
    int found = 0;
    for (int parts = 1; s && parts <= s->longest && at + (size_t)parts <= scan->word_count;
         parts++) {
        size_t last = at + (size_t)parts - 1;
        if (parts > 1 && !adjoin(scan, last - 1))
            break;
        key = extend(key, scan->words[last].hash);
        const struct entry *entry = look_up(s, key);
        if (entry) {
            *out = (struct ml_synonym_group){s->words + entry->first, (int)entry->count};
            found = parts;
        }
    }
    return found;
}
