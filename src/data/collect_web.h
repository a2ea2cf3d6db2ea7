/* What the web gives as records: pages, feeds' entries, what sitemaps list, any file whose format
 * is known. Each keeps its address, the time, the verdict on its use for training and the licence
 * that its feed states; asking again fetches only what changed. */
#ifndef ML_DATA_COLLECT_WEB_H
#define ML_DATA_COLLECT_WEB_H

#include "data/collect.h"
#include "data/web.h"

/* Zero means default. */
struct ml_collect_web_options {
    int depth;                        /* links followed within a host; 0: none */
    uint64_t max_pages;               /* 0: 1,000 */
    const char *const *allowed_hosts; /* may have private addresses */
    size_t allowed_count;
    double seconds_apart; /* between requests to one host; 0: 1 */
    const volatile int *cancel;
};

/* Whether a path that a user names is an address of the web. */
bool ml_collect_is_url(const char *path);

/* Collects the seeds and what they lead to. *sources: the addresses that gave records or still
 * hold what they gave before, owned by the arena (for ml_collect_dataset). The report is added to,
 * so that files and the web may share one; one address that fails stops nothing. */
int ml_collect_web(struct ml_workspace *workspace, const char *const *seeds, size_t seed_count,
                   const struct ml_collect_options *options,
                   const struct ml_collect_web_options *web, struct ml_collect_report *report,
                   struct ml_collect_sources *sources, struct ml_error *err);

#endif
