#include "data/collect_web.h"

#include <string.h>
#include <strings.h>

#include "base/fail.h"
#include "data/collect_impl.h"
#include "store/fetches.h"

struct web {
    struct ml_collector collector;
    struct ml_collect_sources *sources;
    struct ml_arena asked; /* validators, until the request is done */
    struct ml_web_validators validators;
};

bool ml_collect_is_url(const char *path)
{
    return strncasecmp(path, "http://", 7) == 0 || strncasecmp(path, "https://", 8) == 0;
}

static int note_source(struct ml_collect_sources *s, const char *url, struct ml_error *err)
{
    if (s->count == s->capacity) {
        size_t capacity = s->capacity ? 2 * s->capacity : 64;
        const char **grown = ml_arena_calloc(&s->arena, capacity, sizeof *grown);
        if (!grown)
            return ml_fail(err, ML_ERR_MEMORY, "out of memory collecting %.200s", url);
        if (s->count)
            memcpy(grown, s->uris, s->count * sizeof *grown);
        s->uris = grown;
        s->capacity = capacity;
    }
    s->uris[s->count] = ml_arena_strdup(&s->arena, url);
    if (!s->uris[s->count])
        return ml_fail(err, ML_ERR_MEMORY, "out of memory collecting %.200s", url);
    s->count++;
    return 0;
}

/* ---- what the crawl tells ---- */

/* Feeds and sitemaps only lead to others. */
static int take(void *arg, const struct ml_web_resource *r, struct ml_error *err)
{
    struct web *w = arg;
    struct ml_collector *c = &w->collector;
    const struct ml_collect_item item = {.uri = r->url,
                                         .type = *r->type ? r->type : NULL,
                                         .bytes = r->bytes,
                                         .size = r->size,
                                         .charset = r->charset,
                                         .consent = *r->consent ? r->consent : NULL,
                                         .licence = *r->licence ? r->licence : NULL};
    const struct ml_fetch fetch = {.uri = r->asked,
                                   .etag = r->etag,
                                   .modified = r->last_modified,
                                   .status = 200,
                                   .time = r->time};
    uint64_t limit = c->options->max_file_bytes ? c->options->max_file_bytes : ML_COLLECT_MAX_FILE;
    if (r->role != ML_WEB_PAGE)
        return 0;
    c->report->files++;
    if (r->size > limit) {
        ml_collect_skip(c->report, ML_SKIP_TOO_LARGE, r->url, 0, NULL);
        return 0;
    }
    uint64_t before = c->report->added + c->report->present + c->report->repeated;
    int status = ml_collect_item(c, &item, err);
    /* Only what gave something: the rest is looked at again next time. */
    if (status == 0 && c->report->added + c->report->present + c->report->repeated > before) {
        status = ml_collect_begin_batch(c, err);
        if (status == 0)
            status = ml_fetches_put(c->ws, &fetch, err);
        if (status == 0)
            status = note_source(w->sources, r->url, err);
    }
    return status;
}

static int still_there(void *arg, const char *url, struct ml_error *err)
{
    struct web *w = arg;
    int64_t records = 0;
    const struct ml_record_filter filter = {.under = url};
    int status = ml_records_count(w->collector.ws, &filter, &records, NULL, err);
    w->collector.report->files++;
    w->collector.report->present += (uint64_t)records;
    return status == 0 && records > 0 ? note_source(w->sources, url, err) : status;
}

static void left_out(void *arg, const char *url, enum ml_web_reason reason, const char *why)
{
    struct web *w = arg;
    size_t n = strlen(url);
    if (why && strncmp(why, url, n) == 0 && why[n] == ':') /* the report says the address itself */
        why += n + 2;
    ml_collect_skip(w->collector.report, reason == ML_WEB_CONSENT ? ML_SKIP_CONSENT : ML_SKIP_WEB,
                    url, 0, why && *why ? why : ml_web_reason_name(reason));
}

static int known(void *arg, const char *url, struct ml_web_validators *out, struct ml_error *err)
{
    struct web *w = arg;
    struct ml_fetch fetch;
    ml_arena_reset(&w->asked);
    int status = ml_fetches_get(w->collector.ws, url, &w->asked, &fetch, err);
    if (status == ML_ERR_NOT_FOUND)
        return 0;
    if (status == 0)
        *out = (struct ml_web_validators){fetch.etag, fetch.modified};
    return status;
}

static int tell(void *arg, const struct ml_web_progress *p)
{
    struct web *w = arg;
    const struct ml_collect_options *o = w->collector.options;
    w->collector.path = p->url;
    return o->progress ? o->progress(o->arg, p->done, p->known, p->url) : 0;
}

/* ---- all of it ---- */

int ml_collect_web(struct ml_workspace *ws, const char *const *seeds, size_t seed_count,
                   const struct ml_collect_options *options,
                   const struct ml_collect_web_options *web, struct ml_collect_report *report,
                   struct ml_collect_sources *sources, struct ml_error *err)
{
    static const struct ml_collect_options defaults;
    static const struct ml_collect_web_options web_defaults;
    const struct ml_collect_web_options *o = web ? web : &web_defaults;
    const struct ml_collect_options *common = options ? options : &defaults;
    struct web w = {.sources = sources};
    const struct ml_web_sink sink = {.resource = take,
                                     .unchanged = still_there,
                                     .left_out = left_out,
                                     .validators = known,
                                     .arg = &w};
    const struct ml_web_request request = {.seeds = seeds,
                                           .seed_count = seed_count,
                                           .follow_feeds = true,
                                           .follow_sitemaps = true,
                                           .depth = o->depth,
                                           .max_pages = o->max_pages,
                                           .seconds = o->seconds_apart,
                                           .allow_denied = common->allow_denied,
                                           .http = {.allowed_hosts = o->allowed_hosts,
                                                    .allowed_count = o->allowed_count,
                                                    .cancel = o->cancel,
                                                    .max_bytes = common->max_file_bytes},
                                           .links = o->depth > 0 ? ml_collect_links : NULL,
                                           .progress = tell,
                                           .progress_arg = &w};
    ml_arena_init(&w.asked, 4096);
    ml_collector_open(&w.collector, ws, common, report);
    int status = ml_web_collect(&request, &sink, err);
    status = ml_collector_close(&w.collector, status, err);
    ml_arena_clear(&w.asked);
    return status;
}
