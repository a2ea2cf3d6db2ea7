#include "data/augment_text.h"

#include <ctype.h>
#include <string.h>

/* A word, as it stands and as it will. Deleted: put is NULL. */
struct ml_augment_unit {
    size_t start, bytes;
    const char *put;
    size_t put_bytes;
    const char *after; /* a word that is inserted behind it; NULL: none */
    struct ml_synonym_group group;
    uint32_t line, clause;
    bool fixed, ideograph, capital;
};

int ml_augment_copies(int64_t records)
{
    return records <= 500 ? 16 : records <= 2000 ? 8 : 4;
}

/* ---- words ---- */

static bool has_digit(const char *text, size_t n)
{
    for (size_t i = 0; i < n;) {
        uint32_t c;
        i += ml_char_next(text + i, &c);
        if (ml_char_class(c) == ML_CHAR_DIGIT)
            return true;
    }
    return false;
}

/* Whether anything but blanks stands between two words: a clause ends there. */
static bool is_clause_end(const char *text, size_t from, size_t to)
{
    for (; from < to; from++)
        if (!strchr(" \t", text[from]) || !text[from])
            return true;
    return false;
}

static int add_unit(struct ml_augment_work *w, const struct ml_augment_unit *unit,
                    struct ml_error *err)
{
    if (w->count == w->capacity) {
        size_t capacity = w->capacity ? 2 * w->capacity : 256;
        void *grown = ml_mem_realloc(w->units, capacity * sizeof *w->units);
        if (!grown)
            return ml_fail(err, ML_ERR_MEMORY, "out of memory for variants of a text");
        w->units = grown;
        w->capacity = capacity;
    }
    w->units[w->count++] = *unit;
    return 0;
}

static int find_units(struct ml_augment_work *w, const struct ml_augment_plan *plan,
                      struct ml_error *err)
{
    const struct ml_word_scan *scan = &w->scan;
    uint32_t clause = 0, line = 0;
    size_t end = 0;
    int status = 0;
    w->count = 0;
    for (size_t i = 0; status == 0 && i < scan->word_count;) {
        struct ml_synonym_group group = {0};
        int parts = ml_synonyms_find(plan->synonyms, scan, i, &group);
        const struct ml_scan_word *first = &scan->words[i], *last = first + (parts ? parts - 1 : 0);
        const char *word = scan->text + first->start;
        struct ml_augment_unit unit = {.start = first->start, .put = word, .group = group};
        unit.bytes = unit.put_bytes = last->start + last->bytes - first->start;
        while (line + 1 < scan->line_count && scan->lines[line + 1].word <= i)
            line++;
        clause += is_clause_end(scan->text, end, unit.start);
        unit.line = line;
        unit.clause = clause;
        unit.ideograph = first->flags & ML_WORD_IDEOGRAPH;
        unit.fixed =
            !(first->flags & ML_WORD_LETTER) || group.count == 1 || has_digit(word, unit.bytes);
        end = unit.start + unit.bytes;
        status = add_unit(w, &unit, err);
        i += (size_t)(parts ? parts : 1);
    }
    return status;
}

/* Which units may be changed, and which of these have synonyms: drawn from directly, so that a long
 * text in which few words may costs no more than another. */
static int list_units(struct ml_augment_work *w, struct ml_error *err)
{
    if (w->listed < w->count) {
        void *grown = ml_mem_realloc(w->movable, 2 * w->capacity * sizeof *w->movable);
        if (!grown)
            return ml_fail(err, ML_ERR_MEMORY, "out of memory for variants of a text");
        w->movable = grown;
        w->listed = w->capacity;
    }
    w->known = w->movable + w->listed;
    w->movable_count = w->known_count = 0;
    for (size_t i = 0; i < w->count; i++) {
        if (w->units[i].fixed)
            continue;
        w->movable[w->movable_count++] = (uint32_t)i;
        if (w->units[i].group.count > 1)
            w->known[w->known_count++] = (uint32_t)i;
    }
    return 0;
}

/* ---- the four ways ---- */

/* Another word of the unit's group. */
static const char *draw_synonym(const struct ml_augment_unit *unit, const char *text,
                                struct ml_rng *rng)
{
    int first = (int)ml_rng_below(rng, (uint64_t)unit->group.count);
    for (int i = 0; i < unit->group.count; i++) {
        const char *word = unit->group.words[(first + i) % unit->group.count];
        if (strlen(word) != unit->bytes || strncasecmp(word, text + unit->start, unit->bytes) != 0)
            return word;
    }
    return NULL;
}

/* n of the words that have synonyms, each once; they stand first in w->known. */
static size_t draw_known(struct ml_augment_work *w, size_t n, struct ml_rng *rng)
{
    n = n < w->known_count ? n : w->known_count;
    for (size_t i = 0; i < n; i++) {
        size_t pick = i + (size_t)ml_rng_below(rng, w->known_count - i);
        uint32_t held = w->known[pick];
        w->known[pick] = w->known[i];
        w->known[i] = held;
    }
    return n;
}

static void replace(struct ml_augment_work *w, size_t n, struct ml_rng *rng)
{
    n = draw_known(w, n, rng);
    for (size_t i = 0; i < n; i++) {
        struct ml_augment_unit *unit = &w->units[w->known[i]];
        const char *word = draw_synonym(unit, w->scan.text, rng);
        if (!word)
            continue;
        unit->put = word;
        unit->put_bytes = strlen(word);
        unit->capital = isupper((unsigned char)w->scan.text[unit->start]);
    }
}

/* No more than there are words with synonyms: else a short file would flood a long text. */
static void insert(struct ml_augment_work *w, size_t n, struct ml_rng *rng)
{
    n = draw_known(w, n, rng);
    for (size_t i = 0; i < n; i++) {
        const struct ml_augment_unit *of = &w->units[w->known[i]];
        const char *word = draw_synonym(of, w->scan.text, rng);
        struct ml_augment_unit *at = &w->units[w->movable[ml_rng_below(rng, w->movable_count)]];
        if (word && at->ideograph == of->ideograph)
            at->after = word;
    }
}

/* Where a word may go: the line, of ideographs the clause (which ends with the line at the latest).
 * Both rise from unit to unit. */
static uint32_t place_of(const struct ml_augment_unit *unit, bool clause)
{
    return clause ? unit->clause : unit->line;
}

/* The first in w->movable whose place is not before `place`. */
static size_t movable_from(const struct ml_augment_work *w, uint32_t place, bool clause)
{
    size_t low = 0, high = w->movable_count;
    while (low < high) {
        size_t middle = low + (high - low) / 2;
        if (place_of(&w->units[w->movable[middle]], clause) < place)
            low = middle + 1;
        else
            high = middle;
    }
    return low;
}

/* A word that may change places with a; NULL: none was found. */
static struct ml_augment_unit *draw_partner(struct ml_augment_work *w,
                                            const struct ml_augment_unit *a, struct ml_rng *rng)
{
    uint32_t place = place_of(a, a->ideograph);
    size_t from = movable_from(w, place, a->ideograph);
    size_t to = movable_from(w, place + 1, a->ideograph);
    for (int tries = 0; to - from > 1 && tries < 20; tries++) {
        struct ml_augment_unit *b =
            &w->units[w->movable[from + (size_t)ml_rng_below(rng, to - from)]];
        if (b != a && b->ideograph == a->ideograph)
            return b;
    }
    return NULL;
}

static void swap(struct ml_augment_work *w, size_t n, struct ml_rng *rng)
{
    for (size_t i = 0; i < n && w->movable_count > 0; i++) {
        struct ml_augment_unit *a = &w->units[w->movable[ml_rng_below(rng, w->movable_count)]];
        struct ml_augment_unit *b = draw_partner(w, a, rng);
        if (!b)
            continue;
        const char *put = a->put;
        size_t bytes = a->put_bytes;
        a->put = b->put;
        a->put_bytes = b->put_bytes;
        b->put = put;
        b->put_bytes = bytes;
    }
}

/* Each with the same chance; one word is left at least. */
static void leave_out(struct ml_augment_work *w, double share, struct ml_rng *rng)
{
    size_t left = w->count;
    for (size_t i = 0; i < w->count; i++) {
        bool out = ml_rng_double(rng) < share;
        if (!out || w->units[i].fixed || left == 1)
            continue;
        w->units[i].put = NULL;
        left--;
    }
}

static void change(struct ml_augment_work *w, const struct ml_augment_plan *plan,
                   struct ml_rng *rng)
{
    size_t n = (size_t)(plan->share * (double)w->count);
    int way = (int)ml_rng_below(rng, 4);
    n = n > 0 ? n : 1;
    if (way < 2 && w->known_count == 0) /* no synonym of any word */
        way += 2;
    if (way == 0)
        replace(w, n, rng);
    else if (way == 1)
        insert(w, n, rng);
    else if (way == 2)
        swap(w, n, rng);
    else
        leave_out(w, plan->share, rng);
}

/* ---- writing ---- */

/* As the word that it stands for: "Happy" becomes "Glad". */
static int put_word(struct ml_buffer *out, const char *word, size_t n, bool capital,
                    struct ml_error *err)
{
    size_t at = out->size;
    int status = n ? ml_buffer_put(out, word, n, err) : 0;
    if (status == 0 && n && capital)
        out->data[at] = (char)toupper((unsigned char)out->data[at]);
    return status;
}

static int put_unit(struct ml_augment_work *w, const struct ml_augment_unit *unit,
                    struct ml_error *err)
{
    int status = unit->put ? put_word(&w->out, unit->put, unit->put_bytes, unit->capital, err) : 0;
    if (status == 0 && unit->after && !unit->ideograph)
        status = ml_buffer_put(&w->out, " ", 1, err);
    return status || !unit->after ? status
                                  : put_word(&w->out, unit->after, strlen(unit->after), false, err);
}

/* What stands between two words; of the blanks around one that was left out, one goes. */
static int put_gap(struct ml_augment_work *w, size_t from, size_t to, bool after_gap,
                   struct ml_error *err)
{
    const char *text = w->scan.text;
    bool begins = w->out.size == 0 || strchr(" \n", w->out.data[w->out.size - 1]);
    if (after_gap && begins && from < to && text[from] == ' ')
        from++;
    return to > from ? ml_buffer_put(&w->out, text + from, to - from, err) : 0;
}

static int write_out(struct ml_augment_work *w, size_t n, struct ml_error *err)
{
    size_t end = 0;
    bool gone = false;
    int status = 0;
    for (size_t i = 0; status == 0 && i < w->count; i++) {
        const struct ml_augment_unit *unit = &w->units[i];
        status = put_gap(w, end, unit->start, gone, err);
        if (status == 0)
            status = put_unit(w, unit, err);
        gone = !unit->put;
        end = unit->start + unit->bytes;
    }
    return status ? status : put_gap(w, end, n, gone, err);
}

int ml_augment_text(struct ml_augment_work *w, const struct ml_augment_plan *plan,
                    enum ml_augment_split split, const char *text, size_t n, struct ml_rng *rng,
                    struct ml_error *err)
{
    int status = ml_augment_check(split, err);
    w->out.size = 0;
    if (status == 0)
        status = ml_word_scan(&w->scan, text, n, err);
    if (status == 0)
        status = find_units(w, plan, err);
    if (status == 0 && w->count > 0)
        status = list_units(w, err);
    if (status == 0 && w->count > 0)
        change(w, plan, rng);
    return status ? status : write_out(w, n, err);
}

void ml_augment_work_clear(struct ml_augment_work *w)
{
    if (!w)
        return;
    ml_word_scan_clear(&w->scan);
    ml_mem_free(w->units);
    ml_mem_free(w->movable);
    ml_buffer_clear(&w->out);
    *w = (struct ml_augment_work){0};
}
