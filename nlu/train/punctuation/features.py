"""What is looked at behind a token, and the table of weights; the same as in `nlu/src/punctuation/features.rs`."""

from dialogues import STOP

# Words that make questions; two Han characters are a word here.
ASKING = set(
    "什么 怎么 为何 谁 哪 多少 几 是否 难道 怎样 如何 吗 呢 么 吧 what who whom whose which where when why how "
    "isn't aren't don't didn't doesn't won't can't".split()
)
DISTANCE_MAX = 15
LEFT_MAX = 6
# Tokens back to which somebody may have asked.
ASKED_MAX = 40
NOTHING = "_"


def is_han(token):
    return "㐀" <= token[0] <= "鿿"


def language(tokens):
    return "z" if any(is_han(token) for token in tokens) else "e"


def features(tokens, at, since_mark, sentence, lang):
    """Of the place behind `tokens[at]`: `since_mark` and `sentence` are where the clause and the sentence begin."""
    here = lambda offset: tokens[at + offset] if 0 <= at + offset < len(tokens) else NOTHING
    t0, t1, t2, t3 = here(0), here(1), here(2), here(3)
    b1, b2 = here(-1), here(-2)
    distance = min(at - since_mark, DISTANCE_MAX)
    left = min(len(tokens) - 1 - at, LEFT_MAX)
    asks = asking(tokens, sentence, at)
    out = [
        lang,
        f"a{t0}", f"b{b1}|{t0}", f"c{b2}|{b1}|{t0}",
        f"d{t1}", f"e{t1}|{t2}", f"f{t1}|{t2}|{t3}",
        f"g{t0}|{t1}", f"h{b1}|{t0}|{t1}", f"i{t0}|{t1}|{t2}", f"j{b1}|{t0}|{t1}|{t2}",
        f"k{lang}{distance}", f"l{lang}{left}", f"m{lang}{distance}|{t1}", f"n{distance}|{t0}",
    ]
    first, second = tokens[sentence], tokens[sentence + 1] if sentence < at else NOTHING
    end = "!" if left == 0 else "."
    out += [f"o{end}{first}", f"p{end}{first}|{second}", f"q{end}{lang}{asks}"]
    if left == 0:
        out += [f"r{t0}", f"s{b1}|{t0}", f"t{first}|{t0}"]
    return out


def asking(tokens, start, at):
    """The last word that asks in the sentence so far, `A` for A-not-A, or nothing."""
    found = NOTHING
    for i in range(max(start, at - ASKED_MAX), at + 1):
        token = tokens[i]
        pair = token + tokens[i + 1] if i < at else ""
        if i + 2 <= at and tokens[i + 1] in ("不", "没") and token == tokens[i + 2]:
            found = "A"
        elif pair in ASKING:
            found = pair
        elif token in ASKING and token not in ("吗", "呢", "么", "吧"):
            found = token
    return found


def places(tokens, marks):
    """Features and mark of every place of a text whose marks are known."""
    lang = language(tokens)
    since_mark = sentence = 0
    for at, mark in enumerate(marks):
        yield features(tokens, at, since_mark, sentence, lang), mark
        if mark:
            since_mark = at + 1
        if mark >= STOP:
            sentence = at + 1


def hashed(feature):
    """FNV-1a, 32 bits."""
    value = 0x811C9DC5
    for byte in feature.encode():
        value = (value ^ byte) * 0x01000193 & 0xFFFFFFFF
    return value
