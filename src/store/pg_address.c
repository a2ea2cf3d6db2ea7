#include "store/pg_address.h"

#include <libpq-fe.h>
#include <string.h>

#include "base/fail.h"
#include "base/utf8.h"

#define SCHEMA_BYTES 63 /* longest name in a server of the usual build */

static int fail_memory(struct ml_error *err)
{
    return ml_fail(err, ML_ERR_MEMORY, "out of memory opening a database");
}

static int hex(char c)
{
    return c >= '0' && c <= '9'   ? c - '0'
           : c >= 'a' && c <= 'f' ? c - 'a' + 10
           : c >= 'A' && c <= 'F' ? c - 'A' + 10
                                  : -1;
}

/* Resolves %XX in place; false when there is a wrong one or a NUL. */
static bool decode(char *text)
{
    char *to = text;
    for (; *text; text++) {
        if (*text != '%') {
            *to++ = *text;
            continue;
        }
        int high = hex(text[1]), low = high < 0 ? -1 : hex(text[2]);
        if (low < 0 || high + low == 0)
            return false;
        *to++ = (char)(high * 16 + low);
        text += 2;
    }
    *to = '\0';
    return true;
}

/* Moves schema=NAME out of the address's query. */
static int split_schema(struct ml_pg_address *a, struct ml_arena *arena, struct ml_error *err)
{
    char *query = strchr(a->url, '?'), *to = query;
    a->schema = ml_arena_strdup(arena, "maliang");
    if (!a->schema)
        return fail_memory(err);
    for (char *at = query; at;) {
        char *begin = at + 1, *end = strchr(begin, '&');
        size_t n = end ? (size_t)(end - begin) : strlen(begin);
        if (strncmp(begin, "schema=", 7) == 0) {
            a->schema = ml_arena_strndup(arena, begin + 7, n - 7);
            if (!a->schema)
                return fail_memory(err);
        } else if (n > 0) {
            *to = to == query ? '?' : '&';
            memmove(to + 1, begin, n);
            to += n + 1;
        }
        at = end;
    }
    if (query)
        *to = '\0';
    size_t n = decode(a->schema) ? strlen(a->schema) : 0;
    if (n >= 1 && n <= SCHEMA_BYTES && ml_utf8_valid(a->schema, n) &&
        strncmp(a->schema, "pg_", 3) != 0)
        return 0;
    return ml_fail(err, ML_ERR_ARG,
                   "the address of the database: its schema is a name of 1 to %d bytes of UTF-8 "
                   "that does not begin with pg_",
                   SCHEMA_BYTES);
}

/* Asks libpq what it understood, and writes it again without what is secret. */
static int name_it(struct ml_pg_address *a, struct ml_arena *arena, struct ml_error *err)
{
    const char *user = "", *host = "", *port = "", *database = "";
    char *problem = NULL;
    PQconninfoOption *options = PQconninfoParse(a->url, &problem);
    PQfreemem(problem); /* it may quote the password */
    if (!options)
        return ml_fail(err, ML_ERR_ARG,
                       "the address of the database cannot be understood; it looks like "
                       "postgresql://USER@HOST:PORT/DATABASE?schema=NAME, with %%XX for special "
                       "characters in its parts");
    for (const PQconninfoOption *o = options; o->keyword; o++) {
        const char *value = o->val ? o->val : "";
        if (strcmp(o->keyword, "user") == 0)
            user = value;
        else if (strcmp(o->keyword, "host") == 0)
            host = value;
        else if (strcmp(o->keyword, "port") == 0)
            port = value;
        else if (strcmp(o->keyword, "dbname") == 0)
            database = value;
    }
    a->name =
        ml_arena_printf(arena, "postgresql://%s%s%s%s%s/%s?schema=%s", user, *user ? "@" : "",
                        host[0] == '/' ? "" : host, *port ? ":" : "", port, database, a->schema);
    PQconninfoFree(options);
    return a->name ? 0 : fail_memory(err);
}

int ml_pg_address_parse(struct ml_pg_address *out, struct ml_arena *arena, const char *url,
                        struct ml_error *err)
{
    struct ml_pg_address address = {.url = ml_arena_strdup(arena, url)};
    if (!address.url)
        return fail_memory(err);
    int status = split_schema(&address, arena, err);
    if (status == 0)
        status = name_it(&address, arena, err);
    if (status == 0)
        *out = address;
    return status;
}
