/* The one table of what a recipe can say. */
#include <math.h>
#include <stddef.h>

#include "train/recipe.h"

static const char *const packings[] = {"stream", "documents", NULL};
static const char *const tokenizers[] = {"bpe", "char", NULL};
static const char *const pretokenizers[] = {"qwen2", "gpt2", "char", NULL};
static const char *const archs[] = {"qwen3", NULL};
static const char *const optimizers[] = {"adamw", "muon", NULL};
static const char *const schedules[] = {"cosine", "constant", "linear", "wsd", NULL};
static const char *const precisions[] = {"auto", "f32", "bf16", NULL};
static const char *const saves[] = {"bf16", "f32", NULL};
static const char *const orders[] = {"shuffled", "sequential", NULL};

#define AT(member) offsetof(struct ml_recipe, member)
#define TEXT(key, member, initial, free, what)                                                     \
    {                                                                                              \
        key, ML_RECIPE_STRING, AT(member), initial, 0, 0, NULL, free, what                         \
    }
#define INT(key, member, initial, min, max, free, what)                                            \
    {                                                                                              \
        key, ML_RECIPE_INT, AT(member), initial, min, max, NULL, free, what                        \
    }
#define REAL(key, member, initial, min, max, what)                                                 \
    {                                                                                              \
        key, ML_RECIPE_REAL, AT(member), initial, min, max, NULL, false, what                      \
    }
#define BOOL(key, member, initial, what)                                                           \
    {                                                                                              \
        key, ML_RECIPE_BOOL, AT(member), initial, 0, 0, NULL, false, what                          \
    }
#define CHOICE(key, member, names, what)                                                           \
    {                                                                                              \
        key, ML_RECIPE_CHOICE, AT(member), NULL, 0, 0, names, false, what                          \
    }
#define LIST(key, member, initial, what)                                                           \
    {                                                                                              \
        key, ML_RECIPE_LIST, AT(member), initial, 0, 0, NULL, false, what                          \
    }

static const struct ml_recipe_field fields[] = {
    TEXT("name", name, "model", true, "What the run and the model are called."),
    TEXT("description", description, "", true, "One sentence for the model's card."),
    TEXT("licence", licence, "", true, "SPDX expression under which the model may be used."),

    TEXT("data.dataset", data.dataset, "default", true,
         "Dataset of the workspace, NAME or NAME@VERSION."),
    TEXT("data.template", data.template, "", false,
         "How a record becomes text, with {field} in it; empty: the record's text alone."),
    LIST("data.require", data.require, "", "Fields that a record must have, else it is left out."),
    REAL("data.validation", data.validation, "0.05", 0, 0.5,
         "Share of the records that is never trained on but measures the model."),
    CHOICE("data.packing", data.packing, packings,
           "stream: all text in a row, cut into windows. documents: whole documents packed into "
           "windows, none sees another."),
    BOOL("data.dedup", data.dedup, "true", "Leave out records whose text appeared before."),
    INT("data.copies", data.copies, "1", 1, 100, false,
        "Copies of each record that is trained on: by the template with other optional fields left "
        "out (data.drop), or with some words changed (data.augment)."),
    REAL("data.drop", data.drop, "0", 0, 1,
         "Chance that an optional field is left out of a rendering."),
    REAL("data.augment", data.augment, "0", 0, 0.5,
         "Share of the words that is changed in each copy but the first; 0: none. With it, "
         "data.copies of 1 becomes 16, 8 or 4 by the number of records. What is held out stays as "
         "it is."),
    TEXT("data.synonyms", data.synonyms, "", true,
         "File of words that mean the same, a group a line, for data.augment."),
    TEXT("data.synonyms_sha256", data.synonyms_sha256, "", false,
         "What that file must hold, as SHA-256 in hexadecimal. Empty: what it holds when training "
         "starts."),

    CHOICE("tokenizer.kind", tokenizer.kind, tokenizers,
           "bpe: byte-level byte-pair encoding. char: one token a character."),
    CHOICE("tokenizer.pretokenizer", tokenizer.pretokenizer, pretokenizers,
           "How text is cut into words before merging."),
    INT("tokenizer.vocab", tokenizer.vocab, "0", 0, 1 << 20, false,
        "Tokens in all. 0: about 2.5 times the root of the text's bytes, from 512 to 32768."),
    INT("tokenizer.min_frequency", tokenizer.min_frequency, "2", 1, 1000000, false,
        "How often a pair must appear to be merged."),
    LIST("tokenizer.special", tokenizer.special, "<|endoftext|>",
         "Special tokens. The first one ends a document."),

    CHOICE("model.arch", model.arch, archs,
           "Decoder-only transformer in the shape of Qwen3, which other engines load."),
    INT("model.layers", model.layers, "0", 0, 512, false, "Blocks. 0: 4 to 12 by the data."),
    INT("model.width", model.width, "0", 0, 1 << 15, false,
        "Features of a token. 0: 128 to 768 by the data."),
    INT("model.heads", model.heads, "0", 0, 1024, false,
        "Attention heads. 0: one for each 64 features, at least 4."),
    INT("model.kv_heads", model.kv_heads, "0", 0, 1024, false,
        "Heads of keys and values, a divisor of heads. 0: as many as heads."),
    INT("model.head_dim", model.head_dim, "0", 0, 1024, false,
        "Features of a head, even. 0: width / heads."),
    INT("model.ffn", model.ffn, "0", 0, 1 << 17, false,
        "Features inside the feed-forward layer. 0: 8/3 of the width, rounded up to 32."),
    INT("model.context", model.context, "256", 2, 1 << 20, false,
        "Longest text in tokens that the model is made for."),
    REAL("model.rope_theta", model.rope_theta, "0", 0, 1e9,
         "Base of the rotary positions. 0: 10000, or 1000000 from 4096 tokens of context on."),
    BOOL("model.untied", model.untied, "false",
         "An output table of its own instead of the embedding's."),
    REAL("model.dropout", model.dropout, "0", 0, 0.9, "Share of features dropped while training."),
    CHOICE("model.save", model.save, saves, "Number format of the finished model's matrices."),

    INT("train.steps", train.steps, "0", 0, 1e12, false,
        "Optimiser steps. 0: from epochs or minutes; without those, 10 epochs, 200 to 20000."),
    REAL("train.epochs", train.epochs, "0", 0, 1e6, "Passes over the data, when steps is 0."),
    REAL(
        "train.minutes", train.minutes, "0", 0, 1e6,
        "Time to train on this machine, when steps and epochs are 0: a few trial steps set steps."),
    INT("train.batch", train.batch, "0", 0, 65536, false,
        "Windows computed together. 0: about 4096 tokens."),
    INT("train.accumulation", train.accumulation, "1", 1, 65536, false,
        "Batches whose gradients are added up to one step."),
    INT("train.context", train.context, "0", 0, 1 << 20, false,
        "Tokens of a training window, at most model.context. 0: model.context."),
    CHOICE("train.optimizer", train.optimizer, optimizers,
           "muon: Muon for hidden matrices, AdamW for the rest."),
    REAL("train.lr", train.lr, "0", 0, 10,
         "Peak learning rate. 0: 0.001 times the root of 384 / width, at most 0.002."),
    REAL("train.matrix_lr", train.matrix_lr, "0", 0, 10,
         "Peak learning rate of Muon's matrices, in AdamW's measure. 0: twice train.lr."),
    REAL("train.min_lr", train.min_lr, "0.1", 0, 1,
         "Learning rate at the end, as a share of the peak."),
    CHOICE("train.schedule", train.schedule, schedules,
           "Course of the learning rate. wsd: warm-up, stable, decay."),
    INT("train.warmup", train.warmup, "0", 0, 1e9, false,
        "Steps in which the rate rises. 0: 2% of the steps, 10 to 1000; 1: none."),
    REAL("train.decay", train.decay, "0.2", 0.001, 1, "Share of the steps that decays in wsd."),
    REAL("train.weight_decay", train.weight_decay, "0.1", 0, 10,
         "Decoupled weight decay of matrices and embeddings."),
    REAL("train.beta1", train.beta1, "0.9", 0.001, 0.9999, "AdamW's memory of gradients."),
    REAL("train.beta2", train.beta2, "0.95", 0.001, 0.99999,
         "AdamW's memory of squared gradients."),
    REAL("train.eps", train.eps, "1e-8", 1e-16, 1, "AdamW's guard against division by zero."),
    REAL("train.clip", train.clip, "1", 0, 1e9, "Largest norm of the gradient. 0: no limit."),
    REAL("train.ema", train.ema, "0", 0, 0.99999,
         "Decay of averaged weights, which are then what is measured and kept. 0: none."),
    CHOICE("train.precision", train.precision, precisions,
           "Arithmetic of activations; weights stay f32. auto: bf16 where the processor has it."),
    BOOL("train.recompute", train.recompute, "false",
         "Compute activations again in the backward pass: less memory, a third more time."),
    INT("train.seed", train.seed, "1", 0, 9e15, false, "Of everything random."),
    CHOICE("train.order", train.order, orders,
           "Windows shuffled in each epoch, or in the order of the text."),
    REAL("train.label_smoothing", train.label_smoothing, "0", 0, 0.9,
         "Probability spread over all tokens in the training loss."),
    INT("train.eval_every", train.eval_every, "0", 0, 1e9, false,
        "Steps between two measurements on the validation text. 0: 20 in all."),
    INT("train.eval_batches", train.eval_batches, "0", 0, 1e9, false,
        "Batches of one measurement. 0: all, at most 64; the last one takes all."),
    INT("train.patience", train.patience, "0", 0, 1e9, false,
        "Stop after so many measurements without a better one. 0: never."),
    INT("train.checkpoint_every", train.checkpoint_every, "0", 0, 1e9, true,
        "Steps between two checkpoints. 0: as often as eval_every."),
    INT("train.keep", train.keep, "2", 1, 1000, true, "Checkpoints that are kept."),

    TEXT("sample.prompt", sample.prompt, "", true,
         "What the model goes on writing from while it trains."),
    INT("sample.every", sample.every, "0", 0, 1e9, true, "Steps between two samples. 0: none."),
    INT("sample.length", sample.length, "64", 1, 1 << 20, true, "Tokens of a sample."),
};

const struct ml_recipe_field *ml_recipe_fields(int *count)
{
    *count = (int)(sizeof fields / sizeof *fields);
    return fields;
}
