/* Check digits (data/redact.h). */
#include <ctype.h>
#include <string.h>

#include "data/redact.h"

int ml_luhn_valid(const char *digits, size_t n)
{
    int sum = 0;
    for (size_t i = 0; i < n; i++) {
        int digit = digits[n - 1 - i] - '0';
        if (digit < 0 || digit > 9)
            return 0;
        if (i % 2 == 1)
            digit = digit > 4 ? 2 * digit - 9 : 2 * digit;
        sum += digit;
    }
    return n > 0 && sum % 10 == 0;
}

/* Lengths of the countries of the IBAN registry. */
static const char iban_lengths[][5] = {
    "AD24", "AE23", "AL28", "AT20", "AZ28", "BA20", "BE16", "BG22", "BH22", "BI27", "BR29",
    "BY28", "CH21", "CR22", "CY28", "CZ24", "DE22", "DJ27", "DK18", "DO28", "EE20", "EG29",
    "ES24", "FI18", "FK18", "FO18", "FR27", "GB22", "GE22", "GI23", "GL18", "GR27", "GT28",
    "HR21", "HU28", "IE22", "IL23", "IQ23", "IS26", "IT27", "JO30", "KW30", "KZ20", "LB28",
    "LC32", "LI21", "LT20", "LU20", "LV21", "LY25", "MC27", "MD24", "ME22", "MK19", "MN20",
    "MR27", "MT31", "MU30", "NI28", "NL18", "NO15", "OM23", "PK24", "PL28", "PS29", "PT25",
    "QA29", "RO24", "RS22", "RU33", "SA24", "SC31", "SD18", "SE24", "SI19", "SK24", "SM27",
    "SO23", "ST25", "SV28", "TL23", "TN24", "TR26", "UA29", "VA22", "VG24", "XK20"};

int ml_iban_valid(const char *text, size_t n)
{
    size_t country = 0, countries = sizeof iban_lengths / sizeof iban_lengths[0];
    unsigned rest = 0;
    if (n < 15 || n > 34)
        return 0;
    while (country < countries && memcmp(iban_lengths[country], text, 2) != 0)
        country++;
    if (country == countries ||
        (size_t)((iban_lengths[country][2] - '0') * 10 + iban_lengths[country][3] - '0') != n)
        return 0;
    for (size_t i = 0; i < n; i++) { /* the first four characters go to the end */
        char c = text[(i + 4) % n];
        if (c >= '0' && c <= '9')
            rest = (rest * 10 + (unsigned)(c - '0')) % 97;
        else if (c >= 'A' && c <= 'Z')
            rest = (rest * 100 + (unsigned)(c - 'A' + 10)) % 97;
        else
            return 0;
    }
    return rest == 1;
}

static int date_valid(const char *ymd)
{
    static const int days[] = {31, 29, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31};
    int number[8];
    for (int i = 0; i < 8; i++)
        number[i] = ymd[i] - '0';
    int year = number[0] * 1000 + number[1] * 100 + number[2] * 10 + number[3];
    int month = number[4] * 10 + number[5], day = number[6] * 10 + number[7];
    return year >= 1880 && year < 2100 && month >= 1 && month <= 12 && day >= 1 &&
           day <= days[month - 1];
}

/* GB 11643-1999: weights 2^(17-i) mod 11. */
int ml_cn_id_valid(const char text[18])
{
    static const int weights[] = {7, 9, 10, 5, 8, 4, 2, 1, 6, 3, 7, 9, 10, 5, 8, 4, 2};
    int sum = 0;
    for (int i = 0; i < 17; i++) {
        if (text[i] < '0' || text[i] > '9')
            return 0;
        sum += (text[i] - '0') * weights[i];
    }
    char check = "10X98765432"[sum % 11];
    int province = (text[0] - '0') * 10 + text[1] - '0';
    return (text[17] == check || (check == 'X' && text[17] == 'x')) && province >= 11 &&
           province <= 83 && date_valid(text + 6);
}

/* GB 32100-2015: base 31 without I, O, S, V, Z; weights 3^i mod 31. The first character says which
 * office registered it, the second what it is, then the region in six digits. */
int ml_cn_credit_valid(const char text[18])
{
    static const char alphabet[] = "0123456789ABCDEFGHJKLMNPQRTUWXY";
    int sum = 0, weight = 1, last = -1;
    for (int i = 0; i < 18; i++) {
        const char *at = text[i] ? strchr(alphabet, text[i]) : NULL;
        if (!at || (i >= 2 && i < 8 && !isdigit((unsigned char)text[i])))
            return 0;
        last = (int)(at - alphabet);
        if (i < 17)
            sum += last * weight;
        weight = weight * 3 % 31;
    }
    return strchr("123456789ANY", text[0]) && (31 - sum % 31) % 31 == last;
}
