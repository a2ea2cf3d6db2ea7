/* Text sessions: from a request in words to tokens and back. */
#include <string.h>

#include "api_impl.h"
#include "base/fail.h"
#include "generate/text_pack.h"
#include "generate/text_writer.h"
#include "text/template.h"
#include "text/verse.h"

struct ml_text_session {
    struct ml_engine *engine;
    struct ml_text_pack pack;
    struct ml_text_writer *writer;
    struct ml_encoder *encoder;
    struct ml_template *template; /* NULL: the model has none */
    const char **fields;          /* the template's, but for what the model writes */
    int field_count;
};

static int open_template(struct ml_text_session *s, const char *folder, struct ml_error *err)
{
    const char *text = s->pack.template;
    if (!text)
        return 0;
    int status = ml_template_parse(&s->template, &s->pack.arena, text, strlen(text), err);
    if (status != 0) {
        ml_fail_context(err, "%s/maliang.json", folder);
        return status;
    }
    s->field_count = ml_template_field_count(s->template);
    s->fields = ml_arena_calloc(&s->pack.arena, (size_t)s->field_count + 1, sizeof *s->fields);
    if (!s->fields)
        return ml_fail(err, ML_ERR_MEMORY, "out of memory");
    for (int i = 0; i < s->field_count; i++)
        s->fields[i] = ml_template_field(s->template, i);
    return 0;
}

int ml_text_session_open(struct ml_text_session **out, struct ml_engine *engine,
                         const char *workspace, const char *model, struct ml_error *err)
{
    struct ml_arena arena;
    char *folder = NULL;
    ml_arena_init(&arena, 0);
    struct ml_text_session *s = ml_mem_calloc(1, sizeof *s);
    int status = s ? ml_locate_model(&folder, &arena, workspace, model, err)
                   : ml_fail(err, ML_ERR_MEMORY, "out of memory for a session");
    if (status == 0)
        status = ml_text_pack_open(&s->pack, folder, err);
    if (status == 0)
        status = open_template(s, folder, err);
    if (status == 0)
        status = ml_encoder_new(&s->encoder, s->pack.tokenizer, err);
    if (status == 0 && !engine->device->accelerator) /* which has its own kernels */
        status = ml_params_pack(&s->pack.model.params, &engine->device->kernels, err);
    if (status == 0)
        status =
            ml_text_writer_new(&s->writer, &s->pack.model, s->pack.tokenizer, engine->device, err);
    ml_arena_clear(&arena);
    if (status != 0) {
        ml_text_session_close(s);
        return status;
    }
    s->engine = engine;
    *out = s;
    return 0;
}

void ml_text_session_close(struct ml_text_session *session)
{
    if (!session)
        return;
    ml_text_writer_free(session->writer);
    ml_encoder_free(session->encoder);
    ml_text_pack_close(&session->pack);
    ml_mem_free(session);
}

const char *const *ml_text_session_fields(const struct ml_text_session *session, int *count)
{
    *count = session->field_count;
    return session->fields;
}

/* ---- the prompt ---- */

struct given {
    const struct ml_write_request *request;
};

/* A verse form may be named in any of its names; the model knows one. */
static const char *usual_name(const char *name, const char *value)
{
    enum ml_verse_form form;
    if (strcmp(name, "form") == 0 && ml_verse_parse_form(&form, value, NULL) == 0)
        return ml_verse_shape(form)->traditional;
    return value;
}

static bool look_up(void *arg, const char *name, const char **text, size_t *size)
{
    const struct ml_write_request *r = ((struct given *)arg)->request;
    for (int i = 0; i < r->field_count; i++) {
        if (strcmp(r->fields[i].name, name) != 0)
            continue;
        *text = usual_name(name, r->fields[i].value);
        *size = strlen(*text);
        return true;
    }
    return false;
}

static int add_text(struct ml_text_session *s, const char *text, int flags, struct ml_ids *ids,
                    struct ml_error *err)
{
    return text ? ml_encode(s->encoder, text, strlen(text), flags, ids, err) : 0;
}

static int template_prompt(struct ml_text_session *s, const struct ml_write_request *r,
                           struct ml_ids *ids, struct ml_error *err)
{
    struct ml_filled filled = {0};
    struct given given = {r};
    int status = 0;
    for (int i = 0; i < r->field_count && status == 0; i++)
        status = ml_template_check_given(s->template, r->fields[i].name, err);
    if (status == 0)
        status = ml_template_prompt(s->template, look_up, &given, &filled, err);
    if (status == 0)
        status = ml_filled_encode(s->encoder, &filled, ids, err);
    ml_filled_clear(&filled);
    if (status == 0)
        status = add_text(s, r->prompt, ML_ENCODE_PLAIN, ids, err);
    return status;
}

/* ChatML where the tokenizer has its marks, else plain lines "User: ..." that any text model can
 * follow. What people write is never read as a mark. */
static int chat_prompt(struct ml_text_session *s, const struct ml_write_request *r,
                       struct ml_ids *ids, bool *plain, struct ml_error *err)
{
    *plain = ml_tokenizer_special(s->pack.tokenizer, "<|im_start|>") < 0;
    int status = 0;
    for (int i = 0; i < r->message_count && status == 0; i++) {
        const struct ml_message *m = &r->messages[i];
        const char *role = m->role ? m->role : "";
        if (strcmp(role, "system") != 0 && strcmp(role, "user") != 0 &&
            strcmp(role, "assistant") != 0)
            return ml_fail(err, ML_ERR_ARG,
                           "message %d has the role \"%s\"; it must be system, user or assistant",
                           i, role);
        const char *name = strcmp(m->role, "user") == 0     ? "User: "
                           : strcmp(m->role, "system") == 0 ? ""
                                                            : "Assistant: ";
        if (*plain) {
            status = add_text(s, name, ML_ENCODE_PLAIN, ids, err);
        } else {
            status = add_text(s, "<|im_start|>", ML_ENCODE_SPECIAL, ids, err);
            if (status == 0)
                status = add_text(s, m->role, ML_ENCODE_PLAIN, ids, err);
            if (status == 0)
                status = add_text(s, "\n", ML_ENCODE_PLAIN, ids, err);
        }
        /* "Assistant:" and the blank that the model writes behind it are the line's own. */
        const char *content = m->content ? m->content : "";
        if (*plain && m->role[0] == 'a')
            content += strspn(content, " ");
        if (status == 0)
            status = add_text(s, content, ML_ENCODE_PLAIN, ids, err);
        if (status == 0)
            status = add_text(s, *plain ? "\n" : "<|im_end|>\n", ML_ENCODE_SPECIAL, ids, err);
    }
    if (status == 0)
        status = add_text(s, *plain ? "Assistant:" : "<|im_start|>assistant\n", ML_ENCODE_SPECIAL,
                          ids, err);
    return status;
}

/* A text that begins with nothing begins where a document ends in training. */
static int bare_prompt(struct ml_text_session *s, const struct ml_write_request *r,
                       struct ml_ids *ids, struct ml_error *err)
{
    int status = 0;
    if (s->pack.config.bos >= 0)
        status = ml_ids_put(ids, s->pack.config.bos, err);
    else if (s->pack.end_count && (!r->prompt || !*r->prompt))
        status = ml_ids_put(ids, s->pack.ends[0], err);
    return status == 0 ? add_text(s, r->prompt, ML_ENCODE_PLAIN, ids, err) : status;
}

static int make_prompt(struct ml_text_session *s, const struct ml_write_request *r,
                       struct ml_ids *ids, bool *plain_chat, struct ml_error *err)
{
    *plain_chat = false;
    if (r->message_count)
        return chat_prompt(s, r, ids, plain_chat, err);
    if (s->template)
        return template_prompt(s, r, ids, err);
    if (r->field_count)
        return ml_fail(err, ML_ERR_ARG,
                       "this model has no fields: it continues a prompt; \"%s\" cannot be set",
                       r->fields[0].name);
    return bare_prompt(s, r, ids, err);
}

enum { MAX_STOP = 32 };

int ml_text_session_write(struct ml_text_session *s, const struct ml_write_request *r,
                          struct ml_write_result *out, struct ml_error *err)
{
    struct ml_ids ids = {0};
    bool plain_chat;
    const char *stop[MAX_STOP + 1];
    if (r->stop_count < 0 || r->stop_count > MAX_STOP)
        return ml_fail(err, ML_ERR_LIMIT, "%d stop texts; at most %d are possible", r->stop_count,
                       MAX_STOP);
    int status = make_prompt(s, r, &ids, &plain_chat, err);
    struct ml_text_job job = {
        .prompt = ids.ids,
        .prompt_count = (int)ids.count,
        .samples = r->samples,
        .max_tokens = r->max_tokens,
        .sampling = {.temperature = r->temperature,
                     .top_k = r->top_k,
                     .top_p = r->top_p,
                     .min_p = r->min_p,
                     .repetition_penalty = r->repetition_penalty,
                     .seed = r->seed},
        .ends = s->pack.ends,
        .end_count = s->pack.end_count,
        .stop = stop,
        .stop_count = r->stop_count,
        .cancel = r->cancel,
        .stream = r->stream,
        .arg = r->arg,
    };
    for (int i = 0; i < r->stop_count; i++)
        stop[i] = r->stop[i];
    if (plain_chat)
        stop[job.stop_count++] = "\nUser:";
    if (status == 0)
        status = ml_text_writer_run(s->writer, &job, out, err);
    ml_ids_clear(&ids);
    return status;
}
