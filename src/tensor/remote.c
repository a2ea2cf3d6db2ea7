/* A plan on an accelerator. The device's arena has the layout of the host's, which stays untouched
 * but for outputs and for steps that the accelerator refuses: those get their sources copied to the
 * same places on the host, run there, and their results are copied back. In-place steps and aux
 * need no care of their own that way. */
#include "tensor/remote.h"

#include "base/arena.h"
#include "base/fail.h"
#include "base/progress.h"
#include "tensor/mirror.h"
#include "tensor/op.h"

struct leaf {
    struct ml_tensor *t;
    void *held; /* the host address that is held, NULL: none yet */
    bool every_run;
};

struct ml_remote {
    struct ml_remote_plan plan;
    struct ml_tensor **outputs;
    bool *native; /* by step */
    struct leaf *leaves;
    int leaf_count;
    char *memory;
    void *scratch;
};

static struct ml_tensor *owner(struct ml_tensor *t)
{
    while (t->flags & ML_ALIAS)
        t = t->src[0];
    return t;
}

/* A name for other memory: nothing is computed. */
static bool only_names(const struct ml_tensor *t)
{
    return (t->flags & ML_ALIAS) && !(t->flags & ML_EFFECT);
}

static struct leaf *leaf_of(struct ml_remote *r, const struct ml_tensor *t)
{
    for (int i = 0; i < r->leaf_count; i++)
        if (r->leaves[i].t == t)
            return &r->leaves[i];
    return NULL;
}

static void list_leaves(struct ml_remote *r)
{
    for (int step = 0; step < r->plan.count; step++) {
        const struct ml_tensor *t = r->plan.steps[step];
        for (int s = 0; s < t->nsrc; s++) {
            struct ml_tensor *x = t->src[s];
            if (x && (x->flags & ML_LEAF) && !leaf_of(r, x))
                r->leaves[r->leaf_count++] = (struct leaf){x, NULL, !(x->flags & ML_PARAM)};
        }
    }
    for (int step = 0; step < r->plan.count; step++) {
        struct ml_tensor *t = r->plan.steps[step];
        struct leaf *leaf = t->flags & ML_EFFECT ? leaf_of(r, owner(t)) : NULL;
        if (leaf)
            leaf->every_run = false;
    }
}

/* Weights that are packed are so for the processor's kernels. */
static bool reads_panels(const struct ml_tensor *t)
{
    for (int s = 0; s < t->nsrc; s++)
        if (t->src[s] && t->src[s]->flags & ML_PANELS)
            return true;
    return false;
}

static int take_memory(struct ml_remote *r, struct ml_error *err)
{
    struct ml_device *device = r->plan.device;
    const struct ml_accelerator *a = device->accelerator;
    size_t most = 0;
    for (int step = 0; step < r->plan.count; step++) {
        struct ml_tensor *t = r->plan.steps[step];
        r->native[step] = !reads_panels(t) && a->supports(device->state, t);
        size_t bytes = r->native[step] ? a->scratch(device->state, t) : 0;
        most = bytes > most ? bytes : most;
    }
    void *memory = NULL;
    int status = a->alloc(device->state, &memory, r->plan.memory_bytes + ML_ALIGN, err);
    r->memory = memory;
    return status == 0 ? a->alloc(device->state, &r->scratch, most + ML_ALIGN, err) : status;
}

int ml_remote_new(struct ml_remote **out, const struct ml_remote_plan *plan, struct ml_error *err)
{
    struct ml_remote *r = ml_mem_calloc(1, sizeof *r);
    if (!r)
        return ml_fail(err, ML_ERR_MEMORY, "out of memory while planning a graph");
    r->plan = *plan;
    size_t sources = 1;
    for (int step = 0; step < plan->count; step++)
        sources += (size_t)plan->steps[step]->nsrc;
    r->native = ml_mem_calloc((size_t)plan->count + 1, sizeof *r->native);
    r->leaves = ml_mem_calloc(sources, sizeof *r->leaves);
    r->outputs = ml_mem_calloc((size_t)plan->output_count + 1, sizeof *r->outputs);
    int status = 0;
    if (!r->native || !r->leaves || !r->outputs) {
        status = ml_fail(err, ML_ERR_MEMORY, "out of memory while planning a graph");
    } else {
        memcpy(r->outputs, plan->outputs, (size_t)plan->output_count * sizeof *r->outputs);
        r->plan.outputs = r->outputs;
        list_leaves(r);
        status = take_memory(r, err);
    }
    if (status != 0) {
        ml_remote_free(r);
        return status;
    }
    *out = r;
    return 0;
}

void ml_remote_free(struct ml_remote *r)
{
    if (!r)
        return;
    struct ml_device *device = r->plan.device;
    for (int i = 0; i < r->leaf_count; i++)
        if (r->leaves[i].held)
            ml_mirror_drop(device, r->leaves[i].held);
    device->accelerator->release(device->state, r->memory);
    device->accelerator->release(device->state, r->scratch);
    ml_mem_free(r->native);
    ml_mem_free(r->leaves);
    ml_mem_free(r->outputs);
    ml_mem_free(r);
}

/* Every leaf's mirror, current. */
static int use_leaves(struct ml_remote *r, struct ml_error *err)
{
    struct ml_device *device = r->plan.device;
    int status = 0;
    for (int i = 0; i < r->leaf_count && status == 0; i++) {
        struct leaf *leaf = &r->leaves[i];
        if (ml_count(leaf->t) == 0)
            continue;
        if (!leaf->t->data)
            return ml_fail(err, ML_ERR_STATE, "%s has no memory",
                           leaf->t->name ? leaf->t->name : "a leaf");
        if (leaf->held != leaf->t->data) { /* its owner moved it */
            status = ml_mirror_hold(device, leaf->t->data, ml_bytes(leaf->t), err);
            if (status != 0)
                break;
            if (leaf->held)
                ml_mirror_drop(device, leaf->held);
            leaf->held = leaf->t->data;
        } else if (leaf->every_run) {
            ml_mirror_host_changed(device, leaf->held);
        }
        status = ml_mirror_use(device, leaf->held, &leaf->t->remote, err);
    }
    return status;
}

/* Where t's numbers are on the device. Sources are placed already. */
static void place(const struct ml_remote *r, struct ml_run *run, struct ml_tensor *t)
{
    if (only_names(t)) {
        ml_op_get(t->op)->forward(run, t); /* moves the host's pointer; the device's follows */
        t->remote =
            (char *)t->src[0]->remote + ((const char *)t->data - (const char *)t->src[0]->data);
        return;
    }
    if (t->flags & ML_EFFECT) {
        t->data = t->src[0]->data;
        t->remote = t->src[0]->remote;
    } else {
        t->remote = r->memory + ((const char *)t->data - r->plan.memory);
    }
    t->remote_aux =
        t->aux
            ? (float *)(void *)(r->memory + ((const char *)(const void *)t->aux - r->plan.memory))
            : NULL;
}

/* To the host: a leaf as a whole, others by the part that is named. */
static int fetch(struct ml_remote *r, struct ml_tensor *t, struct ml_error *err)
{
    struct ml_device *device = r->plan.device;
    struct ml_tensor *root = owner(t);
    if (root->flags & ML_LEAF)
        return ml_mirror_fetch(device, root->data, err);
    return device->accelerator->download(device->state, t->data, t->remote, ml_bytes(t), err);
}

static int run_on_host(struct ml_remote *r, struct ml_run *run, struct ml_tensor *t,
                       struct ml_error *err)
{
    struct ml_device *device = r->plan.device;
    const struct ml_accelerator *a = device->accelerator;
    int status = 0;
    for (int s = 0; s < t->nsrc && status == 0; s++) {
        struct ml_tensor *x = t->src[s];
        if (!x)
            continue;
        status = fetch(r, x, err);
        if (status == 0 && x->aux)
            status = a->download(device->state, x->aux, x->remote_aux,
                                 (size_t)x->aux_count * sizeof(float), err);
    }
    if (status != 0)
        return status;
    ml_op_get(t->op)->forward(run, t);
    if (run->err->code)
        return ml_fail(err, run->err->code, "%s", run->err->message);
    status = a->upload(device->state, t->remote, t->data, ml_bytes(t), err);
    if (status == 0 && t->aux)
        status = a->upload(device->state, t->remote_aux, t->aux,
                           (size_t)t->aux_count * sizeof(float), err);
    return status;
}

static int run_step(struct ml_remote *r, struct ml_run *run, int step, struct ml_error *err)
{
    struct ml_device *device = r->plan.device;
    struct ml_tensor *t = r->plan.steps[step];
    place(r, run, t);
    if (only_names(t))
        return 0;
    int status = r->native[step] ? device->accelerator->run(device->state, t, r->scratch, err)
                                 : run_on_host(r, run, t, err);
    if (status == 0 && (t->flags & ML_EFFECT) && (owner(t)->flags & ML_LEAF))
        ml_mirror_remote_changed(device, owner(t)->data);
    return status;
}

int ml_remote_run(struct ml_remote *r, uint64_t seed, bool fetch_outputs, bool timing,
                  struct ml_error *err)
{
    struct ml_device *device = r->plan.device;
    const struct ml_accelerator *a = device->accelerator;
    struct ml_error failure = {0};
    struct ml_run run = {
        .k = &device->kernels,
        .pool = device->pool,
        .threads = ml_pool_threads(device->pool),
        .scratch = r->plan.scratch,
        .seed = seed,
        .err = &failure,
    };
    int status = use_leaves(r, err);
    if (status == 0)
        status = a->begin(device->state, seed, err);
    for (int step = 0; step < r->plan.count && status == 0; step++) {
        double start = timing ? ml_time() : 0;
        status = run_step(r, &run, step, err);
        if (timing && status == 0)
            status = a->finish(device->state, err);
        if (timing)
            r->plan.seconds[r->plan.steps[step]->op] += ml_time() - start;
    }
    for (int i = 0; fetch_outputs && i < r->plan.output_count && status == 0; i++)
        status = fetch(r, r->outputs[i], err);
    if (status == 0 && fetch_outputs)
        status = a->finish(device->state, err);
    return status;
}

int ml_remote_fetch(struct ml_remote *r, const struct ml_tensor *t, struct ml_error *err)
{
    int status = fetch(r, (struct ml_tensor *)t, err);
    return status == 0 ? r->plan.device->accelerator->finish(r->plan.device->state, err) : status;
}

void ml_remote_refused(const struct ml_remote *r, int *steps, int64_t *bytes)
{
    *steps = 0;
    *bytes = 0;
    for (int step = 0; step < r->plan.count; step++) {
        const struct ml_tensor *t = r->plan.steps[step];
        if (r->native[step] || only_names(t))
            continue;
        ++*steps;
        *bytes += (int64_t)ml_bytes(t);
        for (int s = 0; s < t->nsrc; s++)
            *bytes += t->src[s] ? (int64_t)ml_bytes(t->src[s]) : 0;
    }
}
