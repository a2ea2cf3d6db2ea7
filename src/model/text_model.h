/* The text model: a decoder-only transformer shaped like Qwen3 (RMSNorm, GQA with RMS-normed
 * queries and keys, NEOX RoPE, SwiGLU, tied embeddings), so that what we train loads in
 * transformers and exports to GGUF for llama.cpp. Parameter names are Hugging Face's. */
#ifndef ML_MODEL_TEXT_MODEL_H
#define ML_MODEL_TEXT_MODEL_H

#include "nn/param.h"

struct ml_text_config {
    int vocab, width, layers, heads, kv_heads, head_dim, ffn;
    int context;      /* longest sequence it was trained for */
    float rope_theta; /* 0 is taken as 1e6 */
    float norm_eps;   /* 0 is taken as 1e-6 */
    float dropout;    /* while training, on embeddings and both branches */
    bool untied;      /* a head of its own instead of the embedding table */
};

struct ml_text_block;

struct ml_text_model {
    struct ml_text_config config;
    struct ml_params params;
    struct ml_param *embedding, *final_norm, *head; /* head == embedding when tied */
    struct ml_text_block *blocks;
};

/* Checks the configuration (one message that names the value and its limits) and registers the
 * parameters; no memory for weights yet (ml_params_allocate). Owned by the arena. */
int ml_text_model_init(struct ml_text_model *model, const struct ml_text_config *config,
                       struct ml_arena *arena, struct ml_error *err);

/* The keys and values of earlier tokens, one pair of leaves a layer, [B,S,kv_heads,head_dim]. */
struct ml_text_cache {
    struct ml_tensor **keys, **values;
};

struct ml_text_batch {
    struct ml_tensor *tokens;    /* i32 [B,T] */
    struct ml_tensor *positions; /* i32 [B,T] */
    struct ml_tensor *segments;  /* i32 [B,T] document of each token, or NULL */
    struct ml_text_cache *cache; /* NULL when training */
    bool recompute;              /* gradient checkpointing, a block a layer */
};

/* -> hidden states [B,T,width] in g->compute, after the final norm. */
struct ml_tensor *ml_text_hidden(struct ml_graph *g, struct ml_text_model *model,
                                 const struct ml_text_batch *batch);
/* Mean cross-entropy against targets i32 [B,T] (negative: left out), scalar f32. */
struct ml_tensor *ml_text_loss(struct ml_graph *g, struct ml_text_model *model,
                               struct ml_tensor *hidden, struct ml_tensor *targets,
                               float smoothing);
/* hidden [...,width] -> logits [rows,vocab] f32. */
struct ml_tensor *ml_text_logits(struct ml_graph *g, struct ml_text_model *model,
                                 struct ml_tensor *hidden);

/* Floating-point operations per token of one training step (forward and backward: 6 per weight that
 * multiplies, and the causal half of attention, 6*layers*context*heads*head_dim). */
double ml_text_train_flops(const struct ml_text_config *config);

#endif
