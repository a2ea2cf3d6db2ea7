#!/usr/bin/env python3
"""Golden ids of the tokenizer: what Hugging Face's `tokenizers` makes of tokenizer.json files that
Maliang wrote.

    tools/golden/tokenizer.py BUILD/bench/bench_bpe

trains a small tokenizer for each pre-tokeniser with bench_bpe on the text below, adds special tokens
to the file, encodes tricky strings with `tokenizers`, and writes tests/golden/tokenizer_NAME.json and
tests/golden/tokenizer_ids.txt (name, text in hexadecimal, ids). Needs: tokenizers.
"""
import json
import pathlib
import subprocess
import sys
import tempfile

import tokenizers

GOLDEN = pathlib.Path(__file__).resolve().parents[2] / "tests" / "golden"
NAMES = ["qwen2", "gpt2", "char", "smollm", "llama3"]
MERGES = 250

# Li Bai, Wang Zhihuan, Meng Haoran; Aesop, retold. All in the public domain.
TRAIN = """\
床前明月光，疑是地上霜。舉頭望明月，低頭思故鄉。
白日依山盡，黃河入海流。欲窮千里目，更上一層樓。
春眠不覺曉，處處聞啼鳥。夜來風雨聲，花落知多少。
移舟泊煙渚，日暮客愁新。野曠天低樹，江清月近人。
The Fox and the Grapes. A fox, who hadn't eaten all day, saw ripe grapes hanging from a vine. He
jumped and jumped again, but he couldn't reach them. "They're sour," said the fox, and went away;
"I wouldn't have eaten them if they'd fallen into my mouth." It's easy to despise what you can't get.
The Crow and the Pitcher. A crow, dying of thirst, found a pitcher with a little water at the bottom.
She dropped pebbles into the pitcher, one after another, until the water rose: 1, 2, 3, 10, 20, 2026.
    for (int i = 0; i < 1024; i++) {
        total += 3.14159 * (i + 1000);
    }
the water, the pitcher, the fox, the crow, the grapes, the end. 明月 明月 山 山 人 人 2026 2026 1024
"""

TEXTS = [
    "",
    "Hello, world!",
    "the fox  and   the grapes",
    "  leading and trailing  ",
    "tabs\tand\t\tmore\r\nline ends\n\n\n  and blanks \n \n x",
    " \n",
    "\n \n\n",
    "床前明月光，疑是地上霜。",
    "舉頭望明月，\n低頭思故鄉。\n",
    "白日依山盡 and 黃河入海流 mixed文字text",
    "emoji 😀👍🏽 👨\u200d👩\u200d👧\u200d👦 🇨🇳 end",
    "digits 1 12 123 1234 12345 3.14159 1,000,000 ٣٤٥ Ⅷ ½ ²",
    "contractions: I'm you're he'll she'd we've it's don't 'S 'LL 'Re 'ſ ’s '' 's's",
    "code: for(i=0;i<10;i++){x+=1;} // ok!!! ??? ... ---===---",
    "controls \x01\x02\x1f\x7f\x80\x85\x9f end",
    "spaces \u00a0\u1680\u180e\u2000\u200a\u200b\u2028\u2029\u202f\u205f\u3000 end",
    "\u3000\u3000春眠不覺曉",
    "cafe\u0301 caf\u00e9 A\u030angstrom \u212a \u2126 \ufb01",
    "हिन्दी ภาษาไทย العربية עברית ελληνικά русский 한국어 日本語のテキスト",
    "𝔘𝔫𝔦𝔠𝔬𝔡𝔢 𠀀𠀁 \U0010ffff \ufffd \ufeff",
    "<|endoftext|>",
    "a<|endoftext|>b<|title|>春曉<|title|><|end",
    "<|title|> <|titles|>\n<|title|>",
    "say nǐhǎo now, 你好呀！你好 你好呀呀",
    "word" * 30 + " " * 40 + "1" * 50 + "明月" * 40,
    "_under_score __init__ a_b-c/d\\e@f#g$h%i^j&k*l(m)n",
    "x\u0000y",
]


def main():
    if len(sys.argv) != 2:
        sys.exit(__doc__)
    lines = []
    with tempfile.TemporaryDirectory() as folder:
        source = pathlib.Path(folder) / "text.txt"
        source.write_text(TRAIN, encoding="utf-8", newline="")
        for name in NAMES:
            path = GOLDEN / f"tokenizer_{name}.json"
            subprocess.run([sys.argv[1], source, str(MERGES), name, path], check=True,
                           stdout=subprocess.DEVNULL)
            root = json.loads(path.read_text(encoding="utf-8"))
            at = len(root["model"]["vocab"])
            for content, special in [("<|endoftext|>", True), ("<|title|>", True),
                                     ("<|titles|>", True), ("你好呀", False)]:
                root["added_tokens"].append(
                    {"id": at, "content": content, "single_word": False, "lstrip": False,
                     "rstrip": False, "normalized": False, "special": special})
                at += 1
            root["model"]["ignore_merges"] = name == "llama3"
            if name == "smollm":  # the newer spelling of merges
                root["model"]["merges"] = [m.split(" ") for m in root["model"]["merges"]]
            path.write_text(json.dumps(root, ensure_ascii=False, separators=(",", ":")) + "\n",
                            encoding="utf-8")
            tokenizer = tokenizers.Tokenizer.from_file(str(path))
            for text in TEXTS:
                encoded = tokenizer.encode(text, add_special_tokens=False).ids
                assert tokenizer.decode(encoded, skip_special_tokens=False) == text, (name, text)
                lines.append("\t".join([name, text.encode("utf-8").hex(),
                                        " ".join(map(str, encoded))]))
    head = f"# made by tools/golden/tokenizer.py with tokenizers {tokenizers.__version__}\n"
    (GOLDEN / "tokenizer_ids.txt").write_text(head + "\n".join(lines) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
