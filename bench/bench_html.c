/* Main text of web pages. Reads the files into memory, reads each as a page ROUNDS times (the
 * median counts), and prints one line of JSON a page and one of sums. Seconds are processor time.
 *   bench_html ROUNDS FILE... */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "base/files.h"
#include "base/json.h"
#include "data/html_read.h"

static double processor_seconds(void)
{
    struct timespec t;
    clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &t);
    return (double)t.tv_sec + 1e-9 * (double)t.tv_nsec;
}

struct page {
    const char *path;
    char *bytes;
    size_t size;
    json_t *result; /* of the first round */
};

static int keep(void *arg, const struct ml_document *document, struct ml_error *err)
{
    struct page *page = arg;
    if (page->result)
        return 0;
    page->result = json_pack("{s:s, s:s%, s:s, s:s}", "file", page->path, "text", document->bytes,
                             document->size, "title", document->title ? document->title : "",
                             "meta", document->meta ? document->meta : "{}");
    return 0;
}

static void nothing(void *arg, const char *what, const char *why)
{
}

static double read_all(struct page *pages, size_t count)
{
    static const struct ml_reader_limits limits;
    double started = processor_seconds();
    for (size_t i = 0; i < count; i++) {
        struct ml_error err = {0};
        struct ml_reader_input input = {pages[i].path, "text/html", pages[i].bytes, pages[i].size};
        struct ml_reader_sink sink = {.document = keep, .left_out = nothing, .arg = &pages[i]};
        if (ml_reader_html.read(&input, &limits, &sink, &err))
            fprintf(stderr, "bench_html: %s\n", err.message);
    }
    return processor_seconds() - started;
}

static int by_size(const void *a, const void *b)
{
    double x = *(const double *)a, y = *(const double *)b;
    return (x > y) - (x < y);
}

static int bench(struct page *pages, size_t count, size_t rounds, struct ml_arena *arena)
{
    size_t bytes = 0;
    double *seconds = ml_arena_alloc(arena, rounds * sizeof *seconds);
    if (!seconds)
        return 1;
    for (size_t r = 0; r < rounds; r++)
        seconds[r] = read_all(pages, count);
    qsort(seconds, rounds, sizeof *seconds, by_size);
    for (size_t i = 0; i < count; i++) {
        bytes += pages[i].size;
        if (pages[i].result) {
            json_dumpf(pages[i].result, stdout, JSON_COMPACT);
            putchar('\n');
        }
        json_decref(pages[i].result);
    }
    printf("{\"pages\": %zu, \"bytes\": %zu, \"seconds\": %.6f}\n", count, bytes,
           seconds[rounds / 2]);
    return 0;
}

int main(int argc, char **argv)
{
    if (argc < 3 || atoi(argv[1]) < 1) {
        fprintf(stderr, "usage: bench_html ROUNDS FILE...\n");
        return 2;
    }
    struct ml_error err = {0};
    struct ml_arena arena;
    ml_arena_init(&arena, 0);
    ml_json_setup();
    size_t count = (size_t)argc - 2;
    struct page *pages = ml_arena_calloc(&arena, count, sizeof *pages);
    int status = pages ? 0 : ML_ERR_MEMORY;
    for (size_t i = 0; status == 0 && i < count; i++) {
        pages[i].path = argv[i + 2];
        status = ml_file_read(&arena, pages[i].path, (size_t)64 << 20, &pages[i].bytes,
                              &pages[i].size, &err);
    }
    if (status)
        fprintf(stderr, "bench_html: %s\n", err.message);
    else
        status = bench(pages, count, (size_t)atoi(argv[1]), &arena);
    ml_arena_clear(&arena);
    return status != 0;
}
