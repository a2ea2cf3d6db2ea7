/* Subtitles (SRT, WebVTT, ASS/SSA) as the text that is spoken, and when. */
#ifndef ML_DATA_SUBTITLE_H
#define ML_DATA_SUBTITLE_H

#include "base/arena.h"
#include "maliang/error.h"

#define ML_SUBTITLE_MAX_CUES 1000000

struct ml_cue {
    int64_t start, end; /* milliseconds */
    size_t at, size;    /* of its words within `words` */
};
struct ml_subtitle {
    struct ml_cue *cues; /* in order of time */
    size_t count, capacity;
    struct ml_buffer words; /* tags taken out, \n at line ends */
    size_t bad;             /* cues whose times make no sense */
};
/* UTF-8 with \n at line ends; what kind it is is seen from the text. ML_ERR_FORMAT: no cue in it.
 */
int ml_subtitle_parse(struct ml_subtitle *out, const char *text, size_t n, struct ml_error *err);
void ml_subtitle_clear(struct ml_subtitle *subtitle);

#endif
