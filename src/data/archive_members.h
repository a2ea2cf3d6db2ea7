/* Archives: their members, unpacked one by one into memory and never onto the disk. ZIP, tar, 7z,
 * and single files in gzip, bzip2, xz or zstd. What a member could do elsewhere (a name that climbs
 * out, links, devices) is left out with its reason; hidden members are passed over like hidden
 * files. */
#ifndef ML_DATA_ARCHIVE_MEMBERS_H
#define ML_DATA_ARCHIVE_MEMBERS_H

#include "data/reader.h"

#define ML_ARCHIVE_MAX_MEMBER ((uint64_t)256 << 20) /* bytes of one member */
/* What unpacks to more than so many times its size, past the first 16 MiB, is a bomb: text shrinks
 * to a tenth, logs to a hundredth, zeros to a thousandth and less. */
#define ML_ARCHIVE_MAX_RATIO  250
#define ML_ARCHIVE_RATIO_FREE ((uint64_t)16 << 20)

/* Gives the members that `wanted` (NULL: all) lets through to sink->member. ML_ERR_FORMAT: damaged
 * or encrypted; ML_ERR_LIMIT: a bomb; ML_ERR_UNSUPPORTED: built without libarchive. */
int ml_archive_members(const struct ml_reader_input *input, const struct ml_reader_limits *limits,
                       bool (*wanted)(void *arg, const char *name),
                       const struct ml_reader_sink *sink, struct ml_error *err);

#endif
