/* What a collection left out, in words (data/collect.h). */
#include <stdio.h>
#include <string.h>

#include "base/fail.h"
#include "base/utf8.h"
#include "data/collect_impl.h"

const char *ml_collect_reason_name(enum ml_collect_reason reason)
{
    static const char *const names[] = {
        [ML_SKIP_BINARY] = "binary files",
        [ML_SKIP_FORMAT] = "files of a format that is not read yet",
        [ML_SKIP_DAMAGED] = "damaged files",
        [ML_SKIP_TOO_LARGE] = "files above the size limit",
        [ML_SKIP_EMPTY] = "empty files",
        [ML_SKIP_UNREADABLE] = "files that cannot be read",
        [ML_SKIP_ENCODING] = "files in an unknown encoding",
        [ML_SKIP_BAD_LINE] = "lines that are not records",
        [ML_SKIP_WEB] = "web addresses that were not fetched",
        [ML_SKIP_CONSENT] = "resources that may not be used for training",
        [ML_SKIP_PART] = "parts of files that cannot be used",
    };
    return reason >= 0 && reason < ML_SKIP_COUNT ? names[reason] : "unknown";
}

void ml_collect_skip(struct ml_collect_report *report, enum ml_collect_reason reason,
                     const char *path, int64_t line, const char *why)
{
    uint64_t n = report->skipped[reason].count++;
    if (n >= ML_COLLECT_MAX_EXAMPLES)
        return;
    char *example = report->skipped[reason].examples[n], place[32] = "";
    size_t room = ML_COLLECT_EXAMPLE_BYTES, length = strlen(path);
    if (line)
        snprintf(place, sizeof place, ":%lld", (long long)line);
    /* The end of a long path says more than its beginning. */
    size_t tail = strlen(place) + (why ? strlen(why) + 2 : 0) + 4;
    size_t keep = room > tail + 40 ? room - tail : 40;
    size_t from = length > keep ? length - keep : 0;
    while (from > 0 && from < length && ((unsigned char)path[from] & 0xC0) == 0x80)
        from++;
    int n_written = snprintf(example, room, "%s%s%s%s%s", from ? "..." : "", path + from, place,
                             why ? ": " : "", why ? why : "");
    /* Cut at a whole character. */
    if (n_written > 0 && (size_t)n_written >= room)
        example[ml_utf8_ready(example, room - 1)] = '\0';
}

int ml_collect_nothing_of(const struct ml_collect_report *report, const char *const *paths,
                          size_t count, struct ml_error *err)
{
    char reasons[400] = "";
    size_t at = 0;
    for (int r = 0; r < ML_SKIP_COUNT; r++)
        if (report->skipped[r].count && at < sizeof reasons - 1)
            at += (size_t)snprintf(reasons + at, sizeof reasons - at, "%s%llu %s (%.160s)",
                                   at ? ", " : "", (unsigned long long)report->skipped[r].count,
                                   ml_collect_reason_name((enum ml_collect_reason)r),
                                   report->skipped[r].examples[0]);
    reasons[ml_utf8_ready(reasons, strlen(reasons))] = '\0';
    const char *more = count > 1 ? " and the other paths" : "";
    if (!*reasons)
        return ml_fail(err, ML_ERR_NOT_FOUND,
                       "%.150s%s: no files there (hidden ones and links are left out); put text in "
                       "it or name another folder",
                       count ? paths[0] : "no path was given", more);
    return ml_fail(err, ML_ERR_NOT_FOUND, "%.100s%s: no text to collect: %s", paths[0], more,
                   reasons);
}
