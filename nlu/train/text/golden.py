"""Writes nlu/tests/text/tokens.tsv: what the tokens of a handful of texts are, for the tests of both languages."""

import pathlib
from zlib import crc32

from tokens import grams, tokenize

TEXTS = [
    "太差了！", "你們的服務態度太差了", "I can’t wait 45 minutes", "ＯＫ　全角１２３", "哈哈哈哈哈哈", "呵呵[微笑]😡\ufe0f",
    "[a b] [] [12345678] [123456789] [[泪]", "don't DON’T 'quoted'", "转账10000块还没到账", "wtf!!!!!! 什么鬼啊啊啊啊",
    "我要 cancel 这个 order", "tab\tand\x0bcontrol\x07end", "naïve café Straße", "👨\u200d👩\u200d👧 family", "㍿ⅷ①½",
    "臺灣發現後麵乾淨", "a\u00a0b\u2028c", "é\u0301combining", "١٢٣ ৪৫", "ÀÉ İstanbul", "", "   ", "[", "]", "[泪", "@user #topic",
    "ok" * 200, "不" * 300, "长。" * 200,
]


def line(text):
    tokens = tokenize(text)
    hashes = grams(tokens)
    checksum = crc32(b"".join(gram.to_bytes(4, "little") for gram in hashes))
    return "\t".join([escaped(text), "|".join(tokens), str(len(hashes)), f"{checksum:08x}"])


def escaped(text):
    """As Rust's `escape_unicode` would be read back: all but plain signs and Chinese characters as \\u{...}."""
    return "".join(c if c.isprintable() and c not in "\\\t" else f"\\u{{{ord(c):x}}}" for c in text)


if __name__ == "__main__":
    path = pathlib.Path(__file__).parents[2] / "tests/text/tokens.tsv"
    path.write_text("\n".join(map(line, TEXTS)) + "\n", encoding="utf-8")
