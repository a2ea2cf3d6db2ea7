/* Runs a fuzz target over files instead of invented bytes: replay_NAME FILE-OR-FOLDER... Its output
 * has the form of cmocka's, so that each file counts as one test case. */
#include <stdio.h>
#include <string.h>

#include "base/arena.h"
#include "base/files.h"
#include "fuzz.h"

static int replay(void *arg, const char *path, uint64_t bytes, struct ml_error *err)
{
    struct ml_file_map map;
    int status = ml_file_map_open(&map, path, err);
    if (status)
        return status;
    /* A block of exactly this size, so that a sanitizer sees one byte too many. */
    uint8_t *copy = ml_mem_alloc(map.size);
    if (copy) {
        if (map.size)
            memcpy(copy, map.data, map.size);
        printf("[ RUN      ] %s\n", path);
        fflush(stdout); /* when the target dies, this is the file that killed it */
        LLVMFuzzerTestOneInput(copy, map.size);
        printf("[       OK ] %s\n", path);
        ++*(int *)arg;
    }
    ml_mem_free(copy);
    ml_file_map_close(&map);
    return copy ? 0 : ML_ERR_MEMORY;
}

int main(int argc, char **argv)
{
    struct ml_error err = {0};
    int files = 0, status = 0;
    printf("[==========] Running %d test(s).\n", argc - 1);
    for (int i = 1; i < argc && status == 0; i++)
        status = ml_dir_walk(argv[i], replay, &files, &err);
    if (status == 0 && files == 0)
        fprintf(stderr, "no files to replay; name a file or a folder\n");
    if (status)
        fprintf(stderr, "%s\n", err.message);
    if (status || files == 0)
        return 1;
    printf("[  PASSED  ] %d test(s).\n", files);
    return 0;
}
