/* The one table of commands. Help, completion and parsing read it. */
#include "commands.h"

#include <string.h>

#define END                                                                                        \
    {                                                                                              \
        NULL, 0, NULL,                                                                             \
        {                                                                                          \
            NULL, NULL                                                                             \
        }                                                                                          \
    }

static const struct option global[] = {
    {"workspace",
     'w',
     "DIR",
     {"the workspace (default: $MALIANG_WORKSPACE, else maliang-workspace)",
      "工作区目录（默认：$MALIANG_WORKSPACE，否则 maliang-workspace）"}},
    {"json", 0, NULL, {"answer in JSON on stdout", "以 JSON 输出到标准输出"}},
    {"quiet", 'q', NULL, {"no progress, no remarks", "不显示进度与说明"}},
    {"threads",
     't',
     "N",
     {"use N threads (default: all processors)", "使用 N 个线程（默认：全部处理器）"}},
    {"isa",
     0,
     "NAME",
     {"use at most this instruction set: ref, avx2, avx512, avx512-vnni, avx512-bf16, amx (ARM: "
      "neon, "
      "neon-bf16)",
      "最多使用这一指令集：ref、avx2、avx512、avx512-vnni、avx512-bf16、amx（ARM：neon、neon-"
      "bf16）"}},
    {"device",
     0,
     "cpu|cuda|auto",
     {"compute on the processor (default), an NVIDIA GPU, or a GPU where there is one",
      "在处理器（默认）、NVIDIA GPU 上计算，或有 GPU 时用 GPU"}},
    {"help", 'h', NULL, {"show this help", "显示帮助"}},
    END,
};

static const struct option collect_options[] = {
    {"dataset",
     'd',
     "NAME",
     {"the dataset that the records belong to (default: default)",
      "记录所属的数据集（默认：default）"}},
    {"licence",
     0,
     "SPDX",
     {"licence of the material, such as CC-BY-4.0", "素材的许可证，如 CC-BY-4.0"}},
    {"max-file", 0, "MB", {"leave out larger files (default: 256)", "跳过更大的文件（默认：256）"}},
    {"depth",
     0,
     "N",
     {"follow links of web pages within their host (default: 0)",
      "在同一主机内跟随网页链接的层数（默认：0）"}},
    {"max-pages",
     0,
     "N",
     {"fetch at most N pages (default: 1000)", "最多抓取 N 个网页（默认：1000）"}},
    {"allow-host",
     0,
     "HOST",
     {"this host may have a private address; may be repeated", "允许此主机使用内网地址；可重复"}},
    {"allow-denied",
     0,
     NULL,
     {"collect also what says that it must not be used for training (it is marked)",
      "也收集声明不得用于训练的内容（会加标记）"}},
    END,
};

static const struct option datasets_options[] = {
    {"format",
     'f',
     "jsonl|jsonl.zst|webdataset|parquet|croissant",
     {"with export (default: by the ending of OUT)", "导出格式（默认：看输出的后缀）"}},
    {"language",
     0,
     "en|zh",
     {"of the card (default: that of the terminal)", "卡片的语言（默认：终端的语言）"}},
    {"shard",
     0,
     "MB",
     {"with webdataset: size of a shard (default: 512)", "webdataset 分片的大小（默认：512）"}},
    {"creator", 0, "NAME", {"with croissant: who publishes it", "croissant：发布者"}},
    {"url", 0, "URL", {"with croissant: where", "croissant：发布地址"}},
    END,
};

static const struct option label_options[] = {
    {"dataset", 'd', "NAME", {"with start: what is labelled", "start：要标注的数据集"}},
    {"task",
     0,
     "FILE",
     {"with start: what is asked, as YAML (docs/label.md)",
      "start：标注任务（YAML，见 docs/label.md）"}},
    {"annotator",
     'a',
     "NAME",
     {"with queue: whose labels these are (default: your user name); with import: whose they are "
      "where the file does not say",
      "queue：标注者（默认：用户名）；import：文件未说明时的标注者"}},
    {"skipped", 0, NULL, {"with queue: go over what you skipped", "queue：重看跳过的记录"}},
    {"format",
     'f',
     "label-studio|coco|csv",
     {"with export, import (default: .json is label-studio, .csv csv)",
      "导入导出的格式（默认：.json 为 label-studio，.csv 为 csv）"}},
    END,
};

static const struct option curate_options[] = {
    {"dry-run",
     'n',
     NULL,
     {"show what would go and why; write nothing", "只显示哪些会被去掉及原因，不写入"}},
    {"input", 'i', "NAME", {"curate this dataset", "要整理的数据集"}},
    {"output", 'o', "NAME", {"into this one", "整理结果的数据集"}},
    {"examples", 0, NULL, {"show examples of what was dropped", "显示被去掉的例子"}},
    END,
};

static const struct option find_options[] = {
    {"count", 'n', "N", {"answers at most (default: 10)", "最多显示 N 条（默认：10）"}},
    {"dataset", 'd', "NAME", {"look only in this dataset", "只在此数据集中查找"}},
    {"kind", 0, "KIND", {"only text, image, audio or video", "只找 text、image、audio 或 video"}},
    {"by",
     0,
     "both|words|meaning",
     {"search by words, by meaning, or both (default)", "按词、按意义或两者（默认）查找"}},
    {"near",
     0,
     "FILE",
     {"what is nearest to the text of a file, and how much of it is the same",
      "与文件内容最接近的记录及其重合程度"}},
    END,
};

static const struct option train_options[] = {
    {"set",
     's',
     "KEY=VALUE",
     {"change a value of the recipe, such as train.steps=500; repeatable",
      "修改配方中的值，如 train.steps=500；可重复"}},
    {"name",
     'n',
     "NAME",
     {"name of the run and of the model (default: the recipe's)",
      "训练与模型的名字（默认：配方中的名字）"}},
    {"out",
     'o',
     "DIR",
     {"folder of the run (default: WORKSPACE/runs/NAME)", "训练目录（默认：工作区/runs/名字）"}},
    {"restart",
     0,
     NULL,
     {"throw an earlier run of that name away instead of resuming it",
      "丢弃同名的旧训练而不是继续"}},
    {"explain",
     0,
     NULL,
     {"print the recipe with every value filled in and explained, and stop",
      "打印填满并注释每个值的配方，然后结束"}},
    END,
};

static const struct option write_options[] = {
    {"model",
     'm',
     "MODEL",
     {"a model of the workspace, a starter, or a folder (default: the newest model)",
      "工作区中的模型、自带模型或目录（默认：最新的模型）"}},
    {"set",
     's',
     "FIELD=TEXT",
     {"a field of the model's template, such as title=...; repeatable",
      "模型模板的字段，如 title=……；可重复"}},
    {"chat", 'c', NULL, {"talk: each line of input is a message", "对话：每行输入是一条消息"}},
    {"system",
     0,
     "TEXT",
     {"how the assistant should behave, with --chat", "与 --chat 同用：助手应当怎样"}},
    {"samples", 0, "N", {"write N texts at once (default: 1)", "一次写 N 份（默认：1）"}},
    {"max-tokens", 'n', "N", {"length at most (default: 256)", "最大长度（默认：256）"}},
    {"temperature",
     0,
     "X",
     {"0: always the likeliest; higher: bolder (default: 0.8)",
      "0：总选最可能的；越高越大胆（默认：0.8）"}},
    {"top-k",
     0,
     "N",
     {"choose among the N likeliest (default: all)", "只在最可能的 N 个中选（默认：全部）"}},
    {"top-p",
     0,
     "X",
     {"choose among the likeliest that make up this probability",
      "只在累计概率达到此值的最可能者中选"}},
    {"min-p",
     0,
     "X",
     {"leave out what is less than X times as likely as the likeliest",
      "去掉概率不到最可能者 X 倍的选项"}},
    {"repetition-penalty", 0, "X", {"above 1: avoid what was just said", "大于 1：避免重复"}},
    {"stop", 0, "TEXT", {"end before this text; repeatable", "遇到此文本即止；可重复"}},
    {"seed", 0, "N", {"same seed, same text (default: 0)", "相同种子得到相同文本（默认：0）"}},
    END,
};

static const struct option models_options[] = {
    {"format",
     'f',
     "gguf|safetensors",
     {"with export: for llama.cpp, or for transformers (default: gguf)",
      "导出格式：用于 llama.cpp 或 transformers（默认：gguf）"}},
    {"precision", 0, "f32|f16|bf16", {"with export (default: bf16)", "导出精度（默认：bf16）"}},
    {"files", 0, NULL, {"with remove: the files too", "删除时连同文件"}},
    END,
};

static const struct option bench_options[] = {
    {"seconds", 0, "X", {"how long to measure (default: 10)", "测量多久（默认：10）"}},
    {"layers", 0, "N", {"of the measured model (default: 6)", "被测模型的层数（默认：6）"}},
    {"width", 0, "N", {"(default: 384)", "宽度（默认：384）"}},
    {"heads", 0, "N", {"(default: 6)", "注意力头数（默认：6）"}},
    {"kv-heads", 0, "N", {"(default: as heads)", "键值头数（默认：同头数）"}},
    {"ffn", 0, "N", {"(default: 1024)", "前馈宽度（默认：1024）"}},
    {"context", 0, "N", {"(default: 256)", "上下文长度（默认：256）"}},
    {"batch", 0, "N", {"(default: 16 to train, 1 to generate)", "批大小（默认：训练 16，生成 1）"}},
    {"vocab", 0, "N", {"(default: 256)", "词表大小（默认：256）"}},
    {"precision", 0, "auto|f32|bf16", {"(default: auto)", "精度（默认：auto）"}},
    END,
};

static const struct option init_options[] = {
    {"database",
     0,
     "URL",
     {"keep the records in this PostgreSQL database", "把记录存入此 PostgreSQL 数据库"}},
    {"blobs", 0, "URL", {"keep the files in this S3 bucket", "把文件存入此 S3 存储桶"}},
    END,
};

static const struct option doctor_options[] = {
    {"deep",
     0,
     NULL,
     {"read every byte of the workspace and compare it with its hash",
      "读取工作区的全部内容并核对散列值"}},
    {"repair",
     0,
     NULL,
     {"mend what can be mended, and mark what cannot", "修复能修复的，标记不能修复的"}},
    END,
};

static const struct option no_options[] = {END};

static const char *const datasets_actions[] = {"list", "show", "card", "export", NULL};
static const char *const label_actions[] = {"start", "queue",  "status", "agreement",
                                            "learn", "export", "import", NULL};
static const char *const models_actions[] = {"list", "show", "export", "stage", "remove", NULL};
static const char *const bench_actions[] = {"kernels", "train", "generate", NULL};
static const char *const shells[] = {"bash", "zsh", "fish", NULL};

static const struct command commands[] = {
    {"init",
     "[FOLDER]",
     {"make a workspace, here or in a database and a bucket", "新建工作区，可放在数据库与存储桶中"},
     {"Collecting makes a workspace by itself; this is for one that several machines\n"
      "share. Both places are tried before it is made. Leave the password to PGPASSWORD\n"
      "or ~/.pgpass; the keys of S3 come from AWS_ACCESS_KEY_ID and\n"
      "AWS_SECRET_ACCESS_KEY.\n\n"
      "  maliang init shared --database postgresql://me@db/material?schema=news\n"
      "  maliang init shared --database ... --blobs s3://bucket/news?region=eu-west-1\n"
      "  maliang collect -w shared texts/\n",
      "collect 会自动新建本地工作区；此命令用于多台机器共用的工作区，新建前先试连两处。\n"
      "密码请放在 PGPASSWORD 或 ~/.pgpass，S3 密钥取自 AWS_ACCESS_KEY_ID 与\n"
      "AWS_SECRET_ACCESS_KEY。\n\n"
      "  maliang init shared --database postgresql://me@db/material?schema=news\n"
      "  maliang init shared --database ... --blobs s3://bucket/news?region=eu-west-1\n"
      "  maliang collect -w shared texts/\n"},
     init_options,
     NULL,
     0,
     1,
     run_init},
    {"collect",
     "PATH...",
     {"bring files, folders and web pages into the workspace", "把文件、目录和网页收进工作区"},
     {"Plain text, Markdown, JSONL, JSON, CSV, HTML, PDF, DOCX, EPUB, PPTX, ODT,\n"
      "subtitles, archives (zip, tar, 7z ...), WARC, pictures, sound and film with\n"
      "their captions; addresses of pages, feeds and sitemaps. Text may be UTF-8,\n"
      "UTF-16 or GB18030. Collecting again adds only what is new.\n\n"
      "  maliang collect --dataset tales texts/\n"
      "  maliang collect --dataset news https://example.org/feed.xml\n"
      "  maliang collect sqlite:notes.db?table=poems\n"
      "  maliang collect 'postgresql://me@db/cms?query=SELECT title, body FROM story'\n",
      "纯文本、Markdown、JSONL、JSON、CSV、HTML、PDF、DOCX、EPUB、PPTX、ODT、字幕、\n"
      "压缩包（zip、tar、7z 等）、WARC，以及图片、声音、影片及其说明；也可给网页、\n"
      "订阅源和站点地图的地址。文本编码可为 UTF-8、UTF-16、GB18030。再次收集只添加\n"
      "新内容。\n\n"
      "  maliang collect --dataset tales texts/\n"
      "  maliang collect --dataset news https://example.org/feed.xml\n"
      "  maliang collect sqlite:notes.db?table=poems\n"
      "  maliang collect 'postgresql://me@db/cms?query=SELECT title, body FROM story'\n"},
     collect_options,
     NULL,
     1,
     -1,
     run_collect},
    {"datasets",
     "[list | show NAME | card NAME | export NAME OUT]",
     {"list, describe and export datasets", "列出、说明、导出数据集"},
     {"NAME is the latest version, NAME@2 the second. A card describes the dataset for\n"
      "others, in Markdown. An export has the labels with it.\n\n"
      "  maliang datasets show tales\n"
      "  maliang datasets card tales --language zh > README.md\n"
      "  maliang datasets export tales tales.parquet\n"
      "  maliang datasets export tales folder --format croissant\n",
      "NAME 指最新版本，NAME@2 指第 2 版。卡片是写给他人的说明（Markdown）。\n"
      "导出时连同标注。\n\n"
      "  maliang datasets show tales\n"
      "  maliang datasets card tales --language zh > README.md\n"
      "  maliang datasets export tales tales.parquet\n"
      "  maliang datasets export tales folder --format croissant\n"},
     datasets_options,
     datasets_actions,
     0,
     3,
     run_datasets},
    {"label",
     "[start | queue | status | agreement | learn | export | import] [QUEUE] [FILE]",
     {"label a dataset with the keyboard, alone or with others", "用键盘标注数据集，可多人"},
     {"A queue is a dataset and a task: choose one or several labels, mark spans, rate\n"
      "or write. Every answer is kept at once; u takes it back. What a model proposed\n"
      "comes first, the least sure before the surer. docs/label.md explains all of it.\n\n"
      "  maliang label start mood --dataset poems --task mood.yaml\n"
      "  maliang label queue mood\n"
      "  maliang label learn mood           a classifier proposes the rest\n"
      "  maliang label agreement mood\n"
      "  maliang label export mood tasks.json\n",
      "队列 = 数据集 + 任务：单选、多选、标片段、评分或写文字。答案即时保存，u 撤销。\n"
      "模型给出建议的先来，把握小的在前。详见 docs/label.md。\n\n"
      "  maliang label start mood --dataset poems --task mood.yaml\n"
      "  maliang label queue mood\n"
      "  maliang label learn mood           分类器为其余记录给出建议\n"
      "  maliang label agreement mood\n"
      "  maliang label export mood tasks.json\n"},
     label_options,
     label_actions,
     0,
     3,
     run_label},
    {"curate",
     "RECIPE",
     {"clean a dataset by a recipe: language, quality, duplicates, privacy, splits",
      "按配方整理数据集：语言、质量、去重、隐私、划分"},
     {"A recipe is a YAML file with input, output and steps; recipes/curate.yaml is a\n"
      "good start and docs/curate.md lists every step. The input stays as it is.\n\n"
      "  maliang curate recipes/curate.yaml -i tales -o tales-clean --dry-run\n"
      "  maliang curate recipes/curate.yaml -i tales -o tales-clean\n",
      "配方是含 input、output、steps 的 YAML 文件；可从 recipes/curate.yaml 开始，\n"
      "全部步骤见\n"
      "docs/curate.md。输入数据集保持不变。\n\n"
      "  maliang curate recipes/curate.yaml -i tales -o tales-clean --dry-run\n"
      "  maliang curate recipes/curate.yaml -i tales -o tales-clean\n"},
     curate_options,
     NULL,
     1,
     1,
     run_curate},
    {"find",
     "[WORD...]",
     {"search the workspace by words and by meaning", "按词和意义搜索工作区"},
     {"The index is made at the first search and brought up to date at each. Chinese\n"
      "needs no blanks between words.\n\n"
      "  maliang find fox and grapes\n"
      "  maliang find 春夜 喜雨 --dataset tang\n"
      "  maliang find --near draft.txt\n",
      "首次搜索时建立索引，之后自动更新。中文无需分词。\n\n"
      "  maliang find fox and grapes\n"
      "  maliang find 春夜 喜雨 --dataset tang\n"
      "  maliang find --near draft.txt\n"},
     find_options,
     NULL,
     0,
     -1,
     run_find},
    {"train",
     "RECIPE",
     {"train a model by a recipe; the same command again resumes",
      "按配方训练模型；再次运行即继续"},
     {"A run survives being killed: the same command goes on exactly where it stopped.\n"
      "Its folder holds the checkpoints, metrics.jsonl, loss.png, TensorBoard events\n"
      "and, at the end, the model.\n\n"
      "  maliang train recipes/small.yaml --set data.dataset=tales\n"
      "  maliang train recipes/small.yaml --explain\n",
      "训练被中断也不丢失：再次运行同一命令，从断点精确继续。\n"
      "目录中有检查点、metrics.jsonl、loss.png、TensorBoard 事件，最后是模型。\n\n"
      "  maliang train recipes/small.yaml --set data.dataset=tales\n"
      "  maliang train recipes/small.yaml --explain\n"},
     train_options,
     NULL,
     1,
     1,
     run_train},
    {"write",
     "[PROMPT]",
     {"write text: continue a prompt, fill a form, or chat", "写文本：续写、按体裁写、或对话"},
     {"  maliang write --model small \"Once upon a time\"\n"
      "  maliang write --model verse --set form=qijue --set title=春夜\n"
      "  maliang write --model fables --set title=\"The Fox and the Moon\"\n"
      "  maliang write --model small --chat\n",
      "  maliang write --model small \"从前\"\n"
      "  maliang write --model verse --set form=七绝 --set title=春夜\n"
      "  maliang write --model fables --set title=\"The Fox and the Moon\"\n"
      "  maliang write --model small --chat\n"},
     write_options,
     NULL,
     0,
     1,
     run_write},
    {"models",
     "[list | show MODEL | export MODEL FILE | stage MODEL STAGE | remove MODEL]",
     {"list, inspect and export models", "列出、查看、导出模型"},
     {"Stages: candidate, canary, production, archived.\n\n"
      "  maliang models\n"
      "  maliang models export small small.gguf --precision f16\n",
      "阶段：candidate、canary、production、archived。\n\n"
      "  maliang models\n"
      "  maliang models export small small.gguf --precision f16\n"},
     models_options,
     models_actions,
     0,
     3,
     run_models},
    {"bench",
     "[kernels | train | generate]",
     {"measure this machine against its own peak", "测量本机，与其峰值相比"},
     {"  maliang bench train --layers 12 --width 768 --heads 12 --ffn 2048\n",
      "  maliang bench train --layers 12 --width 768 --heads 12 --ffn 2048\n"},
     bench_options,
     bench_actions,
     0,
     1,
     run_bench},
    {"doctor",
     "",
     {"say what this machine and this build can do, and what is missing",
      "说明本机与此版本能做什么、缺什么"},
     {"With --workspace, --deep or --repair it also says whether the workspace is\n"
      "sound: rows against files, the database against its own rules, trainings that\n"
      "were killed. It fails when something is wrong and was not mended.\n\n"
      "  maliang doctor -w tales --deep\n"
      "  maliang doctor -w tales --repair\n",
      "带 --workspace、--deep 或 --repair 时还检查工作区是否完好：记录与文件是否相符、\n"
      "数据库自身是否一致、有无被中断的训练。有未修复的问题时以失败结束。\n\n"
      "  maliang doctor -w tales --deep\n"
      "  maliang doctor -w tales --repair\n"},
     doctor_options,
     NULL,
     0,
     0,
     run_doctor},
    {"completion",
     "bash|zsh|fish",
     {"print the completion for a shell", "打印 shell 补全脚本"},
     {"  source <(maliang completion bash)\n", "  source <(maliang completion bash)\n"},
     no_options,
     shells,
     1,
     1,
     run_completion},
};

const struct command *command_list(int *count)
{
    *count = (int)(sizeof commands / sizeof *commands);
    return commands;
}

const struct command *command_find(const char *name)
{
    int count;
    const struct command *list = command_list(&count);
    for (int i = 0; i < count; i++)
        if (strcmp(list[i].name, name) == 0)
            return &list[i];
    return NULL;
}

const struct option *global_options(void)
{
    return global;
}
