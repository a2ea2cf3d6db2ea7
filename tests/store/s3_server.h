/* A very small S3 on this machine for tests: keeps objects in memory, checks each signature by
 * code of its own, and fails on request. One connection at a time, in a thread. */
#ifndef ML_TESTS_S3_SERVER_H
#define ML_TESTS_S3_SERVER_H

#include <pthread.h>
#include <stdbool.h>
#include <stddef.h>

struct s3_object {
    char key[1100]; /* behind the bucket */
    char *bytes;
    size_t size;
};

struct s3_server {
    int listener, port;
    pthread_t thread;
    pthread_mutex_t mutex; /* of all below */
    bool stop;
    const char *bucket, *id, *secret, *token; /* token NULL: none is asked for */
    bool virtual_host;                        /* the bucket stands in the Host header */
    int page;                                 /* keys in one answer to a list */
    struct s3_object objects[64];
    int object_count;
    int requests, puts, gets, refused; /* what was asked for; refused: bad signatures */
    int busy, cut, shorten; /* so many of the next requests: 503; no answer; half a body */
    int answer;             /* not 0: every request gets this status ... */
    const char *answer_body;
    char last_date[32];
};

void s3_server_start(struct s3_server *server);
void s3_server_stop(struct s3_server *server);
struct s3_object *s3_server_find(struct s3_server *server, const char *key);

#endif
