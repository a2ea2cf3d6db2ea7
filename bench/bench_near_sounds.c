/* How many changed copies of sounds are found by their fingerprints (bench/near_sounds.sh).
 *
 *     bench_near_sounds ORIGINALS [CHANGED...]
 *
 * Files of the folders that belong together have the same name up to the dot. Prints of the
 * originals how many are taken for another, then for each folder how many find their own original
 * and how many another one; then the speed. MOST and OVERLAP of the environment change the limits.
 */
#include <dirent.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/arena.h"
#include "base/files.h"
#include "base/progress.h"
#include "data/media_decode.h"
#include "data/sound_print.h"
#include "data/sound_split.h"

enum { MAX_FILES = 20000 };

static char *names[MAX_FILES]; /* of the originals, to the dot */
static struct ml_print_options options;
static double heard, print_time, split_time, find_time, measure_time, errors_sum, errors_most;

static int by_name(const void *a, const void *b)
{
    return strcmp(*(char *const *)a, *(char *const *)b);
}

static int list_folder(const char *folder, char **files)
{
    DIR *dir = opendir(folder);
    int n = 0;
    for (struct dirent *e; dir && n < MAX_FILES && (e = readdir(dir));)
        if (e->d_name[0] != '.')
            files[n++] = ml_mem_strdup(e->d_name);
    if (dir)
        closedir(dir);
    qsort(files, (size_t)n, sizeof *files, by_name);
    return n;
}

static int read_print(struct ml_sound_print *print, const char *folder, const char *name,
                      struct ml_error *err)
{
    char path[4096];
    struct ml_arena arena;
    char *bytes = NULL;
    size_t size = 0;
    struct ml_decoded_sound sound = {0};
    struct ml_sound_pieces pieces = {0};
    struct ml_sound_facts facts;
    snprintf(path, sizeof path, "%s/%s", folder, name);
    ml_arena_init(&arena, 0);
    int status = ml_file_read(&arena, path, (size_t)1 << 30, &bytes, &size, err);
    if (status == 0)
        status = ml_media_sound(&sound, bytes, size, err);
    double began = ml_time();
    if (status == 0)
        status = ml_sound_print(print, &sound.span, err);
    double printed = ml_time();
    if (status == 0)
        status = ml_sound_split(&pieces, &sound.span, NULL, err);
    double split = ml_time();
    if (status == 0)
        status = ml_sound_measure(&facts, sound.samples, sound.span.frames, sound.span.channels,
                                  sound.span.rate, err);
    if (status == 0) {
        heard += facts.seconds;
        print_time += printed - began;
        split_time += split - printed;
        measure_time += ml_time() - split;
    }
    ml_sound_pieces_clear(&pieces);
    ml_decoded_sound_clear(&sound);
    ml_arena_clear(&arena);
    return status;
}

/* Looks all files of a folder up; originals are added behind that. */
static int look_up(struct ml_print_index *index, const char *folder, bool add, struct ml_error *err)
{
    static char *files[MAX_FILES];
    int n = list_folder(folder, files), right = 0, wrong = 0, none = 0, status = 0;
    errors_sum = errors_most = 0;
    for (int i = 0; status == 0 && i < n; i++) {
        struct ml_sound_print print = {0};
        struct ml_print_match match = {0};
        bool found = false;
        status = read_print(&print, folder, files[i], err);
        double began = ml_time();
        if (status == 0)
            status = ml_print_index_find(index, &print, &options, &match, &found, err);
        find_time += ml_time() - began;
        files[i][strcspn(files[i], ".")] = 0;
        bool own = found && strcmp(names[match.id], files[i]) == 0;
        right += own;
        wrong += found && !own;
        none += status == 0 && !print.loud;
        errors_sum += own ? match.errors : 0;
        errors_most = own && match.errors > errors_most ? match.errors : errors_most;
        if (found && !own && getenv("SHOW"))
            printf("  %s is not %s: %.3f %.2f\n", files[i], names[match.id], match.errors,
                   match.overlap);
        if (add && status == 0) {
            names[i] = files[i];
            status = ml_print_index_add(index, &print, i, err);
        } else {
            ml_mem_free(files[i]);
        }
        ml_sound_print_clear(&print);
    }
    printf("%-28s n=%d own %d other %d (no print %d)", folder, n, right, wrong, none);
    if (right)
        printf("; bits that differ: mean %.3f, most %.3f", errors_sum / right, errors_most);
    printf("\n");
    return status;
}

int main(int argc, char **argv)
{
    struct ml_print_index index = {0};
    struct ml_error err = {0};
    int status = argc < 2 ? 1 : 0;
    options.errors = getenv("MOST") ? atof(getenv("MOST")) : 0;
    options.overlap = getenv("OVERLAP") ? atof(getenv("OVERLAP")) : 0;
    for (int i = 1; status == 0 && i < argc; i++)
        status = look_up(&index, argv[i], i == 1, &err);
    if (status == 0)
        printf("%.0f s of sound: print %.0f, split %.0f, measure %.0f times real time; a look-up "
               "%.2f ms a sound second\n",
               heard, heard / print_time, heard / split_time, heard / measure_time,
               1000 * find_time / heard);
    if (status)
        fprintf(stderr, "bench_near_sounds: %s\n", argc < 2 ? "name folders" : err.message);
    for (int i = 0; i < MAX_FILES; i++)
        ml_mem_free(names[i]);
    ml_print_index_clear(&index);
    return status ? 1 : 0;
}
