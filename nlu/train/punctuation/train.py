"""Learns which marks stand where in dialogues, and writes the table, its card and a table of examples. Needs numpy, scipy and
scikit-learn; one thread, some minutes.

    python train.py SHARED_FOLDER nlu/models
"""

import pathlib
import struct
import sys
from collections import Counter

import numpy
import scipy.sparse
from sklearn.linear_model import LogisticRegression

import card
import dialogues
import rules
from dialogues import COMMA, NONE, QUESTION, STOP
from features import features, hashed, language, places

NAMES = {COMMA: "comma", STOP: "stop", QUESTION: "question"}
# A feature has to be seen so often.
SEEN_MIN = 2
# Weights are sixteenths, of 8 bits; what is smaller than the least for every mark is left out.
SCALE = 16.0
LEAST = 0.18
STRENGTH = 1.0
# What is added to the odds of no mark at all, by language; chosen on dialogues that were learnt from.
RESTRAINT = [round(-1.0 + 0.1 * step, 1) for step in range(21)]


def learn(texts):
    """Weights by feature: of no mark, comma, stop, question."""
    seen = Counter()
    rows, labels = [], []
    for tokens, marks in texts:
        for row, mark in places(tokens, marks):
            rows.append(row)
            labels.append(mark)
            seen.update(row)
    index = {feature: i for i, feature in enumerate(sorted(f for f, n in seen.items() if n >= SEEN_MIN))}
    columns = [[index[f] for f in row if f in index] for row in rows]
    ends = numpy.cumsum([0] + [len(row) for row in columns])
    flat = numpy.concatenate([numpy.array(row, numpy.int32) for row in columns])
    table = scipy.sparse.csr_matrix((numpy.ones(len(flat), numpy.float32), flat, ends), (len(rows), len(index)))
    model = LogisticRegression(C=STRENGTH, max_iter=200, fit_intercept=False, tol=2e-4).fit(table, labels)
    weights = numpy.clip(numpy.round(model.coef_.T * SCALE), -127, 127)
    return {feature: weights[i] for feature, i in index.items() if abs(weights[i]).max() >= LEAST * SCALE}


def predict(weights, tokens, restraint):
    """The marks of a text, from its beginning on; the last one ends a sentence."""
    lang = language(tokens)
    since = sentence = 0
    found = []
    for at in range(len(tokens)):
        scores = numpy.zeros(4)
        for feature in features(tokens, at, since, sentence, lang):
            if feature in weights:
                scores += weights[feature]
        scores[NONE] += restraint[lang] * SCALE
        if at == len(tokens) - 1:
            scores[:STOP] = -numpy.inf
        mark = int(scores.argmax())
        found.append(mark)
        if mark:
            since = at + 1
        if mark >= STOP:
            sentence = at + 1
    return found


def figures(texts, by):
    """Precision, recall and F1 by mark, and F1 of there being any mark inside a text."""
    counts = Counter()
    for tokens, marks in texts:
        for place, (truth, said) in enumerate(zip(marks, by(tokens))):
            for mark in (COMMA, STOP, QUESTION):
                counts[mark, "right"] += truth == said == mark
                counts[mark, "said"] += said == mark
                counts[mark, "true"] += truth == mark
            if place < len(marks) - 1:
                counts["inside", "right"] += bool(truth) and bool(said)
                counts["inside", "said"] += bool(said)
                counts["inside", "true"] += bool(truth)
    share = lambda a, b: a / b if b else 0.0
    out = {}
    for mark in (COMMA, STOP, QUESTION, "inside"):
        right, said, true = (counts[mark, key] for key in ("right", "said", "true"))
        precision, recall = share(right, said), share(right, true)
        out[NAMES.get(mark, mark)] = (precision, recall, share(2 * precision * recall, precision + recall), true)
    return out


def restraints(weights, texts):
    """The restraint by language with the best F1 of marks inside."""
    best = {}
    for lang in "ze":
        own = [text for text in texts if language(text[0]) == lang]
        score = lambda value: mean(figures(own, lambda tokens: predict(weights, tokens, {lang: value})))
        best[lang] = max(RESTRAINT[::2], key=score)
    return best


def mean(told):
    return sum(told[name][2] for name in ("comma", "stop", "question")) / 3


def main(shared, models):
    found = dialogues.turns(pathlib.Path(shared) / "data" / "text")
    learnt, held = {}, {}
    for name, own in found.items():
        learnt[name], held[name] = dialogues.split(own)
    texts = [text for own in learnt.values() for text in own if text[0]]
    # Every tenth text chooses the restraint.
    weights = learn([text for i, text in enumerate(texts) if i % 10])
    restraint = restraints(weights, [text for i, text in enumerate(texts) if not i % 10])
    print("features", len(weights), "restraint", restraint)
    told = {}
    for name, own in held.items():
        own = [text for text in own if text[0]]
        told[name] = {
            "table": figures(own, lambda tokens: predict(weights, tokens, restraint)),
            "rules": figures(own, rules.marks),
            "texts": len(own),
        }
        for way in ("table", "rules"):
            print(name, len(own), way, {k: tuple(round(x, 3) for x in v) for k, v in told[name][way].items()})
    write(weights, restraint, told, pathlib.Path(models))
    examples(weights, restraint)


def write(weights, restraint, told, models):
    """`punctuation.bin`: restraints and entries in order of their hash; all little-endian."""
    entries = sorted((hashed(feature), *map(int, values)) for feature, values in weights.items())
    kept = {}
    for entry in entries:
        kept.setdefault(entry[0], entry)
    out = struct.pack("<4sff", b"PUN1", restraint["z"], restraint["e"])
    out += b"".join(struct.pack("<I4b", *entry) for entry in kept.values())
    (models / "punctuation.bin").write_bytes(out)
    (models / "punctuation.md").write_text(card.written(told, len(kept), len(out)), encoding="utf-8")


def examples(weights, restraint):
    """Texts of our own with what is set in them, so that the program is held to the same."""
    here = pathlib.Path(__file__).resolve().parent
    lines = []
    for text in (here / "examples.txt").read_text(encoding="utf-8").splitlines():
        tokens, _ = dialogues.marked(text)
        marks = predict(weights, tokens, restraint)
        lines.append(f"{text}\t{''.join('-,.?'[mark] for mark in marks)}\n")
    (here.parent.parent / "src" / "punctuation" / "examples.tsv").write_text("".join(lines), encoding="utf-8")


if __name__ == "__main__":
    main(*sys.argv[1:])
