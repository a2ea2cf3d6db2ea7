/* Searching through the public API. */
#include <stdio.h>
#include <string.h>

#include "api_impl.h"
#include "base/fail.h"
#include "base/utf8.h"
#include "base/words.h"
#include "find/find_search.h"
#include "store/datasets.h"

enum { HOW_BOTH, HOW_WORDS, HOW_MEANING, HOW_NEAR, HOW_COUNT, SNIPPET_BYTES = 300 };

static int parse_how(const char *text, int *out, struct ml_error *err)
{
    static const char *const names[HOW_COUNT] = {"both", "words", "meaning", "near"};
    *out = HOW_BOTH;
    for (int i = 0; text && i < HOW_COUNT; i++)
        if (strcmp(text, names[i]) == 0) {
            *out = i;
            return 0;
        }
    const char *near = text ? ml_word_nearest(text, names, HOW_COUNT) : NULL;
    return text
               ? ml_fail(err, ML_ERR_ARG,
                         "\"%.40s\" is no way to search%s%s%s; there are both, "
                         "words, meaning and near",
                         text, near ? "; did you mean \"" : "", near ? near : "", near ? "\"?" : "")
               : 0;
}

/* Copies at most size - 1 bytes, whole characters. */
static void copy_text(char *to, size_t size, const char *from, size_t n)
{
    if (n >= size)
        n = ml_utf8_ready(from, size - 1);
    memcpy(to, from, n);
    to[n] = '\0';
}

static int put_snippet(struct ml_find_answer *a, const struct ml_find_query *query,
                       const char *text, size_t n, struct ml_error *err)
{
    struct ml_find_snippet s;
    int status = ml_find_snippet(&s, query, text, n, SNIPPET_BYTES, err);
    if (status)
        return status;
    copy_text(a->snippet, sizeof a->snippet, text + s.start, s.bytes);
    for (char *c = a->snippet; *c; c++)
        if ((unsigned char)*c < 0x20)
            *c = ' ';
    for (int i = 0; i < s.marks && i < ML_FIND_SNIPPET_MARKS; i++) {
        a->mark[i].start = (int)(s.mark[i].start - s.start);
        a->mark[i].bytes = (int)s.mark[i].bytes;
    }
    a->marks = s.marks;
    return 0;
}

/* What the record is, and the part of the passage (of the whole, when there is none) to show. */
static int describe(struct ml_find_answer *a, struct ml_find_index *index,
                    const struct ml_find_query *query, const struct ml_find_hit *hit,
                    struct ml_error *err)
{
    struct ml_arena arena;
    struct ml_blob_view view = {0};
    struct ml_record record;
    const char *text;
    size_t n;
    ml_arena_init(&arena, 0);
    int status = ml_records_get(index->workspace, a->record, &arena, &record, err);
    if (status == 0)
        status = ml_find_record_text(index->workspace, &arena, &record, &view, &text, &n, err);
    if (status == 0) {
        copy_text(a->kind, sizeof a->kind, record.kind, strlen(record.kind));
        copy_text(a->title, sizeof a->title, record.title, strlen(record.title));
        copy_text(a->source, sizeof a->source, record.source, strlen(record.source));
        size_t from = hit && hit->start <= n ? hit->start : 0;
        size_t part = hit && hit->bytes <= n - from ? hit->bytes : n - from;
        status = put_snippet(a, query, text + from, part, err);
    }
    ml_blob_view_clear(&view);
    ml_arena_clear(&arena);
    return status;
}

static int search(struct ml_find_index *index, const struct ml_find_query *query, int k,
                  struct ml_find_answer *out, int *count, struct ml_error *err)
{
    struct ml_find_hit hits[2 * ML_FIND_MOST];
    int found = 0, kept = 0;
    int status = ml_find_search(index, query, 2 * k, hits, &found, err);
    for (int i = 0; status == 0 && i < found && kept < k; i++) {
        struct ml_find_answer *a = &out[kept];
        bool before = false;
        *a = (struct ml_find_answer){.record = hits[i].record,
                                     .score = hits[i].score,
                                     .rank_words = hits[i].rank_words,
                                     .rank_meaning = hits[i].rank_meaning,
                                     .cosine = (double)hits[i].cosine};
        status = describe(a, index, query, &hits[i], err);
        /* A curated record and the one that it was made from are one answer. */
        for (int j = 0; j < kept && !before; j++)
            before = strcmp(out[j].title, a->title) == 0 && strcmp(out[j].snippet, a->snippet) == 0;
        kept += !before;
    }
    *count = kept;
    return status;
}

static int nearest(struct ml_find_index *index, const struct ml_find_query *query, int k,
                   struct ml_find_answer *out, int *count, struct ml_error *err)
{
    struct ml_find_relative list[ML_FIND_MOST];
    int status =
        ml_find_nearest(index, query->text, query->size, query->dataset, k, list, count, err);
    for (int i = 0; status == 0 && i < *count; i++) {
        out[i] = (struct ml_find_answer){
            .record = list[i].record, .cosine = (double)list[i].cosine, .overlap = list[i].overlap};
        status = describe(&out[i], index, query, NULL, err);
    }
    return status;
}

int ml_engine_find(struct ml_engine *engine, const struct ml_find_request *request,
                   struct ml_find_answer *out, int *count, struct ml_error *err)
{
    struct ml_workspace *workspace = NULL;
    struct ml_find_index index = {0};
    struct ml_dataset dataset = {0};
    int how, found = 0, k = request->count ? request->count : 10;
    (void)engine;
    if (!request->workspace || !request->text || !*request->text)
        return ml_fail(err, ML_ERR_ARG, "searching needs a workspace and something to look for");
    if (!ml_utf8_valid(request->text, strlen(request->text)))
        return ml_fail(err, ML_ERR_ARG, "what is looked for is not valid UTF-8");
    if (k < 1 || k > ML_FIND_MOST)
        return ml_fail(err, ML_ERR_ARG, "1 to %d answers can be asked for, not %d", ML_FIND_MOST,
                       k);
    int status = parse_how(request->how, &how, err);
    if (status == 0)
        status = ml_workspace_open(&workspace, request->workspace, NULL, err);
    if (status == 0 && request->dataset)
        status = ml_datasets_open(workspace, request->dataset, &dataset, err);
    const struct ml_find_options options = {
        .cancel = request->cancel, .progress = request->progress, .arg = request->arg};
    if (status == 0)
        status = ml_find_index_open(&index, workspace, &options, err);
    const struct ml_find_query query = {.text = request->text,
                                        .size = strlen(request->text),
                                        .how = how == HOW_WORDS     ? ML_FIND_WORDS
                                               : how == HOW_MEANING ? ML_FIND_MEANING
                                                                    : ML_FIND_BOTH,
                                        .dataset = dataset.id,
                                        .kind = request->kind};
    if (status == 0)
        status = how == HOW_NEAR ? nearest(&index, &query, k, out, &found, err)
                                 : search(&index, &query, k, out, &found, err);
    ml_find_index_close(&index);
    ml_workspace_close(workspace);
    if (status == 0)
        *count = found;
    return status;
}
