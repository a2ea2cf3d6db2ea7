/* config.json of a Qwen3ForCausalLM, as Hugging Face transformers reads and writes it: beside
 * model.safetensors it makes a folder that transformers loads. */
#ifndef ML_FORMAT_HF_CONFIG_H
#define ML_FORMAT_HF_CONFIG_H

#include <stdbool.h>

#include "kernel/dtype.h"
#include "maliang/error.h"

struct ml_hf_config {
    int vocab, width, layers, heads, kv_heads, head_dim, ffn, context;
    float rope_theta, norm_eps;
    bool untied;
    int bos, eos, pad;   /* token ids, -1 for none */
    enum ml_dtype dtype; /* of the weights beside it */
};

/* Names the first value that is missing or absurd, with its limits; `where` begins the message. */
int ml_hf_config_check(const struct ml_hf_config *config, const char *where, struct ml_error *err);

int ml_hf_config_write(const char *path, const struct ml_hf_config *config, struct ml_error *err);
/* path is the file or the folder that has it. Refuses what we would run wrongly: another
 * model_type, biases, scaled RoPE, sliding windows. */
int ml_hf_config_read(struct ml_hf_config *out, const char *path, struct ml_error *err);
/* The same from n bytes; `what` names them in messages. */
int ml_hf_config_parse(struct ml_hf_config *out, const char *text, size_t n, const char *what,
                       struct ml_error *err);

#endif
