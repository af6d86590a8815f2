"""Punctuated turns of dialogues as tokens and the marks behind them, as `nlu/src/punctuation.rs` sees a text."""

import csv
import pathlib
import re

# What stands behind a token.
NONE, COMMA, STOP, QUESTION = range(4)
MARKS = {
    **dict.fromkeys(",，、;；:：", COMMA),
    **dict.fromkeys(".。!！…", STOP),
    **dict.fromkeys("?？", QUESTION),
}
# Points that end no sentence.
SHORT = re.compile(r"\b(mr|mrs|ms|dr|st|a ?\. ?m|p ?\. ?m|u ?\. ?s|no|etc|o)\s?\.", re.IGNORECASE)
TOKENS = re.compile(
    r"(?P<han>[㐀-鿿])|(?P<number>[0-9]+(?:[.,:：/-][0-9]+)*%?)|(?P<word>[^\W\d_㐀-鿿]+(?:['’-][^\W\d_㐀-鿿]+)*)|(?P<mark>[,，、;；:：.。!！…?？])"
)
# One of so many dialogues is never learnt from.
HELD_OUT = 5


def turns(folder):
    """Turns by corpus, each with the number of its dialogue: `{name: [(dialogue, text)]}`."""
    folder = pathlib.Path(folder)
    return {
        "xdailydialog zh": daily(folder / "xdailydialog_zh_dev.txt"),
        "xdailydialog en": daily(folder / "xdailydialog_en_dev.txt"),
        "bmeld zh": bmeld(folder / "bmeld_zh_en_train.csv", "Target"),
        "bmeld en": bmeld(folder / "bmeld_zh_en_train.csv", "Utterance"),
    }


def daily(path):
    found = []
    for number, line in enumerate(path.read_text(encoding="utf-8").splitlines()):
        found += [(number, text) for text in line.split("\t")[0].split("__eou__") if text.strip()]
    return found


def bmeld(path, column):
    with open(path, encoding="gb18030", errors="replace", newline="") as lines:
        return [(int(row["Dialogue_ID"]), row[column]) for row in csv.DictReader(lines) if row[column]]


def marked(text):
    """The tokens of a punctuated text in small letters, and what stands behind each; of marks in a row the last counts."""
    text = re.sub(r"\s*[’']\s*(?=(s|t|re|m|ll|ve|d)\b)", "'", text.replace("’", "'").replace("‘", "'"))
    text = SHORT.sub(lambda found: found[0].replace(".", " "), text)
    tokens, marks = [], []
    for found in TOKENS.finditer(text):
        if found.lastgroup != "mark":
            tokens.append("0" if found.lastgroup == "number" else found[0].lower().replace("’", "'"))
            marks.append(NONE)
        elif tokens:
            mark = MARKS[found[0]]
            marks[-1] = max(marks[-1], mark)
    if tokens and marks[-1] < STOP:
        marks[-1] = STOP
    return tokens, marks


def split(found):
    """What may be learnt from, and what is held out, by dialogue."""
    learnt = [text for dialogue, text in found if dialogue % HELD_OUT]
    held = [text for dialogue, text in found if not dialogue % HELD_OUT]
    return [marked(text) for text in learnt], [marked(text) for text in held]
