"""Punctuation by rules alone: what the table has to beat."""

from dialogues import COMMA, NONE, QUESTION, STOP
from features import ASKING, asking, is_han, language, NOTHING

BEFORE = set("但是 可是 不过 所以 因为 如果 而且 然后 虽然 but because so and although however if".split())
AFTER = set("好的 是的 你好 您好 谢谢 请问 yes no well okay ok oh please thanks hi hello".split())
AUXILIARIES = set(
    "do does did is are was were am can could will would shall should may have has had what who whom whose which where when "
    "why how isn't aren't don't didn't doesn't won't can't couldn't wouldn't haven't hasn't".split()
)
CLAUSE_MIN = 3
LONG = {"z": 14, "e": 16}


def marks(tokens):
    """The mark behind each token."""
    lang = language(tokens)
    found = [NONE] * len(tokens)
    since = 0
    for at in range(len(tokens) - 1):
        pair = tokens[at + 1] + (tokens[at + 2] if lang == "z" and at + 2 < len(tokens) else "")
        said = tokens[at] if lang == "e" else (tokens[at - 1] if at else "") + tokens[at]
        clause = at + 1 - since
        if clause >= CLAUSE_MIN and pair in BEFORE or clause <= 2 and said in AFTER:
            found[at] = COMMA
        elif lang == "z" and tokens[at] == "吗":
            found[at] = QUESTION
        if found[at]:
            since = at + 1
    last = len(tokens) - 1
    sentence = max([i + 1 for i in range(last) if found[i] >= STOP], default=0)
    if lang == "z":
        asks = tokens[last] in ("吗", "呢", "么", "吧") or asking(tokens, sentence, last) != NOTHING
    else:
        asks = tokens[since] in AUXILIARIES
    found[last] = QUESTION if asks else STOP
    return found
