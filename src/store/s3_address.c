#include "store/s3_address.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "base/fail.h"
#include "base/files.h"
#include "base/words.h"

#define MOST_CACHE 100000000L /* MB */
#define KEY_BYTES  65536

static int fail_memory(struct ml_error *err)
{
    return ml_fail(err, ML_ERR_MEMORY, "out of memory for an address in S3");
}

/* ---- the address ---- */

static bool decode(char *text)
{
    char *to = text, digits[3] = "";
    for (; *text; text++) {
        if (*text != '%') {
            *to++ = *text;
            continue;
        }
        if (strspn(text + 1, "0123456789abcdefABCDEF") < 2)
            return false;
        memcpy(digits, text + 1, 2);
        char c = (char)strtol(digits, NULL, 16);
        if (!c)
            return false;
        *to++ = c;
        text += 2;
    }
    *to = '\0';
    return true;
}

/* What the rules for names of buckets and hosts allow, so that neither can reach into the rest of a
 * URL. */
static bool is_name(const char *text, const char *more)
{
    static const char letters[] =
        "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-_";
    size_t n = 0;
    while (text[n] && (strchr(letters, text[n]) || strchr(more, text[n])))
        n++;
    return n >= 1 && n <= 255 && !text[n];
}

static int set_endpoint(struct ml_s3_address *a, char *value, struct ml_error *err)
{
    size_t n = strlen(value);
    while (n > 0 && value[n - 1] == '/')
        value[--n] = '\0';
    size_t scheme = strncmp(value, "https://", 8) == 0  ? 8
                    : strncmp(value, "http://", 7) == 0 ? 7
                                                        : 0;
    if (!scheme || !is_name(value + scheme, ".:[]"))
        return ml_fail(err, ML_ERR_ARG,
                       "s3://%s: its endpoint is the address of a server, such as "
                       "https://minio.example:9000",
                       a->bucket);
    a->endpoint = value;
    return 0;
}

static int set(struct ml_s3_address *a, const char *name, char *value, struct ml_error *err)
{
    static const char *const names[] = {"endpoint", "region", "style", "keys", "cache"};
    char *end;
    if (strcmp(name, "endpoint") == 0)
        return set_endpoint(a, value, err);
    if (strcmp(name, "region") == 0 && is_name(value, "")) {
        a->region = value;
        return 0;
    }
    if (strcmp(name, "style") == 0 &&
        (strcmp(value, "path") == 0 || strcmp(value, "virtual") == 0)) {
        a->path_style = value[0] == 'p';
        return 0;
    }
    if (strcmp(name, "keys") == 0 && value[0] == '/') {
        a->keys = value;
        return 0;
    }
    if (strcmp(name, "cache") == 0) {
        a->cache_megabytes = strtol(value, &end, 10);
        if (end != value && !*end && a->cache_megabytes > 0 && a->cache_megabytes <= MOST_CACHE)
            return 0;
    }
    for (int i = 0; i < 5; i++)
        if (strcmp(name, names[i]) == 0)
            return ml_fail(err, ML_ERR_ARG, "s3://%s: \"%.60s\" is no value of %s", a->bucket,
                           value, name);
    const char *near = ml_word_nearest(name, names, 5);
    return ml_fail(
        err, ML_ERR_ARG,
        "s3://%s: unknown parameter \"%.60s\"%s%s; known: endpoint, region, style, keys, "
        "cache",
        a->bucket, name, near ? ", did you mean " : "", near ? near : "");
}

static int set_all(struct ml_s3_address *a, char *query, struct ml_error *err)
{
    int status = 0;
    while (status == 0 && query && *query) {
        char *next = strchr(query, '&'), *value = NULL;
        if (next)
            *next++ = '\0';
        value = strchr(query, '=');
        if (value)
            *value++ = '\0';
        if (!value || !decode(value))
            status = ml_fail(err, ML_ERR_ARG,
                             "s3://%s: parameters are NAME=VALUE, with %%XX for "
                             "special characters",
                             a->bucket);
        else
            status = set(a, query, value, err);
        query = next;
    }
    return status;
}

static int set_defaults(struct ml_s3_address *a, bool style_given, struct ml_arena *arena,
                        struct ml_error *err)
{
    const char *region = getenv("AWS_REGION");
    if (!region || !*region)
        region = getenv("AWS_DEFAULT_REGION");
    if (!a->region && region && *region && is_name(region, ""))
        a->region = ml_arena_strdup(arena, region);
    if (!a->region)
        a->region = "us-east-1";
    if (!style_given)
        a->path_style = a->endpoint && !strstr(a->endpoint, ".amazonaws.com");
    if (!a->endpoint)
        a->endpoint = ml_arena_printf(arena, "https://s3.%s.amazonaws.com", a->region);
    return a->endpoint ? 0 : fail_memory(err);
}

int ml_s3_address_parse(struct ml_s3_address *out, struct ml_arena *arena, const char *url,
                        struct ml_error *err)
{
    struct ml_s3_address a = {0};
    char *text = strncmp(url, "s3://", 5) == 0 ? ml_arena_strdup(arena, url + 5) : NULL;
    if (strncmp(url, "s3://", 5) != 0)
        return ml_fail(err, ML_ERR_ARG, "an address in S3 begins with s3://");
    if (!text)
        return fail_memory(err);
    char *query = strchr(text, '?');
    if (query)
        *query++ = '\0';
    bool style_given = query && (strncmp(query, "style=", 6) == 0 || strstr(query, "&style="));
    char *prefix = strchr(text, '/');
    if (prefix)
        *prefix++ = '\0';
    a.bucket = text;
    if (!is_name(a.bucket, "."))
        return ml_fail(err, ML_ERR_ARG, "s3://: the name of a bucket is missing, or is none");
    size_t n = prefix ? strlen(prefix) : 0;
    while (n > 0 && prefix[n - 1] == '/')
        prefix[--n] = '\0';
    if (n > 0 && (!decode(prefix) || prefix[0] == '/' || strlen(prefix) > 800))
        return ml_fail(err, ML_ERR_ARG, "s3://%s: the prefix behind it is not one", a.bucket);
    a.prefix = n > 0 ? ml_arena_printf(arena, "%s/", prefix) : "";
    if (!a.prefix)
        return fail_memory(err);
    int status = set_all(&a, query, err);
    if (status == 0)
        status = set_defaults(&a, style_given, arena, err);
    if (status == 0)
        *out = a;
    return status;
}

/* ---- the keys ---- */

static char *trim(char *text)
{
    text += strspn(text, " \t\r");
    for (size_t n = strlen(text); n > 0 && strchr(" \t\r", text[n - 1]); n--)
        text[n - 1] = '\0';
    return text;
}

/* Lines of the form of AWS's own programs: [section], name = value, # remarks. */
static void read_section(struct ml_s3_keys *keys, char *text, const char *section)
{
    bool inside = false;
    while (text) {
        char *line = text, *end = strchr(text, '\n');
        text = end ? end + 1 : NULL;
        if (end)
            *end = '\0';
        line = trim(line);
        char *value = strchr(line, '=');
        if (*line == '[') {
            size_t n = strcspn(line + 1, "]");
            inside = n == strlen(section) && strncmp(line + 1, section, n) == 0;
        } else if (inside && value && *line != '#' && *line != ';') {
            *value++ = '\0';
            line = trim(line);
            value = trim(value);
            if (strcmp(line, "aws_access_key_id") == 0)
                keys->id = value;
            else if (strcmp(line, "aws_secret_access_key") == 0)
                keys->secret = value;
            else if (strcmp(line, "aws_session_token") == 0 && *value)
                keys->token = value;
        }
    }
}

static int read_file(struct ml_s3_keys *keys, struct ml_arena *arena, const char *path,
                     struct ml_error *err)
{
    struct stat info;
    char *text;
    const char *profile = getenv("AWS_PROFILE");
    if (stat(path, &info) == 0 && (info.st_mode & (S_IRWXG | S_IRWXO)))
        return ml_fail(err, ML_ERR_STATE, "%s: holds keys that others can read; chmod 600 it",
                       path);
    int status = ml_file_read(arena, path, KEY_BYTES, &text, NULL, err);
    if (status == 0)
        read_section(keys, text, profile && *profile ? profile : "default");
    return status;
}

/* What goes into a header is one line of visible characters. */
static bool is_visible(const char *text)
{
    for (; *text; text++)
        if (*text <= ' ' || *text > '~')
            return false;
    return true;
}

int ml_s3_keys_find(struct ml_s3_keys *out, struct ml_arena *arena,
                    const struct ml_s3_address *address, struct ml_error *err)
{
    struct ml_s3_keys keys = {getenv("AWS_ACCESS_KEY_ID"), getenv("AWS_SECRET_ACCESS_KEY"),
                              getenv("AWS_SESSION_TOKEN")};
    const char *home = getenv("HOME");
    int status = 0;
    if (!keys.id || !*keys.id || !keys.secret || !*keys.secret) {
        const char *path = address->keys ? address->keys
                           : home        ? ml_arena_printf(arena, "%s/.aws/credentials", home)
                                         : NULL;
        keys = (struct ml_s3_keys){0};
        if (path && (address->keys || ml_path_exists(path)))
            status = read_file(&keys, arena, path, err);
    } else {
        keys.id = ml_arena_strdup(arena, keys.id);
        keys.secret = ml_arena_strdup(arena, keys.secret);
        keys.token = keys.token && *keys.token ? ml_arena_strdup(arena, keys.token) : NULL;
        if (!keys.id || !keys.secret)
            return fail_memory(err);
    }
    if (status == 0 && (!keys.id || !*keys.id || !keys.secret || !*keys.secret))
        status = ml_fail(err, ML_ERR_NOT_FOUND,
                         "s3://%s: there are no keys; set AWS_ACCESS_KEY_ID and "
                         "AWS_SECRET_ACCESS_KEY, or write them into ~/.aws/credentials",
                         address->bucket);
    if (status == 0 && !(is_visible(keys.id) && is_visible(keys.secret) &&
                         (!keys.token || is_visible(keys.token))))
        status =
            ml_fail(err, ML_ERR_FORMAT, "s3://%s: its keys have characters in them that no key has",
                    address->bucket);
    if (status == 0)
        *out = keys;
    return status;
}
