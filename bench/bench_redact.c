/* Redaction on identifiers that were planted, and on lines that have none (docs/figures.md):
 *
 *     bench_redact [n=1000] [seed=1]     recall by kind on n identifiers each, in sentences
 *     bench_redact FILE                  every hit in the lines of a file, and how many lines had
 * one
 */
#include <ctype.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/files.h"
#include "base/rng.h"
#include "data/redact.h"

static void digits(char *out, int n, struct ml_rng *rng)
{
    for (int i = 0; i < n; i++)
        out[i] = (char)('0' + ml_rng_below(rng, 10));
    out[n] = '\0';
}

static void letters(char *out, int n, const char *alphabet, struct ml_rng *rng)
{
    for (int i = 0; i < n; i++)
        out[i] = alphabet[ml_rng_below(rng, strlen(alphabet))];
    out[n] = '\0';
}

/* The last digit such that Luhn's sum fits. */
static void make_card(char *out, struct ml_rng *rng)
{
    static const char *const starts[] = {"4", "51", "55", "2221", "34", "37", "62", "6011", "35"};
    static const int sizes[] = {16, 16, 16, 16, 15, 15, 19, 16, 16};
    size_t kind = ml_rng_below(rng, 9);
    char plain[24];
    size_t n = (size_t)sizes[kind];
    digits(plain, (int)n, rng);
    memcpy(plain, starts[kind], strlen(starts[kind]));
    for (plain[n - 1] = '0'; !ml_luhn_valid(plain, n); plain[n - 1]++) {
    }
    bool grouped = n == 16 && ml_rng_below(rng, 2);
    char separator = ml_rng_below(rng, 2) ? ' ' : '-';
    size_t at = 0;
    for (size_t i = 0; i < n; i++) {
        if (grouped && i && i % 4 == 0)
            out[at++] = separator;
        out[at++] = plain[i];
    }
    out[at] = '\0';
}

static void make_cn_id(char *out, struct ml_rng *rng)
{
    snprintf(out, 64, "%02d%04d%04d%02d%02d%03d", 11 + (int)ml_rng_below(rng, 50),
             (int)ml_rng_below(rng, 10000), 1930 + (int)ml_rng_below(rng, 90),
             1 + (int)ml_rng_below(rng, 12), 1 + (int)ml_rng_below(rng, 28),
             (int)ml_rng_below(rng, 1000));
    for (const char *c = "0123456789X"; *c; c++) {
        out[17] = *c;
        out[18] = '\0';
        if (ml_cn_id_valid(out))
            return;
    }
}

static void make_cn_credit(char *out, struct ml_rng *rng)
{
    static const char alphabet[] = "0123456789ABCDEFGHJKLMNPQRTUWXY";
    snprintf(out, 32, "91%06d", 110000 + (int)ml_rng_below(rng, 500000));
    letters(out + 8, 9, alphabet, rng);
    for (const char *c = alphabet; *c; c++) {
        out[17] = *c;
        out[18] = '\0';
        if (ml_cn_credit_valid(out))
            return;
    }
}

static void make_iban(char *out, struct ml_rng *rng)
{
    static const char *const countries[] = {"DE", "FR", "GB", "ES", "NL", "CH"};
    static const int sizes[] = {22, 27, 22, 24, 18, 21};
    size_t kind = ml_rng_below(rng, 6), at = 0;
    char plain[40];
    digits(plain, sizes[kind], rng);
    memcpy(plain, countries[kind], 2);
    if (kind == 2 || kind == 4)
        letters(plain + 4, 4, "ABCDEFGHIJKLMNOPQRSTUVWXYZ", rng);
    for (size_t i = kind == 2 || kind == 4 ? 8 : 4; i < (size_t)sizes[kind]; i++)
        plain[i] = (char)('0' + ml_rng_below(rng, 10));
    for (int check = 2; check < 99; check++) {
        plain[2] = (char)('0' + check / 10);
        plain[3] = (char)('0' + check % 10);
        if (ml_iban_valid(plain, (size_t)sizes[kind]))
            break;
    }
    bool grouped = ml_rng_below(rng, 2);
    for (size_t i = 0; i < (size_t)sizes[kind]; i++) {
        if (grouped && i && i % 4 == 0)
            out[at++] = ' ';
        out[at++] = plain[i];
    }
    out[at] = '\0';
}

static void make_phone(char *out, struct ml_rng *rng)
{
    char d[16];
    digits(d, 12, rng);
    switch (ml_rng_below(rng, 6)) {
    case 0:
        sprintf(out, "1%c%.9s", '3' + (char)ml_rng_below(rng, 7), d);
        break;
    case 1:
        sprintf(out, "1%c%.1s-%.4s-%.4s", '3' + (char)ml_rng_below(rng, 7), d, d + 1, d + 5);
        break;
    case 2:
        sprintf(out, "+86 1%c%.1s %.4s %.4s", '3' + (char)ml_rng_below(rng, 7), d, d + 1, d + 5);
        break;
    case 3:
        sprintf(out, "(%c%.2s) %c%.2s-%.4s", '2' + (char)ml_rng_below(rng, 8), d,
                '2' + (char)ml_rng_below(rng, 8), d + 2, d + 4);
        break;
    case 4:
        sprintf(out, "+44 20 %.4s %.4s", d, d + 4);
        break;
    default:
        sprintf(out, "0%c%.2s-%c%.6s", '3' + (char)ml_rng_below(rng, 7), d,
                '2' + (char)ml_rng_below(rng, 7), d + 2);
    }
}

static void make_email(char *out, struct ml_rng *rng)
{
    static const char *const ends[] = {"com", "org", "cn", "co.uk", "com.cn", "io", "museum"};
    char name[24], domain[16];
    letters(name, 3 + (int)ml_rng_below(rng, 8), "abcdefghijklmnopqrstuvwxyz0123456789", rng);
    letters(domain, 3 + (int)ml_rng_below(rng, 8), "abcdefghijklmnopqrstuvwxyz", rng);
    sprintf(out, "%s%s@%s.%s", name, ml_rng_below(rng, 2) ? ".li" : "+news", domain,
            ends[ml_rng_below(rng, 7)]);
}

static void make_ip(char *out, struct ml_rng *rng)
{
    if (ml_rng_below(rng, 3))
        sprintf(out, "%d.%d.%d.%d", 1 + (int)ml_rng_below(rng, 126), (int)ml_rng_below(rng, 256),
                (int)ml_rng_below(rng, 256), (int)ml_rng_below(rng, 256));
    else
        sprintf(out, "2001:db8:%x::%x:%x", 1 + (int)ml_rng_below(rng, 65535),
                1 + (int)ml_rng_below(rng, 65535), 1 + (int)ml_rng_below(rng, 65535));
}

static void make_secret(char *out, struct ml_rng *rng)
{
    static const char all[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789";
    char body[64];
    letters(body, 40, all, rng);
    body[3] = '7'; /* as good as every real one has a digit */
    switch (ml_rng_below(rng, 5)) {
    case 0:
        letters(body, 16, "ABCDEFGHIJKLMNOPQRSTUVWXYZ234567", rng);
        body[3] = '7';
        sprintf(out, "AKIA%.16s", body);
        break;
    case 1:
        sprintf(out, "ghp_%.36s", body);
        break;
    case 2:
        sprintf(out, "sk-%.40s", body);
        break;
    case 3:
        sprintf(out, "AIza%.35s", body);
        break;
    default:
        sprintf(out, "%.20s", body);
    }
}

static size_t plant(char *line, size_t *start, enum ml_pii kind, const char *value,
                    struct ml_rng *rng)
{
    static const char *const before[] = {"Please write to ", "联系方式：", "see ",
                                         "他说（",           "\"",         "Nr. "};
    static const char *const after[] = {" before Friday.", "，谢谢。", "\n", "）",
                                        "\" they said",    ""};
    size_t which = ml_rng_below(rng, 6);
    const char *name = before[which];
    bool bare = kind == ML_PII_SECRET && strlen(value) == 20 && memcmp(value, "AKIA", 4) != 0;
    size_t n = (size_t)sprintf(line, "%s%s", name, bare ? "password = " : "");
    *start = n;
    return n + (size_t)sprintf(line + n, "%s%s", value, after[which]);
}

static int recall(int n, uint64_t seed, struct ml_error *err)
{
    static void (*const makers[ML_PII_COUNT])(char *, struct ml_rng *) = {
        make_email, make_phone, make_ip,        make_iban,
        make_card,  make_cn_id, make_cn_credit, make_secret};
    struct ml_pii_spans spans = {0};
    struct ml_rng rng;
    char value[128], line[400];
    int status = 0;
    ml_rng_init(&rng, seed, 0);
    for (int kind = 0; status == 0 && kind < ML_PII_COUNT; kind++) {
        int found = 0, named = 0;
        const char *missed = "";
        static char kept[128];
        for (int i = 0; status == 0 && i < n; i++) {
            size_t start, size;
            makers[kind](value, &rng);
            size = plant(line, &start, (enum ml_pii)kind, value, &rng);
            status = ml_redact_find(&spans, line, size, ML_PII_ALL, err);
            bool whole = spans.count == 1 && spans.spans[0].start == start &&
                         spans.spans[0].bytes == strlen(value);
            found += whole;
            named += whole && spans.spans[0].kind == (enum ml_pii)kind;
            if (!whole) {
                snprintf(kept, sizeof kept, "%s", value);
                missed = kept;
            }
        }
        printf("%s recall %.4f named %.4f n %d%s%s\n", ml_pii_name((enum ml_pii)kind),
               (double)found / n, (double)named / n, n, *missed ? " missed " : "", missed);
    }
    ml_pii_spans_clear(&spans);
    return status;
}

static int hits(const char *path, struct ml_error *err)
{
    struct ml_pii_spans spans = {0};
    struct ml_arena arena;
    char *text;
    size_t size, lines = 0, with = 0;
    ml_arena_init(&arena, 0);
    int status = ml_file_read(&arena, path, (size_t)1 << 30, &text, &size, err);
    for (char *at = status ? NULL : text; at && at < text + size;) {
        char *stop = memchr(at, '\n', (size_t)(text + size - at));
        stop = stop ? stop : text + size;
        status = ml_redact_find(&spans, at, (size_t)(stop - at), ML_PII_ALL, err);
        lines++;
        with += spans.count > 0;
        for (size_t i = 0; i < spans.count; i++)
            printf("%s\t%.*s\n", ml_pii_name(spans.spans[i].kind), (int)spans.spans[i].bytes,
                   at + spans.spans[i].start);
        at = stop + 1;
    }
    if (status == 0)
        printf("lines %zu with a hit %zu\n", lines, with);
    ml_pii_spans_clear(&spans);
    ml_arena_clear(&arena);
    return status;
}

int main(int argc, char **argv)
{
    struct ml_error err = {0};
    bool file = argc > 1 && !isdigit((unsigned char)argv[1][0]);
    int n = argc > 1 && !file ? atoi(argv[1]) : 1000;
    uint64_t seed = argc > 2 ? strtoull(argv[2], NULL, 10) : 1;
    int status = file ? hits(argv[1], &err) : recall(n, seed, &err);
    if (status)
        fprintf(stderr, "bench_redact: %s\n", err.message);
    return status ? 1 : 0;
}
