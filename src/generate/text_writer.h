/* Writes text with a text model: reads the prompt in chunks, then one token a step for all samples
 * together, keys and values of earlier tokens kept. */
#ifndef ML_GENERATE_TEXT_WRITER_H
#define ML_GENERATE_TEXT_WRITER_H

#include "generate/sampler.h"
#include "maliang/write.h"
#include "model/text_model.h"
#include "tensor/device.h"
#include "text/tokenizer.h"

struct ml_text_writer;

/* Borrows model, tokenizer and device, which outlive the writer. Parameters of any float type. */
int ml_text_writer_new(struct ml_text_writer **out, struct ml_text_model *model,
                       const struct ml_tokenizer *tokenizer, struct ml_device *device,
                       struct ml_error *err);
void ml_text_writer_free(struct ml_text_writer *writer);

struct ml_text_job {
    const int32_t *prompt; /* at least one token */
    int prompt_count;
    int samples, max_tokens; /* 0: 1, 256 */
    struct ml_sampling sampling;
    const int32_t *ends; /* tokens that end a text */
    int end_count;
    const char *const *stop; /* the text ends before the first of these */
    int stop_count;
    ml_cancel *cancel;
    int (*stream)(void *arg, int sample, const char *text, size_t bytes); /* may be NULL */
    void *arg;
};

/* Tokens of the prompt that the writer already read for the job before are not read again. Same
 * job, same bytes, with any number of threads. Control tokens that are not ends become line breaks.
 */
int ml_text_writer_run(struct ml_text_writer *writer, const struct ml_text_job *job,
                       struct ml_write_result *out, struct ml_error *err);

#endif
