#include "data/robots.h"

#include <math.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/fail.h"
#include "data/web_url.h"

#define MAX_SITEMAPS 1000
#define MAX_DELAY    86400.0 /* seconds; a larger one means "hardly ever" */

enum rule_kind { RULE_ALLOW, RULE_DISALLOW, RULE_USAGE };

struct ml_robots_rule {
    enum rule_kind kind;
    const char *pattern; /* as ml_web_url_put spells it; '*' and a '$' at the end are special */
    size_t size;
    char denied[32]; /* RULE_USAGE: the statement that denies, "" when it agrees */
};

/* Reads line after line. Rules are kept when their group names the agent, and beside them those of
 * "*", since which of them hold is known at the end only. */
struct reader {
    struct ml_arena *arena;
    const char *agent;
    struct ml_buffer own, any; /* arrays of rules */
    struct ml_buffer sitemaps; /* array of texts */
    double own_delay, any_delay;
    bool own_seen;       /* some group names the agent */
    bool in_own, in_any; /* the group at hand */
    bool in_names;       /* its lines User-agent are still coming */
};

static bool is_blank(char c)
{
    return c == ' ' || c == '\t';
}

/* ---- lines ---- */

/* The product token at the beginning of a name: "Maliang/0.1 (+local)" names Maliang. */
static size_t token_length(const char *name, size_t n)
{
    size_t length = 0;
    while (length < n && ((name[length] >= 'a' && name[length] <= 'z') ||
                          (name[length] >= 'A' && name[length] <= 'Z') || name[length] == '-' ||
                          name[length] == '_'))
        length++;
    return length;
}

static void take_agent(struct reader *r, const char *name, size_t n)
{
    if (!r->in_names)
        r->in_own = r->in_any = false;
    r->in_names = true;
    if (n > 0 && name[0] == '*')
        r->in_any = true;
    else if (ml_consent_word_is(name, token_length(name, n), r->agent))
        r->in_own = r->own_seen = true;
}

static int add_rule(struct reader *r, const struct ml_robots_rule *rule, const char *pattern,
                    size_t n, struct ml_error *err)
{
    struct ml_robots_rule kept = *rule;
    struct ml_buffer spelt = {0};
    int status = ml_web_url_put(&spelt, pattern, n, "", err);
    if (status == 0) {
        kept.size = spelt.size;
        kept.pattern = ml_arena_strndup(r->arena, spelt.size ? spelt.data : "", spelt.size);
        if (!kept.pattern)
            status = ml_fail(err, ML_ERR_MEMORY, "out of memory reading robots.txt");
    }
    ml_buffer_clear(&spelt);
    if (status == 0 && r->in_own)
        status = ml_buffer_put(&r->own, &kept, sizeof kept, err);
    if (status == 0 && r->in_any)
        status = ml_buffer_put(&r->any, &kept, sizeof kept, err);
    return status;
}

/* "/path train-ai=n", or without a path for all of the site. */
static int take_usage(struct reader *r, const char *value, size_t n, struct ml_error *err)
{
    struct ml_robots_rule rule = {.kind = RULE_USAGE};
    const char *pattern = "/";
    size_t size = 1;
    if (n > 0 && (value[0] == '/' || value[0] == '*')) {
        pattern = value;
        for (size = 0; size < n && !is_blank(value[size]);)
            size++;
        value += size;
        n -= size;
    }
    if (ml_consent_usage(value, n, rule.denied) == ML_CONSENT_SILENT)
        return 0;
    return add_rule(r, &rule, pattern, size, err);
}

static void take_delay(struct reader *r, const char *value, size_t n)
{
    char digits[32], *end;
    snprintf(digits, sizeof digits, "%.*s", (int)(n < 31 ? n : 31), value);
    double delay = strtod(digits, &end);
    if (end == digits || !(delay > 0))
        return;
    delay = fmin(delay, MAX_DELAY);
    if (r->in_own)
        r->own_delay = fmax(r->own_delay, delay);
    if (r->in_any)
        r->any_delay = fmax(r->any_delay, delay);
}

static int take_sitemap(struct reader *r, const char *value, size_t n, struct ml_error *err)
{
    if (n == 0 || n > ML_WEB_URL_MAX || r->sitemaps.size / sizeof(char *) >= MAX_SITEMAPS)
        return 0;
    const char *text = ml_arena_strndup(r->arena, value, n);
    if (!text)
        return ml_fail(err, ML_ERR_MEMORY, "out of memory reading robots.txt");
    return ml_buffer_put(&r->sitemaps, &text, sizeof text, err);
}

/* One line without its end. Other records than agents, allow and disallow must not end a group's
 * list of agents (RFC 9309, 2.2.4). */
static int take_line(struct reader *r, const char *line, size_t n, struct ml_error *err)
{
    const char *hash = memchr(line, '#', n);
    if (hash)
        n = (size_t)(hash - line);
    const char *colon = memchr(line, ':', n);
    if (!colon)
        return 0;
    const char *value = colon + 1, *end = line + n;
    while (line < colon && is_blank(*line))
        line++;
    while (colon > line && is_blank(colon[-1]))
        colon--;
    while (value < end && is_blank(*value))
        value++;
    while (end > value && is_blank(end[-1]))
        end--;
    size_t key = (size_t)(colon - line), size = (size_t)(end - value);
    bool allow = ml_consent_word_is(line, key, "allow");
    if (ml_consent_word_is(line, key, "user-agent")) {
        take_agent(r, value, size);
    } else if (allow || ml_consent_word_is(line, key, "disallow")) {
        const struct ml_robots_rule rule = {.kind = allow ? RULE_ALLOW : RULE_DISALLOW};
        r->in_names = false;
        /* "Disallow:" alone forbids nothing */
        return size > 0 ? add_rule(r, &rule, value, size, err) : 0;
    } else if (ml_consent_word_is(line, key, "crawl-delay")) {
        take_delay(r, value, size);
    } else if (ml_consent_word_is(line, key, "sitemap")) {
        return take_sitemap(r, value, size, err);
    } else if (ml_consent_word_is(line, key, "content-usage") ||
               ml_consent_word_is(line, key, "content-signal")) {
        return take_usage(r, value, size, err);
    }
    return 0;
}

static int take_lines(struct reader *r, const char *text, size_t n, struct ml_error *err)
{
    int status = 0;
    if (n >= 3 && memcmp(text, "\xEF\xBB\xBF", 3) == 0) {
        text += 3;
        n -= 3;
    }
    for (size_t at = 0; status == 0 && at < n;) {
        size_t end = at;
        while (end < n && text[end] != '\n' && text[end] != '\r')
            end++;
        status = take_line(r, text + at, end - at, err);
        at = end + 1;
    }
    return status;
}

/* How much of a file is read. A line that the limit cuts would say something else. */
static size_t read_size(const char *text, size_t n)
{
    if (n < ML_ROBOTS_MAX_BYTES)
        return n;
    for (n = ML_ROBOTS_MAX_BYTES; n > 0 && text[n - 1] != '\n' && text[n - 1] != '\r';)
        n--;
    return n;
}

int ml_robots_parse(struct ml_robots *out, struct ml_arena *arena, const char *text, size_t n,
                    const char *agent, struct ml_error *err)
{
    struct reader r = {.arena = arena, .agent = agent};
    struct ml_robots robots = {0};
    int status = take_lines(&r, text, read_size(text, n), err);
    const struct ml_buffer *rules = r.own_seen ? &r.own : &r.any;
    if (status == 0) {
        robots.rules = (const struct ml_robots_rule *)ml_arena_strndup(
            arena, rules->size ? rules->data : "", rules->size);
        robots.rule_count = rules->size / sizeof(struct ml_robots_rule);
        robots.delay = r.own_seen ? r.own_delay : r.any_delay;
        robots.sitemaps = (const char *const *)ml_arena_strndup(
            arena, r.sitemaps.size ? r.sitemaps.data : "", r.sitemaps.size);
        robots.sitemap_count = r.sitemaps.size / sizeof(char *);
        if (!robots.rules || !robots.sitemaps)
            status = ml_fail(err, ML_ERR_MEMORY, "out of memory reading robots.txt");
    }
    ml_buffer_clear(&r.own);
    ml_buffer_clear(&r.any);
    ml_buffer_clear(&r.sitemaps);
    if (status == 0)
        *out = robots;
    return status;
}

/* ---- answers ---- */

/* Between stars stand plain pieces: each is looked for behind the one before, the first at the
 * beginning, and with '$' the last at the end. Never looks at a byte of the path twice but for
 * memmem's own. */
static bool matches(const struct ml_robots_rule *rule, const char *path, size_t n)
{
    const char *pattern = rule->pattern;
    size_t left = rule->size, at = 0;
    bool anchored = left > 0 && pattern[left - 1] == '$';
    left -= anchored;
    for (bool first = true;; first = false) {
        const char *star = memchr(pattern, '*', left);
        size_t piece = star ? (size_t)(star - pattern) : left;
        if (first) {
            if (piece > n || memcmp(path, pattern, piece) != 0)
                return false;
            at = piece;
        } else if (!star && anchored) {
            return n - at >= piece && memcmp(path + n - piece, pattern, piece) == 0;
        } else {
            const char *found = memmem(path + at, n - at, pattern, piece);
            if (!found)
                return false;
            at = (size_t)(found - path) + piece;
        }
        if (!star)
            return !anchored || at == n;
        pattern = star + 1;
        left -= piece + 1;
    }
}

/* The longest rule of fetching, and the longest of training. */
static void find_rules(const struct ml_robots *robots, const char *path, size_t n,
                       const struct ml_robots_rule **fetch, const struct ml_robots_rule **usage)
{
    for (size_t i = 0; i < robots->rule_count; i++) {
        const struct ml_robots_rule *rule = &robots->rules[i];
        const struct ml_robots_rule **best = rule->kind == RULE_USAGE ? usage : fetch;
        bool wins_ties = rule->kind == RULE_ALLOW || rule->denied[0];
        if (*best && (rule->size < (*best)->size || (rule->size == (*best)->size && !wins_ties)))
            continue;
        if (matches(rule, path, n))
            *best = rule;
    }
}

int ml_robots_ask(const struct ml_robots *robots, const char *path, struct ml_robots_answer *out,
                  struct ml_error *err)
{
    const struct ml_robots_rule *fetch = NULL, *usage = NULL;
    struct ml_robots_answer answer = {.fetch = true};
    struct ml_buffer spelt = {0};
    /* A star or dollar sign of the address itself is written %2A and %24 in a rule. */
    int status = ml_web_url_put(&spelt, path, strlen(path), "*$", err);
    if (status == 0)
        find_rules(robots, spelt.size ? spelt.data : "", spelt.size, &fetch, &usage);
    ml_buffer_clear(&spelt);
    if (status)
        return status;
    answer.fetch = !fetch || fetch->kind == RULE_ALLOW || strcmp(path, "/robots.txt") == 0;
    if (usage && usage->denied[0])
        snprintf(answer.consent, sizeof answer.consent, "denied: robots.txt %s", usage->denied);
    *out = answer;
    return 0;
}
