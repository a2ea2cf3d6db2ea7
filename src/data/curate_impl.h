/* What the files of curating share. */
#ifndef ML_DATA_CURATE_IMPL_H
#define ML_DATA_CURATE_IMPL_H

#include <pthread.h>

#include "base/yaml.h"
#include "data/curation.h"
#include "data/minhash.h"
#include "data/picture_hash.h"
#include "data/picture_measure.h"
#include "data/quality.h"
#include "data/redact.h"
#include "data/sound_print.h"
#include "data/sound_split.h"
#include "data/text_set.h"
#include "text/language.h"

enum { ML_CURATE_LIMITS = 8 };
enum { ML_CURATE_WORDS = 64 }; /* languages, licences, datasets of one step at most */

/* One step of a recipe; each kind looks at its own members. */
struct ml_curate_step {
    const struct ml_curate_kind *kind;
    int line;
    const char *words[ML_CURATE_WORDS]; /* keep, allow, against */
    int word_count;
    double least, threshold, validation, test;
    bool half_width, keep_blanks, keep_unknown;
    unsigned sets, kinds;
    enum ml_redact_mode mode;
    int run;
    const char *by;
    struct ml_quality_plan plan;
    double limits[ML_CURATE_LIMITS]; /* of media, in the order of their table (curate_media.c) */
};

/* A record on its way. */
struct ml_curate_item {
    struct ml_record record; /* its texts are owned by the batch */
    bool is_text;
    const char *text; /* as it is now: of the batch, or own */
    size_t size;
    struct ml_buffer own, spare; /* a changed text; the next change goes into spare */
    bool changed;
    char *title, *meta; /* changed, owned by the heap; NULL: as in the record */
    struct ml_language language;
    struct ml_signature *signature; /* of the batch; valid when is_signed */
    bool is_signed;
    uint32_t redacted[ML_PII_COUNT];
    struct ml_picture_facts picture; /* when it was decoded */
    uint64_t picture_hash;           /* when has_hash */
    bool was_decoded, has_hash;
    int undecoded;                 /* why that failed: ML_ERR_FORMAT, ML_ERR_LIMIT; 0: it did not */
    struct ml_sound_print print;   /* of sound_duplicates and split */
    struct ml_sound_pieces pieces; /* of sound_split: each becomes a record; none: it stays whole */
    uint64_t touched;              /* bit i: step i changed it */
    int dropped_at;                /* index of the step, -1: kept */
    char why[64];
    double value;
    int split; /* 0 train, 1 validation, 2 test */
};

/* What one thread needs. */
struct ml_curate_worker {
    struct ml_word_scan scan;
    const char *scanned; /* text that the scan is of; NULL: none */
    struct ml_classifier_work language;
    struct ml_quality quality;
    struct ml_minhash minhash;
    struct ml_pii_spans spans;
};

struct ml_curate_split_key {
    char name[40];
    int64_t counts[3];
};

/* What lives as long as the run. */
struct ml_curate_run {
    struct ml_workspace *workspace;
    const struct ml_curate_options *options;
    const struct ml_curate_recipe *recipe;
    struct ml_curate_report *report;
    struct ml_classifier *languages; /* NULL: no step needs it */
    uint8_t redact_key[32];
    struct ml_text_set seen;           /* exact_duplicates */
    struct ml_near_index near, splits; /* near_duplicates; split: id = 3 * number + split */
    struct ml_text_set exam;           /* decontaminate */
    struct ml_hash_index pictures;     /* picture_duplicates */
    struct ml_hash_index split_pictures[3];
    struct ml_print_index sounds, split_sounds[3]; /* sound_duplicates, split */
    pthread_mutex_t reading;                       /* of media, by the threads of a step */
    struct ml_curate_split_key *keys;
    int key_count;
};

/* One row a kind of step. */
struct ml_curate_kind {
    const char *name;
    const char *const *options; /* keys that it knows, ends with NULL */
    /* Reads its options; NULL: it has none. */
    int (*parse)(struct ml_curate_step *step, const struct ml_yaml *map, const char *file,
                 struct ml_error *err);
    /* Once before the first record; NULL: nothing to prepare. */
    int (*begin)(struct ml_curate_run *run, const struct ml_curate_step *step,
                 struct ml_error *err);
    /* One record, any thread; NULL: nothing. */
    int (*each)(struct ml_curate_run *run, struct ml_curate_worker *worker, int step,
                struct ml_curate_item *item, struct ml_error *err);
    /* One record, in the dataset's order, one thread; NULL: nothing. */
    int (*join)(struct ml_curate_run *run, int step, struct ml_curate_item *item,
                struct ml_error *err);
    bool any_kind; /* pictures, sound and film too; else only texts */
};
const struct ml_curate_kind *ml_curate_kinds(int *count);

/* Steps of media (curate_media.c). */
extern const char *const ml_curate_cut_options[], *const ml_curate_picture_options[],
                                                      *const ml_curate_sound_options[],
                                                          *const ml_curate_film_options[],
                                                              *const ml_curate_alike_options[];
int ml_curate_parse_picture(struct ml_curate_step *step, const struct ml_yaml *map,
                            const char *file, struct ml_error *err);
int ml_curate_parse_sound(struct ml_curate_step *step, const struct ml_yaml *map, const char *file,
                          struct ml_error *err);
int ml_curate_parse_film(struct ml_curate_step *step, const struct ml_yaml *map, const char *file,
                         struct ml_error *err);
int ml_curate_parse_alike(struct ml_curate_step *step, const struct ml_yaml *map, const char *file,
                          struct ml_error *err);
int ml_curate_begin_media(struct ml_curate_run *run, const struct ml_curate_step *step,
                          struct ml_error *err);
int ml_curate_each_picture(struct ml_curate_run *run, struct ml_curate_worker *worker, int step,
                           struct ml_curate_item *item, struct ml_error *err);
int ml_curate_each_sound(struct ml_curate_run *run, struct ml_curate_worker *worker, int step,
                         struct ml_curate_item *item, struct ml_error *err);
int ml_curate_each_film(struct ml_curate_run *run, struct ml_curate_worker *worker, int step,
                        struct ml_curate_item *item, struct ml_error *err);
int ml_curate_each_alike(struct ml_curate_run *run, struct ml_curate_worker *worker, int step,
                         struct ml_curate_item *item, struct ml_error *err);
int ml_curate_each_print(struct ml_curate_run *run, struct ml_curate_worker *worker, int step,
                         struct ml_curate_item *item, struct ml_error *err);
int ml_curate_join_print(struct ml_curate_run *run, int step, struct ml_curate_item *item,
                         struct ml_error *err);
int ml_curate_parse_cut(struct ml_curate_step *step, const struct ml_yaml *map, const char *file,
                        struct ml_error *err);
int ml_curate_each_cut(struct ml_curate_run *run, struct ml_curate_worker *worker, int step,
                       struct ml_curate_item *item, struct ml_error *err);
/* For `split`: looks at a picture or a sound where that can be done; other records have nothing to
 * look at. */
int ml_curate_look(struct ml_curate_run *run, struct ml_curate_item *item, struct ml_error *err);
/* *splits: those that pictures or sounds like it are in; bit i is split i. */
int ml_curate_media_splits(const struct ml_curate_run *run, const struct ml_curate_item *item,
                           unsigned *splits, struct ml_error *err);
int ml_curate_media_joins(struct ml_curate_run *run, const struct ml_curate_item *item,
                          struct ml_error *err);
int ml_curate_join_alike(struct ml_curate_run *run, int step, struct ml_curate_item *item,
                         struct ml_error *err);

struct ml_curate_recipe {
    const char *input, *output;
    const char *text; /* the recipe itself, for the store */
    size_t size;
    struct ml_curate_step steps[ML_CURATE_MAX_STEPS];
    int step_count;
};
const struct ml_curate_step *ml_curate_step_at(const struct ml_curate_run *run, int step);

/* For steps. */
void ml_curate_drop(struct ml_curate_item *item, int step, const char *why, double value);
/* The worker's scan of the item's text as it is now. */
int ml_curate_scan(struct ml_curate_worker *worker, struct ml_curate_item *item,
                   struct ml_error *err);
/* item->spare becomes its text. */
void ml_curate_take_spare(struct ml_curate_worker *worker, struct ml_curate_item *item, int step);
/* Counts something that was changed, for the report (join only). */
struct ml_curate_reason *ml_curate_reason(struct ml_curate_report *report, int step,
                                          const char *why, bool changed);

/* Fills run->redact_key when a step needs it. */
int ml_curate_redact_key(struct ml_curate_run *run, struct ml_error *err);

/* Writing (curate_write.c): kept records of a batch as derived ones, and why others went. */
struct ml_curate_writer {
    struct ml_workspace *workspace;
    struct ml_source_pass pass;
    int64_t curation; /* its row */
    struct ml_buffer texts;
    size_t piece; /* of the sound at hand */
    int64_t *ids[3];
    size_t count[3], capacity[3];
};
int ml_curate_writer_begin(struct ml_curate_writer *writer, const struct ml_curate_run *run,
                           const struct ml_dataset *input, const char *output,
                           struct ml_error *err);
int ml_curate_writer_put(struct ml_curate_writer *writer, const struct ml_curate_run *run,
                         struct ml_curate_item *items, size_t count, struct ml_error *err);
int ml_curate_writer_finish(struct ml_curate_writer *writer, const struct ml_curate_run *run,
                            const char *output, struct ml_error *err);
void ml_curate_writer_clear(struct ml_curate_writer *writer);

#endif
