#include "find/find_search.h"

#include <stdlib.h>
#include <string.h>

#include "base/fail.h"
#include "find/rank_fuse.h"

enum { BEST = 100 }; /* of each list */

/* ---- which passages may be found ---- */

struct allowed {
    const struct ml_find_index *index;
    int64_t *ids; /* sorted; NULL: all */
    size_t count;
};

static int by_id(const void *a, const void *b)
{
    int64_t x = *(const int64_t *)a, y = *(const int64_t *)b;
    return (x > y) - (x < y);
}

static bool allows(void *arg, uint32_t row)
{
    const struct allowed *a = arg;
    return bsearch(&a->index->passages[row].record, a->ids, a->count, sizeof *a->ids, by_id) !=
           NULL;
}

/* Members of the dataset (or all that are current), of the kind. */
static int find_allowed(struct allowed *a, struct ml_find_index *x, int64_t dataset,
                        const char *kind, struct ml_error *err)
{
    struct ml_record_cursor *cursor = NULL;
    const struct ml_record_filter filter = {.dataset = dataset, .kind = kind};
    struct ml_record record;
    size_t capacity = 0;
    int got = 0, status = ml_records_open(&cursor, x->workspace, &filter, err);
    *a = (struct allowed){.index = x};
    while (status == 0 && (got = ml_records_next(cursor, &record, err)) > 0) {
        if (a->count == capacity) {
            capacity = capacity ? 2 * capacity : 1024;
            int64_t *grown = ml_mem_realloc(a->ids, capacity * sizeof *grown);
            if (!grown) {
                status = ml_fail(err, ML_ERR_MEMORY, "out of memory searching");
                break;
            }
            a->ids = grown;
        }
        a->ids[a->count++] = record.id;
    }
    ml_records_close(cursor);
    if (status == 0)
        status = got;
    if (a->count)
        qsort(a->ids, a->count, sizeof *a->ids, by_id);
    return status;
}

/* ---- the two lists ---- */

static int by_meaning(struct ml_find_index *x, struct allowed *a, const float *vector,
                      struct ml_near *out, int *found, struct ml_error *err)
{
    if (!x->graph.count)
        return ml_vector_set_search(&x->vectors, vector, BEST, allows, a, out, found, err);
    /* The graph knows no filter: more are asked for than are wanted. */
    struct ml_near *many = ml_mem_calloc(10 * BEST, sizeof *many);
    int n = 0, kept = 0;
    int status = many ? ml_hnsw_search(&x->graph, vector, 10 * BEST, 0, many, &n, err)
                      : ml_fail(err, ML_ERR_MEMORY, "out of memory searching");
    for (int i = 0; status == 0 && i < n && kept < BEST; i++)
        if (allows(a, many[i].row))
            out[kept++] = many[i];
    ml_mem_free(many);
    *found = kept;
    return status;
}

struct lists {
    struct ml_near words[BEST], meaning[BEST];
    int word_count, meaning_count;
    struct ml_fused fused[2 * BEST];
    int count;
};

static int ask(struct lists *l, struct ml_find_index *x, struct allowed *a, const char *text,
               size_t n, enum ml_find_how how, struct ml_error *err)
{
    float vector[ML_EMBED_WIDTH];
    l->word_count = l->meaning_count = 0;
    int status = ml_embedder_apply(&x->embedder, &x->work, text, n, vector, err);
    if (status == 0 && how != ML_FIND_MEANING)
        status = ml_bm25_search(&x->words, &x->work.words, BEST, allows, a, l->words,
                                &l->word_count, err);
    if (status == 0 && how != ML_FIND_WORDS)
        status = by_meaning(x, a, vector, l->meaning, &l->meaning_count, err);
    /* What has nothing in common with the question is no answer. */
    while (l->meaning_count && l->meaning[l->meaning_count - 1].cosine < 0.05f)
        l->meaning_count--;
    if (status == 0)
        ml_rank_fuse(l->words, l->word_count, l->meaning, l->meaning_count, l->fused, &l->count);
    return status;
}

static void put_hit(struct ml_find_hit *out, const struct ml_find_index *x,
                    const struct ml_fused *f)
{
    const struct ml_passage *p = &x->passages[f->row];
    *out = (struct ml_find_hit){.record = p->record,
                                .score = f->score,
                                .rank_words = f->rank[0],
                                .rank_meaning = f->rank[1],
                                .cosine = f->rank[1] ? f->value[1] : 0,
                                .start = p->start,
                                .bytes = p->bytes};
}

int ml_find_search(struct ml_find_index *x, const struct ml_find_query *query, int k,
                   struct ml_find_hit *out, int *found, struct ml_error *err)
{
    struct allowed allowed;
    struct lists *lists = ml_mem_calloc(1, sizeof *lists);
    int count = 0;
    if (!lists)
        return ml_fail(err, ML_ERR_MEMORY, "out of memory searching");
    int status = find_allowed(&allowed, x, query->dataset, query->kind, err);
    if (status == 0 && allowed.count)
        status = ask(lists, x, &allowed, query->text, query->size, query->how, err);
    for (int i = 0; status == 0 && i < lists->count && count < k; i++) {
        int at = 0; /* a record is found once, by its best passage */
        int64_t record = x->passages[lists->fused[i].row].record;
        while (at < count && out[at].record != record)
            at++;
        if (at == count)
            put_hit(&out[count++], x, &lists->fused[i]);
    }
    ml_mem_free(allowed.ids);
    ml_mem_free(lists);
    if (status == 0)
        *found = count;
    return status;
}

/* ---- relatives of a text ---- */

enum { RUN = 5 };

/* Hashes of runs of five words; *out is on the heap. */
static int find_runs(uint64_t **out, size_t *count, struct ml_word_scan *scan, const char *text,
                     size_t n, struct ml_error *err)
{
    int status = ml_word_scan(scan, text, n, err);
    uint64_t *runs = status ? NULL : ml_mem_alloc((scan->word_count + 1) * sizeof *runs);
    *out = runs;
    *count = 0;
    if (status || !runs)
        return status ? status : ml_fail(err, ML_ERR_MEMORY, "out of memory searching");
    for (size_t i = 0; i + RUN <= scan->word_count; i++) {
        uint64_t hash = 0;
        for (size_t k = 0; k < RUN; k++)
            hash = (hash ^ scan->words[i + k].hash) * 0x9E3779B97F4A7C15u;
        runs[(*count)++] = hash ^ hash >> 32;
    }
    qsort(runs, *count, sizeof *runs, by_id);
    return 0;
}

static double share_of(const uint64_t *runs, size_t n, const uint64_t *of, size_t m)
{
    size_t same = 0;
    for (size_t i = 0; i < n; i++)
        same += bsearch(&runs[i], of, m, sizeof *of, by_id) != NULL;
    return n ? (double)same / (double)n : 0;
}

static int measure(struct ml_find_relative *r, struct ml_find_index *x, const uint64_t *runs,
                   size_t n, struct ml_word_scan *scan, struct ml_error *err)
{
    struct ml_arena arena;
    struct ml_blob_view view = {0};
    struct ml_record record;
    const char *text;
    uint64_t *theirs = NULL;
    size_t size, m = 0;
    ml_arena_init(&arena, 0);
    int status = ml_records_get(x->workspace, r->record, &arena, &record, err);
    if (status == 0)
        status = ml_find_record_text(x->workspace, &arena, &record, &view, &text, &size, err);
    if (status == 0)
        status = find_runs(&theirs, &m, scan, text, size, err);
    if (status == 0)
        r->overlap = share_of(runs, n, theirs, m);
    ml_mem_free(theirs);
    ml_blob_view_clear(&view);
    ml_arena_clear(&arena);
    return status;
}

static int most_related(const void *a, const void *b)
{
    const struct ml_find_relative *x = a, *y = b;
    if (x->overlap != y->overlap)
        return x->overlap < y->overlap ? 1 : -1;
    if (x->cosine != y->cosine)
        return x->cosine < y->cosine ? 1 : -1;
    return (x->record > y->record) - (x->record < y->record);
}

int ml_find_nearest(struct ml_find_index *x, const char *text, size_t n, int64_t dataset, int k,
                    struct ml_find_relative *out, int *found, struct ml_error *err)
{
    enum { LOOKED_AT = 30 };
    struct ml_find_hit hits[LOOKED_AT];
    struct ml_find_relative list[LOOKED_AT];
    struct ml_word_scan scan = {0};
    const struct ml_find_query query = {.text = text, .size = n, .dataset = dataset};
    uint64_t *runs = NULL;
    size_t run_count = 0;
    int count = 0;
    int status = ml_find_search(x, &query, LOOKED_AT, hits, &count, err);
    if (status == 0)
        status = find_runs(&runs, &run_count, &scan, text, n, err);
    for (int i = 0; status == 0 && i < count; i++) {
        list[i] = (struct ml_find_relative){.record = hits[i].record, .cosine = hits[i].cosine};
        status = measure(&list[i], x, runs, run_count, &scan, err);
    }
    if (status == 0) {
        qsort(list, (size_t)count, sizeof *list, most_related);
        *found = count < k ? count : k;
        memcpy(out, list, (size_t)*found * sizeof *list);
    }
    ml_mem_free(runs);
    ml_word_scan_clear(&scan);
    return status;
}

/* ---- snippets ---- */

static bool is_asked(const struct ml_search_words *asked, uint64_t hash)
{
    for (size_t i = 0; i < asked->count; i++)
        if (asked->words[i].hash == hash)
            return true;
    return false;
}

/* A single ideograph alone says little: its pair is asked for too, and is what is marked, unless
 * the question has no pair. */
static bool counts(const struct ml_search_words *asked, const struct ml_search_word *word,
                   const char *text, bool pairs)
{
    bool single = !word->pair && (unsigned char)text[word->start] >= 0xE3 && word->bytes == 3;
    return is_asked(asked, word->hash) && !(single && pairs);
}

static void mark(struct ml_find_snippet *s, size_t start, size_t bytes)
{
    if (s->marks && s->mark[s->marks - 1].start + s->mark[s->marks - 1].bytes >= start) {
        s->mark[s->marks - 1].bytes = start + bytes - s->mark[s->marks - 1].start; /* they touch */
        return;
    }
    if (s->marks == ML_FIND_MARKS)
        return;
    s->mark[s->marks].start = start;
    s->mark[s->marks++].bytes = bytes;
}

int ml_find_snippet(struct ml_find_snippet *out, const struct ml_find_query *query,
                    const char *text, size_t n, size_t most, struct ml_error *err)
{
    struct ml_search_words asked = {0}, words = {0};
    struct ml_find_snippet s = {0};
    bool pairs = false;
    int status = ml_search_words_find(&asked, query->text, query->size, err);
    if (status == 0)
        status = ml_search_words_find(&words, text, n, err);
    for (size_t i = 0; i < asked.count; i++)
        pairs = pairs || asked.words[i].pair;
    size_t best = 0, last = 0; /* how many words the best window has, and where they end */
    for (size_t i = 0, j = 0, inside = 0, end = 0; status == 0 && i < words.count; i++) {
        /* the window begins at word i and holds the words up to j */
        for (; j < words.count &&
               words.words[j].start + words.words[j].bytes <= words.words[i].start + most;
             j++)
            if (counts(&asked, &words.words[j], text, pairs)) {
                inside++;
                end = words.words[j].start + words.words[j].bytes;
            }
        if (inside > best) {
            best = inside;
            s.start = words.words[i].start;
            last = end;
        }
        inside -= j > i && counts(&asked, &words.words[i], text, pairs);
        j = j > i ? j : i + 1;
    }
    if (status == 0) {
        size_t back = s.start < most / 4 ? s.start : most / 4; /* some words before the first */
        size_t room = last > s.start && last - s.start < most ? most - (last - s.start) : most;
        back = back < room ? back : room;
        while (back < s.start && back && ((unsigned char)text[s.start - back] & 0xC0) == 0x80)
            back--;
        s.start -= back;
        s.bytes = n - s.start < most ? n - s.start : most;
        while (s.start + s.bytes < n && s.bytes &&
               ((unsigned char)text[s.start + s.bytes] & 0xC0) == 0x80)
            s.bytes--;
        for (size_t i = 0; i < words.count; i++) {
            const struct ml_search_word *w = &words.words[i];
            if (w->start >= s.start && w->start + w->bytes <= s.start + s.bytes &&
                counts(&asked, w, text, pairs))
                mark(&s, w->start, w->bytes);
        }
        *out = s;
    }
    ml_search_words_clear(&asked);
    ml_search_words_clear(&words);
    return status;
}
