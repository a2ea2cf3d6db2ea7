/* Finding what identifies a person or opens a door, and putting something else in its place. Kinds
 * with check digits are checked, so that an order number is not taken for a bank card. */
#ifndef ML_DATA_REDACT_H
#define ML_DATA_REDACT_H

#include <stddef.h>
#include <stdint.h>

#include "base/arena.h"

enum ml_pii {
    ML_PII_EMAIL,
    ML_PII_PHONE,     /* international with +, mainland Chinese, North American with separators */
    ML_PII_IP,        /* IPv4 and IPv6, not those that mean no machine (0.0.0.0, ::1 ...) */
    ML_PII_IBAN,      /* ISO 13616: length of the country, mod 97 */
    ML_PII_CARD,      /* ISO/IEC 7812: issuer's range, length, Luhn */
    ML_PII_CN_ID,     /* GB 11643: region, date, check digit mod 11 */
    ML_PII_CN_CREDIT, /* GB 32100: 18 of 31 characters, check character */
    ML_PII_SECRET,    /* keys and tokens of known form, private keys, password=... */
    ML_PII_COUNT
};
const char *ml_pii_name(enum ml_pii kind); /* "email", "phone" ... */
#define ML_PII_ALL ((1u << ML_PII_COUNT) - 1)

struct ml_pii_span {
    size_t start, bytes;
    enum ml_pii kind;
};
/* Zero-initialise; used again from text to text. */
struct ml_pii_spans {
    struct ml_pii_span *spans;
    size_t count, capacity;
};
/* kinds: bits 1 << enum ml_pii. Spans in order, without overlap. Any bytes. */
int ml_redact_find(struct ml_pii_spans *out, const char *text, size_t n, unsigned kinds,
                   struct ml_error *err);
void ml_pii_spans_clear(struct ml_pii_spans *spans); /* accepts NULL */

enum ml_redact_mode {
    ML_REDACT_REPLACE, /* [EMAIL] */
    ML_REDACT_MASK,    /* letters and digits become *, what stands between them stays */
    ML_REDACT_HASH     /* [EMAIL:1a2b3c4d5e6f]: the same value, the same mark, so that links stay */
};
/* Appends the text with its spans redacted. key: for marks, 32 bytes of the workspace's own (HMAC:
 * nobody without it can try out phone numbers); not looked at in other modes. */
int ml_redact_apply(struct ml_buffer *out, const char *text, size_t n,
                    const struct ml_pii_spans *spans, enum ml_redact_mode mode,
                    const uint8_t key[32], struct ml_error *err);

/* What stands behind the kinds with check digits, for tests and other readers. digits: characters
 * '0' to '9' (and X or letters where the kind has them). */
int ml_luhn_valid(const char *digits, size_t n);
int ml_iban_valid(const char *text, size_t n); /* upper case, without blanks */
int ml_cn_id_valid(const char text[18]);
int ml_cn_credit_valid(const char text[18]);

#endif
