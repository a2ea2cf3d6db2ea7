/* The search index of a workspace: every record that is not replaced, cut into passages of some 200
 * words, each with its embedding and its words. One file, WORKSPACE/index/find.mli, written whole;
 * what is damaged or missing is made again. It is brought up to date when it is opened. */
#ifndef ML_FIND_FIND_INDEX_H
#define ML_FIND_FIND_INDEX_H

#include "find/bm25.h"
#include "find/embed.h"
#include "find/hnsw.h"
#include "store/records.h"

/* More vectors than this are searched by HNSW; the exact scan takes 20 us a thousand. */
enum { ML_FIND_EXACT_MAX = 200000 };

struct ml_passage {
    int64_t record;
    uint32_t start, bytes; /* of the record's text */
};

struct ml_find_index {
    struct ml_workspace *workspace; /* borrowed */
    struct ml_embedder embedder;
    struct ml_vector_set vectors; /* one a passage */
    struct ml_hnsw graph;         /* when there are many */
    struct ml_bm25 words;
    struct ml_passage *passages;
    size_t count, capacity;
    int64_t last;    /* highest record that is in it */
    int64_t records; /* that are in it */
    bool changed;    /* since it was saved */
    struct ml_embed_work work;
};

/* Zero means default. */
struct ml_find_options {
    const volatile int *cancel;
    /* Now and then while the index is brought up to date. May be NULL. */
    void (*progress)(void *arg, int64_t done, int64_t total);
    void *arg;
};
/* The workspace must stay open. A workspace that is open for reading only is searched all the same;
 * its index is not kept then. */
int ml_find_index_open(struct ml_find_index *index, struct ml_workspace *workspace,
                       const struct ml_find_options *options, struct ml_error *err);
void ml_find_index_close(struct ml_find_index *index); /* accepts NULL, a zeroed one */

/* A record's text as it is searched: the title and the text, or title and captions of a picture,
 * sound or film; owned by the arena. */
int ml_find_record_text(struct ml_workspace *workspace, struct ml_arena *arena,
                        const struct ml_record *record, struct ml_blob_view *view,
                        const char **text, size_t *n, struct ml_error *err);

#endif
