/* Writing text with a model. */
#ifndef MALIANG_WRITE_H
#define MALIANG_WRITE_H

#include <stddef.h>
#include <stdint.h>

#include "maliang/engine.h"

#ifdef __cplusplus
extern "C" {
#endif

struct ml_text_session; /* a loaded text model and its memory of the conversation so far */

/* model: a folder with config.json, model.safetensors and tokenizer.json, or the name of a model in
 * the workspace (NULL: none), or the name of a starter. */
int ml_text_session_open(struct ml_text_session **out, struct ml_engine *engine,
                         const char *workspace, const char *model, struct ml_error *err);
void ml_text_session_close(struct ml_text_session *session);

struct ml_field {
    const char *name, *value;
};
struct ml_message {
    const char *role, *content; /* role: "system", "user", "assistant" */
};

struct ml_write_request {
    /* What to continue: one of these. With none the model starts from nothing. */
    const char *prompt;
    const struct ml_message *messages; /* a chat; the answer is the assistant's */
    int message_count;
    const struct ml_field *fields; /* of the model's template, such as title; `prompt` then begins
                                      the text itself */
    int field_count;

    int samples;                            /* 0: 1 */
    int max_tokens;                         /* 0: 256; never beyond the model's context */
    float temperature;                      /* 0: 0.8; below 0: always the most likely token */
    int top_k;                              /* 0: all */
    float top_p, min_p, repetition_penalty; /* 0: off */
    uint64_t seed;           /* same inputs and seed, same bytes, with any number of threads */
    const char *const *stop; /* the text ends before the first of these */
    int stop_count;
    ml_cancel *cancel;
    /* Text as it comes, whole characters only; return non-zero to stop that sample. May be NULL. */
    int (*stream)(void *arg, int sample, const char *text, size_t bytes);
    void *arg;
};

enum ml_finish { ML_FINISH_END, ML_FINISH_STOP, ML_FINISH_LENGTH, ML_FINISH_CANCELLED };

struct ml_text_sample {
    char *text; /* what follows the prompt, NUL-terminated; bytes that are no UTF-8 are as the model
                   wrote them, but a character that was cut off at the end is left out */
    size_t bytes;
    int tokens;
    enum ml_finish finish;
};

struct ml_write_result {
    struct ml_text_sample *samples;
    int sample_count;
    int prompt_tokens, reused_tokens; /* reused: already in the session's memory */
    double prompt_seconds, seconds;   /* reading the prompt, writing */
};

int ml_text_session_write(struct ml_text_session *session, const struct ml_write_request *request,
                          struct ml_write_result *out, struct ml_error *err);
void ml_write_result_clear(struct ml_write_result *result);

/* The fields of the model's template, in order; their number is returned through *count. Borrowed.
 */
const char *const *ml_text_session_fields(const struct ml_text_session *session, int *count);

#ifdef __cplusplus
}
#endif
#endif
