/* The rules and their published limits (data/quality.h). */
#include <math.h>
#include <string.h>

#include "base/fail.h"
#include "base/words.h"
#include "data/quality.h"

#define NONE HUGE_VAL

/* Where characters are words, limits that count words are in characters: a Chinese word has some
 * 1.6 of them, so 50 words are 80 characters; the runs of repeated "words" are twice as long
 * (quality.c). Lines end in 。 as often as in a full stop, and are half as long in characters. */
static const struct ml_quality_rule rules[] = {
    {"gopher.words", ML_QUALITY_GOPHER, ML_METRIC_WORDS, 50, 100000, 80, 160000,
     "too few or too many words"},
    {"gopher.word_length", ML_QUALITY_GOPHER, ML_METRIC_WORD_LENGTH, 3, 10, -NONE, NONE,
     "mean length of words"},
    {"gopher.hashes", ML_QUALITY_GOPHER, ML_METRIC_HASHES, -NONE, 0.1, -NONE, 0.06,
     "many # for its words"},
    {"gopher.ellipses", ML_QUALITY_GOPHER, ML_METRIC_ELLIPSES, -NONE, 0.1, -NONE, 0.06,
     "many ... for its words"},
    {"gopher.bullet_lines", ML_QUALITY_GOPHER, ML_METRIC_BULLET_LINES, -NONE, 0.9, -NONE, 0.9,
     "mostly bullet lines"},
    {"gopher.ellipsis_lines", ML_QUALITY_GOPHER, ML_METRIC_ELLIPSIS_LINES, -NONE, 0.3, -NONE, 0.3,
     "many lines end in ..."},
    {"gopher.alpha_words", ML_QUALITY_GOPHER, ML_METRIC_ALPHA_WORDS, 0.8, NONE, 0.8, NONE,
     "few words with a letter"},
    {"gopher.stop_words", ML_QUALITY_GOPHER, ML_METRIC_STOP_WORDS, 2, NONE, 2, NONE,
     "lacks the common words of its language"},
    {"cjk.native", ML_QUALITY_GOPHER, ML_METRIC_NATIVE, -NONE, NONE, 0.5, NONE,
     "mostly not in its own script"},
    {"cjk.punctuation", ML_QUALITY_GOPHER, ML_METRIC_PUNCTUATION, -NONE, NONE, 0.01, 0.35,
     "no punctuation, or little else"},
    {"c4.lorem_ipsum", ML_QUALITY_C4, ML_METRIC_LOREM_IPSUM, -NONE, 0, -NONE, 0, "lorem ipsum"},
    {"c4.braces", ML_QUALITY_C4, ML_METRIC_BRACES, -NONE, 0, -NONE, 0, "a curly bracket: code"},
    {"c4.longest_word", ML_QUALITY_C4, ML_METRIC_LONGEST_WORD, -NONE, 1000, -NONE, 1000,
     "a word of over 1,000 characters"},
    {"c4.sentences", ML_QUALITY_C4, ML_METRIC_SENTENCES, 5, NONE, 5, NONE,
     "fewer than 5 sentences"},
    {"fineweb.ended_lines", ML_QUALITY_FINEWEB, ML_METRIC_ENDED_LINES, 0.12, NONE, 0.12, NONE,
     "few lines end like a sentence"},
    {"fineweb.short_lines", ML_QUALITY_FINEWEB, ML_METRIC_SHORT_LINES, -NONE, 0.67, -NONE, 0.67,
     "mostly short lines"},
    {"fineweb.dup_line_chars", ML_QUALITY_FINEWEB, ML_METRIC_DUP_LINE_CHARS, -NONE, 0.01, -NONE,
     0.01, "repeated lines"},
    {"fineweb.newlines", ML_QUALITY_FINEWEB, ML_METRIC_NEWLINES, -NONE, 0.3, -NONE, 0.2,
     "lists: many line ends for its words"},
    {"repetition.dup_lines", ML_QUALITY_REPETITION, ML_METRIC_DUP_LINES, -NONE, 0.3, -NONE, 0.3,
     "repeated lines"},
    {"repetition.dup_paragraphs", ML_QUALITY_REPETITION, ML_METRIC_DUP_PARAGRAPHS, -NONE, 0.3,
     -NONE, 0.3, "repeated paragraphs"},
    {"repetition.dup_line_chars", ML_QUALITY_REPETITION, ML_METRIC_DUP_LINE_CHARS, -NONE, 0.2,
     -NONE, 0.2, "characters in repeated lines"},
    {"repetition.dup_paragraph_chars", ML_QUALITY_REPETITION, ML_METRIC_DUP_PARAGRAPH_CHARS, -NONE,
     0.2, -NONE, 0.2, "characters in repeated paragraphs"},
    {"repetition.top_2gram", ML_QUALITY_REPETITION, ML_METRIC_TOP_2GRAM, -NONE, 0.20, -NONE, 0.20,
     "one pair of words again and again"},
    {"repetition.top_3gram", ML_QUALITY_REPETITION, ML_METRIC_TOP_3GRAM, -NONE, 0.18, -NONE, 0.18,
     "three words again and again"},
    {"repetition.top_4gram", ML_QUALITY_REPETITION, ML_METRIC_TOP_4GRAM, -NONE, 0.16, -NONE, 0.16,
     "four words again and again"},
    {"repetition.dup_5gram", ML_QUALITY_REPETITION, ML_METRIC_DUP_5GRAM, -NONE, 0.15, -NONE, 0.15,
     "repeated runs of 5 words"},
    {"repetition.dup_6gram", ML_QUALITY_REPETITION, ML_METRIC_DUP_6GRAM, -NONE, 0.14, -NONE, 0.14,
     "repeated runs of 6 words"},
    {"repetition.dup_7gram", ML_QUALITY_REPETITION, ML_METRIC_DUP_7GRAM, -NONE, 0.13, -NONE, 0.13,
     "repeated runs of 7 words"},
    {"repetition.dup_8gram", ML_QUALITY_REPETITION, ML_METRIC_DUP_8GRAM, -NONE, 0.12, -NONE, 0.12,
     "repeated runs of 8 words"},
    {"repetition.dup_9gram", ML_QUALITY_REPETITION, ML_METRIC_DUP_9GRAM, -NONE, 0.11, -NONE, 0.11,
     "repeated runs of 9 words"},
    {"repetition.dup_10gram", ML_QUALITY_REPETITION, ML_METRIC_DUP_10GRAM, -NONE, 0.10, -NONE, 0.10,
     "repeated runs of 10 words"},
};
enum { RULE_COUNT = sizeof rules / sizeof rules[0] };

const struct ml_quality_rule *ml_quality_rules(int *count)
{
    *count = RULE_COUNT;
    return rules;
}

void ml_quality_plan_init(struct ml_quality_plan *plan, unsigned sets)
{
    *plan = (struct ml_quality_plan){0};
    for (int i = 0; i < RULE_COUNT; i++) {
        if (!(rules[i].set & sets))
            continue;
        int at = plan->count++;
        plan->rules[at] = &rules[i];
        plan->low[at] = rules[i].low;
        plan->high[at] = rules[i].high;
        plan->low_cjk[at] = rules[i].low_cjk;
        plan->high_cjk[at] = rules[i].high_cjk;
    }
    plan->repetition = (sets & ML_QUALITY_REPETITION) != 0;
}

int ml_quality_plan_set(struct ml_quality_plan *plan, const char *name, double low, double high,
                        struct ml_error *err)
{
    const char *names[RULE_COUNT];
    for (int i = 0; i < plan->count; i++) {
        names[i] = plan->rules[i]->name;
        if (strcmp(names[i], name) != 0)
            continue;
        plan->low[i] = isnan(low) ? plan->low[i] : low;
        plan->low_cjk[i] = isnan(low) ? plan->low_cjk[i] : low;
        plan->high[i] = isnan(high) ? plan->high[i] : high;
        plan->high_cjk[i] = isnan(high) ? plan->high_cjk[i] : high;
        return 0;
    }
    const char *near = ml_word_nearest(name, names, plan->count);
    return ml_fail(err, ML_ERR_NOT_FOUND,
                   "there is no quality rule \"%.60s\" in the chosen sets%s%s%s", name,
                   near ? "; did you mean \"" : "", near ? near : "", near ? "\"?" : "");
}

/* Common words: the eight of Gopher's table for English, as common ones for the others. */
struct stop_list {
    const char *language;
    const char *words[ML_STOP_WORDS + 1];
};
static const struct stop_list stop_lists[] = {
    {"en", {"the", "be", "to", "of", "and", "that", "have", "with"}},
    {"fr", {"le", "la", "les", "de", "et", "que", "est", "dans", "des", "un", "une"}},
    {"de", {"der", "die", "das", "und", "ist", "nicht", "mit", "von", "den", "ein", "zu"}},
    {"es", {"el", "la", "los", "de", "y", "que", "en", "es", "un", "una", "las"}},
    {"it", {"il", "la", "di", "e", "che", "in", "un", "per", "non", "della", "una"}},
    {"pt", {"o", "a", "de", "e", "que", "em", "um", "para", "não", "uma", "os"}},
    {"nl", {"de", "het", "een", "van", "en", "is", "dat", "in", "niet", "te", "op"}},
    {"sv", {"och", "att", "det", "som", "en", "på", "är", "av", "för", "med", "ett"}},
    {"pl", {"i", "w", "na", "z", "się", "że", "nie", "do", "jest", "to", "o"}},
    {"tr", {"ve", "bir", "bu", "da", "de", "için", "ile", "çok", "olan", "olarak"}},
    {"id", {"yang", "dan", "di", "ini", "itu", "dengan", "untuk", "tidak", "dari", "pada"}},
    {"vi", {"và", "của", "là", "có", "các", "cho", "không", "được", "một", "người"}},
    {"ru", {"и", "в", "не", "на", "что", "с", "по", "как", "это", "он", "из"}},
    {"uk", {"і", "в", "не", "на", "що", "з", "та", "у", "до", "як", "це"}},
    {"ar", {"في", "من", "على", "إلى", "أن", "التي", "عن", "مع", "هذا", "ما", "لا"}},
    {"fa", {"و", "در", "به", "از", "که", "این", "را", "با", "است", "برای", "آن"}},
    {"ko", {"이", "그", "수", "있다", "있는", "것", "등", "및", "한", "할", "것이다", "하는"}},
    {"zh", {"的", "是", "在", "了", "和", "有", "不", "我", "一", "这", "之", "而"}},
    {"ja", {"の", "に", "は", "を", "た", "が", "で", "て", "と", "し", "れ", "さ"}},
};

const char *const *ml_stop_words(const char *language)
{
    for (size_t i = 0; language && i < sizeof stop_lists / sizeof stop_lists[0]; i++)
        if (strcmp(stop_lists[i].language, language) == 0)
            return stop_lists[i].words;
    return NULL;
}
