/* Bits a character of what a recipe holds out, by a model and by a 5-gram of the same training
 * texts.
 *   heldout_eval WORKSPACE RECIPE MODEL [MARKER...]
 * MARKER, such as "<|title|>": a field that is not given in a second measurement. */
#include <stdio.h>

#include "api/api_impl.h"
#include "heldout.h"

enum { SEED = 1 };

static uint32_t one_kind(const struct ml_dataset_document *document)
{
    (void)document;
    return NGRAM_BEGIN;
}

static void print(const char *name, const struct score *score, const struct score *baseline)
{
    printf("%-34s %8.3f bits a character", name, score->per_character);
    if (baseline)
        printf(", %.3f times the 5-gram", score->per_character / baseline->per_character);
    printf("  (n=%lld characters)\n", (long long)score->characters);
}

static int compare(struct heldout *h, const char *folder, const char *const *markers,
                   int marker_count, struct ml_error *err)
{
    struct ngram *ngram = NULL;
    struct scorer scorer = {0};
    struct score grams, all, bare;
    struct score_options options = {0}, without = {0};
    for (int i = 0; i < marker_count && i < SCORE_MAX_WITHOUT; i++)
        without.without[i] = markers[i];
    int status = heldout_ngram(&ngram, &h->texts, one_kind, err);
    if (status == 0)
        status = heldout_ngram_print(ngram, &h->texts, SEED, err);
    if (status == 0)
        status = heldout_ngram_measure(ngram, &h->texts, one_kind, false, &grams, err);
    if (status == 0)
        status = scorer_open(&scorer, folder, err);
    if (status == 0)
        status = scorer_measure(&scorer, &h->texts, &options, &all, err);
    if (status == 0 && marker_count)
        status = scorer_measure(&scorer, &h->texts, &without, &bare, err);
    if (status == 0) {
        printf("seed %d, %lld documents to train on, %lld held out\n", SEED,
               (long long)h->texts.train_count, (long long)h->texts.validation_count);
        print("5-gram", &grams, NULL);
        print("model, given all fields", &all, &grams);
        if (marker_count)
            print("model, without the named fields", &bare, &grams);
    }
    scorer_close(&scorer);
    ngram_free(ngram);
    return status;
}

int main(int argc, char **argv)
{
    struct ml_error err = {0};
    struct heldout heldout = {0};
    struct ml_arena arena;
    char *folder = NULL;
    if (argc < 4 || argc > 4 + SCORE_MAX_WITHOUT) {
        fprintf(stderr, "usage: heldout_eval WORKSPACE RECIPE MODEL [MARKER...]\n");
        return 2;
    }
    ml_arena_init(&arena, 0);
    int status = ml_locate_model(&folder, &arena, argv[1], argv[3], &err);
    if (status == 0)
        status = heldout_open(&heldout, argv[1], argv[2], &err);
    if (status == 0)
        status = compare(&heldout, folder, (const char *const *)argv + 4, argc - 4, &err);
    heldout_close(&heldout);
    ml_arena_clear(&arena);
    if (status != 0)
        fprintf(stderr, "heldout_eval: %s\n", err.message);
    return status != 0;
}
