/* What a recipe holds out, and how well a model and a 5-gram predict it, in bits a character of the
 * same text. */
#ifndef BENCH_HELDOUT_H
#define BENCH_HELDOUT_H

#include "data/dataset_text.h"
#include "generate/text_pack.h"
#include "ngram.h"
#include "tensor/plan.h"
#include "text/template.h"
#include "train/recipe.h"

/* The dataset of a recipe, split as training splits it, each record rendered once with all of its
 * fields. */
struct heldout {
    struct ml_arena arena;
    struct ml_recipe recipe;
    struct ml_workspace *workspace;
    struct ml_dataset dataset;
    struct ml_dataset_text texts;
};
int heldout_open(struct heldout *out, const char *workspace, const char *recipe,
                 struct ml_error *err);
void heldout_close(struct heldout *heldout);

/* Where a document's text begins: after the template's last own stretch. */
size_t heldout_body(const struct ml_dataset_document *document);
/* The value that follows the stretch of the template that ends with `marker`, such as
 * "<|title|>". */
bool heldout_field(const struct ml_dataset_document *document, const char *marker,
                   const char **text, size_t *size);

/* A model that measures; zero-initialise. */
struct scorer {
    struct ml_text_pack pack;
    struct ml_device *device;
    struct ml_encoder *encoder;
    struct ml_arena arena;
    struct ml_graph graph;
    struct ml_plan *plan;
    struct ml_tensor *loss;
    int32_t *tokens, *positions, *targets; /* [rows, context] */
    int rows, used;                        /* windows in the batch; taken */
    double nats;                           /* of all that was measured */
    int64_t measured;                      /* tokens */
};
int scorer_open(struct scorer *s, const char *folder, struct ml_error *err);
void scorer_close(struct scorer *s);

enum { SCORE_MAX_WITHOUT = 4 };
struct score_options {
    const char *without[SCORE_MAX_WITHOUT]; /* markers of fields that are not given */
    bool no_end;     /* the document does not begin with the token that ends one */
    bool ideographs; /* measure Chinese characters only, not marks and line ends; needs a tokenizer
                        whose tokens are at most one character */
};
struct score {
    double bits; /* of all measured characters together */
    int64_t characters;
    double per_character;
};
/* The bodies of the held-out documents, given what stands before them. The token that ends a
 * document is not measured. */
int scorer_measure(struct scorer *s, const struct ml_dataset_text *texts,
                   const struct score_options *options, struct score *out, struct ml_error *err);

/* A 5-gram of the bodies of the training documents; documents begin as `kind` says. */
typedef uint32_t ngram_kind(const struct ml_dataset_document *document);
int heldout_ngram(struct ngram **out, const struct ml_dataset_text *texts, ngram_kind *kind,
                  struct ml_error *err);
int heldout_ngram_measure(const struct ngram *ngram, const struct ml_dataset_text *texts,
                          ngram_kind *kind, bool ideographs, struct score *out,
                          struct ml_error *err);
/* One line about the 5-gram, with the check that its probabilities sum to 1; ML_ERR_NUMERIC when
 * they do not. */
int heldout_ngram_print(const struct ngram *ngram, const struct ml_dataset_text *texts,
                        uint64_t seed, struct ml_error *err);

/* A character from UTF-8; a byte that is none is U+FFFD. Returns its bytes. */
size_t heldout_character(const char *text, size_t n, uint32_t *c);
bool heldout_ideograph(uint32_t c);

#endif
