/* A text model as it lies in a folder: config.json, model.safetensors, tokenizer.json and, from our
 * own training, maliang.json (template, licence, metrics). Opened once, then shared. */
#ifndef ML_GENERATE_TEXT_PACK_H
#define ML_GENERATE_TEXT_PACK_H

#include <jansson.h>

#include "format/hf_config.h"
#include "model/text_model.h"
#include "text/tokenizer.h"

#define ML_PACK_MAX_ENDS 16

struct ml_text_pack {
    struct ml_arena arena; /* owns the weights */
    struct ml_hf_config config;
    struct ml_text_model model;
    struct ml_tokenizer *tokenizer;
    json_t *about;                  /* maliang.json, an empty object when there is none */
    const char *template;           /* of about, or NULL */
    int32_t ends[ML_PACK_MAX_ENDS]; /* tokens that end a text */
    int end_count;
};

/* Weights keep the type they have in the file (f16 becomes f32; norms are f32). A NaN or infinity
 * among them is an error. */
int ml_text_pack_open(struct ml_text_pack *out, const char *folder, struct ml_error *err);
void ml_text_pack_close(struct ml_text_pack *pack); /* accepts NULL and a zeroed struct */

/* maliang.json of a folder, an empty object when it has none. */
int ml_text_pack_about(json_t **out, const char *folder, struct ml_error *err);

#endif
