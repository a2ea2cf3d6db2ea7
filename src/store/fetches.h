/* What servers said of the addresses that were fetched, to ask "only if it has changed" (RFC 9110,
 * section 13) the next time. */
#ifndef ML_STORE_FETCHES_H
#define ML_STORE_FETCHES_H

#include "store/workspace.h"

#include <stdint.h>

struct ml_fetch {
    const char *uri;
    const char *etag, *modified; /* as the server wrote them; "": it did not */
    int status;                  /* 200 ... */
    int64_t time;                /* Unix seconds */
};
/* Replaces what was kept for the address. NULL texts are "". */
int ml_fetches_put(struct ml_workspace *workspace, const struct ml_fetch *fetch,
                   struct ml_error *err);
/* Texts are owned by the arena. ML_ERR_NOT_FOUND without a message. */
int ml_fetches_get(struct ml_workspace *workspace, const char *uri, struct ml_arena *arena,
                   struct ml_fetch *out, struct ml_error *err);

#endif
