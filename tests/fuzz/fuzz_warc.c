/* WARC, packed or not: any bytes give members, or one message, within the limits. */
#include <stdlib.h>
#include <string.h>

#include "base/utf8.h"
#include "data/warc.h"
#include "fuzz.h"

#define MAX_OUT ((uint64_t)1 << 20)

struct seen {
    uint64_t bytes, members;
};

static int take_member(void *arg, const struct ml_member *member, struct ml_error *err)
{
    struct seen *seen = arg;
    unsigned sum = 0;
    for (size_t i = 0; i < member->size; i++)
        sum += (unsigned char)member->bytes[i];
    seen->bytes += member->size;
    seen->members += 1 + (sum == UINT32_MAX);
    if (!*member->name || !ml_utf8_valid(member->name, strlen(member->name)) ||
        (member->type && !*member->type))
        abort();
    return 0;
}

static void take_left_out(void *arg, const char *what, const char *why)
{
    if (!*what || !*why || strchr(why, '\n'))
        abort();
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct seen seen = {0};
    struct ml_error err = {0};
    const struct ml_reader_input input = {
        .uri = "fuzz.warc", .bytes = (const char *)data, .size = size};
    const struct ml_reader_limits limits = {.max_out_bytes = MAX_OUT, .max_members = 1000};
    const struct ml_reader_sink sink = {
        .member = take_member, .left_out = take_left_out, .arg = &seen};
    int status = ml_reader_warc.read(&input, &limits, &sink, &err);
    if (status != err.code || !ml_utf8_valid(err.message, strlen(err.message)) ||
        seen.bytes > MAX_OUT || seen.members > 1000)
        abort();
    return 0;
}
