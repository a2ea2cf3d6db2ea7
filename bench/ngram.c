/* All n-grams stand in one table a length: a node is the node of its first n-1 symbols and its last
 * symbol. `suffix` is the node without its first symbol, one length shorter. */
#include "ngram.h"

#include <math.h>
#include <stdbool.h>
#include <string.h>

#include "base/arena.h"
#include "base/fail.h"

#define SYMBOLS  (NGRAM_BEGIN + 16)
#define UNICODE  (0x110000 - 2048) /* characters that there can be: without surrogates */
#define NOTHING  UINT32_MAX
#define MAX_GRAM (1u << 30)

struct node {
    uint32_t parent, symbol, suffix;
    uint32_t count; /* as seen; then the adjusted count: how many symbols stand before it, but as
                       seen for the longest and for what begins a document */
    bool begins;    /* with BEGIN */
};
/* What follows a node. */
struct context {
    uint64_t total;       /* of the counts of its children */
    uint32_t children[3]; /* with counts of 1, 2, 3 and more */
};
struct level {
    struct node *nodes;
    struct context *contexts; /* not at the longest length */
    uint32_t *slots;          /* hash table of node + 1 */
    uint32_t count, capacity, mask;
    double discount[3];
};
struct ngram {
    int order;
    bool finished;
    int64_t symbols;
    uint32_t *seen; /* different symbols that are predicted; for ngram_check */
    uint32_t seen_count;
    struct context root;
    struct level levels[NGRAM_MAX_ORDER]; /* [n-1] holds n-grams */
};

int ngram_new(struct ngram **out, int order, struct ml_error *err)
{
    if (order < 1 || order > NGRAM_MAX_ORDER)
        return ml_fail(err, ML_ERR_ARG, "n-grams of %d symbols; 1 to %d are possible", order,
                       NGRAM_MAX_ORDER);
    struct ngram *ngram = ml_mem_calloc(1, sizeof *ngram);
    if (!ngram)
        return ml_fail(err, ML_ERR_MEMORY, "no memory for n-grams");
    ngram->order = order;
    *out = ngram;
    return 0;
}

void ngram_free(struct ngram *ngram)
{
    if (!ngram)
        return;
    for (int i = 0; i < ngram->order; i++) {
        ml_mem_free(ngram->levels[i].nodes);
        ml_mem_free(ngram->levels[i].contexts);
        ml_mem_free(ngram->levels[i].slots);
    }
    ml_mem_free(ngram->seen);
    ml_mem_free(ngram);
}

/* ---- the tables ---- */

/* splitmix64's finish over parent and symbol. */
static uint32_t hash(uint32_t parent, uint32_t symbol)
{
    uint64_t x = ((uint64_t)parent << 32 | symbol) + 0x9e3779b97f4a7c15u;
    x = (x ^ (x >> 30)) * 0xbf58476d1ce4e5b9u;
    x = (x ^ (x >> 27)) * 0x94d049bb133111ebu;
    return (uint32_t)(x ^ (x >> 31));
}

static uint32_t find(const struct level *level, uint32_t parent, uint32_t symbol)
{
    if (!level->slots)
        return NOTHING;
    for (uint32_t at = hash(parent, symbol) & level->mask;; at = (at + 1) & level->mask) {
        uint32_t i = level->slots[at];
        if (i == 0)
            return NOTHING;
        if (level->nodes[i - 1].parent == parent && level->nodes[i - 1].symbol == symbol)
            return i - 1;
    }
}

static int grow(struct level *level, struct ml_error *err)
{
    uint32_t capacity = level->capacity ? level->capacity * 2 : 1024;
    if (level->capacity >= MAX_GRAM)
        return ml_fail(err, ML_ERR_LIMIT, "more than %u n-grams of one length", MAX_GRAM);
    struct node *nodes = ml_mem_realloc(level->nodes, (size_t)capacity * sizeof *nodes);
    if (nodes)
        level->nodes = nodes;
    uint32_t *slots = ml_mem_calloc((size_t)capacity * 2, sizeof *slots);
    if (!nodes || !slots) {
        ml_mem_free(slots);
        return ml_fail(err, ML_ERR_MEMORY, "no memory for %u n-grams", capacity);
    }
    ml_mem_free(level->slots);
    level->slots = slots;
    level->capacity = capacity;
    level->mask = capacity * 2 - 1;
    for (uint32_t i = 0; i < level->count; i++) {
        uint32_t at = hash(nodes[i].parent, nodes[i].symbol) & level->mask;
        while (slots[at])
            at = (at + 1) & level->mask;
        slots[at] = i + 1;
    }
    return 0;
}

/* Counts one n-gram; *node is where it stands. */
static int count(struct level *level, struct node key, uint32_t *node, struct ml_error *err)
{
    uint32_t i = find(level, key.parent, key.symbol);
    if (i == NOTHING) {
        int status = level->count == level->capacity ? grow(level, err) : 0;
        if (status < 0)
            return status;
        uint32_t at = hash(key.parent, key.symbol) & level->mask;
        while (level->slots[at])
            at = (at + 1) & level->mask;
        i = level->count++;
        level->nodes[i] = key;
        level->slots[at] = i + 1;
    }
    level->nodes[i].count++;
    *node = i;
    return 0;
}

/* path[n] is the node of the n+1 symbols that end before this one, or NOTHING; it moves on. */
static int step(struct ngram *g, uint32_t path[NGRAM_MAX_ORDER], uint32_t symbol,
                struct ml_error *err)
{
    uint32_t next[NGRAM_MAX_ORDER];
    memset(next, 0xff, sizeof next);
    for (int n = 0; n < g->order; n++) {
        if (n > 0 && path[n - 1] == NOTHING)
            break;
        struct node key = {.parent = n ? path[n - 1] : 0,
                           .symbol = symbol,
                           .suffix = n ? next[n - 1] : NOTHING,
                           .begins = n ? g->levels[n - 1].nodes[path[n - 1]].begins
                                       : symbol >= NGRAM_BEGIN};
        int status = count(&g->levels[n], key, &next[n], err);
        if (status < 0)
            return status;
    }
    memcpy(path, next, sizeof next);
    return 0;
}

int ngram_add(struct ngram *g, const uint32_t *symbols, int64_t n, struct ml_error *err)
{
    uint32_t path[NGRAM_MAX_ORDER];
    int status = 0;
    if (g->finished)
        return ml_fail(err, ML_ERR_STATE, "these n-grams are finished");
    if (n < 2 || symbols[0] < NGRAM_BEGIN || symbols[0] >= SYMBOLS || symbols[n - 1] != NGRAM_END)
        return ml_fail(err, ML_ERR_ARG, "a document must begin with BEGIN and end with END");
    for (int64_t i = 1; i + 1 < n; i++)
        if (symbols[i] >= NGRAM_END)
            return ml_fail(err, ML_ERR_ARG, "BEGIN or END in the middle of a document");
    memset(path, 0xff, sizeof path);
    for (int64_t i = 0; i < n && status == 0; i++)
        status = step(g, path, symbols[i], err);
    g->symbols += n - 1;
    return status;
}

/* ---- from counts to probabilities ---- */

/* How many different symbols stand before an n-gram, where that says more than its count. */
static void adjust_counts(struct ngram *g)
{
    for (int n = 0; n + 1 < g->order; n++) {
        struct level *level = &g->levels[n], *longer = &g->levels[n + 1];
        for (uint32_t i = 0; i < level->count; i++)
            if (!level->nodes[i].begins)
                level->nodes[i].count = 0;
        for (uint32_t i = 0; i < longer->count; i++)
            level->nodes[longer->nodes[i].suffix].count++;
    }
}

/* Chen and Goodman's estimates; where a count of counts is missing, constants near what text
 * usually gives. */
static void set_discounts(struct level *level, bool unigrams)
{
    static const double usual[3] = {0.5, 1.0, 1.5};
    double n[5] = {0};
    for (uint32_t i = 0; i < level->count; i++) {
        const struct node *node = &level->nodes[i];
        if (node->count < 5 && !(unigrams && node->begins))
            n[node->count]++;
    }
    double y = n[1] / (n[1] + 2 * n[2]);
    for (int k = 1; k <= 3; k++) {
        double d =
            n[k] > 0 && n[k + 1] > 0 && n[1] > 0 ? k - (k + 1) * y * n[k + 1] / n[k] : usual[k - 1];
        level->discount[k - 1] = d > 0 && d < k ? d : usual[k - 1];
    }
}

static void add_child(struct context *context, uint32_t c)
{
    context->total += c;
    if (c > 0)
        context->children[c < 3 ? c - 1 : 2]++;
}

int ngram_finish(struct ngram *g, struct ml_error *err)
{
    if (g->finished || g->symbols == 0)
        return ml_fail(err, ML_ERR_STATE,
                       g->finished ? "these n-grams are finished"
                                   : "there is no text to count n-grams in");
    struct level *ones = &g->levels[0];
    g->seen = ml_mem_calloc(ones->count, sizeof *g->seen);
    for (int n = 0; n + 1 < g->order; n++)
        g->levels[n].contexts =
            ml_mem_calloc((size_t)g->levels[n].count + 1, sizeof *g->levels[n].contexts);
    for (int n = 0; n + 1 < g->order; n++)
        if (!g->levels[n].contexts)
            return ml_fail(err, ML_ERR_MEMORY, "no memory for n-grams");
    if (!g->seen)
        return ml_fail(err, ML_ERR_MEMORY, "no memory for n-grams");
    adjust_counts(g);
    for (int n = 0; n < g->order; n++) {
        struct level *level = &g->levels[n];
        set_discounts(level, n == 0);
        for (uint32_t i = 0; i < level->count; i++) {
            const struct node *node = &level->nodes[i];
            if (n > 0)
                add_child(&g->levels[n - 1].contexts[node->parent], node->count);
            else if (!node->begins)
                add_child(&g->root, node->count);
            if (n == 0 && !node->begins)
                g->seen[g->seen_count++] = node->symbol;
        }
    }
    g->finished = true;
    return 0;
}

/* ---- probabilities ---- */

/* (max(c - D(c), 0) + gamma * lower) / total, after a context of n symbols; c is the count of what
 * follows, 0 when it does not. */
static double interpolate(const struct level *level, const struct context *context, uint32_t c,
                          double lower)
{
    const double *d = level->discount;
    double gamma =
        d[0] * context->children[0] + d[1] * context->children[1] + d[2] * context->children[2];
    double kept = c ? (double)c - d[c < 3 ? c - 1 : 2] : 0;
    return (kept + gamma * lower) / (double)context->total;
}

/* The node of these n symbols, n > 0. */
static uint32_t walk(const struct ngram *g, const uint32_t *symbols, int n)
{
    uint32_t node = 0;
    for (int i = 0; i < n && node != NOTHING; i++)
        node = find(&g->levels[i], node, symbols[i]);
    return node;
}

/* Of a symbol that was seen; of all unseen characters together when the symbol is none of them. */
static double probability(const struct ngram *g, const uint32_t *before, int64_t n, uint32_t symbol)
{
    uint32_t one = find(&g->levels[0], 0, symbol);
    double p = 1.0 / ((double)g->seen_count + 1); /* + 1: all that were not seen */
    p = interpolate(&g->levels[0], &g->root, one == NOTHING ? 0 : g->levels[0].nodes[one].count, p);
    for (int k = 1; k < g->order && k <= n; k++) {
        uint32_t context = walk(g, before + n - k, k);
        if (context == NOTHING || g->levels[k - 1].contexts[context].total == 0)
            break;
        uint32_t child = find(&g->levels[k], context, symbol);
        p = interpolate(&g->levels[k], &g->levels[k - 1].contexts[context],
                        child == NOTHING ? 0 : g->levels[k].nodes[child].count, p);
    }
    return p;
}

static double unseen_characters(const struct ngram *g)
{
    return UNICODE + 1.0 - g->seen_count; /* END is one of the seen */
}

double ngram_log2(const struct ngram *g, const uint32_t *before, int64_t n, uint32_t symbol)
{
    double p = probability(g, before, n, symbol);
    if (find(&g->levels[0], 0, symbol) == NOTHING)
        p /= unseen_characters(g);
    return log2(p);
}

static double distance_from_one(const struct ngram *g, const uint32_t *before, int64_t n)
{
    double sum = probability(g, before, n, SYMBOLS); /* of all unseen ones */
    for (uint32_t i = 0; i < g->seen_count; i++)
        sum += probability(g, before, n, g->seen[i]);
    return fabs(sum - 1);
}

double ngram_check(const struct ngram *g, const uint32_t *document, int64_t n, int histories,
                   struct ml_rng *rng)
{
    double worst = 0;
    for (int i = 0; i < histories; i++) {
        uint32_t made[NGRAM_MAX_ORDER];
        for (int k = 0; k < NGRAM_MAX_ORDER; k++)
            made[k] = g->seen[ml_rng_below(rng, g->seen_count)];
        int64_t at = (int64_t)ml_rng_below(rng, (uint64_t)n) + 1;
        worst = fmax(worst, distance_from_one(g, document, at));
        worst = fmax(worst, distance_from_one(g, made, NGRAM_MAX_ORDER));
    }
    return worst;
}

void ngram_get_facts(const struct ngram *g, struct ngram_facts *out)
{
    struct ngram_facts facts = {g->order, g->symbols, g->seen_count, {0}, {{0}}};
    for (int n = 0; n < g->order; n++) {
        facts.grams[n] = g->levels[n].count;
        memcpy(facts.discount[n], g->levels[n].discount, sizeof facts.discount[n]);
    }
    *out = facts;
}
