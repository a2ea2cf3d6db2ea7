#include "data/tar_write.h"

#include <stdio.h>
#include <string.h>

#include "base/fail.h"

enum { BLOCK = 512, RECORD = 20 * BLOCK, MAX_NAME = 1000, PLAIN_NAME = 100 };
#define PLAIN_SIZE ((uint64_t)1 << 33) /* 11 octal digits */

struct header {
    char name[100], mode[8], uid[8], gid[8], size[12], mtime[12], checksum[8], type, link[100],
        magic[6], version[2], user[32], group[32], major[8], minor[8], prefix[155], pad[12];
};
_Static_assert(sizeof(struct header) == BLOCK, "a header of tar is one block");

static int put_header(struct ml_export_file *file, const char *name, char type, uint64_t size,
                      struct ml_error *err)
{
    struct header h = {.mode = "0000644",
                       .uid = "0000000",
                       .gid = "0000000",
                       .mtime = "00000000000",
                       .checksum = "        ",
                       .type = type,
                       .magic = "ustar",
                       .version = "00",
                       .major = "0000000",
                       .minor = "0000000"};
    char digits[16];
    unsigned sum = 0;
    memcpy(h.name, name, strnlen(name, sizeof h.name));
    snprintf(digits, sizeof digits, "%011llo", (unsigned long long)(size & (PLAIN_SIZE - 1)));
    memcpy(h.size, digits, sizeof h.size);
    for (size_t i = 0; i < sizeof h; i++)
        sum += ((const unsigned char *)&h)[i];
    snprintf(digits, sizeof digits, "%06o", sum);
    memcpy(h.checksum, digits, 7); /* six digits, NUL, and the blank that is there */
    return ml_export_file_put(file, &h, sizeof h, err);
}

static int put_padded(struct ml_export_file *file, const void *bytes, size_t n,
                      struct ml_error *err)
{
    static const char zeros[BLOCK];
    int status = ml_export_file_put(file, bytes, n, err);
    if (status == 0 && n % BLOCK)
        status = ml_export_file_put(file, zeros, BLOCK - n % BLOCK, err);
    return status;
}

/* "LENGTH key=value\n", where LENGTH counts itself. */
static size_t pax_record(char *out, size_t room, const char *key, const char *value)
{
    size_t rest = strlen(key) + strlen(value) + 3, length = rest + 1;
    for (int round = 0; round < 3; round++)
        length = rest + (size_t)snprintf(NULL, 0, "%zu", length);
    snprintf(out, room, "%zu %s=%s\n", length, key, value);
    return length;
}

/* The name without its folder, so that old programs that unpack this header as a file see which
 * one it belongs to. */
static int put_pax(struct ml_export_file *file, const char *name, uint64_t size, bool long_name,
                   struct ml_error *err)
{
    char records[MAX_NAME + 100], plain[PLAIN_NAME + 1] = "PaxHeaders/", digits[24];
    size_t n = 0, at = strlen(plain);
    const char *slash = strrchr(name, '/');
    for (const char *c = slash ? slash + 1 : name; *c && at < PLAIN_NAME; c++)
        plain[at++] = (unsigned char)*c < 0x80 ? *c : '_';
    plain[at] = '\0';
    if (long_name)
        n += pax_record(records, sizeof records, "path", name);
    if (size >= PLAIN_SIZE) {
        snprintf(digits, sizeof digits, "%llu", (unsigned long long)size);
        n += pax_record(records + n, sizeof records - n, "size", digits);
    }
    int status = put_header(file, plain, 'x', n, err);
    return status ? status : put_padded(file, records, n, err);
}

int ml_tar_put(struct ml_export_file *file, const char *name, const void *bytes, size_t n,
               struct ml_error *err)
{
    size_t length = strlen(name);
    bool long_name = length > PLAIN_NAME;
    if (length == 0 || length > MAX_NAME)
        return ml_fail(err, ML_ERR_LIMIT, "\"%.60s\": a name in an archive has 1 to %d bytes", name,
                       MAX_NAME);
    for (size_t i = 0; !long_name && i < length; i++)
        long_name = (unsigned char)name[i] >= 0x80; /* ustar knows ASCII only */
    int status = long_name || n >= PLAIN_SIZE ? put_pax(file, name, n, long_name, err) : 0;
    if (status == 0)
        status = put_header(file, name, '0', n, err);
    if (status == 0)
        status = put_padded(file, bytes, n, err);
    return status;
}

/* Two blocks of zeros, and more to fill the last record. */
int ml_tar_end(struct ml_export_file *file, struct ml_error *err)
{
    static const char zeros[RECORD];
    uint64_t end = file->bytes + 2 * BLOCK;
    return ml_export_file_put(file, zeros, 2 * BLOCK + (size_t)((RECORD - end % RECORD) % RECORD),
                              err);
}
