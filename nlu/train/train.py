"""Trains and judges the acoustic emotion model, and writes the graph, its JSON, its card and its pictures. Seeds are fixed."""

import argparse
import json
import pathlib

import numpy
import onnxruntime

import card
import judge
import network
from corpora import CALM, CLASSES, FOUR, READ, TRAINED_ON, load
from rows import FOLDS, USUAL_WINDOWS, build_rows, folds_of, joined, usual_after_neutral, usual_alone

VERSION = "0.2.0"
EPOCHS = 8
SEEDS = (0, 1, 2, 3)
HIDDEN = 128
# Of every clip: as the plain line carries it, and as an augmented one does.
TURNS = (0, 1)
# A little of every possible class, so that the network learns doubt.
DOUBT = 0.08


class Training:
    """All rows to learn from: each with nothing known of the speaker before, and once after neutral speech."""

    def __init__(self, parts):
        random = numpy.random.default_rng(0)
        contexts = [usual(part) for part in parts for usual in (usual_alone, lambda part: usual_after_neutral(part, random))]
        self.rows = joined([part for part in parts for _ in range(2)])
        self.usual = numpy.concatenate([usual for usual, _ in contexts])
        self.known = numpy.concatenate([known for _, known in contexts])
        self.labels = numpy.array([CLASSES.index(label) for label in self.rows.labels])
        self.possible = possible(self.rows)
        self.targets = DOUBT * self.possible / self.possible.sum(axis=1, keepdims=True)
        self.targets[numpy.arange(len(self.labels)), self.labels] += 1 - DOUBT
        self.targets = self.targets.astype(numpy.float32)


class Model:
    """A scaler and a few networks from different seeds whose logits are averaged."""

    def __init__(self, training, keep):
        self.temperature = 1.0
        self.scaler = network.Scaler(training.rows.values[keep])
        x = self.scaler(training.rows.values[keep], training.usual[keep], training.known[keep])
        weights = balance(training.rows.corpora[keep], training.labels[keep])
        self.networks = []
        for seed in SEEDS:
            random = numpy.random.default_rng(seed)
            net = network.Network((x.shape[1], HIDDEN, len(CLASSES)), random)
            self.networks.append(net.fit(x, training.targets[keep], training.possible[keep], weights, random, EPOCHS))

    def logits(self, values, usual, known):
        x = self.scaler(values, usual, known)
        return sum(net.logits(x) for net in self.networks) / len(self.networks)

    def __call__(self, *rows):
        return network.softmax(self.logits(*rows) / self.temperature)

    def parameters(self):
        return sum(net.parameters() for net in self.networks)

    def export(self, path, names):
        network.export(path.with_suffix(".onnx"), self.scaler, self.networks, self.temperature, VERSION)
        card.write_json(path.with_suffix(".json"), VERSION, names, self.parameters())


def possible(rows):
    """Per row: the classes that its corpus's labels choose among. Of speech that is read, only that it is not angry."""
    among = {corpus: numpy.isin(CLASSES, names) for corpus, names in TRAINED_ON.items()}
    read = numpy.isin(CLASSES, ("neutral", "anger"))
    return numpy.array([among.get(corpus, read) for corpus in rows.corpora])


def balance(corpora, labels):
    """Per row: large corpora and classes count less than their size, by its square root."""
    weights = numpy.ones(len(labels), numpy.float32)
    for corpus in set(corpora):
        for label in set(labels[corpora == corpus]):
            chosen = (corpora == corpus) & (labels == label)
            weights[chosen] = 1 / numpy.sqrt(chosen.sum())
    return weights / weights.mean()


def main():
    parser = argparse.ArgumentParser()
    for name in ("shared", "work", "programs", "models", "images"):
        parser.add_argument(f"--{name}", type=pathlib.Path, required=True)
    options = parser.parse_args()
    features, onset = options.programs / "features", options.programs / "onset"
    names = card.feature_names(features)
    clips = load(options.shared, options.work / "clips", TRAINED_ON)
    read = load(options.shared, options.work / "clips", READ)
    calm = load(options.shared, options.work / "clips", CALM)
    parts = [build_rows(clips, options.work, turn, features) for turn in TURNS]
    training = Training(parts + [build_rows(read, options.work, turn, features) for turn in TURNS])
    test = parts[0]
    contexts = {"alone": usual_alone(test), "after neutral speech": usual_after_neutral(test)}
    streams = judge.onset_streams(clips, options.work / "onset")

    held_out = {split: {context: numpy.zeros((len(test.labels), len(CLASSES)), numpy.float32) for context in contexts}
                for split in ("speaker", "corpus")}
    folds, train_folds = folds_of(test), folds_of(training.rows)
    emotional = numpy.isin(training.rows.corpora, list(TRAINED_ON))
    models = []
    for fold in range(FOLDS):
        print(f"fold {fold}", flush=True)
        models.append(Model(training, ~emotional | (train_folds != fold)))
        hear(models[-1], test, contexts, folds == fold, held_out["speaker"])
    for corpus in TRAINED_ON:
        print(f"without {corpus}", flush=True)
        hear(Model(training, training.rows.corpora != corpus), test, contexts, test.corpora == corpus, held_out["corpus"])
    figures = {"speaker": {}, "corpus": {}, "onset": []}
    temperatures = temperatures_of(test, held_out["speaker"], folds)
    figures |= figures_of(test, held_out, temperatures[folds][:, None])
    for name, f in figures["speaker"].items():
        print(name, card.percent(f["accuracy"]), card.share(f["anger_auc"]), card.percent(f["calibration_error"]), flush=True)
    for fold, model in enumerate(models):
        path = options.work / f"fold-{fold}"
        model.temperature = temperatures[fold]
        model.export(path, names)
        speakers = set(test.speakers[folds == fold])
        figures["onset"] += judge.onset_figures([s for s in streams if s.speaker in speakers], path, onset)
    model = Model(training, numpy.ones(len(training.labels), bool))
    model.temperature = float(numpy.median(temperatures))
    path = options.models / "acoustic"
    model.export(path, names)
    check(model, path.with_suffix(".onnx"), test.values, *contexts["after neutral speech"])
    figures["onset"] += judge.onset_figures(judge.calm_streams(calm, options.work / "calm"), path, onset)
    figures["streams"] = judge.sum_up(figures.pop("onset"))
    (options.work / "figures.json").write_text(json.dumps(figures, indent=1))
    card.write_card(path.with_suffix(".md"), VERSION, model.parameters(), len(training.labels), figures)
    card.write_pictures(options.images, figures)
    print(json.dumps(figures["streams"], indent=1))


def hear(model, test, contexts, chosen, found):
    """Writes the logits of the chosen rows in every context."""
    for context, (usual, known) in contexts.items():
        found[context][chosen] = model.logits(test.values[chosen], usual[chosen], known[chosen])


def temperatures_of(test, found, folds):
    """Per fold, from the held-out judgements of all the other ones."""
    labels = numpy.array([CLASSES.index(label) for label in test.labels])
    allowed = possible(test)
    both = lambda part: numpy.concatenate([part] * len(found))
    logits = numpy.concatenate(list(found.values()))
    others = [both(folds != fold) for fold in range(FOLDS)]
    return numpy.array([judge.fitted_temperature(logits[o], both(labels)[o], both(allowed)[o]) for o in others])


def figures_of(test, held_out, temperatures):
    """By split, corpus and context; RAVDESS and CASIA also among the four classes of calls."""
    told = {}
    for split, found in held_out.items():
        told[split] = {}
        for corpus, among in TRAINED_ON.items():
            for context, logits in found.items():
                chosen = test.corpora == corpus
                probabilities = network.softmax(logits / temperatures)
                mine = test.only(chosen)
                told[split][f"{corpus}|{context}"] = judge.figures(mine, probabilities[chosen], among)
                if among != FOUR:
                    four = chosen & numpy.isin(test.labels, FOUR)
                    told[split][f"{corpus}, 4 classes|{context}"] = judge.figures(test.only(four), probabilities[four], FOUR)
    told["reliability"] = {}
    for corpus, among in TRAINED_ON.items():
        chosen = test.corpora == corpus
        found = network.softmax(held_out["speaker"]["after neutral speech"] / temperatures)[chosen]
        told["reliability"][corpus] = judge.reliability_of(test.only(chosen), found, among)
    return told


def check(model, path, values, usual, known):
    """The exported graph must say what the trainer's networks say."""
    session = onnxruntime.InferenceSession(str(path), providers=["CPUExecutionProvider"])
    features = numpy.concatenate([values, usual, known[:, None] / USUAL_WINDOWS], axis=1).astype(numpy.float32)
    exported = session.run(None, {"features": features})[0]
    worst = float(numpy.abs(exported - model(values, usual, known)).max())
    assert worst < 1e-4, f"the exported graph differs from the trained networks by {worst}"
    print(f"exported graph equals the networks within {worst:.1e}")


if __name__ == "__main__":
    main()
