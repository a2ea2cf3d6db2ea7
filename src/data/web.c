#include "data/web.h"

#include <stdio.h>
#include <string.h>

#include "base/fail.h"
#include "data/feed.h"
#include "data/sitemap.h"
#include "data/text_set.h"
#include "data/web_consent.h"
#include "data/web_site.h"
#include "store/hash.h"

#define DEFAULT_PAGES 1000
#define MAX_LISTS     5 /* lists of lists of lists ... */

const char *ml_web_reason_name(enum ml_web_reason reason)
{
    static const char *const names[] = {
        "addresses that are not fetched from",
        "not allowed by robots.txt",
        "not to be used for training",
        "answered with another status",
        "too large",
        "not reached",
        "empty",
        "feeds and sitemaps that are damaged",
        "beyond the limit of pages",
    };
    return names[reason];
}

/* An address that waits to be fetched, or was. */
struct job {
    struct ml_web_url url;
    struct ml_web_site *site;
    const char *from, *title, *published, *licence;
    const char *home; /* the host within which links are followed; NULL: its own */
    int depth, lists; /* links, and lists, that lie between it and a seed */
    bool is_list;     /* named as a sitemap: a plain text is one then */
    bool done;
};

struct crawl {
    const struct ml_web_request *request;
    const struct ml_web_sink *sink;
    struct ml_http *http;
    struct ml_web_sites *sites;
    struct ml_arena arena;      /* of all jobs */
    struct ml_arena scratch;    /* of one address that was found */
    struct ml_buffer jobs;      /* struct job *[] */
    size_t first;               /* those before it are done */
    struct ml_text_set known;   /* addresses that are or were jobs */
    struct ml_text_set fetched; /* addresses that were asked for, or led to */
    uint64_t max_jobs, done, bytes, beyond;
    /* The job at hand. */
    const struct job *job;
    struct ml_web_permit permit; /* of the address that was asked last */
    enum ml_web_reason reason;   /* why the request was refused before it went out */
};

static int fail_memory(struct ml_error *err)
{
    return ml_fail(err, ML_ERR_MEMORY, "out of memory collecting from the web");
}

static void leave_out(struct crawl *c, const char *url, enum ml_web_reason reason, const char *why)
{
    if (c->sink->left_out)
        c->sink->left_out(c->sink->arg, url, reason, why);
}

static int add_to_set(struct ml_text_set *set, const char *url, bool *before, struct ml_error *err)
{
    uint8_t hash[ML_HASH_BYTES];
    uint64_t key;
    ml_hash(url, strlen(url), hash);
    memcpy(&key, hash, sizeof key);
    return ml_text_set_add(set, key, before, err);
}

/* ---- jobs ---- */

static size_t job_count(const struct crawl *c)
{
    return c->jobs.size / sizeof(struct job *);
}

static struct job *job_at(const struct crawl *c, size_t i)
{
    return ((struct job **)c->jobs.data)[i];
}

/* Copies of what the caller's texts say, into the crawl's arena. */
static bool copy_texts(struct crawl *c, struct job *job)
{
    const char **texts[] = {&job->from, &job->title, &job->published, &job->licence};
    bool good = true;
    for (size_t i = 0; i < sizeof texts / sizeof texts[0]; i++) {
        const char *text = *texts[i] ? *texts[i] : "";
        *texts[i] = *text ? ml_arena_strdup(&c->arena, text) : "";
        good = good && *texts[i];
    }
    if (job->home)
        job->home = ml_arena_strdup(&c->arena, job->home);
    return good;
}

/* Adds an address, unless it is known. `like` has everything but url and site. */
static int add_job(struct crawl *c, const struct ml_web_url *url, const struct job *like,
                   struct ml_error *err)
{
    bool before = false;
    if (job_count(c) >= c->max_jobs) {
        c->beyond++;
        return 0;
    }
    int status = add_to_set(&c->known, url->text, &before, err);
    if (status || before)
        return status;
    struct job *job = ml_arena_alloc(&c->arena, sizeof *job);
    if (!job)
        return fail_memory(err);
    *job = *like;
    status = ml_web_url_parse(&job->url, &c->arena, url->text, err);
    if (status == 0 && !copy_texts(c, job))
        status = fail_memory(err);
    if (status == 0)
        status = ml_web_sites_find(c->sites, &job->url, &job->site, err);
    return status ? status : ml_buffer_put(&c->jobs, &job, sizeof job, err);
}

/* The first whose host may be asked now, else the one that may be asked soonest. */
static struct job *next_job(struct crawl *c)
{
    struct job *best = NULL;
    double least = 0;
    while (c->first < job_count(c) && job_at(c, c->first)->done)
        c->first++;
    for (size_t i = c->first; i < job_count(c); i++) {
        struct job *job = job_at(c, i);
        if (job->done)
            continue;
        double wait = ml_web_site_wait_seconds(job->site);
        if (!best || wait < least) {
            best = job;
            least = wait;
        }
        if (least <= 0)
            break;
    }
    return best;
}

static int add_seeds(struct crawl *c, struct ml_error *err)
{
    int status = 0;
    for (size_t i = 0; status == 0 && i < c->request->seed_count; i++) {
        struct ml_error inner = {0};
        struct ml_web_url url;
        ml_arena_reset(&c->scratch);
        status = ml_web_url_parse(&url, &c->scratch, c->request->seeds[i], &inner);
        if (status == ML_ERR_MEMORY)
            return fail_memory(err);
        if (status == 0) {
            status = add_job(c, &url, &(struct job){0}, err);
        } else {
            leave_out(c, c->request->seeds[i], ML_WEB_REFUSED, inner.message);
            status = 0;
        }
    }
    return status;
}

/* ---- following ---- */

/* An address that a list gives, normalised already. */
static int add_listed(struct crawl *c, const char *text, const struct job *like,
                      struct ml_error *err)
{
    struct ml_web_url url;
    ml_arena_reset(&c->scratch);
    int status = ml_web_url_parse(&url, &c->scratch, text, err);
    return status ? status : add_job(c, &url, like, err);
}

/* A list that cannot be read is left out, and the batch goes on. */
static int note_list(struct crawl *c, const struct ml_web_resource *list, int status,
                     const struct ml_error *inner, struct ml_error *err)
{
    if (status == ML_ERR_MEMORY)
        return ml_fail(err, status, "%s", inner->message);
    leave_out(c, list->url, ML_WEB_DAMAGED, inner->message);
    return 0;
}

static int follow_feed(struct crawl *c, const struct ml_web_resource *resource,
                       struct ml_error *err)
{
    struct ml_arena arena;
    struct ml_feed feed;
    struct ml_error inner = {0};
    ml_arena_init(&arena, 0);
    int status =
        ml_feed_parse(&feed, &arena, resource->bytes, resource->size, resource->url, &inner);
    if (status) {
        status = note_list(c, resource, status, &inner, err);
    } else {
        for (size_t i = 0; status == 0 && i < feed.count; i++) {
            const struct ml_feed_entry *entry = &feed.entries[i];
            const struct job like = {.from = resource->url,
                                     .title = entry->title,
                                     .published = entry->published,
                                     .licence = entry->licence,
                                     .depth = c->job->depth,
                                     .lists = c->job->lists + 1};
            if (entry->link[0])
                status = add_listed(c, entry->link, &like, err);
        }
        if (feed.problem[0])
            leave_out(c, resource->url, ML_WEB_DAMAGED, feed.problem);
    }
    ml_arena_clear(&arena);
    return status;
}

static int follow_sitemap(struct crawl *c, const struct ml_web_resource *resource,
                          struct ml_error *err)
{
    struct ml_arena arena;
    struct ml_sitemap map;
    struct ml_error inner = {0};
    ml_arena_init(&arena, 0);
    int status =
        ml_sitemap_parse(&map, &arena, resource->bytes, resource->size, resource->url, &inner);
    if (status) {
        status = note_list(c, resource, status, &inner, err);
    } else {
        const struct job like = {.from = resource->url,
                                 .depth = c->job->depth,
                                 .lists = c->job->lists + 1,
                                 .is_list = map.is_index};
        for (size_t i = 0; status == 0 && i < map.count; i++)
            status = add_listed(c, map.entries[i].url, &like, err);
        if (map.problem[0])
            leave_out(c, resource->url, ML_WEB_DAMAGED, map.problem);
    }
    ml_arena_clear(&arena);
    return status;
}

/* What the callback for links gets: the page, and where its links may lead. */
struct page_links {
    struct crawl *c;
    const struct ml_web_url *base;
    struct job like;
};

/* A link that is no address on the web, or leads elsewhere, is nothing to tell of. */
static int add_link(void *arg, const char *reference, struct ml_error *err)
{
    struct page_links *links = arg;
    struct crawl *c = links->c;
    struct ml_error inner = {0};
    struct ml_web_url url;
    ml_arena_reset(&c->scratch);
    int status = ml_web_url_resolve(&url, &c->scratch, links->base, reference, &inner);
    if (status == ML_ERR_MEMORY)
        return fail_memory(err);
    if (status || strcmp(url.host, links->like.home) != 0)
        return 0;
    return add_job(c, &url, &links->like, err);
}

static int follow_links(struct crawl *c, const struct ml_web_resource *page, struct ml_error *err)
{
    struct ml_arena arena;
    struct ml_web_url base;
    ml_arena_init(&arena, 4096);
    int status = ml_web_url_parse(&base, &arena, page->url, err);
    if (status == 0) {
        struct page_links links = {.c = c,
                                   .base = &base,
                                   .like = {.from = page->url,
                                            .home = c->job->home ? c->job->home : base.host,
                                            .depth = c->job->depth + 1,
                                            .lists = c->job->lists}};
        status = c->request->links(c->request->links_arg, page, add_link, &links, err);
    }
    ml_arena_clear(&arena);
    return status;
}

static bool wants_links(const struct crawl *c)
{
    return c->request->links && c->job->depth < c->request->depth;
}

static int follow_robots_sitemaps(struct crawl *c, struct ml_error *err)
{
    const struct ml_robots *robots = ml_web_site_robots(c->job->site);
    bool seed = c->job->from[0] == '\0';
    int status = 0;
    if (!seed || !c->request->follow_sitemaps || !c->request->robots_sitemaps || !robots)
        return 0;
    for (size_t i = 0; status == 0 && i < robots->sitemap_count; i++) {
        struct ml_error inner = {0};
        struct ml_web_url url;
        const struct job like = {.from = c->job->url.text, .lists = 1, .is_list = true};
        ml_arena_reset(&c->scratch);
        status = ml_web_url_resolve(&url, &c->scratch, &c->job->url, robots->sitemaps[i], &inner);
        if (status == ML_ERR_MEMORY)
            return fail_memory(err);
        if (status == 0)
            status = add_job(c, &url, &like, err);
        else
            status = 0;
    }
    return status;
}

/* ---- what was fetched ---- */

static bool ends_with(const char *text, const char *end)
{
    size_t n = strlen(text), m = strlen(end);
    return n >= m && strcmp(text + n - m, end) == 0;
}

static enum ml_web_role role_of(const struct crawl *c, const struct ml_http_response *response)
{
    const char *bytes = response->body.data;
    size_t n = response->body.size;
    bool text = strcmp(response->type, "text/plain") == 0;
    bool named = c->job->is_list || ends_with(response->url, "/sitemap.txt");
    if (ml_feed_is_one(bytes, n))
        return ML_WEB_FEED;
    return ml_sitemap_is_one(bytes, n) || (text && named) ? ML_WEB_SITEMAP : ML_WEB_PAGE;
}

static int give(struct crawl *c, const struct ml_http_response *response, const char *consent,
                struct ml_error *err)
{
    const struct ml_web_resource resource = {.url = response->url,
                                             .asked = c->job->url.text,
                                             .from = c->job->from,
                                             .role = role_of(c, response),
                                             .depth = c->job->depth,
                                             .type = response->type,
                                             .charset = response->charset,
                                             .bytes = response->body.data,
                                             .size = response->body.size,
                                             .etag = response->etag,
                                             .last_modified = response->last_modified,
                                             .time = response->time,
                                             .consent = consent,
                                             .title = c->job->title,
                                             .published = c->job->published,
                                             .licence = c->job->licence};
    const struct ml_web_request *r = c->request;
    bool more_lists = c->job->lists < MAX_LISTS;
    int status = c->sink->resource(c->sink->arg, &resource, err);
    if (status)
        return status;
    if (resource.role == ML_WEB_FEED && r->follow_feeds && more_lists)
        return follow_feed(c, &resource, err);
    if (resource.role == ML_WEB_SITEMAP && r->follow_sitemaps && more_lists)
        return follow_sitemap(c, &resource, err);
    return resource.role == ML_WEB_PAGE && wants_links(c) ? follow_links(c, &resource, err) : 0;
}

static int take_page(struct crawl *c, const struct ml_http_response *response, struct ml_error *err)
{
    char consent[ML_CONSENT_BYTES];
    bool before = false;
    memcpy(consent, c->permit.consent, sizeof consent);
    ml_consent_headers(consent, response->robots_tag, response->content_usage, ML_WEB_PRODUCT);
    c->bytes += response->body.size;
    if (consent[0] && !c->request->allow_denied) {
        leave_out(c, response->url, ML_WEB_CONSENT, consent);
        return 0;
    }
    if (response->body.size == 0) {
        leave_out(c, response->url, ML_WEB_EMPTY, "nothing is in it");
        return 0;
    }
    int status = 0;
    if (strcmp(response->url, c->job->url.text) != 0)
        status = add_to_set(&c->fetched, response->url, &before, err);
    if (status || before) /* another address led here already */
        return status;
    return give(c, response, consent, err);
}

static int take_response(struct crawl *c, const struct ml_http_response *response, bool conditional,
                         struct ml_error *err)
{
    if (response->status / 100 == 2)
        return take_page(c, response, err);
    if (response->status == 304 && conditional)
        return c->sink->unchanged ? c->sink->unchanged(c->sink->arg, c->job->url.text, err) : 0;
    char why[100];
    snprintf(why, sizeof why, "HTTP status %d", response->status);
    if (response->retry_after > 0)
        ml_web_site_rest(c->job->site, response->retry_after);
    leave_out(c, response->url, ML_WEB_STATUS, why);
    return 0;
}

/* ---- requests ---- */

/* Before each request that goes out, of redirects and repetitions too: robots.txt, then the turn.
 */
static int before_request(void *arg, const struct ml_web_url *url, struct ml_error *err)
{
    struct crawl *c = arg;
    struct ml_web_site *site;
    int status = ml_web_sites_find(c->sites, url, &site, err);
    if (status == 0)
        status = ml_web_site_ask(site, url, &c->permit, err);
    if (status)
        return status;
    c->reason = ML_WEB_REASON_COUNT;
    if (!c->permit.fetch) {
        c->reason = c->permit.refused ? ML_WEB_REFUSED : ML_WEB_ROBOTS;
        return ml_fail(err, ML_ERR_STATE, "%s", c->permit.why);
    }
    if (c->permit.consent[0] && !c->request->allow_denied) { /* no use in fetching it */
        c->reason = ML_WEB_CONSENT;
        return ml_fail(err, ML_ERR_STATE, "%s", c->permit.consent);
    }
    return ml_web_site_take_turn(site, err);
}

static enum ml_web_reason reason_of(const struct crawl *c, int status)
{
    if (status == ML_ERR_STATE)
        return c->reason;
    return status == ML_ERR_ARG     ? ML_WEB_REFUSED
           : status == ML_ERR_LIMIT ? ML_WEB_TOO_LARGE
                                    : ML_WEB_NETWORK;
}

static int fetch(struct crawl *c, const struct job *job, struct ml_error *err)
{
    struct ml_http_response response = {0};
    struct ml_web_validators validators = {0};
    struct ml_error inner = {0};
    bool before = false;
    c->job = job;
    c->permit = (struct ml_web_permit){0};
    int status = add_to_set(&c->fetched, job->url.text, &before, err);
    if (status || before) /* a redirect led here already */
        return status;
    if (c->sink->validators && !wants_links(c))
        status = c->sink->validators(c->sink->arg, job->url.text, &validators, err);
    if (status)
        return status;
    const struct ml_http_request request = {.url = job->url.text,
                                            .etag = validators.etag,
                                            .last_modified = validators.last_modified,
                                            .before = before_request,
                                            .arg = c};
    status = ml_http_get(c->http, &request, &response, &inner);
    bool conditional = (validators.etag && *validators.etag) ||
                       (validators.last_modified && *validators.last_modified);
    if (status == ML_ERR_MEMORY || status == ML_ERR_CANCELLED)
        return ml_fail(err, status, "%s", inner.message);
    if (status)
        leave_out(c, job->url.text, reason_of(c, status), inner.message);
    status = status ? 0 : take_response(c, &response, conditional, err);
    ml_http_response_clear(&response);
    return status ? status : follow_robots_sitemaps(c, err);
}

static int tell(struct crawl *c, const char *url, struct ml_error *err)
{
    const struct ml_web_progress progress = {
        .done = c->done, .known = job_count(c), .bytes = c->bytes, .url = url};
    const volatile int *cancel = c->request->http.cancel;
    bool stop = cancel && *cancel;
    if (!stop && c->request->progress)
        stop = c->request->progress(c->request->progress_arg, &progress) != 0;
    return stop ? ml_fail(err, ML_ERR_CANCELLED, "stopped while collecting from the web") : 0;
}

static int crawl_all(struct crawl *c, struct ml_error *err)
{
    int status = add_seeds(c, err);
    for (struct job *job; status == 0 && (job = next_job(c)) != NULL; c->done++) {
        status = tell(c, job->url.text, err);
        if (status == 0)
            status = fetch(c, job, err);
        job->done = true;
    }
    if (status == 0 && c->beyond > 0) {
        char why[160];
        snprintf(why, sizeof why,
                 "%llu more addresses were found than the %llu that are fetched; raise the limit "
                 "of pages to have them",
                 (unsigned long long)c->beyond, (unsigned long long)c->max_jobs);
        leave_out(c, "", ML_WEB_BEYOND, why);
    }
    return status ? status : tell(c, "", err);
}

int ml_web_collect(const struct ml_web_request *request, const struct ml_web_sink *sink,
                   struct ml_error *err)
{
    struct crawl c = {.request = request,
                      .sink = sink,
                      .max_jobs = request->max_pages ? request->max_pages : DEFAULT_PAGES};
    ml_arena_init(&c.arena, 0);
    ml_arena_init(&c.scratch, 0);
    int status = ml_http_open(&c.http, &request->http, err);
    if (status == 0)
        status = ml_web_sites_open(&c.sites, c.http, &request->http, request->seconds, err);
    if (status == 0)
        status = crawl_all(&c, err);
    ml_web_sites_close(c.sites);
    ml_http_close(c.http);
    ml_buffer_clear(&c.jobs);
    ml_text_set_clear(&c.known);
    ml_text_set_clear(&c.fetched);
    ml_arena_clear(&c.arena);
    ml_arena_clear(&c.scratch);
    return status;
}
