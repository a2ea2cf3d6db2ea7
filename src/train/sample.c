#include "base/fail.h"
#include "generate/text_writer.h"
#include "train/train_impl.h"

#include <string.h>

/* The prompt after a token that begins a document. */
static int prompt_ids(struct trainer *t, struct ml_ids *out, struct ml_error *err)
{
    const char *prompt = t->recipe.sample.prompt;
    int status = t->end >= 0 ? ml_ids_put(out, t->end, err) : 0;
    if (status == 0)
        status =
            ml_tokenizer_encode(t->tokenizer, prompt, strlen(prompt), ML_ENCODE_SPECIAL, out, err);
    if (status == 0 && out->count == 0)
        status = ml_ids_put(out, 0, err); /* no end token and no prompt: from the first byte */
    return status;
}

int trainer_sample(struct trainer *t, struct ml_error *err)
{
    struct ml_text_writer *writer = NULL;
    struct ml_write_result result = {0};
    struct ml_ids ids = {0};
    int status = prompt_ids(t, &ids, err);
    if (status == 0)
        status = ml_text_writer_new(&writer, &t->model, t->tokenizer, t->job->device, err);
    struct ml_text_job job = {
        .prompt = ids.ids,
        .prompt_count = (int)ids.count,
        .max_tokens = (int)t->recipe.sample.length,
        .sampling = {.seed = (uint64_t)t->recipe.train.seed},
        .ends = &t->end,
        .end_count = t->end >= 0,
        .cancel = t->job->cancel,
    };
    if (status == 0)
        status = ml_text_writer_run(writer, &job, &result, err);
    if (status == 0 && result.sample_count > 0)
        t->job->sample(t->job->arg, t->state.step, result.samples[0].text);
    if (status == 0)
        ml_write_result_clear(&result);
    ml_text_writer_free(writer);
    ml_ids_clear(&ids);
    return status;
}
