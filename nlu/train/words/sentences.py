"""What the synthesisers say: the phrases of our lists, service sentences, and what people write and say to each other.

Sentences of the corpora that we judge by are left out, so that nothing of them is known but the language.
"""

import csv
import random
import re
import sys
import tomllib

HAN = r"[\u4e00-\u9fff]"
# Characters of a sentence in Mandarin, words of one in English.
LENGTHS = {"zh": (2, 15), "en": (2, 11)}
SEED = 7


def phrases(root, language):
    """The phrases that are listened for as shipped."""
    listed = tomllib.loads((root / f"config/lexicons/phrases-{language}.toml").read_text(encoding="utf-8"))
    return [phrase for intent in listed["intent"] for phrase in intent["phrases"]]


def service(root, language):
    """Sentences of the text model's recipe."""
    sys.path.insert(0, str(root / "nlu/train/text"))
    import service as recipe

    return [text.text for text in recipe.sentences() if text.corpus == f"service_{language}"]


def spoken(shared, language):
    """Turns of dialogues, and reviews, cut at their signs."""
    texts = shared / "data/text"
    if language == "zh":
        rows = [*column(texts / "cped_dialogues_test.csv", "Utterance"), *column(texts / "waimai_10k.csv", 1)]
        rows += dialogues(texts / "xdailydialog_zh_dev.txt")
    else:
        rows = [*column(texts / "meld_train.csv", 0), *dialogues(texts / "xdailydialog_en_dev.txt")]
    return [piece.strip() for row in rows for piece in re.split(r"[，。！？；：、,.!?;:…~\n]+", row)]


def column(path, name):
    with path.open(encoding="utf-8-sig", newline="") as file:
        if isinstance(name, str):
            return [row[name] for row in csv.DictReader(file)]
        return [row[name] for row in csv.reader(file) if len(row) > name]


def dialogues(path):
    for line in path.read_text(encoding="utf-8").splitlines():
        yield from line.split("\t")[0].replace(" ’ ", "'").replace(" '", "'").split("__eou__")


def is_sayable(text, language):
    """Whether it is made of characters or of words alone, and neither too short nor too long."""
    shortest, longest = LENGTHS[language]
    if language == "zh":
        return re.fullmatch(f"{HAN}{{{shortest},{longest}}}", text) is not None
    return re.fullmatch(r"[A-Za-z' ]+", text) is not None and shortest <= len(text.split()) <= longest


def sentences(root, shared, language, count, tokens, apart):
    """So many sentences in a fixed order, a third of them of service; none of `apart`, by what they sound like."""
    dice = random.Random(SEED)
    apart = {tuple(tokens.of_text(text) or ()) for text in apart}
    found = []
    for pool, share in ((service(root, language), count // 3), (spoken(shared, language), count - count // 3)):
        pieces = sorted({piece for text in pool for piece in re.split(r"[，。！？；：,.!?;:]+", text)})
        pieces = [piece.strip() for piece in pieces if is_sayable(piece.strip(), language)]
        dice.shuffle(pieces)
        found += [piece for piece in pieces if tuple(tokens.of_text(piece) or ()) not in apart][:share]
    dice.shuffle(found)
    return found
