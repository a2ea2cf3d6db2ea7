/* Blobs as objects in S3: PREFIX/ab/cdef... (store/blob_driver.h). An object is there whole or not
 * at all, and the server compares its hash when it is put. */
#include <stdio.h>
#include <string.h>

#include "base/arena.h"
#include "base/fail.h"
#include "store/blob_cache.h"
#include "store/blob_driver.h"
#include "store/s3_http.h"
#include "store/s3_xml.h"

#define MOST_BYTES (5LL << 30) /* of one PUT (docs.aws.amazon.com, "Uploading objects") */
#define CACHE      10000       /* MB, unless the address says otherwise */
#define LIST_BYTES (8 << 20)   /* of one answer with at most 1,000 keys */

struct s3_store {
    struct ml_blob_store base;
    struct ml_s3 *s3;
    struct ml_blob_cache cache;
};

static struct s3_store *of_store(struct ml_blob_store *store)
{
    return (struct s3_store *)store;
}

static void write_key(char out[ML_HASH_HEX + 1], const char *hash)
{
    snprintf(out, ML_HASH_HEX + 1, "%.2s/%.62s", hash, hash + 2);
}

/* ---- writing ---- */

static int s3_put(struct ml_blob_store *store, const char *hash, const void *bytes, size_t n,
                  bool known, struct ml_error *err)
{
    struct s3_store *s = of_store(store);
    char key[ML_HASH_HEX + 1];
    int64_t length = -1;
    struct ml_error none = {0};
    if ((uint64_t)n > (uint64_t)MOST_BYTES)
        return ml_fail(err, ML_ERR_LIMIT, "blob %.12s has %.1f GB; in S3 one can have at most 5 GB",
                       hash, (double)n / 1e9);
    write_key(key, hash);
    const struct ml_s3_call head = {.method = "HEAD", .key = key};
    int status = ml_s3_call(s->s3, &head, &length, &none);
    if (status == 0 && length == (int64_t)n)
        return 0;
    if (status != 0 && status != ML_ERR_NOT_FOUND)
        return ml_fail(err, status, "%s", none.message);
    const struct ml_s3_call put = {
        .method = "PUT", .key = key, .body = bytes, .body_bytes = n, .body_hash = hash};
    return ml_s3_call(s->s3, &put, NULL, err);
}

static int s3_sync(struct ml_blob_store *store, struct ml_error *err)
{
    return 0; /* the server said of each that it is safe */
}

/* ---- reading ---- */

struct download {
    struct ml_blob_copy copy;
    struct ml_blob_cache *cache;
};

static int begin_download(void *arg, int64_t length, struct ml_error *err)
{
    struct download *d = arg;
    if (length > MOST_BYTES)
        return ml_fail(err, ML_ERR_LIMIT, "more than 5 GB");
    return ml_blob_copy_begin(&d->copy, d->cache, err);
}

static int take_download(void *arg, const void *bytes, size_t n, struct ml_error *err)
{
    struct download *d = arg;
    if (d->copy.bytes + (int64_t)n > MOST_BYTES)
        return ml_fail(err, ML_ERR_LIMIT, "more than 5 GB");
    return ml_blob_copy_put(&d->copy, bytes, n, err);
}

static int s3_view(struct ml_blob_store *store, const char *hash, bool at_source,
                   struct ml_file_map *map, struct ml_error *err)
{
    struct s3_store *s = of_store(store);
    char key[ML_HASH_HEX + 1];
    struct download d = {.copy = {.file = -1}, .cache = &s->cache};
    if (!at_source && ml_blob_cache_view(&s->cache, hash, map))
        return 0;
    write_key(key, hash);
    const struct ml_s3_call get = {
        .method = "GET", .key = key, .begin = begin_download, .take = take_download, .arg = &d};
    int status = ml_s3_call(s->s3, &get, NULL, err);
    if (status == 0)
        status = ml_blob_copy_finish(&d.copy, &s->cache, hash, !at_source, map, err);
    if (status == ML_ERR_FORMAT)
        ml_fail(err, status, "s3://%s has other bytes under its name",
                ml_s3_address(s->s3)->bucket);
    ml_blob_copy_drop(&d.copy);
    return status;
}

/* ---- tidying up ---- */

static int begin_page(void *arg, int64_t length, struct ml_error *err)
{
    ((struct ml_buffer *)arg)->size = 0;
    return 0;
}

static int take_page(void *arg, const void *bytes, size_t n, struct ml_error *err)
{
    struct ml_buffer *page = arg;
    if (page->size + n > LIST_BYTES)
        return ml_fail(err, ML_ERR_LIMIT, "a list of objects of more than 8 MB");
    return ml_buffer_put(page, bytes, n, err);
}

/* The path is the key as the server says it; a hash lies in it if it is a blob. */
static int visit_page(struct s3_store *s, const struct ml_buffer *page, ml_blob_visit *visit,
                      void *arg, struct ml_error *err)
{
    const char *at = page->data, *end = page->data + page->size;
    const char *prefix = ml_s3_address(s->s3)->prefix;
    size_t n = strlen(prefix);
    struct ml_s3_object object;
    char hash[ML_HASH_HEX + 2];
    uint8_t binary[ML_HASH_BYTES];
    int status = 0;
    while (status == 0 && ml_s3_next_object(&at, end, &object)) {
        const char *name = object.key + (strncmp(object.key, prefix, n) == 0 ? n : 0);
        bool fits = strlen(name) == ML_HASH_HEX && name[2] == '/';
        snprintf(hash, sizeof hash, "%.2s%.63s", name, fits ? name + 3 : "");
        fits = fits && ml_hash_parse(binary, hash);
        status = visit(arg, fits ? hash : NULL, object.key, object.bytes, err);
    }
    return status;
}

/* Parameters in the order of their names, as the signature wants them. */
static int write_query(struct ml_buffer *query, const char *next, const char *prefix,
                       struct ml_error *err)
{
    query->size = 0;
    int status = 0;
    if (*next) {
        status = ml_buffer_printf(query, err, "continuation-token=");
        if (status == 0)
            status = ml_s3_escape(query, next, true, err);
        if (status == 0)
            status = ml_buffer_printf(query, err, "&");
    }
    if (status == 0)
        status = ml_buffer_printf(query, err, "list-type=2&prefix=");
    return status ? status : ml_s3_escape(query, prefix, true, err);
}

static int s3_list(struct ml_blob_store *store, ml_blob_visit *visit, void *arg,
                   struct ml_error *err)
{
    struct s3_store *s = of_store(store);
    struct ml_buffer page = {0}, query = {0};
    char next[ML_S3_KEY_BYTES] = "", more[8] = "true";
    int status = 0;
    while (status == 0 && strcmp(more, "true") == 0) {
        status = write_query(&query, next, ml_s3_address(s->s3)->prefix, err);
        const struct ml_s3_call list = {.method = "GET",
                                        .query = query.data,
                                        .begin = begin_page,
                                        .take = take_page,
                                        .arg = &page};
        if (status == 0)
            status = ml_s3_call(s->s3, &list, NULL, err);
        const char *end = page.data + page.size;
        if (status == 0 &&
            (page.size == 0 || !ml_s3_element(page.data, end, "IsTruncated", more, sizeof more)))
            status = ml_fail(err, ML_ERR_FORMAT, "s3://%s: the server's list cannot be understood",
                             ml_s3_address(s->s3)->bucket);
        if (status == 0)
            status = visit_page(s, &page, visit, arg, err);
        if (status == 0 && strcmp(more, "true") == 0 &&
            !ml_s3_element(page.data, end, "NextContinuationToken", next, sizeof next))
            status = ml_fail(err, ML_ERR_FORMAT, "s3://%s: the server's list ends in its midst",
                             ml_s3_address(s->s3)->bucket);
    }
    ml_buffer_clear(&page);
    ml_buffer_clear(&query);
    return status;
}

static int s3_remove(struct ml_blob_store *store, const char *hash, struct ml_error *err)
{
    char key[ML_HASH_HEX + 1];
    struct ml_error none = {0};
    write_key(key, hash);
    const struct ml_s3_call remove = {.method = "DELETE", .key = key};
    int status = ml_s3_call(of_store(store)->s3, &remove, NULL, &none);
    return status == 0 || status == ML_ERR_NOT_FOUND ? 0 : ml_fail(err, status, "%s", none.message);
}

static int s3_leftovers(struct ml_blob_store *store, bool remove, int64_t *count,
                        struct ml_error *err)
{
    *count = 0;
    return 0;
}

/* ---- open and close ---- */

static void s3_close(struct ml_blob_store *store)
{
    if (!store)
        return;
    ml_s3_close(of_store(store)->s3);
    ml_blob_cache_clear(&of_store(store)->cache);
    ml_mem_free(store);
}

static const struct ml_blob_driver s3_driver = {
    .name = "s3",
    .close = s3_close,
    .put = s3_put,
    .view = s3_view,
    .sync = s3_sync,
    .list = s3_list,
    .remove = s3_remove,
    .leftovers = s3_leftovers,
};

int ml_blob_s3_open(struct ml_blob_store **out, const char *folder, const char *url,
                    struct ml_error *err)
{
    struct s3_store *s = ml_mem_calloc(1, sizeof *s);
    if (!s)
        return ml_fail(err, ML_ERR_MEMORY, "%s: out of memory", folder);
    s->base.driver = &s3_driver;
    int status = ml_s3_open(&s->s3, url, err);
    if (status == 0) {
        long megabytes = ml_s3_address(s->s3)->cache_megabytes;
        status = ml_blob_cache_init(&s->cache, folder,
                                    (megabytes ? megabytes : CACHE) * (int64_t)1000000, err);
    }
    if (status) {
        s3_close(&s->base);
        return status;
    }
    *out = &s->base;
    return 0;
}
