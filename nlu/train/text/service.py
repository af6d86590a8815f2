"""Customer-service sentences by recipe: templates with slots, four scenarios, two languages.

Half of them are polite complaints and ironic praise, where words alone deceive. Training and test share neither
templates nor what goes wrong in them.
"""

import itertools
import pathlib
import random
import tomllib

from corpora import Text

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
# Complaints are what is asked for; the rest must not be taken for them.
UPSET = {"polite", "ironic", "angry", "abuse", "threat"}
COUNTS = {"train": {True: 14, False: 10}, "test": {True: 8, False: 7}}
SEED = 6


def sentences():
    """All of them as texts of the corpus `service`; a tenth of the training templates is for validation."""
    slots = tomllib.loads((FOLDER / "slots.toml").read_text(encoding="utf-8"))
    dice = random.Random(SEED)
    found = []
    for split, language in itertools.product(("train", "test"), ("zh", "en")):
        scenarios = slots[split][language]
        for index, (kind, template) in enumerate(templates(FOLDER / f"{split}.{language}.txt")):
            part = "validation" if split == "train" and index % 10 == 7 else split
            deceptive = kind in ("polite", "ironic")
            made = {fill(template, scenarios, slots, language, dice) for _ in range(4 * COUNTS[split][deceptive])}
            found += [labelled(text, language, part, kind) for text in sorted(made)]
    return found


def templates(path):
    kind = None
    for line in path.read_text(encoding="utf-8").splitlines():
        if line.startswith("# "):
            kind = line[2:]
        elif line:
            yield kind, line


def fill(template, scenarios, slots, language, dice):
    scenario = scenarios[dice.choice(sorted(scenarios))]
    text = template
    for name, values in {**scenario, "days": slots["days"][language]}.items():
        text = text.replace("{" + name + "}", dice.choice(values))
    return dice.choice(slots["hello"][language]) + text


def labelled(text, language, part, kind):
    emotion, polarity, offensive, intents = KINDS[kind]
    intents = set(intents) | ({"refund"} if kind != "refund" and mentions(text, ("退款", "退钱", "refund")) else set())
    labels = {"emotion": emotion, "polarity": polarity, "offensive": offensive, "intent": intents, "kind": kind}
    return Text(text, f"service_{language}", language, part, labels)


def mentions(text, words):
    return any(word in text for word in words)
