#include "data/collect_members.h"

#include <stdio.h>
#include <string.h>

#include "base/fail.h"
#include "base/json.h"
#include "data/collect_sidecar.h"

/* bytes and further facts of `member` under another name. */
static int collect(struct ml_members *m, const char *uri, const struct ml_member *member,
                   const char *meta, struct ml_error *err)
{
    struct ml_collector *c = m->collector;
    const struct ml_collect_item item = {.uri = uri,
                                         .type = member->type,
                                         .bytes = member->bytes,
                                         .size = member->size,
                                         .charset = member->charset,
                                         .licence = m->archive->licence,
                                         .consent = member->consent ? member->consent
                                                                    : m->archive->consent,
                                         .meta = meta};
    c->depth++;
    int status = ml_collect_item(c, &item, err);
    c->depth--;
    return status;
}

/* What the held notes say about one of the held media, as a JSON object; NULL: nothing. */
static int notes_about(const struct ml_members *m, const char *media, char **out,
                       struct ml_error *err)
{
    ml_json_setup();
    json_t *meta = json_object();
    int status = meta ? 0 : ml_fail(err, ML_ERR_MEMORY, "out of memory reading captions");
    for (int i = 0; status == 0 && i < m->count; i++)
        if (ml_sidecar_is_note(m->held[i].uri))
            status = ml_sidecar_add(meta, media, m->held[i].uri, m->held[i].bytes.data,
                                    m->held[i].bytes.size, err);
    if (status == 0 && json_object_size(meta) > 0)
        status = ml_json_text(out, meta, JSON_COMPACT, err);
    json_decref(meta);
    return status;
}

int ml_members_end(struct ml_members *m, struct ml_error *err)
{
    int status = 0;
    bool media = false;
    for (int i = 0; i < m->count; i++)
        media = media || ml_sidecar_is_media(m->held[i].uri);
    for (int i = 0; status == 0 && i < m->count; i++) {
        char *meta = NULL;
        bool is_media = ml_sidecar_is_media(m->held[i].uri);
        if (media && !is_media) /* a note that found its picture */
            continue;
        if (is_media)
            status = notes_about(m, m->held[i].uri, &meta, err);
        const struct ml_member held = {.bytes = m->held[i].bytes.data,
                                       .size = m->held[i].bytes.size};
        if (status == 0)
            status = collect(m, m->held[i].uri, &held, meta, err);
        ml_mem_free(meta);
    }
    ml_members_clear(m);
    return status;
}

void ml_members_clear(struct ml_members *m)
{
    for (int i = 0; i < m->count; i++) {
        ml_mem_free(m->held[i].uri);
        ml_buffer_clear(&m->held[i].bytes);
    }
    m->count = 0;
}

static int hold(struct ml_members *m, char *uri, const struct ml_member *member,
                struct ml_error *err)
{
    struct ml_held_member *held = &m->held[m->count++];
    *held = (struct ml_held_member){.uri = uri};
    return ml_buffer_put(&held->bytes, member->bytes, member->size, err);
}

int ml_members_put(struct ml_members *m, const struct ml_member *member, struct ml_error *err)
{
    struct ml_collector *c = m->collector;
    struct ml_buffer uri = {0};
    if (c->members_left == 0 || c->bytes_left < member->size)
        return ml_fail(err, ML_ERR_LIMIT,
                       "%s: its archives within archives unpack to more than is allowed",
                       m->archive->uri);
    c->members_left--;
    c->bytes_left -= member->size;
    int status = ml_buffer_printf(&uri, err, "%s!/%s", m->archive->uri, member->name);
    if (status)
        return status;
    bool held = !member->type && member->size > 0 &&
                (ml_sidecar_is_media(uri.data) ||
                 (ml_sidecar_is_note(uri.data) && member->size <= ML_SIDECAR_MAX_BYTES));
    bool same = held && m->count > 0 && m->count < ML_MEMBERS_HELD &&
                ml_sidecar_belong(m->held[0].uri, uri.data);
    if (!same)
        status = ml_members_end(m, err);
    if (status == 0 && ml_collect_is_denied(c, member->consent)) {
        ml_collect_skip(c->report, ML_SKIP_CONSENT, uri.data, 0, member->consent);
        ml_buffer_clear(&uri);
        return 0;
    }
    if (status == 0 && held)
        return hold(m, uri.data, member, err);
    if (status == 0)
        status = collect(m, uri.data, member, NULL, err);
    ml_buffer_clear(&uri);
    return status;
}
