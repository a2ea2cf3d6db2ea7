/* Lines and runs are kept as 64-bit hashes, sorted: among some millions, two different ones are
 * taken for the same with a chance of one in a million. */
#include "copied.h"

#include <stdbool.h>
#include <stdlib.h>

#include "base/arena.h"
#include "base/fail.h"
#include "heldout.h"
#include "text/verse.h"

struct copied {
    struct ml_buffer lines, runs; /* uint64_t */
};

/* FNV-1a over characters. */
static uint64_t hash(const uint32_t *characters, size_t n)
{
    uint64_t h = 0xcbf29ce484222325u;
    for (size_t i = 0; i < n; i++)
        h = (h ^ characters[i]) * 0x100000001b3u;
    return h ^ (h >> 32);
}

/* Calls note for every line, then for every run. Lines longer than the room are passed over. */
typedef int note_fn(void *arg, bool line, uint64_t hash, struct ml_error *err);

static size_t characters_of(const char *text, size_t size, uint32_t *to, size_t most)
{
    size_t count = 0;
    for (size_t at = 0; at < size && count < most;) {
        uint32_t c = 0;
        at += heldout_character(text + at, size - at, &c);
        if (heldout_ideograph(c))
            to[count++] = c;
    }
    return count;
}

static int each(const char *text, size_t size, note_fn *note, void *arg, struct ml_error *err)
{
    enum { MOST = 4096 };
    struct ml_verse_line lines[ML_VERSE_MAX_LINES];
    uint32_t all[MOST];
    int status = 0, count = ml_verse_split(text, size, lines, ML_VERSE_MAX_LINES);
    for (int i = 0; i < count && i < ML_VERSE_MAX_LINES && status == 0; i++) {
        size_t n = characters_of(lines[i].text, lines[i].size, all, MOST);
        status = note(arg, true, hash(all, n), err);
    }
    size_t n = characters_of(text, size, all, MOST);
    for (size_t i = 0; i + COPIED_RUN <= n && status == 0; i++)
        status = note(arg, false, hash(all + i, COPIED_RUN), err);
    return status;
}

int copied_new(struct copied **out, struct ml_error *err)
{
    *out = ml_mem_calloc(1, sizeof **out);
    return *out ? 0 : ml_fail(err, ML_ERR_MEMORY, "out of memory");
}

void copied_free(struct copied *copied)
{
    if (!copied)
        return;
    ml_buffer_clear(&copied->lines);
    ml_buffer_clear(&copied->runs);
    ml_mem_free(copied);
}

static int keep(void *arg, bool line, uint64_t value, struct ml_error *err)
{
    struct copied *copied = arg;
    return ml_buffer_put(line ? &copied->lines : &copied->runs, &value, sizeof value, err);
}

int copied_add(struct copied *copied, const char *text, size_t size, struct ml_error *err)
{
    return each(text, size, keep, copied, err);
}

static int compare(const void *a, const void *b)
{
    uint64_t x = *(const uint64_t *)a, y = *(const uint64_t *)b;
    return (x > y) - (x < y);
}

static void sort(struct ml_buffer *list)
{
    if (list->size)
        qsort(list->data, list->size / sizeof(uint64_t), sizeof(uint64_t), compare);
}

void copied_finish(struct copied *copied)
{
    sort(&copied->lines);
    sort(&copied->runs);
}

struct counting {
    const struct copied *copied;
    struct copies counts;
};

static int look(void *arg, bool line, uint64_t value, struct ml_error *err)
{
    (void)err;
    struct counting *c = arg;
    const struct ml_buffer *list = line ? &c->copied->lines : &c->copied->runs;
    bool found =
        list->size && bsearch(&value, list->data, list->size / sizeof value, sizeof value, compare);
    *(line ? &c->counts.lines : &c->counts.runs) += 1;
    *(line ? &c->counts.copied_lines : &c->counts.copied_runs) += found;
    return 0;
}

struct copies copied_count(const struct copied *copied, const char *text, size_t size)
{
    struct counting counting = {copied, {0}};
    each(text, size, look, &counting, NULL);
    return counting.counts;
}
