"""Trains and judges the text model, and writes the graph, its JSON, its card and the pictures. Seeds are fixed."""

import argparse
import datetime
import json
import pathlib
import random
from dataclasses import replace

import numpy
import onnxruntime

import baseline
import card
import corpora
import deep
import embedding
import export
import judge
import noise
import rows
import service
import wide

VERSION = "0.4.0"
SEED, DEEP_SEED = 3, 0
# Of the training texts so many are also seen as a recogniser would write them.
HEARD = 0.25
DEEP_EPOCHS = 4
ROOT = pathlib.Path(__file__).parents[3]


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--shared", type=pathlib.Path, required=True)
    parser.add_argument("--work", type=pathlib.Path, required=True)
    options = parser.parse_args()
    texts = corpora.load(options.shared / "data/text") + service.sentences()
    parts, vocabulary = prepared(texts)
    taught = parts["train"].joined(parts["validation"].only(parts["validation"].own))
    broad = wide.Wide(len(vocabulary.grams) + 1).fit(taught, SEED)
    held = wide.held_out(taught, SEED)
    told = lambda epoch, _: print(f"deep part, epoch {epoch + 1} of {DEEP_EPOCHS}", flush=True)
    tokens = embedding.learnt(parts["train"].ids, 1 + rows.UNKNOWN + len(vocabulary.tokens), SEED)
    weights = deep.fit(parts["train"], tokens, DEEP_SEED, DEEP_EPOCHS, told)
    finish(options.work, texts, parts, vocabulary, broad, weights, held)


def prepared(texts):
    """Rows of all parts, `heard` being the test as recognised, and the vocabulary of the training."""
    train = [text for text in texts if text.part == "train"]
    noisy = noise.Noise([text.text for text in train])
    dice = random.Random(SEED)
    heard = lambda text: replace(text, text=noisy.recognised(text.text, dice))
    parts = {part: [text for text in texts if text.part == part] for part in ("validation", "test")}
    parts["train"] = train + [heard(text) for text in train if dice.random() < HEARD]
    parts["heard"] = [heard(text) for text in parts["test"]]
    tokenized = {part: rows.tokenized(own) for part, own in parts.items()}
    vocabulary = rows.Vocabulary(tokenized["train"])
    # Row 0 is no n-gram.
    vocabulary.keep(wide.most_telling(rows.build(parts["train"], tokenized["train"], vocabulary), rows.GRAMS_KEPT) - 1)
    return {part: rows.build(own, tokenized[part], vocabulary) for part, own in parts.items()}, vocabulary


def finish(work, texts, parts, vocabulary, broad, weights, held):
    """Mixes, exports, checks and judges; writes everything."""
    model = ROOT / "nlu/models/text"
    broad.weights, weights = export.as_exported({"head": broad.weights})["head"], export.as_exported(weights)
    logits = {p: (*broad.logits(parts[p].grams), deep.judged(weights, parts[p].ids)) for p in ("validation", "test", "heard")}
    mix = judge.learnt_mix(logits["validation"], parts["validation"], held)
    found = {part: mix.probabilities(*logits[part]) for part in logits}
    held_rows, held_parts = held
    naming = judge.learnt_naming(found["validation"], parts["validation"], mix.probabilities(*held_parts), held_rows)
    export.export(model.with_suffix(".onnx"), broad, weights, mix, VERSION)
    size = export.parameters(broad, weights)
    card.write_json(model, VERSION, vocabulary, size, naming)
    check(model.with_suffix(".onnx"), parts["test"], found["test"])
    result = judged_all(texts, parts, found, naming)
    counts = {
        "train": sum(text.part == "train" and text.corpus in corpora.AMONG for text in texts),
        "validation": len(parts["validation"]),
        "service": sum(text.part == "train" and text.corpus not in corpora.AMONG for text in texts),
        "grams": len(vocabulary.grams),
        "machines": len(wide.MACHINES),
        "epochs": DEEP_EPOCHS,
        "date": datetime.date.today().isoformat(),
    }
    card.write_card(model, VERSION, size, counts, result)
    for corpus in ("smp2020_usual", "service_zh"):
        truth, said, _, classes = judge.judged(found["test"], parts["test"], corpus, naming.offsets)
        path = ROOT / f"docs/img/text-{corpus.replace('_', '-')}.svg"
        card.write_confusion(path, judge.confusion(truth, said, classes), classes, corpus)
    (work / "figures.json").write_text(json.dumps(result, indent=1, default=float))


def check(path, part, expected):
    """The exported graph must say what the trainer's parts say."""
    session = onnxruntime.InferenceSession(str(path), providers=["CPUExecutionProvider"])
    worst = 0.0
    for at in range(0, min(len(part), 4096), 64):
        own = part.grams[at : at + 64]
        width = max(1, int(numpy.diff(own.indptr).max()))
        grams = numpy.zeros((own.shape[0], width), numpy.int32)
        for row in range(own.shape[0]):
            known = own.indices[own.indptr[row] : own.indptr[row + 1]]
            grams[row, : len(known)] = known
        tokens = part.ids[at : at + 64]
        longest = max(2, int((tokens > 0).sum(axis=1).max()) + 1 & ~1)
        said = session.run(None, {"tokens": tokens[:, :longest], "grams": grams})[0]
        worst = max(worst, float(numpy.abs(said - expected[at : at + 64]).max()))
    assert worst < 1e-3, f"the exported graph differs from the trained parts by {worst}"
    print(f"exported graph equals the trained parts within {worst:.1e}", flush=True)


def judged_all(texts, parts, found, naming):
    test, heard, offsets = parts["test"], parts["heard"], naming.offsets
    result = {"corpora": {}, "class_f1": {}, "service": {}, "intents": {}}
    pair = lambda truth, said: (judge.accuracy(truth, said), judge.macro_f1(truth, said))
    for corpus, (head, among) in corpora.AMONG.items():
        truth, said, sure, classes = judge.judged(found["test"], test, corpus, offsets)
        f = judge.figures(truth, said, sure)
        f["classes"] = f"{head}, {len(among)}"
        f["noised"] = pair(*judge.judged(found["heard"], heard, corpus, offsets)[:2])
        f["svm"], f["svm_noised"] = machine(texts, test, heard, corpus, lambda t: classes.index(t.labels[head]), pair)
        result["corpora"][corpus] = f
        result["class_f1"][corpus] = judge.class_f1(truth, said, classes)
        print(corpus, {name: f[name] for name in ("accuracy", "macro_f1", "svm")}, flush=True)
    for language in ("zh", "en"):
        corpus = f"service_{language}"
        truth, said = judge.upset(found["test"], test, corpus, naming.upset)
        f1 = lambda truth, said: judge.class_f1(truth, said, ("rest", "upset"))["upset"]
        is_upset = lambda t: int("upset" in t.labels["upset"])
        kinds = numpy.array([text.labels["kind"] for text in test.texts if text.corpus == corpus])
        result["service"][language] = {
            "texts": len(truth),
            "f1": f1(truth, said),
            "noised_f1": f1(*judge.upset(found["heard"], heard, corpus, naming.upset)),
            "svm_f1": machine(texts, test, heard, corpus, is_upset, f1)[0],
            "polite_recall": said[kinds == "polite"].mean(),
            "ironic_recall": said[kinds == "ironic"].mean(),
            "false": said[truth == 0].mean(),
        }
        result["intents"][language] = judge.intents(found["test"], test, corpus, naming.intents)
        print(corpus, result["service"][language], flush=True)
    return result


def machine(texts, test, heard, corpus, label, measure):
    """The baseline's figures on the test and on the test as heard."""
    train = [(text.text, label(text)) for text in texts if text.corpus == corpus and text.part != "test"]
    own = [[text for text in part.texts if text.corpus == corpus] for part in (test, heard)]
    truth = numpy.array([label(text) for text in own[0]])
    said = baseline.judged(train, *([text.text for text in part] for part in own))
    return [measure(truth, numpy.array(each)) for each in said]


if __name__ == "__main__":
    main()
