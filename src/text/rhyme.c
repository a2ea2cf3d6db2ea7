#include <stdlib.h>
#include <string.h>

#include "base/fail.h"
#include "base/files.h"
#include "base/utf8.h"
#include "text/rhyme.h"
#include "text/rhyme_impl.h"

static int no_memory(struct ml_error *err)
{
    return ml_fail(err, ML_ERR_MEMORY, "out of memory for rhyme groups");
}

static int by_character(const void *a, const void *b)
{
    const struct ml_rhyme_member *x = a, *y = b;
    if (x->character != y->character)
        return x->character < y->character ? -1 : 1;
    return (x->group > y->group) - (x->group < y->group);
}

int ml_rhyme_make(struct ml_rhyme **out, const struct ml_rhyme_member *members, size_t count,
                  struct ml_error *err)
{
    struct ml_rhyme *rhyme = ml_mem_calloc(1, sizeof *rhyme);
    if (!rhyme)
        return no_memory(err);
    rhyme->listed = ml_mem_alloc((count + 1) * sizeof *rhyme->listed);
    rhyme->sorted = ml_mem_alloc((count + 1) * sizeof *rhyme->sorted);
    if (!rhyme->listed || !rhyme->sorted) {
        ml_rhyme_free(rhyme);
        return no_memory(err);
    }
    for (size_t i = 0; i < count; i++) {
        rhyme->listed[i] = rhyme->sorted[i] = members[i];
        if (members[i].group >= rhyme->groups)
            rhyme->groups = members[i].group + 1;
    }
    rhyme->count = count;
    qsort(rhyme->sorted, count, sizeof *rhyme->sorted, by_character);
    *out = rhyme;
    return 0;
}

void ml_rhyme_free(struct ml_rhyme *rhyme)
{
    if (!rhyme)
        return;
    ml_mem_free(rhyme->listed);
    ml_mem_free(rhyme->sorted);
    ml_mem_free(rhyme);
}

int ml_rhyme_groups(const struct ml_rhyme *rhyme)
{
    return rhyme->groups;
}

/* The first entry of a character in sorted[], or count. */
static size_t find(const struct ml_rhyme *rhyme, uint32_t character)
{
    size_t low = 0, high = rhyme->count;
    while (low < high) {
        size_t middle = low + (high - low) / 2;
        if (rhyme->sorted[middle].character < character)
            low = middle + 1;
        else
            high = middle;
    }
    return low < rhyme->count && rhyme->sorted[low].character == character ? low : rhyme->count;
}

int ml_rhyme_agree(const struct ml_rhyme *rhyme, uint32_t a, uint32_t b)
{
    if (a == b)
        return 1;
    size_t at_a = find(rhyme, a), at_b = find(rhyme, b);
    if (at_a == rhyme->count || at_b == rhyme->count)
        return -1;
    for (size_t i = at_a; i < rhyme->count && rhyme->sorted[i].character == a; i++)
        for (size_t k = at_b; k < rhyme->count && rhyme->sorted[k].character == b; k++)
            if (rhyme->sorted[i].group == rhyme->sorted[k].group)
                return 1;
    return 0;
}

void ml_rhyme_score_add(const struct ml_rhyme *rhyme, const uint32_t *endings, int count,
                        struct ml_rhyme_score *score)
{
    for (int i = 0; i < count; i++)
        for (int k = i + 1; k < count; k++) {
            if (endings[i] == endings[k])
                continue;
            int agree = ml_rhyme_agree(rhyme, endings[i], endings[k]);
            score->pairs++;
            score->known += agree >= 0;
            score->agreeing += agree > 0;
        }
}

int ml_rhyme_parse(struct ml_rhyme **out, const char *text, size_t size, const char *name,
                   struct ml_error *err)
{
    struct ml_buffer members = {0};
    struct ml_rhyme_member member = {0, 0};
    int line = 1, in_line = 0, code = 0;
    if (size > ML_RHYME_MAX_BYTES)
        return ml_fail(err, ML_ERR_LIMIT, "%s: %zu bytes of rhyme groups; the limit is %d", name,
                       size, ML_RHYME_MAX_BYTES);
    for (size_t at = 0; code == 0 && at < size;) {
        size_t length = ml_utf8_decode(text + at, size - at, &member.character);
        if (length == 0) {
            code = ml_fail(err, ML_ERR_FORMAT, "%s: line %d is not UTF-8", name, line);
        } else if (member.character == '\n') {
            line++;
            member.group += in_line > 0;
            in_line = 0;
        } else if (member.character == '#' && in_line == 0) {
            while (at + length < size && text[at + length] != '\n')
                length++;
        } else if (member.character > ' ') {
            code = ml_buffer_put(&members, &member, sizeof member, err);
            in_line++;
        }
        at += length;
    }
    size_t count = members.size / sizeof member;
    if (code == 0 && count == 0)
        code = ml_fail(err, ML_ERR_FORMAT, "%s: no rhyme groups; one group of characters a line",
                       name);
    if (code == 0)
        code = ml_rhyme_make(out, (const struct ml_rhyme_member *)(const void *)members.data, count,
                             err);
    ml_buffer_clear(&members);
    return code;
}

int ml_rhyme_open(struct ml_rhyme **out, const char *path, struct ml_error *err)
{
    struct ml_file_map map;
    int code = ml_file_map_open(&map, path, err);
    if (code < 0)
        return code;
    code = ml_rhyme_parse(out, (const char *)map.data, map.size, path, err);
    ml_file_map_close(&map);
    return code;
}

int ml_rhyme_save(const struct ml_rhyme *rhyme, const char *path, struct ml_error *err)
{
    static const char head[] =
        "# Characters that rhyme, learnt from poems: one group a line, the most frequent first.\n"
        "# A character that rhymes with two groups stands in both.\n";
    struct ml_buffer text = {0};
    int code = ml_buffer_put(&text, head, sizeof head - 1, err);
    for (size_t i = 0; code == 0 && i < rhyme->count; i++) {
        char bytes[5];
        size_t n = ml_utf8_encode(rhyme->listed[i].character, bytes);
        if (i + 1 == rhyme->count || rhyme->listed[i + 1].group != rhyme->listed[i].group)
            bytes[n++] = '\n';
        code = ml_buffer_put(&text, bytes, n, err);
    }
    if (code == 0)
        code = ml_file_write(path, text.data, text.size, err);
    ml_buffer_clear(&text);
    return code;
}
