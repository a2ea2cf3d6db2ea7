/* postgresql://USER:PASSWORD@HOST:PORT/DATABASE?schema=NAME: the address that libpq knows, with a
 * schema of ours in it, so that several workspaces can share a database. */
#ifndef ML_STORE_PG_ADDRESS_H
#define ML_STORE_PG_ADDRESS_H

#include "base/arena.h"

struct ml_pg_address {
    char *url;    /* what libpq gets: without the schema, with the password */
    char *schema; /* "maliang" when none is named */
    char *name;   /* for messages: without the password */
};

/* Texts are owned by the arena. No message quotes the address: it may hold a password. */
int ml_pg_address_parse(struct ml_pg_address *out, struct ml_arena *arena, const char *url,
                        struct ml_error *err);

#endif
