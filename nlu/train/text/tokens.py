"""What the text model sees of a text. `nlu/src/text/tokens.rs` says the same in Rust; a table of sentences holds both.

A text becomes tokens (a Chinese character, a word, a number, an emoticon in brackets, any other sign), and the tokens
become hashes of their n-grams.
"""

import pathlib
import unicodedata
from zlib import crc32

# The traditional characters, and in the second line what each is in simplified writing: one table for both languages.
TRADITIONAL, SIMPLIFIED = (pathlib.Path(__file__).parents[2] / "src/text/simplified.txt").read_text("utf-8").split()
# Later tokens are left out: more than a minute of fast speech.
TOKENS_MAX = 256
CHARACTERS_MAX = 16_384
# A sign said again and again says no more than three times.
REPEATS_MAX = 3
# Longest name of an emoticon between brackets, as [crying] in chats.
EMOTICON_MAX = 8
# Words at least this long also give the n-grams of their letters.
LONG_WORD_MIN = 4
INVISIBLE = {"\u200b", "\u200c", "\u200d", "\ufe0e", "\ufe0f", "\ufeff"}
APOSTROPHES = {"\u2019": "'", "\u2018": "'"}


TABLE = {ord(a): b for a, b in zip(TRADITIONAL, SIMPLIFIED, strict=True)}
TABLE |= {code: chr(code - 0xFEE0).lower() for code in range(0xFF01, 0xFF5F)}
TABLE |= {ord("\u3000"): " "} | {ord(a): b for a, b in APOSTROPHES.items()}
TABLE |= {code: chr(code + 32) for code in range(ord("A"), ord("Z") + 1)}
TABLE |= {ord(c): None for c in INVISIBLE}


def tokenize(text):
    """The tokens of `text`, at most `TOKENS_MAX`."""
    text = text.translate(TABLE)[:CHARACTERS_MAX]
    found, at = [], 0
    while at < len(text) and len(found) < TOKENS_MAX:
        end = token_end(text, at)
        token = text[at:end]
        at = end
        if is_blank(token[0]):
            continue
        if token[0] in DIGITS:
            token = "0"
        if found[-REPEATS_MAX:] != [token] * REPEATS_MAX:
            found.append(token)
    return found


def is_blank(character):
    return character.isspace() or unicodedata.category(character) == "Cc"


DIGITS = frozenset("0123456789")
LETTERS = frozenset("abcdefghijklmnopqrstuvwxyz")
WORD = LETTERS | {"'"}


def token_end(text, at):
    first = text[at]
    if first in LETTERS or first in DIGITS:
        kind = WORD if first in LETTERS else DIGITS
        end = at + 1
        while end < len(text) and text[end] in kind:
            end += 1
        return end
    if first == "[":
        close = text.find("]", at + 2, at + 2 + EMOTICON_MAX)
        name = text[at + 1 : close]
        if close > 0 and "[" not in name and not any(map(is_blank, name)):
            return close + 1
    return at + 1


def grams(tokens):
    """The hashes of all n-grams: of 1-3 tokens, and of 3-5 letters of long words. Sorted, each once."""
    found = set()
    encoded = [token.encode() for token in tokens]
    for at, token in enumerate(encoded):
        one = crc32(token)
        found.add(one)
        if at + 1 < len(encoded):
            two = crc32(b"\x01" + encoded[at + 1], one)
            found.add(two)
            if at + 2 < len(encoded):
                found.add(crc32(b"\x01" + encoded[at + 2], two))
        if len(token) >= LONG_WORD_MIN and tokens[at][0] in LETTERS:
            word = b"<" + token + b">"
            for size in (3, 4, 5):
                for start in range(len(word) - size + 1):
                    found.add(crc32(b"\x02" + word[start : start + size]))
    return sorted(found)
