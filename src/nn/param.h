/* Parameters are registered by name, once; that one list drives initialisation, load, save,
 * optimiser, EMA (and later LoRA). */
#ifndef ML_NN_PARAM_H
#define ML_NN_PARAM_H

#include "base/arena.h"
#include "base/rng.h"
#include "kernel/table.h"
#include "tensor/graph.h"

enum ml_init { ML_INIT_ZERO, ML_INIT_ONE, ML_INIT_NORMAL };

/* What an optimiser may assume about a parameter. */
enum ml_param_kind {
    ML_PARAM_MATRIX,    /* hidden weight [out,in]: Muon may have it; decays */
    ML_PARAM_EMBEDDING, /* rows picked by token (and a tied head): AdamW; decays */
    ML_PARAM_VECTOR,    /* norms and biases: AdamW; never decays */
};

struct ml_param {
    const char *name; /* as in the weight file, such as "model.layers.0.mlp.up_proj.weight" */
    enum ml_param_kind kind;
    int ndim;
    int64_t dim[ML_MAX_DIMS];
    enum ml_dtype dtype; /* ML_F32 while training; any float type for inference */
    void *data;
    bool panels; /* packed for products (ml_params_pack) */
    enum ml_init init;
    float init_std;
    struct ml_graph
        *graph; /* where `leaf` lives: a parameter is one leaf per graph, however often used */
    struct ml_tensor *leaf;
    int leaf_id; /* its position in the graph: how a rebuilt graph is told from the old one */
};

struct ml_params {
    struct ml_arena *arena; /* owns the parameters and their data */
    struct ml_param **items;
    int count, capacity;
    struct ml_error error; /* sticky: the first failure to register or allocate */
    struct ml_param dummy; /* what ml_param_add returns after an error */
};

void ml_params_init(struct ml_params *params, struct ml_arena *arena);

struct ml_param_spec {
    enum ml_param_kind kind;
    enum ml_init init;
    float init_std;
    int ndim;
    int64_t dim[ML_MAX_DIMS];
};
/* Registers "name" (printf-style), without memory for it yet. Never NULL: a dummy after an error.
 */
struct ml_param *ml_param_add(struct ml_params *params, const struct ml_param_spec *spec,
                              const char *format, ...) __attribute__((format(printf, 3, 4)));
struct ml_param *ml_param_find(const struct ml_params *params, const char *name); /* or NULL */
/* Memory for every parameter that has none, as dtype. Reports params->error. */
int ml_params_allocate(struct ml_params *params, enum ml_dtype dtype, struct ml_error *err);
/* Fills f32 parameters by their init rule; each parameter has its own random stream, so adding one
 * does not change the others. */
void ml_params_randomize(struct ml_params *params, uint64_t seed);
/* Matrices and tables are packed for products with few rows, in the memory they have: for
 * inference on the processor alone, with this kernel table. Packed ones stay as they are. */
int ml_params_pack(struct ml_params *params, const struct ml_kernels *k, struct ml_error *err);
int64_t ml_param_count(const struct ml_param *param);    /* numbers in one parameter */
int64_t ml_params_count(const struct ml_params *params); /* numbers in all parameters */

/* The parameter as a leaf of g (the same leaf each time; made on first use). */
struct ml_tensor *ml_use(struct ml_graph *g, struct ml_param *param);

#endif
