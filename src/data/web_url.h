/* Addresses on the web (RFC 3986), taken apart strictly: what is checked is what is fetched. Spelt
 * in one way, so that the same page is fetched once. */
#ifndef ML_DATA_WEB_URL_H
#define ML_DATA_WEB_URL_H

#include <stdbool.h>
#include <stddef.h>

#include "base/arena.h"
#include "maliang/error.h"

#define ML_WEB_URL_MAX 8192 /* bytes */

/* All texts are owned by the arena that was given. */
struct ml_web_url {
    const char *text; /* the whole: scheme and host in lower case, no default port, no dot segments,
                         no fragment, everything but ASCII as %XX */
    size_t origin;    /* how many bytes of it are scheme, host and port */
    const char
        *host; /* ASCII (names in other scripts as xn--...), no brackets, no dot at the end */
    int port;
    bool secure;      /* https */
    const char *path; /* with the query; begins with a slash */
};

/* Blanks around the text are taken off. ML_ERR_ARG: neither http nor https, no host, something in
 * the host that does not belong there, or a name and password (which the message does not show). */
int ml_web_url_parse(struct ml_web_url *out, struct ml_arena *arena, const char *text,
                     struct ml_error *err);
/* The reference as a page at `base` means it (RFC 3986, 5.2). base NULL: it must be absolute. */
int ml_web_url_resolve(struct ml_web_url *out, struct ml_arena *arena,
                       const struct ml_web_url *base, const char *reference, struct ml_error *err);
/* A host as ml_web_url.host spells it. */
int ml_web_url_host(const char **out, struct ml_arena *arena, const char *text, size_t n,
                    struct ml_error *err);

/* Appends n bytes with hexadecimal digits in upper case, what needs no %XX without it, and what
 * must not stand in an address as %XX. `also` names further characters to write as %XX. */
int ml_web_url_put(struct ml_buffer *out, const char *text, size_t n, const char *also,
                   struct ml_error *err);

#endif
