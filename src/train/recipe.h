/* Recipes: YAML files that say what to train on what, and how. One table of fields
 * (recipe_fields.c) drives reading, checking, overriding, printing and the reference in
 * docs/recipe.md. */
#ifndef ML_TRAIN_RECIPE_H
#define ML_TRAIN_RECIPE_H

#include <stdbool.h>
#include <stdint.h>

#include "base/arena.h"
#include "maliang/error.h"

#define ML_RECIPE_MAX_BYTES (1 << 20)
#define ML_RECIPE_MAX_LIST  64

struct ml_recipe_list {
    const char *const *items;
    int count;
};

enum ml_recipe_packing { ML_PACK_STREAM, ML_PACK_DOCUMENTS };
enum ml_recipe_tokenizer { ML_RECIPE_BPE, ML_RECIPE_CHAR };
enum ml_recipe_precision { ML_PRECISION_AUTO, ML_PRECISION_F32, ML_PRECISION_BF16 };
enum ml_recipe_save { ML_SAVE_BF16, ML_SAVE_F32 };
enum ml_recipe_order { ML_ORDER_SHUFFLED, ML_ORDER_SEQUENTIAL };

/* Strings and lists are owned by the arena of the call that set them; never NULL. Numbers whose
 * table row says "0: ..." are filled in by ml_recipe_resolve. */
struct ml_recipe {
    const char *name, *description, *licence;
    struct {
        const char *dataset, *template;
        struct ml_recipe_list require;
        double validation;
        int packing;
        bool dedup;
        int64_t copies;
        double drop, augment;
        const char *synonyms, *synonyms_sha256;
    } data;
    struct {
        int kind, pretokenizer;
        int64_t vocab, min_frequency;
        struct ml_recipe_list special;
    } tokenizer;
    struct {
        int arch;
        int64_t layers, width, heads, kv_heads, head_dim, ffn, context;
        double rope_theta;
        bool untied;
        double dropout;
        int save;
    } model;
    struct {
        int64_t steps;
        double epochs, minutes;
        int64_t batch, accumulation, context;
        int optimizer;
        double lr, matrix_lr, min_lr;
        int schedule;
        int64_t warmup;
        double decay, weight_decay, beta1, beta2, eps, clip, ema;
        int precision;
        bool recompute;
        int64_t seed;
        int order;
        double label_smoothing;
        int64_t eval_every, eval_batches, patience, checkpoint_every, keep;
    } train;
    struct {
        const char *prompt;
        int64_t every, length;
    } sample;
};

enum ml_recipe_type {
    ML_RECIPE_STRING,
    ML_RECIPE_INT,
    ML_RECIPE_REAL,
    ML_RECIPE_BOOL,
    ML_RECIPE_CHOICE,
    ML_RECIPE_LIST,
};

struct ml_recipe_field {
    const char *name; /* "train.lr" */
    enum ml_recipe_type type;
    size_t offset;             /* in struct ml_recipe */
    const char *initial;       /* the default, as it would be written */
    double min, max;           /* of a number */
    const char *const *choice; /* of a choice, ended by NULL, in the order of its enum */
    bool free;                 /* changes nothing in the weights: a run resumes when it differs */
    const char *what;          /* one line for people */
};
const struct ml_recipe_field *ml_recipe_fields(int *count);

/* A recipe of defaults; needs the arena for its lists. */
int ml_recipe_init(struct ml_recipe *out, struct ml_arena *arena, struct ml_error *err);

/* Defaults overwritten by the file. Unknown keys are refused with file, line and the nearest known
 * key; values with their limits. `name` is the file's name in messages. */
int ml_recipe_parse(struct ml_recipe *out, struct ml_arena *arena, const char *text, size_t n,
                    const char *name, struct ml_error *err);
int ml_recipe_open(struct ml_recipe *out, struct ml_arena *arena, const char *path,
                   struct ml_error *err);
/* "section.key=value"; the items of a list are separated by commas. */
int ml_recipe_set(struct ml_recipe *recipe, struct ml_arena *arena, const char *assignment,
                  struct ml_error *err);

/* What is known of the data before training starts. */
struct ml_recipe_facts {
    int64_t bytes;  /* of the training text */
    int64_t tokens; /* of the training text; 0 while there is no tokenizer */
};
/* Fills in what the recipe left open as far as the facts go: the tokenizer's vocabulary from the
 * bytes, then the model's shape, the batch and the rates from the tokens. steps stays 0 while it
 * depends on windows or minutes (ml_recipe_set_steps). Refuses combinations that cannot work. */
int ml_recipe_resolve(struct ml_recipe *recipe, const struct ml_recipe_facts *facts,
                      struct ml_error *err);
/* steps from windows of an epoch (and the seconds of one step when minutes are asked for), then
 * all that depends on the number of steps. */
int ml_recipe_set_steps(struct ml_recipe *recipe, int64_t windows, double seconds_a_step,
                        struct ml_error *err);

/* The whole recipe as YAML, each value with its comment; reading it gives the same recipe. */
int ml_recipe_print(const struct ml_recipe *recipe, struct ml_buffer *out, struct ml_error *err);
/* The reference of all fields in Markdown (docs/recipe.md). */
int ml_recipe_document(struct ml_buffer *out, struct ml_error *err);
/* SHA-256 in hexadecimal of all values; without the free ones when only_fixed. */
void ml_recipe_hash(const struct ml_recipe *recipe, bool only_fixed, char out[65]);
/* The first field that is not free and differs, or NULL. */
const struct ml_recipe_field *ml_recipe_difference(const struct ml_recipe *a,
                                                   const struct ml_recipe *b);
/* A field's value as it would be written in YAML, cut off at n bytes. Returns buffer. */
char *ml_recipe_value(const struct ml_recipe *recipe, const struct ml_recipe_field *field,
                      char *buffer, size_t n);

#endif
