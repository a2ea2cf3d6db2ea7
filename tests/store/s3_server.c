#include "s3_server.h"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <sodium.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#define MOST_HEAD 16384

struct request {
    int socket;
    char head[MOST_HEAD], copy[MOST_HEAD];
    char *method, *path, *query;
    char *body;
    size_t body_bytes;
};

/* ---- sockets ---- */

static void say(int socket, const void *bytes, size_t n)
{
    const char *at = bytes;
    while (n > 0) {
        ssize_t put = send(socket, at, n, MSG_NOSIGNAL);
        if (put <= 0)
            return;
        at += put;
        n -= (size_t)put;
    }
}

/* The header's value in the head, copied; "" when there is none. */
static void header(const struct request *r, const char *name, char *out, size_t size)
{
    size_t n = strlen(name);
    out[0] = '\0';
    for (const char *line = strstr(r->head, "\r\n"); line; line = strstr(line, "\r\n")) {
        line += 2;
        if (strncasecmp(line, name, n) == 0 && line[n] == ':') {
            line += n + 1;
            line += strspn(line, " ");
            snprintf(out, size, "%.*s", (int)strcspn(line, "\r"), line);
            return;
        }
    }
}

static bool read_request(struct request *r)
{
    size_t n = 0;
    char value[64], *end = NULL;
    while (!end) {
        ssize_t got =
            n + 1 < sizeof r->head ? recv(r->socket, r->head + n, sizeof r->head - 1 - n, 0) : 0;
        if (got <= 0)
            return false;
        n += (size_t)got;
        r->head[n] = '\0';
        end = strstr(r->head, "\r\n\r\n");
    }
    size_t head = (size_t)(end + 4 - r->head), have = n - head;
    header(r, "Content-Length", value, sizeof value);
    r->body_bytes = strtoull(value, NULL, 10);
    r->body = calloc(1, r->body_bytes + 1);
    memcpy(r->body, r->head + head, have < r->body_bytes ? have : r->body_bytes);
    header(r, "Expect", value, sizeof value);
    if (*value)
        say(r->socket, "HTTP/1.1 100 Continue\r\n\r\n", 25);
    while (have < r->body_bytes) {
        ssize_t got = recv(r->socket, r->body + have, r->body_bytes - have, 0);
        if (got <= 0)
            return false;
        have += (size_t)got;
    }
    end[2] = '\0';
    strcpy(r->copy, r->head);
    r->method = strtok(r->copy, " ");
    r->path = strtok(NULL, " ");
    r->query = r->path ? strchr(r->path, '?') : NULL;
    if (r->query)
        *r->query++ = '\0';
    else
        r->query = r->copy + strlen(r->copy); /* "" */
    return r->path != NULL;
}

static void answer(const struct request *r, int status, const void *body, size_t n, size_t sent)
{
    char head[256];
    int size =
        snprintf(head, sizeof head,
                 "HTTP/1.1 %d X\r\nContent-Length: %zu\r\nConnection: close\r\n\r\n", status, n);
    say(r->socket, head, (size_t)size);
    if (strcmp(r->method, "HEAD") != 0)
        say(r->socket, body, sent);
}

static void answer_error(const struct request *r, int status, const char *code)
{
    char body[256];
    int n = snprintf(
        body, sizeof body,
        "<?xml version=\"1.0\"?><Error><Code>%s</Code><Message>&lt;no&gt;</Message></Error>", code);
    answer(r, status, body, (size_t)n, (size_t)n);
}

/* ---- the signature, from the specification and not from the code under test ---- */

static void mac(unsigned char out[32], const unsigned char *key, size_t n, const char *text)
{
    crypto_auth_hmacsha256_state s;
    crypto_auth_hmacsha256_init(&s, key, n);
    crypto_auth_hmacsha256_update(&s, (const unsigned char *)text, strlen(text));
    crypto_auth_hmacsha256_final(&s, out);
}

static void sha(char out[65], const void *bytes, size_t n)
{
    unsigned char hash[32];
    crypto_hash_sha256(hash, bytes, n);
    sodium_bin2hex(out, 65, hash, 32);
}

static bool is_sorted(const char *query)
{
    char copy[4096], *save = NULL, previous[4096] = "";
    snprintf(copy, sizeof copy, "%s", query);
    for (char *one = strtok_r(copy, "&", &save); one; one = strtok_r(NULL, "&", &save)) {
        if (strcmp(previous, one) > 0 || !strchr(one, '='))
            return false;
        snprintf(previous, sizeof previous, "%s", one);
    }
    return true;
}

static bool is_signed(struct s3_server *server, struct request *r)
{
    char given[1024], credential[256] = "", names[256] = "", signature[65] = "", hash[65], date[32];
    char canonical[8192], value[2048], text[1024], day[9], region[64] = "", expected[65], key[128];
    header(r, "Authorization", given, sizeof given);
    header(r, "x-amz-date", date, sizeof date);
    snprintf(server->last_date, sizeof server->last_date, "%s", date);
    if (sscanf(given, "AWS4-HMAC-SHA256 Credential=%255[^,],SignedHeaders=%255[^,],Signature=%64s",
               credential, names, signature) != 3)
        return false;
    snprintf(key, sizeof key, "%s/%.8s/", server->id, date);
    if (strncmp(credential, key, strlen(key)) != 0 ||
        sscanf(credential + strlen(key), "%63[^/]/s3/aws4_request", region) != 1)
        return false;
    sha(hash, r->body, r->body_bytes);
    header(r, "x-amz-content-sha256", value, sizeof value);
    if (strcmp(hash, value) != 0 || !is_sorted(r->query))
        return false;
    int n = snprintf(canonical, sizeof canonical, "%s\n%s\n%s\n", r->method, r->path, r->query);
    char list[256], *save = NULL;
    bool has_host = false, has_token = false;
    snprintf(list, sizeof list, "%s", names);
    for (char *name = strtok_r(list, ";", &save); name; name = strtok_r(NULL, ";", &save)) {
        header(r, name, value, sizeof value);
        has_host = has_host || strcmp(name, "host") == 0;
        has_token = has_token || (strcmp(name, "x-amz-security-token") == 0 && server->token &&
                                  strcmp(value, server->token) == 0);
        n += snprintf(canonical + n, sizeof canonical - (size_t)n, "%s:%s\n", name, value);
    }
    snprintf(canonical + n, sizeof canonical - (size_t)n, "\n%s\n%s", names, hash);
    sha(hash, canonical, strlen(canonical));
    snprintf(day, sizeof day, "%.8s", date);
    snprintf(text, sizeof text, "AWS4-HMAC-SHA256\n%s\n%s/%s/s3/aws4_request\n%s", date, day,
             region, hash);
    unsigned char m[32];
    snprintf(key, sizeof key, "AWS4%s", server->secret);
    mac(m, (unsigned char *)key, strlen(key), day);
    mac(m, m, 32, region);
    mac(m, m, 32, "s3");
    mac(m, m, 32, "aws4_request");
    mac(m, m, 32, text);
    sodium_bin2hex(expected, sizeof expected, m, 32);
    return has_host && has_token == (server->token != NULL) && strcmp(expected, signature) == 0;
}

/* ---- objects ---- */

static int hex(char c)
{
    return c <= '9' ? c - '0' : (c | 32) - 'a' + 10;
}

static void decode(char *text)
{
    char *to = text;
    for (; *text; text++)
        if (*text == '%') {
            *to++ = (char)(hex(text[1]) * 16 + hex(text[2]));
            text += 2;
        } else {
            *to++ = *text;
        }
    *to = '\0';
}

struct s3_object *s3_server_find(struct s3_server *server, const char *key)
{
    for (int i = 0; i < server->object_count; i++)
        if (strcmp(server->objects[i].key, key) == 0)
            return &server->objects[i];
    return NULL;
}

static int by_key(const void *a, const void *b)
{
    return strcmp(((const struct s3_object *)a)->key, ((const struct s3_object *)b)->key);
}

static void put_object(struct s3_server *server, struct request *r, const char *key)
{
    struct s3_object *o = s3_server_find(server, key);
    if (!o) {
        if (server->object_count == 64) {
            answer_error(r, 507, "Full");
            return;
        }
        o = &server->objects[server->object_count++];
        memset(o, 0, sizeof *o);
        snprintf(o->key, sizeof o->key, "%s", key);
    }
    free(o->bytes);
    o->bytes = r->body;
    o->size = r->body_bytes;
    r->body = NULL;
    qsort(server->objects, (size_t)server->object_count, sizeof server->objects[0], by_key);
    answer(r, 200, "", 0, 0);
}

static void delete_object(struct s3_server *server, const struct request *r, const char *key)
{
    struct s3_object *o = s3_server_find(server, key);
    if (o) {
        free(o->bytes);
        *o = server->objects[--server->object_count];
        qsort(server->objects, (size_t)server->object_count, sizeof server->objects[0], by_key);
    }
    answer(r, 204, "", 0, 0);
}

static void parameter(const char *query, const char *name, char *out, size_t size)
{
    char search[64];
    snprintf(search, sizeof search, "%s=", name);
    const char *at = strncmp(query, search, strlen(search)) == 0 ? query : strstr(query, search);
    snprintf(out, size, "%.*s", at ? (int)strcspn(at + strlen(search), "&") : 0,
             at ? at + strlen(search) : "");
    decode(out);
}

/* The token of the next page is the last key, with a character in it that has to be escaped. */
static void list_objects(struct s3_server *server, const struct request *r)
{
    static char body[200000];
    char prefix[1100], after[1100], last[1100] = "";
    int n = 0, count = 0;
    bool more = false;
    parameter(r->query, "prefix", prefix, sizeof prefix);
    parameter(r->query, "continuation-token", after, sizeof after);
    char *from = *after == '+' ? after + 1 : after;
    n += snprintf(body, sizeof body, "<?xml version=\"1.0\"?>\n<ListBucketResult>");
    for (int i = 0; i < server->object_count; i++) {
        const struct s3_object *o = &server->objects[i];
        if (strncmp(o->key, prefix, strlen(prefix)) != 0 || strcmp(o->key, from) <= 0)
            continue;
        if (count == server->page) {
            more = true;
            break;
        }
        n += snprintf(body + n, sizeof body - (size_t)n,
                      "<Contents><Key>%s</Key><Size>%zu</Size></Contents>", o->key, o->size);
        strcpy(last, o->key);
        count++;
    }
    n += snprintf(body + n, sizeof body - (size_t)n, "<IsTruncated>%s</IsTruncated>",
                  more ? "true" : "false");
    if (more)
        n += snprintf(body + n, sizeof body - (size_t)n,
                      "<NextContinuationToken>+%s</NextContinuationToken>", last);
    n += snprintf(body + n, sizeof body - (size_t)n, "</ListBucketResult>");
    answer(r, 200, body, (size_t)n, (size_t)n);
}

static void get_object(struct s3_server *server, const struct request *r, const char *key)
{
    const struct s3_object *o = s3_server_find(server, key);
    bool half = server->shorten > 0 && strcmp(r->method, "GET") == 0;
    server->shorten -= half;
    if (!o)
        answer_error(r, 404, "NoSuchKey");
    else
        answer(r, 200, o->bytes, o->size, half ? o->size / 2 : o->size);
}

/* The key behind the bucket; NULL: not in this bucket. */
static const char *key_of(const struct s3_server *server, struct request *r)
{
    char host[256];
    size_t n = strlen(server->bucket);
    decode(r->path);
    header(r, "Host", host, sizeof host);
    if (server->virtual_host)
        return strncmp(host, server->bucket, n) == 0 && host[n] == '.' ? r->path + 1 : NULL;
    if (strncmp(r->path + 1, server->bucket, n) != 0 || (r->path[n + 1] && r->path[n + 1] != '/'))
        return NULL;
    return r->path[n + 1] ? r->path + n + 2 : r->path + n + 1;
}

static void serve(struct s3_server *server, struct request *r)
{
    server->requests++;
    if (server->cut > 0) {
        server->cut--;
        return;
    }
    if (server->busy > 0) {
        server->busy--;
        answer_error(r, 503, "SlowDown");
        return;
    }
    if (server->answer) {
        size_t n = strlen(server->answer_body);
        answer(r, server->answer, server->answer_body, n, n);
        return;
    }
    if (!is_signed(server, r)) {
        server->refused++;
        answer_error(r, 403, "SignatureDoesNotMatch");
        return;
    }
    const char *key = key_of(server, r);
    bool put = strcmp(r->method, "PUT") == 0, get = strcmp(r->method, "GET") == 0;
    server->puts += put;
    server->gets += get;
    if (!key)
        answer_error(r, 404, "NoSuchBucket");
    else if (put)
        put_object(server, r, key);
    else if (strcmp(r->method, "DELETE") == 0)
        delete_object(server, r, key);
    else if (get && !*key)
        list_objects(server, r);
    else
        get_object(server, r, key);
}

static void *run(void *arg)
{
    struct s3_server *server = arg;
    struct request *r = calloc(1, sizeof *r);
    for (;;) {
        int socket = accept(server->listener, NULL, NULL);
        if (socket < 0)
            break;
        pthread_mutex_lock(&server->mutex);
        bool stop = server->stop;
        pthread_mutex_unlock(&server->mutex);
        if (!stop) {
            memset(r, 0, sizeof *r);
            r->socket = socket;
            if (read_request(r)) {
                pthread_mutex_lock(&server->mutex);
                serve(server, r);
                pthread_mutex_unlock(&server->mutex);
            }
            free(r->body);
        }
        close(socket);
        if (stop)
            break;
    }
    free(r);
    return NULL;
}

void s3_server_start(struct s3_server *server)
{
    struct sockaddr_in address = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    socklen_t n = sizeof address;
    if (sodium_init() < 0)
        abort();
    pthread_mutex_init(&server->mutex, NULL);
    server->listener = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    if (bind(server->listener, (struct sockaddr *)&address, sizeof address) != 0 ||
        listen(server->listener, 16) != 0 ||
        getsockname(server->listener, (struct sockaddr *)&address, &n) != 0)
        abort();
    server->port = ntohs(address.sin_port);
    if (pthread_create(&server->thread, NULL, run, server) != 0)
        abort();
}

void s3_server_stop(struct s3_server *server)
{
    pthread_mutex_lock(&server->mutex);
    server->stop = true;
    pthread_mutex_unlock(&server->mutex);
    struct sockaddr_in address = {.sin_family = AF_INET,
                                  .sin_port = htons((uint16_t)server->port),
                                  .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    int wake = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    if (connect(wake, (struct sockaddr *)&address, sizeof address) != 0)
        abort();
    pthread_join(server->thread, NULL);
    close(wake);
    close(server->listener);
    for (int i = 0; i < server->object_count; i++)
        free(server->objects[i].bytes);
    pthread_mutex_destroy(&server->mutex);
}
