/* s3://BUCKET/PREFIX?endpoint=URL&region=NAME&style=path&keys=FILE&cache=MB: everything behind the
 * bucket may be left out. Keys stand in no address: they come from the environment or a file. */
#ifndef ML_STORE_S3_ADDRESS_H
#define ML_STORE_S3_ADDRESS_H

#include <stdbool.h>

#include "base/arena.h"
#include "store/s3_sign.h"

struct ml_s3_address {
    const char *bucket;
    const char *prefix;   /* "" or "some/where/" */
    const char *endpoint; /* "https://s3.eu-west-1.amazonaws.com", without a slash at the end */
    const char *region;   /* else $AWS_REGION, $AWS_DEFAULT_REGION, us-east-1 */
    bool path_style;      /* the bucket in the path; else in the host's name. Default: the path, but
                             for AWS itself */
    const char *keys;     /* file of keys; NULL: ~/.aws/credentials */
    long cache_megabytes; /* for copies on this machine; 0: the default */
};
/* Owned by the arena. */
int ml_s3_address_parse(struct ml_s3_address *out, struct ml_arena *arena, const char *url,
                        struct ml_error *err);

/* $AWS_ACCESS_KEY_ID, $AWS_SECRET_ACCESS_KEY and $AWS_SESSION_TOKEN, else the section $AWS_PROFILE
 * or "default" of the file, which only its owner may read. No message quotes any of it. */
int ml_s3_keys_find(struct ml_s3_keys *out, struct ml_arena *arena,
                    const struct ml_s3_address *address, struct ml_error *err);

#endif
