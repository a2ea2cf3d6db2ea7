/* Trains and tests a text classifier on labelled lines, for bench/classify.py and
 * tools/language_model.py:
 *
 *     classify_eval train TRAIN MODEL [chars] [bits=18] [epochs=15] [rate=0.3] [word_n=2] ...
 *     classify_eval test MODEL TEST          accuracy, and the speed of applying it
 *     classify_eval predict MODEL TEST       one label and probability a line
 *
 * A line is LABEL TAB TEXT. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/files.h"
#include "base/progress.h"
#include "text/classifier.h"

enum { MAX_LABELS = 256 };

struct lines {
    struct ml_arena arena;
    struct ml_classifier_example *examples;
    size_t count;
    const char *labels[MAX_LABELS];
    int label_count;
};

static int label_number(struct lines *l, const char *label, size_t n)
{
    for (int i = 0; i < l->label_count; i++)
        if (strlen(l->labels[i]) == n && memcmp(l->labels[i], label, n) == 0)
            return i;
    if (l->label_count == MAX_LABELS)
        exit(2);
    l->labels[l->label_count] = ml_arena_strndup(&l->arena, label, n);
    return l->label_count++;
}

static int read_lines(struct lines *l, const char *path, struct ml_error *err)
{
    char *text;
    size_t size, capacity = 0;
    ml_arena_init(&l->arena, 0);
    int status = ml_file_read(&l->arena, path, (size_t)1 << 30, &text, &size, err);
    if (status)
        return status;
    for (char *at = text, *end = text + size; at < end;) {
        char *stop = memchr(at, '\n', (size_t)(end - at));
        stop = stop ? stop : end;
        char *tab = memchr(at, '\t', (size_t)(stop - at));
        if (tab) {
            if (l->count == capacity) {
                capacity = capacity ? 2 * capacity : 1024;
                l->examples = ml_mem_realloc(l->examples, capacity * sizeof *l->examples);
            }
            l->examples[l->count++] = (struct ml_classifier_example){
                tab + 1, (size_t)(stop - tab - 1), label_number(l, at, (size_t)(tab - at))};
        }
        at = stop + 1;
    }
    return 0;
}

static double option(int argc, char **argv, const char *name, double otherwise)
{
    for (int i = 4; i < argc; i++)
        if (strncmp(argv[i], name, strlen(name)) == 0 && argv[i][strlen(name)] == '=')
            return atof(argv[i] + strlen(name) + 1);
    return otherwise;
}

static int train(int argc, char **argv, struct ml_error *err)
{
    struct lines l = {0};
    struct ml_classifier *c = NULL;
    struct ml_classifier_options o = {.features = argc > 4 && strcmp(argv[4], "chars") == 0
                                                      ? ML_FEATURES_CHARS
                                                      : ML_FEATURES_WORDS,
                                      .bits = (int)option(argc, argv, "bits", 0),
                                      .epochs = (int)option(argc, argv, "epochs", 0),
                                      .rate = option(argc, argv, "rate", 0),
                                      .decay = option(argc, argv, "decay", 0),
                                      .word_n = (int)option(argc, argv, "word_n", 0),
                                      .char_min = (int)option(argc, argv, "char_min", 0),
                                      .char_max = (int)option(argc, argv, "char_max", 0),
                                      .seed = (uint64_t)option(argc, argv, "seed", 0)};
    int status = read_lines(&l, argv[2], err);
    double began = ml_time();
    if (status == 0)
        status = ml_classifier_train(&c, l.examples, l.count, l.labels, l.label_count, &o, err);
    if (status == 0) {
        printf("examples %zu labels %d seconds %.3f\n", l.count, l.label_count, ml_time() - began);
        status = ml_classifier_save(c, argv[3], err);
    }
    ml_classifier_free(c);
    ml_mem_free(l.examples);
    ml_arena_clear(&l.arena);
    return status;
}

static int apply(char **argv, bool print, struct ml_error *err)
{
    struct lines l = {0};
    struct ml_classifier *c = NULL;
    struct ml_classifier_work work = {0};
    float p[ML_CLASSIFIER_MAX_LABELS];
    size_t right = 0, bytes = 0;
    int status = ml_classifier_open(&c, argv[2], err);
    if (status == 0)
        status = read_lines(&l, argv[3], err);
    double began = ml_time();
    for (size_t i = 0; status >= 0 && i < l.count; i++) {
        status = ml_classifier_apply(c, &work, l.examples[i].text, l.examples[i].size, p, err);
        if (status < 0)
            break;
        bytes += l.examples[i].size;
        right += strcmp(ml_classifier_label(c, status), l.labels[l.examples[i].label]) == 0;
        if (print)
            printf("%s\t%.4f\n", ml_classifier_label(c, status), (double)p[status]);
    }
    double seconds = ml_time() - began;
    if (status >= 0 && !print)
        printf("accuracy %.4f n %zu mb_per_s %.1f\n", (double)right / (double)l.count, l.count,
               (double)bytes / 1e6 / seconds);
    ml_classifier_work_clear(&work);
    ml_classifier_free(c);
    ml_mem_free(l.examples);
    ml_arena_clear(&l.arena);
    return status < 0 ? status : 0;
}

int main(int argc, char **argv)
{
    struct ml_error err = {0};
    int status = ML_ERR_ARG;
    if (argc >= 4 && strcmp(argv[1], "train") == 0)
        status = train(argc, argv, &err);
    else if (argc == 4 && (strcmp(argv[1], "test") == 0 || strcmp(argv[1], "predict") == 0))
        status = apply(argv, argv[1][0] == 'p', &err);
    else
        fprintf(stderr, "usage: classify_eval train|test|predict FILE FILE [OPTION...]\n");
    if (status)
        fprintf(stderr, "classify_eval: %s\n", err.message);
    return status ? 1 : 0;
}
