#include "data/dataset_card.h"

#include <stdio.h>
#include <string.h>
#include <time.h>

#include "base/fail.h"
#include "base/progress.h"

enum { MAX_ROWS = 20, MAX_ANSWERS = 10 };

/* The first failure sticks, so that what follows reads as a text. */
struct card {
    struct ml_buffer *out;
    bool zh;
    int status;
    struct ml_error *err;
};

/* A text in each language. */
#define TELL(card, en, chinese) put_text(card, (card)->zh ? (chinese) : (en))
/* A format in each language and what both are filled with. */
#define SAY(card, en, chinese, ...)                                                                \
    do {                                                                                           \
        if ((card)->status == 0)                                                                   \
            (card)->status = ml_buffer_printf((card)->out, (card)->err,                            \
                                              (card)->zh ? (chinese) : (en), __VA_ARGS__);         \
    } while (0)

static void put(struct card *c, const char *text, size_t n)
{
    if (c->status == 0)
        c->status = ml_buffer_put(c->out, text, n, c->err);
}

static void put_text(struct card *c, const char *text)
{
    put(c, text, strlen(text));
}

/* Text from outside: nothing in it is Markdown, HTML or the end of a cell. */
static void put_plain(struct card *c, const char *text)
{
    for (; *text; text++) {
        unsigned char b = (unsigned char)*text;
        if (b < 0x20 || b == 0x7f) {
            put(c, " ", 1);
        } else {
            if (strchr("\\`*_{}[]()<>#|!~&$", b))
                put(c, "\\", 1);
            put(c, text, 1);
        }
    }
}

static const char *bytes_of(char buffer[32], int64_t bytes)
{
    return ml_format_bytes(buffer, 32, (double)bytes);
}

static const char *date_of(char buffer[16], int64_t seconds)
{
    struct tm day;
    time_t when = (time_t)seconds;
    if (!gmtime_r(&when, &day) || strftime(buffer, 16, "%Y-%m-%d", &day) == 0)
        return "?";
    return buffer;
}

/* ---- the front matter ---- */

static const char *size_category(int64_t n)
{
    static const struct {
        int64_t below;
        const char *name;
    } sizes[] = {{1000, "n<1K"},           {10000, "1K<n<10K"},    {100000, "10K<n<100K"},
                 {1000000, "100K<n<1M"},   {10000000, "1M<n<10M"}, {100000000, "10M<n<100M"},
                 {1000000000, "100M<n<1B"}};
    for (size_t i = 0; i < sizeof sizes / sizeof sizes[0]; i++)
        if (n < sizes[i].below)
            return sizes[i].name;
    return "1B<n<10B";
}

/* What is quoted as in JSON is a scalar of YAML. */
static void put_quoted(struct card *c, const char *text)
{
    char *quoted = NULL;
    json_t *value = json_string(text);
    if (c->status == 0 && !value)
        c->status = ml_fail(c->err, ML_ERR_MEMORY, "out of memory writing a card");
    if (c->status == 0)
        c->status = ml_json_text(&quoted, value, 0, c->err);
    json_decref(value);
    if (c->status == 0)
        put(c, quoted, strlen(quoted));
    ml_mem_free(quoted);
}

/* Tags of hubs are lower-case SPDX names; several licences, or none known, are "other". */
static void put_licence_tag(struct card *c, const struct ml_tally *licences)
{
    char tag[64] = "other";
    const char *only = licences->count == 1 ? licences->rows[0].name : "";
    if (*only && strlen(only) < sizeof tag) {
        size_t i = 0;
        for (; only[i]; i++)
            tag[i] = only[i] >= 'A' && only[i] <= 'Z' ? (char)(only[i] + 32) : only[i];
        tag[i] = '\0';
    }
    TELL(c, "license: ", "license: ");
    put_quoted(c, tag);
    TELL(c, "\n", "\n");
}

static void front_matter(struct card *c, const struct ml_dataset_facts *f)
{
    TELL(c, "---\npretty_name: ", "---\npretty_name: ");
    put_quoted(c, f->dataset.name);
    TELL(c, "\n", "\n");
    put_licence_tag(c, &f->licences);
    bool any = false;
    for (size_t i = 0; i < f->languages.count; i++) {
        const char *name = f->languages.rows[i].name;
        if (!*name || strcmp(name, "und") == 0)
            continue;
        SAY(c, "%s- ", "%s- ", any ? "" : "language:\n");
        put_quoted(c, name);
        TELL(c, "\n", "\n");
        any = true;
    }
    SAY(c, "size_categories:\n- %s\n---\n\n", "size_categories:\n- %s\n---\n\n",
        size_category(f->dataset.records));
}

/* ---- tables ---- */

static void put_name(struct card *c, const char *name)
{
    if (*name)
        put_plain(c, name);
    else
        TELL(c, "*not stated*", "*未说明*");
}

static void table(struct card *c, const struct ml_tally *tally, const char *en, const char *zh)
{
    char bytes[32];
    SAY(c, "| %s | records | size |\n|---|---:|---:|\n",
        "| %s | 记录数 | 大小 |\n|---|---:|---:|\n", c->zh ? zh : en);
    for (size_t i = 0; i < tally->count && i < MAX_ROWS; i++) {
        TELL(c, "| ", "| ");
        put_name(c, tally->rows[i].name);
        SAY(c, " | %lld | %s |\n", " | %lld | %s |\n", (long long)tally->rows[i].count,
            bytes_of(bytes, tally->rows[i].bytes));
    }
    if (tally->count > MAX_ROWS)
        SAY(c, "\nand %zu more.\n", "\n另有 %zu 项。\n", tally->count - MAX_ROWS);
    TELL(c, "\n", "\n");
}

/* ---- sections ---- */

static void summary(struct card *c, const struct ml_dataset_facts *f)
{
    char bytes[32], day[16];
    const struct ml_dataset *d = &f->dataset;
    TELL(c, "# ", "# ");
    put_plain(c, d->name);
    SAY(c, ", version %d\n\n", " 第 %d 版\n\n", d->version);
    SAY(c,
        "%lld records, %s, made on %s. The list of them never changes; its SHA-256 is\n`%s`.\n\n",
        "共 %lld 条记录，%s，制于 %s。清单不再改变，其 SHA-256 为\n`%s`。\n\n",
        (long long)d->records, bytes_of(bytes, d->bytes), date_of(day, d->time), d->hash);
    TELL(c,
         "Every record was read and compared with its SHA-256 when this card was written. All "
         "numbers\nbelow are counts of what the records state.\n\n",
         "写此卡片时逐条读取了记录并核对其 SHA-256。以下数字都是对记录自身说明的统计。\n\n");
}

static void contents(struct card *c, const struct ml_dataset_facts *f)
{
    TELL(c, "## What is in it\n\n", "## 内容\n\n");
    table(c, &f->kinds, "kind", "种类");
    table(c, &f->types, "media type", "媒体类型");
    if (f->texts)
        SAY(c,
            "%lld texts of %lld characters in all: the shortest has %lld, the median %lld, the "
            "longest %lld.\n\n",
            "%lld 篇文本，共 %lld 字：最短 %lld，中位数 %lld，最长 %lld。\n\n", (long long)f->texts,
            (long long)f->characters, (long long)f->shortest, (long long)f->median,
            (long long)f->longest);
    int64_t media = f->dataset.records - f->texts;
    if (media)
        SAY(c, "%lld of %lld other records have a caption or a transcript.\n\n",
            "其他记录中有 %lld 条（共 %lld 条）带说明或转写。\n\n", (long long)f->captions,
            (long long)media);
    if (f->languages.count) {
        TELL(c, "## Languages\n\n", "## 语言\n\n");
        table(c, &f->languages, "language", "语言");
    }
}

static void origins(struct card *c, const struct ml_dataset_facts *f)
{
    char first[16], last[16];
    TELL(c, "## Where it is from\n\n", "## 来源\n\n");
    table(c, &f->sources, "source", "来源");
    SAY(c, "Collected from %s to %s. Of folders only their own names are shown.\n\n",
        "收集于 %s 至 %s。目录只显示其自身的名字。\n\n", date_of(first, f->first_time),
        date_of(last, f->last_time));
    TELL(c, "## Licences and consent\n\n", "## 许可与同意\n\n");
    table(c, &f->licences, "licence (SPDX)", "许可证（SPDX）");
    table(c, &f->consents, "consent to training", "是否同意用于训练");
}

static void history(struct card *c, const struct ml_dataset_facts *f)
{
    TELL(c, "## How it was collected and curated\n\n", "## 收集与整理\n\n");
    if (f->curation.id) {
        TELL(c, "Curated from ", "整理自 ");
        put_plain(c, f->curated_from);
        SAY(c, " by a recipe (SHA-256 `%s`); %lld records were left out.\n\n",
            "，按配方（SHA-256 `%s`）；去掉 %lld 条记录。\n\n", f->curation.recipe_hash,
            (long long)f->dropped);
    }
    if (f->operations.count == 0) {
        TELL(c, "The records do not say how they were made.\n\n",
             "记录没有说明自己的形成过程。\n\n");
        return;
    }
    TELL(
        c,
        "| operation | records that went through it | records that it changed |\n|---|---:|---:|\n",
        "| 操作 | 经过的记录 | 改变的记录 |\n|---|---:|---:|\n");
    for (size_t i = 0; i < f->operations.count; i++) {
        TELL(c, "| ", "| ");
        put_plain(c, f->operations.rows[i].name);
        SAY(c, " | %lld | %lld |\n", " | %lld | %lld |\n", (long long)f->operations.rows[i].count,
            (long long)f->operations.rows[i].bytes);
    }
    TELL(c, "\n", "\n");
}

static void answers(struct card *c, const struct ml_queue_facts *q)
{
    if (q->answers.count == 0)
        return;
    TELL(c, "Answers in ", "队列 ");
    put_plain(c, q->name);
    TELL(c, ": ", " 的回答：");
    for (size_t i = 0; i < q->answers.count && i < MAX_ANSWERS; i++) {
        SAY(c, "%s", "%s", i ? (c->zh ? "，" : ", ") : "");
        put_plain(c, q->answers.rows[i].name);
        SAY(c, " %lld", " %lld", (long long)q->answers.rows[i].count);
    }
    if (q->answers.count > MAX_ANSWERS)
        SAY(c, " and %zu more", "，另有 %zu 种", q->answers.count - MAX_ANSWERS);
    TELL(c, ".\n\n", "。\n\n");
}

static void labels(struct card *c, const struct ml_dataset_facts *f)
{
    TELL(c, "## Labels\n\n", "## 标注\n\n");
    if (f->queue_count == 0) {
        TELL(c, "None.\n\n", "无。\n\n");
        return;
    }
    TELL(c,
         "| queue | kind | people | labels | labelled records | proposals of models |\n"
         "|---|---|---:|---:|---:|---:|\n",
         "| 队列 | 类型 | 标注人数 | 标注数 | 已标注记录 | 模型建议 "
         "|\n|---|---|---:|---:|---:|---:|\n");
    for (size_t i = 0; i < f->queue_count; i++) {
        const struct ml_queue_facts *q = &f->queues[i];
        TELL(c, "| ", "| ");
        put_plain(c, q->name);
        SAY(c, " | %s | %lld | %lld | %lld | %lld |\n", " | %s | %lld | %lld | %lld | %lld |\n",
            q->kind, (long long)q->annotators, (long long)q->labels, (long long)q->records,
            (long long)q->proposals);
    }
    TELL(c, "\n", "\n");
    for (size_t i = 0; i < f->queue_count; i++)
        answers(c, &f->queues[i]);
}

static void splits(struct card *c, const struct ml_dataset_facts *f)
{
    TELL(c, "## Splits\n\n", "## 划分\n\n");
    if (f->splits.count == 1 && !*f->splits.rows[0].name)
        TELL(c,
             "None is fixed. Training holds a share out by the SHA-256 of each text, so that equal "
             "texts are\nnever on both sides and a larger version keeps the split of a smaller "
             "one.\n\n",
             "没有固定的划分。训练时按每篇文本的 SHA-256 留出一部分：相同的文本不会分在两边，\n"
             "更大的版本沿用较小版本的划分。\n\n");
    else
        table(c, &f->splits, "split", "划分");
}

static int64_t denied(const struct ml_tally *consents)
{
    int64_t count = 0;
    for (size_t i = 0; i < consents->count; i++)
        if (strncmp(consents->rows[i].name, "denied", 6) == 0)
            count += consents->rows[i].count;
    return count;
}

static void limits(struct card *c, const struct ml_dataset_facts *f)
{
    const struct {
        int64_t count;
        const char *en, *zh;
    } known[] = {
        {ml_tally_of(&f->licences, ""), "do not state a licence", "没有说明许可证"},
        {denied(&f->consents), "come with a statement against training on them",
         "的来源声明不同意用于训练"},
        {ml_tally_of(&f->consents, ""),
         "do not state whether training on them is wanted or refused", "没有说明是否同意用于训练"},
        {f->repeated, "have the same bytes as another one", "与另一条的内容完全相同"},
        {f->replaced, "are no longer what their source holds", "的来源已有变动"},
        {f->found_languages, "have a language that was only identified by a model of n-grams",
         "的语言仅由 n 元模型识别"},
        {f->untitled, "have no title", "没有标题"},
    };
    for (size_t i = 0; i < sizeof known / sizeof known[0]; i++) {
        if (known[i].count <= 0)
            continue;
        SAY(c, "- %lld of %lld records %s.\n", "- %lld/%lld 条记录%s。\n",
            (long long)known[i].count, (long long)f->dataset.records,
            c->zh ? known[i].zh : known[i].en);
    }
    TELL(c,
         "- Nothing here says whether what the records tell is true, fair or fit for a purpose; "
         "look at a\n  sample before you use them.\n",
         "- 以上都不说明记录所述是否真实、公平或适用；使用前请抽样查看。\n");
}

int ml_dataset_card(struct ml_buffer *out, const struct ml_dataset_facts *facts, bool chinese,
                    struct ml_error *err)
{
    struct card card = {.out = out, .zh = chinese, .err = err};
    size_t before = out->size;
    ml_json_setup();
    front_matter(&card, facts);
    summary(&card, facts);
    contents(&card, facts);
    origins(&card, facts);
    history(&card, facts);
    labels(&card, facts);
    splits(&card, facts);
    TELL(&card, "## Known limits\n\n", "## 已知的局限\n\n");
    limits(&card, facts);
    if (card.status)
        out->size = before;
    return card.status;
}

int ml_dataset_limits(struct ml_buffer *out, const struct ml_dataset_facts *facts, bool chinese,
                      struct ml_error *err)
{
    struct card card = {.out = out, .zh = chinese, .err = err};
    limits(&card, facts);
    return card.status;
}
