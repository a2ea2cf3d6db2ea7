/* Speed of the passes of curating on one core, for bench/filters.py:
 *
 *     bench_filters FILE [rounds]
 *
 * FILE holds texts with a line of one form feed between them. All is read first; each pass then
 * goes over all texts: language, the rules (all sets, nothing dropped before the last), both
 * together, MinHash with the look-up of near duplicates, redaction. Medians of the rounds. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/files.h"
#include "base/progress.h"
#include "data/minhash.h"
#include "data/quality.h"
#include "data/redact.h"
#include "text/language.h"

enum { MAX_ROUNDS = 50, PASSES = 5 };

struct texts {
    const char **text;
    size_t *size;
    size_t count, bytes;
};

struct tools {
    struct ml_classifier *model;
    struct ml_classifier_work work;
    struct ml_word_scan scan;
    struct ml_quality quality;
    struct ml_quality_plan plan;
    struct ml_minhash minhash;
    struct ml_pii_spans spans;
    size_t found;
};

static void split(struct texts *t, char *text, size_t size)
{
    size_t capacity = 0;
    for (char *at = text, *end = text + size; at < end;) {
        char *stop = memchr(at, '\f', (size_t)(end - at));
        stop = stop ? stop : end;
        if (t->count == capacity) {
            capacity = capacity ? 2 * capacity : 1024;
            t->text = ml_mem_realloc(t->text, capacity * sizeof *t->text);
            t->size = ml_mem_realloc(t->size, capacity * sizeof *t->size);
        }
        t->text[t->count] = at;
        t->size[t->count++] = (size_t)(stop - at);
        t->bytes += (size_t)(stop - at);
        at = stop + 1;
    }
}

static int run_pass(struct tools *k, const struct texts *t, int pass, struct ml_error *err)
{
    struct ml_near_index index = {0};
    const struct ml_quality_rule *broken;
    struct ml_signature signature;
    struct ml_language language = {.code = "en"};
    bool any;
    int status = 0;
    k->found = 0;
    for (size_t i = 0; status == 0 && i < t->count; i++) {
        if (pass == 0 || pass == 2)
            status =
                ml_language_identify(k->model, &k->work, t->text[i], t->size[i], &language, err);
        if (status == 0 && pass != 0 && pass != 4)
            status = ml_word_scan(&k->scan, t->text[i], t->size[i], err);
        if (status == 0 && (pass == 1 || pass == 2)) {
            status = ml_quality_judge(&k->quality, &k->plan, &k->scan, language.code, &broken, err);
            k->found += status == 0 && broken;
        }
        if (status == 0 && pass == 3) {
            status = ml_minhash_sign(&k->minhash, &k->scan, &signature, &any, err);
            if (status == 0 && ml_near_index_find(&index, &signature, 0.7, NULL) < 0)
                status = ml_near_index_add(&index, &signature, (int64_t)i, err);
            else
                k->found++;
        }
        if (status == 0 && pass == 4) {
            status = ml_redact_find(&k->spans, t->text[i], t->size[i], ML_PII_ALL, err);
            k->found += k->spans.count;
        }
    }
    ml_near_index_clear(&index);
    return status;
}

static int by_value(const void *a, const void *b)
{
    double x = *(const double *)a, y = *(const double *)b;
    return (x > y) - (x < y);
}

static int measure(const struct texts *t, int rounds, struct ml_error *err)
{
    static const char *const names[PASSES] = {"language", "rules", "language+rules", "minhash",
                                              "redact"};
    struct tools k = {0};
    double seconds[PASSES][MAX_ROUNDS];
    size_t found[PASSES] = {0};
    ml_quality_plan_init(&k.plan, ML_QUALITY_ALL);
    ml_minhash_init(&k.minhash);
    int status = ml_language_model_open(&k.model, err);
    for (int r = 0; status == 0 && r < rounds; r++)
        for (int pass = 0; status == 0 && pass < PASSES; pass++) {
            double began = ml_time();
            status = run_pass(&k, t, pass, err);
            seconds[pass][r] = ml_time() - began;
            found[pass] = k.found;
        }
    for (int pass = 0; status == 0 && pass < PASSES; pass++) {
        qsort(seconds[pass], (size_t)rounds, sizeof(double), by_value);
        printf("%s mb_per_s %.1f found %zu\n", names[pass],
               (double)t->bytes / 1e6 / seconds[pass][rounds / 2], found[pass]);
    }
    ml_classifier_free(k.model);
    ml_classifier_work_clear(&k.work);
    ml_word_scan_clear(&k.scan);
    ml_quality_clear(&k.quality);
    ml_minhash_clear(&k.minhash);
    ml_pii_spans_clear(&k.spans);
    return status;
}

int main(int argc, char **argv)
{
    struct ml_error err = {0};
    struct ml_arena arena;
    struct texts t = {0};
    char *text;
    size_t size;
    int rounds = argc > 2 ? atoi(argv[2]) : 5;
    if (argc < 2 || rounds < 1 || rounds > MAX_ROUNDS) {
        fprintf(stderr, "usage: bench_filters FILE [rounds]\n");
        return 2;
    }
    ml_arena_init(&arena, 0);
    int status = ml_file_read(&arena, argv[1], (size_t)2 << 30, &text, &size, &err);
    if (status == 0) {
        split(&t, text, size);
        printf("texts %zu bytes %zu rounds %d\n", t.count, t.bytes, rounds);
        status = measure(&t, rounds, &err);
    }
    if (status)
        fprintf(stderr, "bench_filters: %s\n", err.message);
    ml_mem_free(t.text);
    ml_mem_free(t.size);
    ml_arena_clear(&arena);
    return status ? 1 : 0;
}
