#include "data/web_consent.h"

#include <stdio.h>
#include <string.h>
#include <strings.h>

bool ml_consent_word_is(const char *word, size_t n, const char *known)
{
    return strlen(known) == n && strncasecmp(word, known, n) == 0;
}

/* Takes blanks off both ends. */
static void trim(const char **text, size_t *n)
{
    while (*n > 0 && strchr(" \t\r\n", **text)) {
        ++*text;
        --*n;
    }
    while (*n > 0 && strchr(" \t\r\n", (*text)[*n - 1]))
        --*n;
}

/* The next part before a separator, trimmed; false at the end. */
static bool next_part(const char **text, size_t *left, char separator, const char **part, size_t *n)
{
    if (!*text)
        return false;
    const char *end = memchr(*text, separator, *left);
    *part = *text;
    *n = end ? (size_t)(end - *text) : *left;
    *left -= *n + (end != NULL);
    *text = end ? end + 1 : NULL;
    trim(part, n);
    return true;
}

/* ---- X-Robots-Tag ---- */

/* Directives with a value of their own: what stands before their colon is not an agent. */
static bool has_value(const char *word, size_t n)
{
    return ml_consent_word_is(word, n, "unavailable_after") ||
           ml_consent_word_is(word, n, "max-snippet") ||
           ml_consent_word_is(word, n, "max-image-preview") ||
           ml_consent_word_is(word, n, "max-video-preview");
}

void ml_consent_robots_tag(char verdict[ML_CONSENT_BYTES], const char *value, const char *agent)
{
    static const char *const denials[] = {"noai", "noimageai", "noindex", "noimageindex", "none"};
    const char *part;
    size_t left = strlen(value), n;
    bool ours = true; /* an agent's name holds for what follows it in the same line */
    while (verdict[0] == '\0' && next_part(&value, &left, ',', &part, &n)) {
        const char *colon = memchr(part, ':', n);
        if (colon && !has_value(part, (size_t)(colon - part))) {
            size_t name = (size_t)(colon - part);
            ours = ml_consent_word_is(part, name, agent) || ml_consent_word_is(part, name, "*");
            part += name + 1;
            n -= name + 1;
            trim(&part, &n);
        }
        for (size_t i = 0; ours && i < sizeof denials / sizeof denials[0]; i++)
            if (ml_consent_word_is(part, n, denials[i]))
                snprintf(verdict, ML_CONSENT_BYTES, "denied: X-Robots-Tag %s", denials[i]);
    }
}

/* ---- preferences ---- */

/* A dictionary of structured fields (RFC 8941) as far as it matters: "key=value;parameters", the
 * last of the same key counts. The vocabulary names training as such, training of generative models
 * and, above both, automated processing; the nearest statement that is there decides. */
enum ml_consent_wish ml_consent_usage(const char *value, size_t n, char label[32])
{
    static const char *const keys[] = {"train-ai", "ai-train", "train-genai", "bots"};
    enum { KEYS = sizeof keys / sizeof keys[0] };
    enum ml_consent_wish wishes[KEYS] = {ML_CONSENT_SILENT};
    const char *part;
    size_t size;
    while (next_part(&value, &n, ',', &part, &size)) {
        const char *equals = memchr(part, '=', size);
        size_t key = equals ? (size_t)(equals - part) : size;
        const char *said = equals ? equals + 1 : "";
        size_t length = equals ? size - key - 1 : 0;
        const char *parameters = memchr(said, ';', length);
        length = parameters ? (size_t)(parameters - said) : length;
        trim(&part, &key);
        trim(&said, &length);
        enum ml_consent_wish wish = ML_CONSENT_SILENT;
        if (ml_consent_word_is(said, length, "n") || ml_consent_word_is(said, length, "no"))
            wish = ML_CONSENT_NO;
        else if (ml_consent_word_is(said, length, "y") || ml_consent_word_is(said, length, "yes"))
            wish = ML_CONSENT_YES;
        for (int i = 0; i < KEYS; i++)
            if (ml_consent_word_is(part, key, keys[i]))
                wishes[i] = wish;
    }
    for (int i = 0; i < 3; i++)
        if (wishes[i] == ML_CONSENT_NO) {
            snprintf(label, 32, "%s=n%s", keys[i], i == 1 ? "o" : "");
            return ML_CONSENT_NO;
        }
    for (int i = 0; i < 3; i++)
        if (wishes[i] == ML_CONSENT_YES)
            return ML_CONSENT_YES;
    if (wishes[3] == ML_CONSENT_NO)
        snprintf(label, 32, "%s=n", keys[3]);
    return wishes[3];
}

void ml_consent_headers(char verdict[ML_CONSENT_BYTES], const char *robots_tag,
                        const char *content_usage, const char *agent)
{
    const char *line;
    size_t left = robots_tag ? strlen(robots_tag) : 0, n;
    while (next_part(&robots_tag, &left, '\n', &line, &n)) {
        char text[1024]; /* a line of its own: an agent's name holds for one line only */
        snprintf(text, sizeof text, "%.*s", (int)(n < 1023 ? n : 1023), line);
        ml_consent_robots_tag(verdict, text, agent);
    }
    char label[32];
    left = content_usage ? strlen(content_usage) : 0;
    while (next_part(&content_usage, &left, '\n', &line, &n))
        if (ml_consent_usage(line, n, label) == ML_CONSENT_NO && verdict[0] == '\0')
            snprintf(verdict, ML_CONSENT_BYTES, "denied: Content-Usage %s", label);
}
