#include "data/collect_sidecar.h"

#include <string.h>
#include <strings.h>

#include "base/fail.h"
#include "data/media_probe.h"
#include "data/readers.h"
#include "data/text_decode.h"

const char *const ml_sidecar_endings[] = {"txt", "caption", "json", "lab", NULL};

bool ml_sidecar_is_media(const char *uri)
{
    size_t n;
    const char *ending = ml_reader_ending(uri, &n);
    return ml_media_kind(ending, n) != NULL;
}

bool ml_sidecar_is_note(const char *uri)
{
    size_t n;
    const char *ending = ml_reader_ending(uri, &n);
    for (size_t i = 0; ml_sidecar_endings[i]; i++)
        if (strlen(ml_sidecar_endings[i]) == n &&
            strncasecmp(ml_sidecar_endings[i], ending, n) == 0)
            return true;
    return false;
}

bool ml_sidecar_belong(const char *a, const char *b)
{
    size_t n, m;
    const char *x = ml_reader_ending(a, &n), *y = ml_reader_ending(b, &m);
    return x - a == y - b && strncmp(a, b, (size_t)(x - a)) == 0;
}

static int fail_memory(struct ml_error *err)
{
    return ml_fail(err, ML_ERR_MEMORY, "out of memory reading a caption");
}

/* The note's words without blanks at their ends. */
static int add_words(json_t *meta, const char *key, const char *text, size_t n,
                     struct ml_error *err)
{
    while (n > 0 && strchr(" \t\n", text[n - 1]))
        n--;
    while (n > 0 && strchr(" \t\n", *text)) {
        text++;
        n--;
    }
    if (n == 0)
        return 0;
    return json_object_set_new(meta, key, json_stringn(text, n)) == 0 ? 0 : fail_memory(err);
}

/* A string is the caption; an object's plain fields are taken over, and "text" is the caption where
 * none has that name. */
static int add_json(json_t *meta, const char *key, const char *text, size_t n, struct ml_error *err)
{
    static const char *const others[] = {"text", "prompt", "description", "描述", NULL};
    struct ml_error inner = {0};
    json_t *root = NULL, *value;
    const char *name;
    int status = ml_json_parse(&root, text, n, "a caption", &inner);
    if (status == ML_ERR_MEMORY)
        return fail_memory(err);
    if (status) /* not JSON: it says nothing that we understand */
        return 0;
    if (json_is_string(root))
        status = add_words(meta, key, json_string_value(root), json_string_length(root), err);
    json_object_foreach(root, name, value)
    {
        bool plain = json_is_string(value) || json_is_number(value) || json_is_boolean(value);
        if (plain && json_object_set(meta, name, value) != 0)
            status = fail_memory(err);
    }
    for (size_t i = 0; others[i] && status == 0 && !json_object_get(meta, key); i++)
        if (json_is_string(json_object_get(root, others[i])) &&
            json_object_set(meta, key, json_object_get(root, others[i])) != 0)
            status = fail_memory(err);
    json_decref(root);
    return status;
}

int ml_sidecar_add(json_t *meta, const char *media, const char *note, const char *bytes, size_t n,
                   struct ml_error *err)
{
    struct ml_decoded decoded = {0};
    size_t media_n, note_n;
    const char *media_ending = ml_reader_ending(media, &media_n);
    const char *note_ending = ml_reader_ending(note, &note_n);
    const char *kind = ml_media_kind(media_ending, media_n);
    const char *key = kind && strcmp(kind, "audio") == 0 ? "transcript" : "caption";
    int status = ml_text_decode(&decoded, bytes, n, NULL, err);
    if (status == 0 && decoded.verdict == ML_TEXT_OK)
        status = note_n == 4 && strncasecmp(note_ending, "json", 4) == 0
                     ? add_json(meta, key, decoded.text, decoded.size, err)
                     : add_words(meta, key, decoded.text, decoded.size, err);
    ml_decoded_clear(&decoded);
    return status;
}
