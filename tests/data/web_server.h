/* A small HTTP server for tests: a thread that listens on 127.0.0.1 and answers from a table. Every
 * connection carries one request. Rows of the same path are answers in turn; the last one stays. */
#ifndef ML_TESTS_WEB_SERVER_H
#define ML_TESTS_WEB_SERVER_H

#include "scratch.h"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <poll.h>
#include <pthread.h>
#include <sys/socket.h>

enum web_manner {
    WEB_ANSWER,  /* head, an empty line, body */
    WEB_RAW,     /* head as it is, nothing else */
    WEB_HANG,    /* what there is, and then nothing until the client goes */
    WEB_ENDLESS, /* the body again and again until the client goes */
};

struct web_page {
    const char *path;
    enum web_manner manner;
    const char *head; /* without the last line end; "%PORT%" becomes the server's port; NULL: 200 */
    const char *body; /* NULL: none */
    size_t size;      /* of the body; 0: up to its NUL, with "%PORT%" as above */
};

struct web_server {
    int listener, stop[2], port;
    pthread_t thread;
    const struct web_page *pages;
    size_t count;
    size_t asked[64];     /* how often each row's path was asked for, counted at its first row */
    struct ml_buffer log; /* read it when the client is done */
};

/* One request up to its empty line; false when the client goes before that. */
static inline bool web_read_request(int client, char *request, size_t room)
{
    size_t n = 0;
    request[0] = '\0';
    while (!strstr(request, "\r\n\r\n")) {
        ssize_t got = n + 1 < room ? recv(client, request + n, room - n - 1, 0) : 0;
        if (got <= 0)
            return false;
        n += (size_t)got;
        request[n] = '\0';
    }
    return true;
}

static inline bool web_send(int client, const char *bytes, size_t n)
{
    while (n > 0) {
        ssize_t sent = send(client, bytes, n, MSG_NOSIGNAL);
        if (sent <= 0)
            return false;
        bytes += sent;
        n -= (size_t)sent;
    }
    return true;
}

static inline bool web_send_text(const struct web_server *s, int client, const char *text)
{
    struct ml_buffer out = {0};
    const char *mark;
    bool good = true;
    while (good && (mark = strstr(text, "%PORT%")) != NULL) {
        good = ml_buffer_put(&out, text, (size_t)(mark - text), NULL) == 0 &&
               ml_buffer_printf(&out, NULL, "%d", s->port) == 0;
        text = mark + 6;
    }
    good = good && ml_buffer_put(&out, text, strlen(text), NULL) == 0 &&
           web_send(client, out.data, out.size);
    ml_buffer_clear(&out);
    return good;
}

static inline bool web_send_body(const struct web_server *s, int client, const struct web_page *p)
{
    if (!p->body)
        return true;
    return p->size ? web_send(client, p->body, p->size) : web_send_text(s, client, p->body);
}

/* Until the client has gone, or the server is to stop. */
static inline void web_wait(const struct web_server *s, int client)
{
    char byte;
    struct pollfd ends[] = {{.fd = client, .events = POLLIN}, {.fd = s->stop[0], .events = POLLIN}};
    do
        poll(ends, 2, -1);
    while (!ends[1].revents && recv(client, &byte, 1, 0) > 0);
}

static inline void web_answer(struct web_server *s, int client, const struct web_page *page)
{
    static const struct web_page absent = {.head = "HTTP/1.1 404 Not Found"};
    const struct web_page *p = page ? page : &absent;
    bool good = web_send_text(s, client, p->head ? p->head : "HTTP/1.1 200 OK");
    if (p->manner != WEB_RAW)
        good = good && web_send_text(s, client, "\r\nConnection: close\r\n\r\n");
    good = good && web_send_body(s, client, p);
    if (p->manner == WEB_HANG && good)
        web_wait(s, client);
    while (p->manner == WEB_ENDLESS && good)
        good = web_send_body(s, client, p);
}

/* "GET /a\n", with the headers that tests look at. */
static inline void web_log(struct web_server *s, const char *request)
{
    static const char *const headers[] = {"If-None-Match", "If-Modified-Since", "User-Agent",
                                          "Cookie", "Accept:"};
    int length = (int)strcspn(request, "\r");
    ml_buffer_printf(&s->log, NULL, "%.*s\n", length - 9 > 0 ? length - 9 : length, request);
    for (const char *line = strstr(request, "\r\n"); line; line = strstr(line + 2, "\r\n"))
        for (size_t i = 0; i < sizeof headers / sizeof headers[0]; i++)
            if (strncmp(line + 2, headers[i], strlen(headers[i])) == 0)
                ml_buffer_printf(&s->log, NULL, "  %.*s\n", (int)strcspn(line + 2, "\r"), line + 2);
}

/* The row for a request: of those with its path the one whose turn it is. */
static inline const struct web_page *web_find(struct web_server *s, const char *request)
{
    const char *path = strchr(request, ' ');
    size_t n = path ? strcspn(path + 1, " \r\n") : 0;
    const struct web_page *found = NULL;
    size_t first = 0, turn = 0;
    for (size_t i = 0; path && i < s->count; i++) {
        if (strlen(s->pages[i].path) != n || strncmp(s->pages[i].path, path + 1, n) != 0)
            continue;
        first = found ? first : i;
        if (!found || turn <= s->asked[first])
            found = &s->pages[i];
        turn++;
    }
    if (found)
        s->asked[first]++;
    return found;
}

static inline void *web_serve(void *arg)
{
    struct web_server *s = arg;
    struct pollfd ends[] = {{.fd = s->listener, .events = POLLIN},
                            {.fd = s->stop[0], .events = POLLIN}};
    static __thread char request[65536];
    while (poll(ends, 2, -1) > 0 && !ends[1].revents) {
        int client = accept(s->listener, NULL, NULL);
        if (client < 0)
            continue;
        if (web_read_request(client, request, sizeof request)) {
            web_log(s, request);
            web_answer(s, client, web_find(s, request));
        }
        shutdown(client, SHUT_WR); /* so that what was sent arrives */
        close(client);
    }
    return NULL;
}

static inline void web_start(struct web_server *s, const struct web_page *pages, size_t count)
{
    struct sockaddr_in address = {.sin_family = AF_INET};
    socklen_t size = sizeof address;
    *s = (struct web_server){.pages = pages, .count = count};
    assert_true(count <= sizeof s->asked / sizeof s->asked[0]);
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    s->listener = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    assert_true(s->listener >= 0);
    assert_int_equal(bind(s->listener, (struct sockaddr *)&address, sizeof address), 0);
    assert_int_equal(listen(s->listener, 16), 0);
    assert_int_equal(getsockname(s->listener, (struct sockaddr *)&address, &size), 0);
    s->port = ntohs(address.sin_port);
    assert_int_equal(pipe(s->stop), 0);
    assert_int_equal(pthread_create(&s->thread, NULL, web_serve, s), 0);
}

/* Afterwards the log is complete; clear it. */
static inline void web_stop(struct web_server *s)
{
    assert_int_equal(write(s->stop[1], "x", 1), 1);
    pthread_join(s->thread, NULL);
    close(s->listener);
    close(s->stop[0]);
    close(s->stop[1]);
}

/* ---- time that only passes when somebody waits ---- */

struct web_time {
    double now, waited;
};

static inline double web_time_now(void *arg)
{
    return ((struct web_time *)arg)->now;
}

static inline int64_t web_time_unix(void *arg)
{
    return 1700000000 + (int64_t)((struct web_time *)arg)->now;
}

static inline void web_time_wait(void *arg, double seconds)
{
    struct web_time *t = arg;
    t->now += seconds;
    t->waited += seconds;
}

#define WEB_CLOCK(time)                                                                            \
    {                                                                                              \
        .now = web_time_now, .unix_time = web_time_unix, .wait = web_time_wait, .arg = (time)      \
    }

#endif
