"""Trains and judges the acoustic emotion model, and writes the graph, its JSON and its card. Seeds are fixed."""

import argparse
import json
import pathlib

import numpy
import onnxruntime

import card
import judge
import network
from corpora import CALM, OTHER, READ, TESTED_ON, TRAINED_ON, load
from rows import build_rows, folds_of, joined

VERSION = "0.1.0"
EPOCHS = 10
RATE = 4e-3
SEEDS = (0, 1, 2)
HIDDEN = (64, 32)
# Targets: a little of every class, so that the network learns doubt; other emotions are "not anger".
DOUBT = 0.06
TARGETS = numpy.eye(5, 4) * (1 - DOUBT) + DOUBT / 4
TARGETS[OTHER] = numpy.array([0.34, 0.0, 0.33, 0.33]) * (1 - DOUBT) + DOUBT / 4
# Acted corpora hold as much fear and joy as anger; callers do not.
CLASS_WEIGHTS = (1.0, 1.0, 0.5, 0.5, 0.25)


class Model:
    """A scaler and a few networks from different seeds whose logits are averaged."""

    def __init__(self, rows, keep, seeds=SEEDS):
        keep = keep & (rows.labels >= 0)
        self.scaler = network.Scaler(rows.values[keep])
        x, labels = self.scaler(rows.values[keep]), rows.labels[keep]
        weights = balance(rows.corpora[keep], labels)
        self.networks = []
        for seed in seeds:
            random = numpy.random.default_rng(seed)
            net = network.Network((x.shape[1], *HIDDEN, 4), random)
            self.networks.append(net.fit(x, TARGETS[labels], weights, random, EPOCHS, RATE))

    def __call__(self, values):
        x = self.scaler(values)
        return network.softmax(sum(net.logits(x)[0] for net in self.networks) / len(self.networks))

    def parameters(self):
        return sum(net.parameters() for net in self.networks)

    def export(self, path, names):
        network.export(path.with_suffix(".onnx"), self.scaler, self.networks, 1.0, names, VERSION)
        card.write_json(path.with_suffix(".json"), VERSION, names, self.parameters())


def balance(corpora, labels):
    """Per row: large corpora and classes count less than their size, by its square root."""
    weights = numpy.ones(len(labels), numpy.float32)
    for corpus in set(corpora):
        for label in set(labels):
            chosen = (corpora == corpus) & (labels == label)
            if chosen.any():
                weights[chosen] = CLASS_WEIGHTS[label] / numpy.sqrt(chosen.sum())
    return weights / weights.mean()


def main():
    parser = argparse.ArgumentParser()
    for name in ("shared", "work", "programs", "models"):
        parser.add_argument(f"--{name}", type=pathlib.Path, required=True)
    options = parser.parse_args()
    clips = load(options.shared, options.work / "clips", TRAINED_ON)
    unheard = load(options.shared, options.work / "clips", TESTED_ON)
    features = options.programs / "features"
    read = load(options.shared, options.work / "clips", READ)
    calm = load(options.shared, options.work / "clips", CALM)
    train = build_rows(clips, options.work / "train", "train", 5, features)
    train = joined(train, build_rows(read, options.work / "read", "train", 3, features))
    test = build_rows(clips, options.work / "test", "test", 1, features)
    foreign = build_rows(unheard, options.work / "foreign", "test", 1, features)
    streams = judge.onset_streams(clips + unheard, options.work / "onset")
    names = card.feature_names(options.programs / "features")
    calm_streams = judge.calm_streams(calm, options.work / "calm")
    everyone = numpy.ones(len(train.labels), bool)

    figures = {"speaker": {}, "corpus": {}, "signal": {}, "onset": []}
    found = numpy.zeros((len(test.labels), 4))
    train_folds, test_folds = folds_of(train.speakers, train.speakers), folds_of(test.speakers, train.speakers)
    for fold in sorted(set(test_folds)):
        print(f"fold {fold}", flush=True)
        model = Model(train, train_folds != fold)
        chosen = test_folds == fold
        found[chosen] = model(test.values[chosen])
        path = options.work / "fold"
        model.export(path, names)
        mine = [stream for stream in streams if folds_of([stream.speaker], train.speakers)[0] == fold]
        figures["onset"] += judge.onset_figures(mine, path, options.programs / "onset")
    for corpus in TRAINED_ON:
        chosen = test.corpora == corpus
        figures["speaker"][corpus] = judge.figures(test.only(chosen), found[chosen])
        figures["signal"][corpus] = judge.signal_figures(test.only(chosen))
        model = Model(train, train.corpora != corpus)
        figures["corpus"][corpus] = judge.figures(test.only(chosen), model(test.values[chosen]))
    model = Model(train, everyone)
    path = options.models / "acoustic"
    model.export(path, names)
    check(model, path.with_suffix(".onnx"), test.values)
    for corpus in TESTED_ON:
        figures["corpus"][corpus] = judge.figures(foreign, model(foreign.values))
        figures["signal"][corpus] = judge.signal_figures(foreign)
        mine = [stream for stream in streams if stream.corpus == corpus]
        figures["onset"] += judge.onset_figures(mine, path, options.programs / "onset")
    figures["onset"] += judge.onset_figures(calm_streams, path, options.programs / "onset")
    figures["streams"] = judge.sum_up(figures.pop("onset"))
    (options.work / "figures.json").write_text(json.dumps(figures, indent=1))
    card.write_card(path.with_suffix(".md"), VERSION, model.parameters(), len(train.labels), figures)
    print(json.dumps(figures["streams"], indent=1))


def check(model, path, values):
    """The exported graph must say what the trainer's network says."""
    session = onnxruntime.InferenceSession(str(path), providers=["CPUExecutionProvider"])
    exported = session.run(None, {"features": values.astype(numpy.float32)})[0]
    worst = float(numpy.abs(exported - model(values)).max())
    assert worst < 1e-4, f"the exported graph differs from the trained network by {worst}"
    print(f"exported graph equals the network within {worst:.1e}")


if __name__ == "__main__":
    main()
