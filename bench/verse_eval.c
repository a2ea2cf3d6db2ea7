/* What a verse model writes and how well it predicts verse that it never saw.
 *   verse_eval WORKSPACE RECIPE MODEL [--samples N] [--seed S] [--temperature X] [--out FILE]
 * Titles to write on are those of held-out poems. FILE gets every poem with its rhyme positions. */
#include <getopt.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "api/api_impl.h"
#include "base/fail.h"
#include "base/utf8.h"
#include "copied.h"
#include "heldout.h"
#include "maliang/maliang.h"
#include "text/rhyme.h"
#include "text/verse.h"

enum { FORMS = ML_VERSE_COUNT - 1, MOST_TOKENS = 120 };

struct options {
    const char *workspace, *recipe, *model, *out;
    int samples;
    uint64_t seed;
    float temperature;
};

/* A poem that was written or is held out. */
struct poem {
    enum ml_verse_form form; /* asked for, or kept */
    const char *title, *text;
    size_t size;
    struct ml_verse_report report;
};

struct eval {
    struct options options;
    struct heldout heldout;
    struct ml_arena arena;
    struct poem *written, *human;
    int written_count, human_count;
    struct ml_rhyme *rhyme;
    struct copied *copied;
    FILE *out;
};

static enum ml_verse_form form_of(const struct ml_dataset_document *d)
{
    size_t body = heldout_body(d);
    return ml_verse_classify(d->text + body, d->size - body);
}

static uint32_t begin_of(const struct ml_dataset_document *d)
{
    return NGRAM_BEGIN + (uint32_t)form_of(d);
}

static void *room(struct eval *e, size_t count, size_t size, struct ml_error *err)
{
    void *memory = ml_arena_calloc(&e->arena, count + 1, size);
    if (!memory)
        ml_fail(err, ML_ERR_MEMORY, "out of memory");
    return memory;
}

/* ---- people's poems ---- */

static int take_human(struct eval *e, struct ml_error *err)
{
    const struct ml_dataset_text *texts = &e->heldout.texts;
    e->human = room(e, (size_t)texts->validation_count, sizeof *e->human, err);
    if (!e->human)
        return ML_ERR_MEMORY;
    for (int64_t i = 0; i < texts->validation_count; i++) {
        const struct ml_dataset_document *d = &texts->validation[i];
        struct poem *p = &e->human[e->human_count];
        const char *title = "";
        size_t body = heldout_body(d), size = 0;
        *p = (struct poem){form_of(d), NULL, d->text + body, d->size - body, {0}};
        if (p->form == ML_VERSE_NONE)
            continue;
        heldout_field(d, "<|title|>", &title, &size);
        p->title = ml_arena_strndup(&e->arena, title, size);
        if (!p->title)
            return ml_fail(err, ML_ERR_MEMORY, "out of memory");
        ml_verse_check(p->form, p->text, p->size, &p->report);
        e->human_count++;
    }
    return 0;
}

static int learn_rhymes(struct eval *e, struct ml_error *err)
{
    const struct ml_dataset_text *texts = &e->heldout.texts;
    struct ml_rhyme_learner learner = {0};
    int status = 0;
    for (int64_t i = 0; i < texts->train_count && status == 0; i++) {
        const struct ml_dataset_document *d = &texts->train[i];
        struct ml_verse_report report;
        size_t body = heldout_body(d);
        enum ml_verse_form form = form_of(d);
        if (form == ML_VERSE_NONE)
            continue;
        ml_verse_check(form, d->text + body, d->size - body, &report);
        status = ml_rhyme_learner_add(&learner, report.rhyme, report.rhyme_count, err);
    }
    if (status == 0)
        status = ml_rhyme_learn(&e->rhyme, &learner, err);
    ml_rhyme_learner_clear(&learner);
    return status;
}

static int learn_lines(struct eval *e, struct ml_error *err)
{
    const struct ml_dataset_text *texts = &e->heldout.texts;
    int status = copied_new(&e->copied, err);
    for (int64_t i = 0; i < texts->train_count && status == 0; i++) {
        size_t body = heldout_body(&texts->train[i]);
        status =
            copied_add(e->copied, texts->train[i].text + body, texts->train[i].size - body, err);
    }
    if (status == 0)
        copied_finish(e->copied);
    return status;
}

/* ---- the model's ---- */

/* Poems of one form among the held-out ones that have a title, in an order that the seed makes. */
static int titles_of(const struct eval *e, enum ml_verse_form form, uint32_t *order)
{
    struct ml_rng rng;
    int count = 0;
    for (int i = 0; i < e->human_count; i++)
        if (e->human[i].form == form && e->human[i].title[0])
            order[count++] = (uint32_t)i;
    ml_rng_init(&rng, e->options.seed, (uint64_t)form);
    ml_rng_shuffle(&rng, order, (size_t)count);
    return count;
}

static int write_poem(struct eval *e, struct ml_text_session *session, struct poem *p,
                      uint64_t seed, struct ml_error *err)
{
    struct ml_field fields[2] = {{"form", ml_verse_shape(p->form)->traditional},
                                 {"title", p->title}};
    struct ml_write_request request = {.fields = fields,
                                       .field_count = p->title[0] ? 2 : 1,
                                       .max_tokens = MOST_TOKENS,
                                       .temperature = e->options.temperature,
                                       .seed = seed};
    struct ml_write_result result = {0};
    int status = ml_text_session_write(session, &request, &result, err);
    if (status == 0) {
        p->size = result.samples[0].bytes;
        p->text = ml_arena_strndup(&e->arena, result.samples[0].text, p->size);
        status = p->text ? 0 : ml_fail(err, ML_ERR_MEMORY, "out of memory");
    }
    ml_write_result_clear(&result);
    if (status == 0)
        ml_verse_check(p->form, p->text, p->size, &p->report);
    return status;
}

static int write_all(struct eval *e, struct ml_text_session *session, struct ml_error *err)
{
    uint32_t *order = room(e, (size_t)e->human_count, sizeof *order, err);
    e->written = room(e, (size_t)e->options.samples, sizeof *e->written, err);
    if (!order || !e->written)
        return ML_ERR_MEMORY;
    int status = 0;
    for (int form = 1; form <= FORMS && status == 0; form++) {
        int titles = titles_of(e, (enum ml_verse_form)form, order);
        int wanted = e->options.samples / FORMS + (form <= e->options.samples % FORMS);
        if (titles < wanted)
            printf("note: only %d held-out titles of %s; some are written on again\n", titles,
                   ml_verse_shape((enum ml_verse_form)form)->traditional);
        for (int i = 0; i < wanted && status == 0; i++) {
            struct poem *p = &e->written[e->written_count++];
            p->form = (enum ml_verse_form)form;
            p->title = titles ? e->human[order[i % titles]].title : "";
            status = write_poem(e, session, p,
                                e->options.seed * 1000003 + (uint64_t)e->written_count, err);
        }
    }
    return status;
}

static int write_samples(struct eval *e, const char *folder, struct ml_error *err)
{
    struct ml_engine *engine = NULL;
    struct ml_text_session *session = NULL;
    int status = ml_engine_open(&engine, NULL, err);
    if (status == 0)
        status = ml_text_session_open(&session, engine, NULL, folder, err);
    if (status == 0)
        status = write_all(e, session, err);
    ml_text_session_close(session);
    ml_engine_close(engine);
    return status;
}

/* ---- what came of it ---- */

static void put_rhymes(FILE *out, const struct ml_verse_report *report)
{
    for (int i = 0; i < report->rhyme_count; i++) {
        char bytes[5] = {0};
        ml_utf8_encode(report->rhyme[i], bytes);
        fprintf(out, "%s", bytes);
    }
}

static void print_forms(struct eval *e)
{
    int kept = 0;
    printf("form     lines x characters   kept\n");
    for (int form = 1; form <= FORMS; form++) {
        const struct ml_verse_shape *shape = ml_verse_shape((enum ml_verse_form)form);
        int asked = 0, good = 0;
        for (int i = 0; i < e->written_count; i++)
            if (e->written[i].form == (enum ml_verse_form)form) {
                asked++;
                good += e->written[i].report.kept;
            }
        printf("%-5s %s        %d x %d   %3d of %d\n", shape->name, shape->traditional,
               shape->lines, shape->characters, good, asked);
        kept += good;
    }
    printf("form kept: %d of n=%d poems = %.1f%%, seed %llu\n", kept, e->written_count,
           100.0 * kept / e->written_count, (unsigned long long)e->options.seed);
    for (int i = 0; i < e->written_count; i++)
        if (!e->written[i].report.kept)
            printf("  not kept: %s on %s: %s\n", ml_verse_shape(e->written[i].form)->traditional,
                   e->written[i].title, e->written[i].report.message);
}

static void print_poem(FILE *out, const struct eval *e, const struct poem *p)
{
    struct ml_rhyme_score score = {0};
    ml_rhyme_score_add(e->rhyme, p->report.rhyme, p->report.rhyme_count, &score);
    fprintf(out, "%s on %s [%s], rhyme positions ", ml_verse_shape(p->form)->traditional, p->title,
            p->report.kept ? "kept" : p->report.message);
    put_rhymes(out, &p->report);
    fprintf(out, " (%ld of %ld pairs rhyme)\n%.*s\n\n", score.agreeing, score.pairs, (int)p->size,
            p->text);
}

static void print_samples(struct eval *e)
{
    for (int i = 0; i < e->written_count; i++) {
        if (e->out)
            print_poem(e->out, e, &e->written[i]);
        if (i == 0 || e->written[i].form != e->written[i - 1].form)
            print_poem(stdout, e, &e->written[i]);
    }
}

static void print_rhyme(const char *who, int n, const struct ml_rhyme_score *s)
{
    printf("  %-28s %5.1f%% of %ld pairs in n=%d poems\n", who,
           s->pairs ? 100.0 * (double)s->agreeing / (double)s->pairs : 0.0, s->pairs, n);
}

/* The ends of all people's even lines, dealt out again: what chance gives. */
static int shuffled(struct eval *e, struct ml_rhyme_score *score, struct ml_error *err)
{
    uint32_t *ends = room(e, 4 * (size_t)e->human_count, sizeof *ends, err);
    struct ml_rng rng;
    size_t count = 0, at = 0;
    if (!ends)
        return ML_ERR_MEMORY;
    for (int i = 0; i < e->human_count; i++)
        for (int k = 0; k < e->human[i].report.rhyme_count; k++)
            ends[count++] = e->human[i].report.rhyme[k];
    ml_rng_init(&rng, e->options.seed, 99);
    ml_rng_shuffle(&rng, ends, count);
    for (int i = 0; i < e->human_count; i++) {
        int n = e->human[i].report.rhyme_count;
        ml_rhyme_score_add(e->rhyme, ends + at, n, score);
        at += (size_t)n;
    }
    return 0;
}

static int print_rhymes(struct eval *e, struct ml_error *err)
{
    struct ml_rhyme_score model = {0}, human = {0}, chance = {0};
    for (int i = 0; i < e->written_count; i++)
        ml_rhyme_score_add(e->rhyme, e->written[i].report.rhyme, e->written[i].report.rhyme_count,
                           &model);
    for (int i = 0; i < e->human_count; i++)
        ml_rhyme_score_add(e->rhyme, e->human[i].report.rhyme, e->human[i].report.rhyme_count,
                           &human);
    int status = shuffled(e, &chance, err);
    if (status != 0)
        return status;
    printf("rhyme pairs (ends of even lines) that rhyme by the %d groups of the training poems:\n",
           ml_rhyme_groups(e->rhyme));
    print_rhyme("model", e->written_count, &model);
    print_rhyme("people, held out", e->human_count, &human);
    print_rhyme("people, line ends shuffled", e->human_count, &chance);
    return 0;
}

static void print_copies(const struct eval *e, const char *who, const struct poem *poems, int n)
{
    long lines = 0, copied = 0;
    int with_line = 0, with_run = 0;
    for (int i = 0; i < n; i++) {
        struct copies c = copied_count(e->copied, poems[i].text, poems[i].size);
        lines += c.lines;
        copied += c.copied_lines;
        with_line += c.copied_lines > 0;
        with_run += c.copied_runs > 0;
    }
    printf(
        "  %-18s %5.1f%% of lines; %5.1f%% of poems hold such a line, %5.1f%% hold %d characters "
        "in a row (n=%d poems, %ld lines)\n",
        who, lines ? 100.0 * (double)copied / (double)lines : 0.0, 100.0 * with_line / n,
        100.0 * with_run / n, COPIED_RUN, n, lines);
}

static void print_bits(const char *what, const struct score *model, const struct score *bare,
                       const struct score *grams)
{
    printf("bits a character, %s (n=%lld): 5-gram %.3f; model given form and title %.3f (%.3f "
           "times), given the form only %.3f (%.3f times)\n",
           what, (long long)grams->characters, grams->per_character, model->per_character,
           model->per_character / grams->per_character, bare->per_character,
           bare->per_character / grams->per_character);
}

static int measure(struct eval *e, struct scorer *scorer, const struct ngram *ngram,
                   bool ideographs, struct ml_error *err)
{
    const struct ml_dataset_text *texts = &e->heldout.texts;
    struct score grams, model, bare;
    struct score_options options = {.ideographs = ideographs};
    int status = heldout_ngram_measure(ngram, texts, begin_of, ideographs, &grams, err);
    if (status == 0)
        status = scorer_measure(scorer, texts, &options, &model, err);
    options.without[0] = "<|title|>";
    if (status == 0)
        status = scorer_measure(scorer, texts, &options, &bare, err);
    if (status == 0)
        print_bits(ideographs ? "Chinese characters only" : "with marks and line ends", &model,
                   &bare, &grams);
    return status;
}

static int print_prediction(struct eval *e, const char *folder, struct ml_error *err)
{
    struct ngram *ngram = NULL;
    struct scorer scorer = {0};
    int status = heldout_ngram(&ngram, &e->heldout.texts, begin_of, err);
    if (status == 0)
        status = heldout_ngram_print(ngram, &e->heldout.texts, e->options.seed, err);
    if (status == 0)
        status = scorer_open(&scorer, folder, err);
    for (int ideographs = 0; ideographs < 2 && status == 0; ideographs++)
        if (!ideographs || ml_tokenizer_pretokenizer(scorer.pack.tokenizer) == ML_PRETOKENIZER_CHAR)
            status = measure(e, &scorer, ngram, ideographs, err);
    scorer_close(&scorer);
    ngram_free(ngram);
    return status;
}

static int evaluate(struct eval *e, struct ml_error *err)
{
    char *folder = NULL;
    const struct options *o = &e->options;
    int status = ml_locate_model(&folder, &e->arena, o->workspace, o->model, err);
    if (status == 0)
        status = heldout_open(&e->heldout, o->workspace, o->recipe, err);
    if (status == 0)
        status = take_human(e, err);
    if (status == 0)
        status = learn_rhymes(e, err);
    if (status == 0)
        status = learn_lines(e, err);
    if (status != 0)
        return status;
    printf("%lld poems to train on, %d held out; model %s, seed %llu\n",
           (long long)e->heldout.texts.train_count, e->human_count, o->model,
           (unsigned long long)o->seed);
    status = write_samples(e, folder, err);
    if (status != 0)
        return status;
    print_samples(e);
    print_forms(e);
    status = print_rhymes(e, err);
    if (status != 0)
        return status;
    printf("copied from the training poems, whole lines and runs without marks:\n");
    print_copies(e, "model", e->written, e->written_count);
    print_copies(e, "people, held out", e->human, e->human_count);
    return print_prediction(e, folder, err);
}

static int read_options(int argc, char **argv, struct options *o)
{
    static const struct option known[] = {{"samples", required_argument, NULL, 'n'},
                                          {"seed", required_argument, NULL, 's'},
                                          {"temperature", required_argument, NULL, 't'},
                                          {"out", required_argument, NULL, 'o'},
                                          {NULL, 0, NULL, 0}};
    *o = (struct options){.samples = 200, .seed = 1};
    for (int c; (c = getopt_long(argc, argv, "", known, NULL)) != -1;) {
        if (c == 'n')
            o->samples = atoi(optarg);
        else if (c == 's')
            o->seed = strtoull(optarg, NULL, 10);
        else if (c == 't')
            o->temperature = (float)atof(optarg);
        else if (c == 'o')
            o->out = optarg;
        else
            return -1;
    }
    if (argc - optind != 3 || o->samples < 1 || o->samples > 100000)
        return -1;
    o->workspace = argv[optind];
    o->recipe = argv[optind + 1];
    o->model = argv[optind + 2];
    return 0;
}

int main(int argc, char **argv)
{
    struct eval e = {0};
    struct ml_error err = {0};
    if (read_options(argc, argv, &e.options) != 0) {
        fprintf(stderr, "usage: verse_eval WORKSPACE RECIPE MODEL [--samples N] [--seed S] "
                        "[--temperature X] [--out FILE]\n");
        return 2;
    }
    ml_arena_init(&e.arena, 0);
    int status = 0;
    if (e.options.out && !(e.out = fopen(e.options.out, "w")))
        status = ml_fail(&err, ML_ERR_IO, "cannot write %s", e.options.out);
    if (status == 0)
        status = evaluate(&e, &err);
    if (e.out && fclose(e.out) != 0 && status == 0)
        status = ml_fail(&err, ML_ERR_IO, "cannot write %s", e.options.out);
    copied_free(e.copied);
    ml_rhyme_free(e.rhyme);
    heldout_close(&e.heldout);
    ml_arena_clear(&e.arena);
    if (status != 0)
        fprintf(stderr, "verse_eval: %s\n", err.message);
    return status != 0;
}
