/* What a page says about being used for training, beside its text: the header X-Robots-Tag, and the
 * IETF's usage preferences (Content-Usage, draft-ietf-aipref-attach and -vocab) with the older
 * Content-Signal, as headers and as lines of robots.txt. */
#ifndef ML_DATA_WEB_CONSENT_H
#define ML_DATA_WEB_CONSENT_H

#include <stdbool.h>
#include <stddef.h>

#define ML_WEB_PRODUCT   "Maliang" /* the name that sites know this program by */
#define ML_CONSENT_BYTES 128

/* Each call below looks at one statement and writes "denied: WHERE WHAT" when it denies training
 * ("denied: X-Robots-Tag noai"). A verdict that is there already stays: the first denial is kept.
 * "" means that nothing was stated against it. */

/* A line of X-Robots-Tag: noai, noimageai, noindex, noimageindex or none, for everybody or after
 * the name of this agent ("maliang: noai"). */
void ml_consent_robots_tag(char verdict[ML_CONSENT_BYTES], const char *value, const char *agent);
/* Several lines of such a header, separated by \n. NULL: it was not there. */
void ml_consent_headers(char verdict[ML_CONSENT_BYTES], const char *robots_tag,
                        const char *content_usage, const char *agent);

enum ml_consent_wish { ML_CONSENT_SILENT, ML_CONSENT_YES, ML_CONSENT_NO };
/* What a list of preferences ("train-ai=n, search=y") says about training. When it denies, `label`
 * becomes the statement that does ("train-ai=n"). */
enum ml_consent_wish ml_consent_usage(const char *value, size_t n, char label[32]);

/* Whether `word` (n bytes) is this one, in any case of its letters. */
bool ml_consent_word_is(const char *word, size_t n, const char *known);

#endif
