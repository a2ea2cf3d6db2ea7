/* The plan: which nodes run, where each lives (one arena, by lifetimes; in place where legal), how
 * much scratch. Then running it. */
#ifndef ML_TENSOR_PLAN_H
#define ML_TENSOR_PLAN_H

#include "tensor/device.h"
#include "tensor/graph.h"

struct ml_plan;

/* Plans the nodes that `outputs` (and nodes with effects) need. Outputs keep their memory until the
 * plan is freed; any other node's data is gone after it was last used. Reports graph->error. The
 * graph's arena and the device outlive the plan. The tensors are then this plan's: another plan of
 * the same nodes takes them over. */
int ml_plan_new(struct ml_plan **out, struct ml_graph *g, struct ml_tensor *const *outputs, int n,
                struct ml_device *device, struct ml_error *err);
void ml_plan_free(struct ml_plan *plan);

/* Computes all nodes once. seed feeds dropout. 0, or the first error a node met. Afterwards the
 * outputs can be read at their `data`, wherever they were computed. */
int ml_run(struct ml_plan *plan, uint64_t seed, struct ml_error *err);

/* Outputs stay where they were computed: no copies, no waiting. ml_plan_fetch brings one to the
 * host (and waits, and says what an op met), ml_plan_numbers is where the device has it. */
void ml_plan_keep_outputs(struct ml_plan *plan, bool keep);
int ml_plan_fetch(struct ml_plan *plan, const struct ml_tensor *output, struct ml_error *err);
void *ml_plan_numbers(const struct ml_plan *plan, const struct ml_tensor *output);

struct ml_plan_stats {
    int nodes;
    int64_t flops;      /* of one run */
    size_t arena_bytes; /* planned memory without leaves */
    size_t live_bytes;  /* sum of live tensors at the worst moment: the lower bound */
    size_t scratch_bytes;
    int refused_steps;     /* that an accelerator leaves to the processor... */
    int64_t refused_bytes; /* ...and what is copied for them in one run */
};
void ml_plan_get_stats(const struct ml_plan *plan, struct ml_plan_stats *out);

/* Where the time goes: seconds per op since timing was switched on, slowest first. The rest is of
 * one run; bytes are those of the op's sources and results, each counted once. */
struct ml_plan_time {
    const char *op;
    double seconds, flops, bytes;
    int64_t calls;
};
void ml_plan_set_timing(struct ml_plan *plan, bool on); /* on: counts from nothing */
/* Writes at most `capacity` entries; their number. */
int ml_plan_get_timing(const struct ml_plan *plan, struct ml_plan_time *out, int capacity);
int ml_plan_print_timing(const struct ml_plan *plan, struct ml_buffer *out, struct ml_error *err);

#endif
