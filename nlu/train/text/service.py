"""Customer-service sentences by recipe: templates with slots, four scenarios, two languages.

Many of them are polite complaints and ironic praise, where words alone deceive. Training, validation and test share
neither templates nor what goes wrong in them.
"""

import itertools
import pathlib
import random
import re
import tomllib

from corpora import Text, upset

FOLDER = pathlib.Path(__file__).parent / "service"
# kind -> emotion, polarity, offensive, intents
KINDS = {
    "polite": ("dissatisfaction", "negative", "civil", {"complaint"}),
    "ironic": ("dissatisfaction", "negative", "civil", {"complaint"}),
    "angry": ("anger", "negative", "civil", {"complaint"}),
    "abuse": ("anger", "negative", "offensive", {"complaint", "abuse"}),
    "threat": ("anger", "negative", "civil", {"complaint", "threat"}),
    "refund": ("neutral", "neutral", "civil", {"refund"}),
    "cancel": ("neutral", "neutral", "civil", {"cancel"}),
    "human": ("neutral", "neutral", "civil", {"human"}),
    "anxious": ("anxiety", "negative", "civil", set()),
    "sad": ("sadness", "negative", "civil", set()),
    "thanks": ("joy", "positive", "civil", {"thanks"}),
    "praise": ("joy", "positive", "civil", set()),
    "inquiry": ("neutral", "neutral", "civil", set()),
}
# Sentences tried per template: those of kinds that words deceive about, and the others.
COUNTS = {"train": (60, 40), "validation": (32, 28), "test": (32, 28)}
DECEPTIVE = {"polite", "ironic"}
SEED = 6


def sentences():
    """All of them as texts of the corpora `service_zh` and `service_en`."""
    slots = tomllib.loads((FOLDER / "slots.toml").read_text(encoding="utf-8"))
    dice = random.Random(SEED)
    found = []
    for part, language in itertools.product(COUNTS, ("zh", "en")):
        pieces = slots["pieces"][language] | {"days": slots["days"][language]}
        for kind, more, template in templates(FOLDER / f"{part}.{language}.txt"):
            count = COUNTS[part][kind not in DECEPTIVE]
            made = {fill(template, slots[part][language], pieces, slots["hello"][language], dice) for _ in range(count)}
            found += [labelled(text, language, part, kind, more, template) for text in sorted(made)]
    return found


def templates(path):
    """The kind of each template, its further intents (`# polite +refund`), and the template."""
    kind, more = None, set()
    for line in path.read_text(encoding="utf-8").splitlines():
        if line.startswith("# "):
            kind, *more = line[2:].replace("+", "").split()
        elif line:
            yield kind, set(more), line


def fill(template, scenarios, pieces, hello, dice):
    slots = scenarios[dice.choice(sorted(scenarios))] | pieces
    values = lambda match: dice.choice(slots[match[1]])
    return dice.choice(hello) + re.sub(r"\{(\w+)\}", values, template)


def labelled(text, language, part, kind, more, template):
    emotion, polarity, offensive, intents = KINDS[kind]
    refund = {"refund"} if mentions(text, ("退款", "退钱", "refund")) else set()
    labels = {"emotion": emotion, "polarity": polarity, "offensive": offensive, "intent": intents | more | refund}
    labels |= upset(labels) | {"kind": kind, "template": template}
    return Text(text, f"service_{language}", language, part, labels)


def mentions(text, words):
    return any(word in text for word in words)
