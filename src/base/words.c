#include "base/words.h"

#include <stddef.h>
#include <string.h>

#define MAX_WORD 64 /* bytes; nobody mistypes a longer key and hopes for a suggestion */

static int least(int a, int b)
{
    return a < b ? a : b;
}

int ml_word_distance(const char *a, const char *b)
{
    size_t na = strlen(a), nb = strlen(b);
    if (na > MAX_WORD || nb > MAX_WORD)
        return strcmp(a, b) == 0 ? 0 : (int)(na > nb ? na : nb);
    /* Row i holds the distances of a's first i bytes to b's prefixes; a swap looks two rows back.
     */
    int rows[3][MAX_WORD + 1];
    for (size_t j = 0; j <= nb; j++)
        rows[0][j] = (int)j;
    for (size_t i = 1; i <= na; i++) {
        int *row = rows[i % 3], *above = rows[(i - 1) % 3], *above2 = rows[(i + 1) % 3];
        row[0] = (int)i;
        for (size_t j = 1; j <= nb; j++) {
            int change = above[j - 1] + (a[i - 1] != b[j - 1]);
            row[j] = least(change, least(above[j], row[j - 1]) + 1);
            if (i > 1 && j > 1 && a[i - 1] == b[j - 2] && a[i - 2] == b[j - 1])
                row[j] = least(row[j], above2[j - 2] + 1);
        }
    }
    return rows[na % 3][nb];
}

const char *ml_word_nearest(const char *word, const char *const *words, int n)
{
    int allowed = (int)strlen(word) / 3;
    allowed = allowed < 2 ? 2 : allowed;
    const char *nearest = NULL;
    for (int i = 0; i < n; i++) {
        int distance = ml_word_distance(word, words[i]);
        /* "x" is no typo of "dim": a suggestion shares something with what was typed. */
        if (distance > allowed || (size_t)distance >= strlen(words[i]))
            continue;
        allowed = distance - 1;
        nearest = words[i];
    }
    return nearest;
}
