/* Groups of characters that rhyme, found as communities of the graph in which two characters are
 * joined as often as poems rhyme them: the Louvain method (Blondel et al., arXiv:0803.0476), which
 * moves characters, then whole groups, to where more of their weight lies than chance would put
 * there (modularity with a resolution, Reichardt and Bornholdt, 2006). Weights are whole numbers,
 * so the order of summing does not matter. */
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

#include "base/fail.h"
#include "text/rhyme_impl.h"

#define MAX_ENDINGS 8
#define UNIT        420 /* divisible by 1..7: a poem's weight is shared among a character's pairs */
#define RESOLUTION  3.0
#define MIN_POEMS   2 /* a character in fewer rhyme positions is left out */
#define MAX_SWEEPS  50
#define SECOND      0.15 /* a character also joins groups that hold this share of its weight */
#define SECOND_MIN  (2 * UNIT)

struct edge {
    int from, to;
    int64_t weight;
};

struct graph {
    struct edge *edges; /* sorted by from, to; both directions; loops once */
    size_t edge_count;
    size_t *first;   /* [nodes+1] */
    int64_t *degree; /* [nodes] */
    int64_t total;   /* sum of degrees */
    int nodes;
};

struct character {
    uint32_t codepoint;
    int poems;
};

struct work {
    struct ml_arena arena;
    struct character *characters; /* most frequent first */
    int count;
    int *index; /* [distinct] by sorted codepoint: into characters */
    uint32_t *codepoints;
    size_t distinct;
};

int ml_rhyme_learner_add(struct ml_rhyme_learner *learner, const uint32_t *endings, int count,
                         struct ml_error *err)
{
    static const uint32_t end = 0;
    if (count < 2 || count > MAX_ENDINGS)
        return 0;
    for (int i = 0; i < count; i++)
        if (endings[i] == 0)
            return 0;
    size_t before = learner->endings.size;
    int code = ml_buffer_put(&learner->endings, endings, (size_t)count * sizeof *endings, err);
    if (code == 0)
        code = ml_buffer_put(&learner->endings, &end, sizeof end, err);
    if (code < 0)
        learner->endings.size = before;
    else
        learner->poems++;
    return code;
}

void ml_rhyme_learner_clear(struct ml_rhyme_learner *learner)
{
    ml_buffer_clear(&learner->endings);
    learner->poems = 0;
}

static int no_memory(struct ml_error *err)
{
    return ml_fail(err, ML_ERR_MEMORY, "out of memory learning rhyme groups");
}

/* The different characters of the poem that starts at `at`; moves `at` behind it. */
static int next_poem(const struct ml_rhyme_learner *learner, size_t *at, uint32_t *out)
{
    const uint32_t *all = (const uint32_t *)(const void *)learner->endings.data;
    int count = 0;
    for (; all[*at]; ++*at) {
        int k = 0;
        while (k < count && out[k] != all[*at])
            k++;
        if (k == count)
            out[count++] = all[*at];
    }
    ++*at;
    return count;
}

static int by_codepoint(const void *a, const void *b)
{
    uint32_t x = *(const uint32_t *)a, y = *(const uint32_t *)b;
    return (x > y) - (x < y);
}

static int by_frequency(const void *a, const void *b)
{
    const struct character *x = a, *y = b;
    if (x->poems != y->poems)
        return x->poems > y->poems ? -1 : 1;
    return (x->codepoint > y->codepoint) - (x->codepoint < y->codepoint);
}

static int by_ends(const void *a, const void *b)
{
    const struct edge *x = a, *y = b;
    if (x->from != y->from)
        return x->from < y->from ? -1 : 1;
    return (x->to > y->to) - (x->to < y->to);
}

static size_t codepoint_at(const struct work *w, uint32_t codepoint)
{
    const uint32_t *at =
        bsearch(&codepoint, w->codepoints, w->distinct, sizeof codepoint, by_codepoint);
    return (size_t)(at - w->codepoints);
}

/* Which characters there are, and in how many poems. */
static int count_characters(struct work *w, const struct ml_rhyme_learner *learner,
                            struct ml_error *err)
{
    size_t size = learner->endings.size / sizeof(uint32_t), n = 0;
    w->codepoints = ml_arena_alloc(&w->arena, (size + 1) * sizeof *w->codepoints);
    if (!w->codepoints)
        return no_memory(err);
    uint32_t poem[MAX_ENDINGS];
    for (size_t at = 0; at < size;) {
        int k = next_poem(learner, &at, poem);
        memcpy(w->codepoints + n, poem, (size_t)k * sizeof *poem);
        n += (size_t)k;
    }
    qsort(w->codepoints, n, sizeof *w->codepoints, by_codepoint);
    w->characters = ml_arena_alloc(&w->arena, (n + 1) * sizeof *w->characters);
    w->index = ml_arena_alloc(&w->arena, (n + 1) * sizeof *w->index);
    if (!w->characters || !w->index)
        return no_memory(err);
    for (size_t i = 0; i < n;) {
        size_t same = i;
        while (same < n && w->codepoints[same] == w->codepoints[i])
            same++;
        if (same - i >= MIN_POEMS)
            w->characters[w->count++] = (struct character){w->codepoints[i], (int)(same - i)};
        w->index[w->distinct] = -1;
        w->codepoints[w->distinct++] = w->codepoints[i];
        i = same;
    }
    qsort(w->characters, (size_t)w->count, sizeof *w->characters, by_frequency);
    for (int i = 0; i < w->count; i++)
        w->index[codepoint_at(w, w->characters[i].codepoint)] = i;
    return 0;
}

/* Sorts the edges, adds up those between the same nodes, and fills the rest of the graph. */
static int graph_finish(struct graph *g, struct ml_arena *arena, struct ml_error *err)
{
    size_t kept = 0;
    qsort(g->edges, g->edge_count, sizeof *g->edges, by_ends);
    for (size_t i = 0; i < g->edge_count; i++) {
        if (kept > 0 && by_ends(&g->edges[kept - 1], &g->edges[i]) == 0)
            g->edges[kept - 1].weight += g->edges[i].weight;
        else
            g->edges[kept++] = g->edges[i];
    }
    g->edge_count = kept;
    g->first = ml_arena_calloc(arena, (size_t)g->nodes + 2, sizeof *g->first);
    g->degree = ml_arena_calloc(arena, (size_t)g->nodes + 1, sizeof *g->degree);
    if (!g->first || !g->degree)
        return no_memory(err);
    for (size_t i = 0; i < kept; i++) {
        g->first[g->edges[i].from + 1] = i + 1;
        g->degree[g->edges[i].from] += g->edges[i].weight;
        g->total += g->edges[i].weight;
    }
    for (int i = 0; i < g->nodes; i++)
        if (g->first[i + 1] == 0)
            g->first[i + 1] = g->first[i];
    return 0;
}

static int first_graph(struct graph *g, struct work *w, const struct ml_rhyme_learner *learner,
                       struct ml_error *err)
{
    size_t size = learner->endings.size / sizeof(uint32_t);
    uint32_t poem[MAX_ENDINGS];
    g->nodes = w->count;
    /* A poem of k endings (and its 0) has at most k (k - 1) <= (MAX_ENDINGS - 1) (k + 1) edges. */
    g->edges = ml_arena_alloc(&w->arena, (size * (MAX_ENDINGS - 1) + 1) * sizeof *g->edges);
    if (!g->edges)
        return no_memory(err);
    for (size_t at = 0; at < size;) {
        int k = next_poem(learner, &at, poem);
        for (int i = 0; i < k; i++)
            for (int j = 0; j < k; j++) {
                int from = w->index[codepoint_at(w, poem[i])];
                int to = w->index[codepoint_at(w, poem[j])];
                if (i != j && from >= 0 && to >= 0)
                    g->edges[g->edge_count++] = (struct edge){from, to, UNIT / (k - 1)};
            }
    }
    return graph_finish(g, &w->arena, err);
}

/* Moves nodes between groups until none gains; returns whether any moved. links and seen are
 * scratch of [nodes]. */
static bool move_nodes(const struct graph *g, int *group, int64_t *group_degree, int64_t *links,
                       int *seen)
{
    int64_t total = g->total > 0 ? g->total : 1;
    bool any = false, moved = true;
    for (int sweep = 0; moved && sweep < MAX_SWEEPS; sweep++) {
        moved = false;
        for (int node = 0; node < g->nodes; node++) {
            int seen_count = 0, best = group[node];
            for (size_t e = g->first[node]; e < g->first[node + 1]; e++) {
                int other = group[g->edges[e].to];
                if (g->edges[e].to == node)
                    continue;
                if (links[other] == 0)
                    seen[seen_count++] = other;
                links[other] += g->edges[e].weight;
            }
            double share = RESOLUTION * (double)g->degree[node] / (double)total;
            group_degree[best] -= g->degree[node];
            double gain = (double)links[best] - share * (double)group_degree[best];
            for (int i = 0; i < seen_count; i++) {
                double other = (double)links[seen[i]] - share * (double)group_degree[seen[i]];
                if (other > gain + 1e-6) {
                    gain = other;
                    best = seen[i];
                }
            }
            for (int i = 0; i < seen_count; i++)
                links[seen[i]] = 0;
            group_degree[best] += g->degree[node];
            moved |= best != group[node];
            group[node] = best;
        }
        any |= moved;
    }
    return any;
}

/* Numbers the groups from 0 in the order of their first node; returns how many there are. */
static int renumber(int *group, int nodes, int *number)
{
    int count = 0;
    memset(number, 0xff, (size_t)nodes * sizeof *number);
    for (int i = 0; i < nodes; i++) {
        if (number[group[i]] < 0)
            number[group[i]] = count++;
        group[i] = number[group[i]];
    }
    return count;
}

/* group[character] on the finest graph. */
static int find_groups(struct work *w, const struct graph *finest, int *group, int *groups,
                       struct ml_error *err)
{
    struct graph g = *finest;
    size_t n = (size_t)g.nodes + 1;
    int *local = ml_arena_alloc(&w->arena, n * sizeof *local);
    int *scratch = ml_arena_alloc(&w->arena, n * sizeof *scratch);
    int64_t *degree = ml_arena_alloc(&w->arena, n * sizeof *degree);
    int64_t *links = ml_arena_calloc(&w->arena, n, sizeof *links);
    if (!local || !scratch || !degree || !links)
        return no_memory(err);
    for (int i = 0; i < g.nodes; i++)
        group[i] = i;
    for (;;) {
        for (int i = 0; i < g.nodes; i++) {
            local[i] = i;
            degree[i] = g.degree[i];
        }
        bool moved = move_nodes(&g, local, degree, links, scratch);
        int count = renumber(local, g.nodes, scratch);
        for (int i = 0; i < w->count; i++)
            group[i] = local[group[i]];
        *groups = count;
        if (!moved || count == g.nodes)
            return 0;
        struct graph coarse = {.nodes = count, .edge_count = g.edge_count};
        coarse.edges = ml_arena_alloc(&w->arena, (g.edge_count + 1) * sizeof *coarse.edges);
        if (!coarse.edges)
            return no_memory(err);
        for (size_t e = 0; e < g.edge_count; e++)
            coarse.edges[e] =
                (struct edge){local[g.edges[e].from], local[g.edges[e].to], g.edges[e].weight};
        int code = graph_finish(&coarse, &w->arena, err);
        if (code < 0)
            return code;
        g = coarse;
    }
}

/* Whether a character belongs to a group: its own, or one that holds much of its weight. */
static bool belongs(const struct graph *g, const int *group, int character, int which)
{
    if (group[character] == which)
        return true;
    int64_t weight = 0;
    for (size_t e = g->first[character]; e < g->first[character + 1]; e++)
        if (group[g->edges[e].to] == which)
            weight += g->edges[e].weight;
    return weight >= SECOND_MIN && (double)weight >= SECOND * (double)g->degree[character];
}

static int list_members(struct work *w, const struct graph *g, const int *group, int groups,
                        struct ml_rhyme **out, struct ml_error *err)
{
    struct ml_buffer members = {0};
    int code = 0, used = 0;
    for (int which = 0; code == 0 && which < groups; which++) {
        int size = 0;
        for (int i = 0; i < w->count; i++)
            size += group[i] == which;
        if (size < 2)
            continue;
        for (int i = 0; code == 0 && i < w->count; i++) {
            struct ml_rhyme_member member = {w->characters[i].codepoint, used};
            if (belongs(g, group, i, which))
                code = ml_buffer_put(&members, &member, sizeof member, err);
        }
        used++;
    }
    if (code == 0 && used == 0)
        code = ml_fail(err, ML_ERR_ARG,
                       "these poems are too few to learn rhymes from: no two characters rhyme "
                       "more than once");
    if (code == 0)
        code = ml_rhyme_make(out, (const struct ml_rhyme_member *)(const void *)members.data,
                             members.size / sizeof(struct ml_rhyme_member), err);
    ml_buffer_clear(&members);
    return code;
}

int ml_rhyme_learn(struct ml_rhyme **out, const struct ml_rhyme_learner *learner,
                   struct ml_error *err)
{
    struct work w = {0};
    struct graph g = {0};
    int *group = NULL, groups = 0;
    ml_arena_init(&w.arena, 0);
    int code = count_characters(&w, learner, err);
    if (code == 0)
        code = first_graph(&g, &w, learner, err);
    if (code == 0) {
        group = ml_arena_alloc(&w.arena, ((size_t)w.count + 1) * sizeof *group);
        code = group ? find_groups(&w, &g, group, &groups, err) : no_memory(err);
    }
    if (code == 0)
        code = list_members(&w, &g, group, groups, out, err);
    ml_arena_clear(&w.arena);
    return code;
}
