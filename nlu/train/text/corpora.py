"""The corpora of the text model: which file, which labels, which head, and who is test.

Tests are the published evaluation sets where the files have them, else a tenth of the texts by a hash of their letters.
No text is in two parts: what is in any test, or begins like a text of any test, is trained on nowhere.
"""

import csv
import hashlib
import unicodedata
from dataclasses import dataclass

POLARITY = ("negative", "neutral", "positive")
EMOTIONS = ("neutral", "anger", "anxiety", "sadness", "surprise", "joy", "dissatisfaction")
OFFENSIVE = ("civil", "offensive")
INTENTS = ("complaint", "refund", "cancel", "human", "threat", "abuse", "thanks")
# Whether somebody is angry or dissatisfied; emotions that are so.
UPSET = ("upset",)
UPSET_EMOTIONS = {"anger", "dissatisfaction"}
# Texts that share so many first letters are the same text with another end.
PREFIX = 24

EKMAN = {
    "neutral": "neutral", "anger": "anger", "angry": "anger", "fear": "anxiety", "worried": "anxiety",
    "sadness": "sadness", "sad": "sadness", "depress": "sadness", "surprise": "surprise", "astonished": "surprise",
    "joy": "joy", "happy": "joy", "grateful": "joy", "optimism": "joy",
    "disgust": "dissatisfaction", "negative-other": "dissatisfaction",
}
VALENCE = {
    "neutral": "neutral", "joy": "positive", "anger": "negative", "anxiety": "negative", "sadness": "negative",
    "dissatisfaction": "negative",
}
# What a review says of its writer, and what a word of thanks is in dialogues.
REVIEWER = {"negative": "dissatisfaction", "positive": "joy"}
REVIEWS = {"waimai_10k", "chnsenticorp_hotels", "online_shopping_10_cats", "nlpcc2014_product"}
DIALOGUES = {"cped": lambda row: row["DA"] == "thanking", "meld": lambda row: "thank" in row["text"].lower()}
BINARY = {"negative": "negative", "positive": "positive"}


@dataclass
class Corpus:
    """`files` maps a file to `train`, `test` or `split`; `head` is what its label speaks of; `among` the classes."""

    name: str
    language: str
    files: dict
    head: str
    labels: dict
    among: tuple
    columns: tuple = ("text", "label")


SIX = tuple(emotion for emotion in EMOTIONS if emotion != "dissatisfaction")
ENDS = ("negative", "positive")
CORPORA = [
    Corpus("waimai_10k", "zh", {"waimai_10k.csv": "split"}, "polarity", BINARY, ENDS),
    Corpus("chnsenticorp_hotels", "zh", {"chnsenticorp_hotels.csv": "split"}, "polarity", BINARY, ENDS),
    Corpus("weibo_senti_excerpt", "zh", {"weibo_senti_excerpt.csv": "split"}, "polarity", BINARY, ENDS),
    Corpus("online_shopping_10_cats", "zh", {"online_shopping_10_cats.csv": "split"}, "polarity", BINARY, ENDS),
    Corpus("nlpcc2014_product", "zh", {"nlpcc2014_product.csv": "split"}, "polarity", BINARY, ENDS),
    Corpus("smp2020_usual", "zh", {"smp2020_usual.csv": "train", "smp2020_usual_eval.csv": "test"}, "emotion", EKMAN, SIX),
    Corpus("smp2020_virus", "zh", {"smp2020_virus.csv": "train", "smp2020_virus_eval.csv": "test"}, "emotion", EKMAN, SIX),
    Corpus("cped", "zh", {"cped_dialogues_test.csv": "split"}, "emotion", EKMAN, EMOTIONS, ("Utterance", "Emotion")),
    Corpus("cold", "zh", {"cold_offensive_train.csv": "train", "cold_offensive_dev.csv": "test"}, "offensive",
           {"0": "civil", "1": "offensive"}, OFFENSIVE),
    Corpus("goemotions_ekman", "en", {"goemotions_ekman_train.csv": "train", "goemotions_ekman_dev.csv": "test"}, "emotion",
           EKMAN, EMOTIONS),
    Corpus("meld", "en", {"meld_train.csv": "split"}, "emotion", EKMAN, EMOTIONS),
    Corpus("tweeteval_emotion", "en", {"tweeteval_emotion_train.csv": "train", "tweeteval_emotion_val.csv": "test"}, "emotion",
           EKMAN, ("anger", "sadness", "joy")),
    Corpus("tweeteval_offensive", "en", {"tweeteval_offensive_train.csv": "train", "tweeteval_offensive_val.csv": "test"},
           "offensive", {"not-offensive": "civil", "offensive": "offensive"}, OFFENSIVE),
    Corpus("tweeteval_sentiment", "en", {"tweeteval_sentiment_val.csv": "split"}, "polarity",
           {name: name for name in POLARITY}, POLARITY),
]


@dataclass
class Text:
    """One text. `labels` maps a head to a class (`intent`, `upset`: to a set); a head that is missing is not known."""

    text: str
    corpus: str
    language: str
    part: str
    labels: dict


def letters(text):
    """What makes a text the same text: its letters, without case, spaces, signs and digits."""
    return "".join(c for c in unicodedata.normalize("NFKC", text).lower() if c.isalpha())


def digest(text):
    return int.from_bytes(hashlib.sha256(text.encode()).digest()[:4], "big")


def part_of(key, given):
    """A twentieth is validation, and where nothing is published a tenth is test."""
    if given == "test":
        return "test"
    bucket = digest(key) % 20
    return "test" if bucket < 2 and given == "split" else "validation" if bucket == 2 else "train"


def read(folder, corpus):
    for name, given in corpus.files.items():
        with open(folder / name, encoding="utf-8-sig", newline="") as file:
            for row in csv.DictReader(file):
                text, label = (row[column] for column in corpus.columns)
                label = label and corpus.labels.get(label.strip())
                if not text or not text.strip() or label is None:
                    continue
                labels = {corpus.head: label}
                if corpus.head == "emotion" and label in VALENCE:
                    labels["polarity"] = VALENCE[label]
                if corpus.name in REVIEWS:
                    labels["emotion"] = REVIEWER[label]
                if corpus.name in DIALOGUES:
                    labels["intent"] = {"thanks"} if DIALOGUES[corpus.name](row) else set()
                labels |= upset(labels)
                key = row.get("Dialogue_ID") or letters(text)
                yield Text(text, corpus.name, corpus.language, part_of(key, given), labels)


def upset(labels):
    """Whether the writer is upset, where other labels tell: who is pleased is not, who is negative need not be."""
    if "emotion" in labels:
        return {"upset": {"upset"} if labels["emotion"] in UPSET_EMOTIONS else set()}
    return {"upset": set()} if labels.get("polarity") == "positive" else {}


def load(folder):
    """All texts: those of the tests whole, the others without repetitions and without what a test holds."""
    texts = [text for corpus in CORPORA for text in read(folder, corpus)]
    keep, seen, starts = [], set(), set()
    for part in ("test", "validation", "train"):
        for text in texts:
            if text.part != part:
                continue
            key = letters(text.text) or text.text
            known = key in seen or (part != "test" and len(key) >= PREFIX and key[:PREFIX] in starts)
            # A short exclamation may be said twice, but not in two parts; published tests stay whole.
            if known and not (part == "test" and text.corpus in PUBLISHED):
                continue
            seen.add(key)
            if part != "train" and len(key) >= PREFIX:
                starts.add(key[:PREFIX])
            keep.append(text)
    return keep


PUBLISHED = {corpus.name for corpus in CORPORA if "test" in corpus.files.values()}
AMONG = {corpus.name: (corpus.head, corpus.among) for corpus in CORPORA}
SERVICE = ("service_zh", "service_en")
# What a label says of another head than its own is not always about all of its classes: an angry reviewer is only known
# to be dissatisfied, and people of dialogues may well threaten.
KNOWN = {(corpus, "emotion"): ("neutral", "joy", "dissatisfaction") for corpus in REVIEWS}
KNOWN |= {(corpus, "intent"): ("refund", "cancel", "human", "thanks") for corpus in DIALOGUES}
