#include "base/fail.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "base/utf8.h"

const char *ml_status_name(int code)
{
    static const char *const names[] = {
        "ok",          "out of memory", "input or output failed", "malformed data", "bad request",
        "wrong shape", "not found",     "not supported",          "cancelled",      "not a number",
        "wrong state", "over a limit",
    };
    int index = code <= 0 && code >= ML_ERR_LIMIT ? -code : -1;
    return index < 0 ? "unknown status" : names[index];
}

/* Messages quote file names and bytes from outside: what is shown is still one line of UTF-8, cut
 * at a character when it is too long. */
static void clean_line(char *text, size_t room, int length)
{
    size_t n = strlen(text);
    if ((size_t)length >= room)
        n = ml_utf8_ready(text, n);
    text[n] = '\0';
    for (size_t i = 0; i < n;) {
        uint32_t codepoint;
        size_t step = ml_utf8_decode(text + i, n - i, &codepoint);
        if (step == 0)
            text[i] = '?';
        else if (codepoint < 0x20 || codepoint == 0x7f)
            text[i] = ' ';
        i += step ? step : 1;
    }
}

int ml_fail(struct ml_error *err, int code, const char *format, ...)
{
    if (!err || err->code != 0)
        return code;
    va_list list;
    va_start(list, format);
    int length = vsnprintf(err->message, sizeof err->message, format, list);
    va_end(list);
    if (length < 0)
        snprintf(err->message, sizeof err->message, "%s", ml_status_name(code));
    clean_line(err->message, sizeof err->message, length);
    err->code = code;
    return code;
}

void ml_fail_context(struct ml_error *err, const char *format, ...)
{
    if (!err || err->code == 0)
        return;
    char context[sizeof err->message], message[sizeof err->message];
    memcpy(message, err->message, sizeof message);
    va_list list;
    va_start(list, format);
    int length = vsnprintf(context, sizeof context, format, list);
    va_end(list);
    if (length < 0)
        return;
    /* The cause matters more than where: a long context loses its end, not the message's. */
    size_t room = sizeof context - 3, cause = strlen(message);
    size_t most = cause < room / 2 ? room - cause : room / 2;
    if (strlen(context) > most) {
        context[most] = '\0';
        context[ml_utf8_ready(context, most)] = '\0';
    }
    length = snprintf(err->message, sizeof err->message, "%.*s: %.*s", (int)room, context,
                      (int)room, message);
    clean_line(err->message, sizeof err->message, length);
}
