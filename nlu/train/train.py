"""Trains and judges the acoustic emotion model, and writes the graph, its JSON, its card and its pictures. Seeds are fixed."""

import argparse
import json
import pathlib

import numpy
import onnxruntime

import card
import judge
import network
from corpora import BANDS, CALM, CLASSES, FOUR, READ, TRAINED_ON, load
from rows import FOLDS, USUAL_WINDOWS, Turn, build_rows, folds_of, joined, usual_after_neutral, usual_alone

VERSION = "0.3.1"
EPOCHS = 4
SEEDS = (0, 1, 2, 3)
HIDDEN = 128
# Of every clip: as the plain line carries it, as an augmented one does, as it was recorded, and another voice of that.
TURNS = (Turn(0), Turn(1, line="augmented"), Turn(2, "wide", "recorded"), Turn(3, "wide", "augmented"))
# Which of them are judged, of speakers who were held out.
TESTS = {"telephone": 0, "wide": 2}
SPLITS = ("speaker", "corpus")
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


class Test:
    """Clips to judge: what is usual in every context, and what models said who had not heard the speaker, or the corpus."""

    def __init__(self, rows):
        self.rows, self.folds = rows, folds_of(rows)
        self.contexts = {"alone": usual_alone(rows), "after neutral speech": usual_after_neutral(rows)}
        empty = lambda: numpy.zeros((len(rows.labels), len(CLASSES)), numpy.float32)
        self.found = {split: {context: empty() for context in self.contexts} for split in SPLITS}

    def hear(self, model, split, chosen):
        """Keeps the logits of the chosen rows in every context."""
        for context, (usual, known) in self.contexts.items():
            logits = model.logits(self.rows.values[chosen], usual[chosen], known[chosen])
            self.found[split][context][chosen] = logits

    def probabilities(self, split, context, temperatures):
        return network.softmax(self.found[split][context] / temperatures[self.folds][:, None])


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
    heard = {band: [load(options.shared, options.work / "clips", names, band) for names in (TRAINED_ON, READ)] for band in BANDS}
    clips = heard["telephone"][0]
    calm = load(options.shared, options.work / "clips", CALM)
    parts = [build_rows(heard[turn.band][0], options.work, turn, features) for turn in TURNS]
    training = Training(parts + [build_rows(heard[turn.band][1], options.work, turn, features) for turn in TURNS])
    tests = {name: Test(parts[place]) for name, place in TESTS.items()}
    telephone = tests["telephone"]
    streams = judge.onset_streams(clips, options.work / "onset")

    train_folds = folds_of(training.rows)
    emotional = numpy.isin(training.rows.corpora, list(TRAINED_ON))
    models = []
    for fold in range(FOLDS):
        print(f"fold {fold}", flush=True)
        models.append(Model(training, ~emotional | (train_folds != fold)))
        for test in tests.values():
            test.hear(models[-1], "speaker", test.folds == fold)
    for corpus in TRAINED_ON:
        print(f"without {corpus}", flush=True)
        telephone.hear(Model(training, training.rows.corpora != corpus), "corpus", telephone.rows.corpora == corpus)
    temperatures = temperatures_of(telephone.rows, telephone.found["speaker"], telephone.folds)
    figures = {"onset": [], **figures_of(tests, temperatures)}
    for name, f in figures["speaker"].items():
        print(name, card.percent(f["accuracy"]), card.share(f["anger_auc"]), card.percent(f["calibration_error"]), flush=True)
    for fold, model in enumerate(models):
        path = options.work / f"fold-{fold}"
        model.temperature = temperatures[fold]
        model.export(path, names)
        speakers = set(telephone.rows.speakers[telephone.folds == fold])
        figures["onset"] += judge.onset_figures([s for s in streams if s.speaker in speakers], path, onset)
    model = Model(training, numpy.ones(len(training.labels), bool))
    model.temperature = float(numpy.median(temperatures))
    path = options.models / "acoustic"
    model.export(path, names)
    check(model, path.with_suffix(".onnx"), telephone.rows.values, *telephone.contexts["after neutral speech"])
    figures["onset"] += judge.onset_figures(judge.calm_streams(calm, options.work / "calm"), path, onset)
    figures["streams"] = judge.sum_up(figures.pop("onset"))
    (options.work / "figures.json").write_text(json.dumps(figures, indent=1))
    card.write_card(path.with_suffix(".md"), VERSION, model.parameters(), len(training.labels), figures)
    card.write_pictures(options.images, figures)
    print(json.dumps(figures["streams"], indent=1))


def temperatures_of(test, found, folds):
    """Per fold, from the held-out judgements of all the other ones."""
    labels = numpy.array([CLASSES.index(label) for label in test.labels])
    allowed = possible(test)
    both = lambda part: numpy.concatenate([part] * len(found))
    logits = numpy.concatenate(list(found.values()))
    others = [both(folds != fold) for fold in range(FOLDS)]
    return numpy.array([judge.fitted_temperature(logits[o], both(labels)[o], both(allowed)[o]) for o in others])


def figures_of(tests, temperatures):
    """By split, by band and by gender, of every corpus and context; and how the leading probabilities are right.

    Not URDU by gender: its women and men said different emotions.
    """
    telephone, wide = tests["telephone"], tests["wide"]
    everybody = numpy.ones(len(telephone.rows.labels), bool)
    told = {split: by_corpus(telephone, split, temperatures, everybody) for split in SPLITS}
    told["wide"] = by_corpus(wide, "speaker", temperatures, numpy.ones(len(wide.rows.labels), bool))
    told["gender"] = {}
    for gender in ("women", "men"):
        chosen = (telephone.rows.genders == gender) & (telephone.rows.corpora != "urdu")
        for name, figures in by_corpus(telephone, "speaker", temperatures, chosen).items():
            corpus, context = name.split("|")
            told["gender"][f"{corpus}, {gender}|{context}"] = figures
    told["reliability"] = {}
    for corpus, among in TRAINED_ON.items():
        chosen = telephone.rows.corpora == corpus
        found = telephone.probabilities("speaker", "after neutral speech", temperatures)[chosen]
        told["reliability"][corpus] = judge.reliability_of(telephone.rows.only(chosen), found, among)
    return told


def by_corpus(test, split, temperatures, among_rows):
    """Figures of the rows chosen; those of RAVDESS and CASIA also among the four classes of calls."""
    told = {}
    for corpus, among in TRAINED_ON.items():
        for context in test.contexts:
            probabilities = test.probabilities(split, context, temperatures)
            chosen = among_rows & (test.rows.corpora == corpus)
            if not chosen.any():
                continue
            told[f"{corpus}|{context}"] = judge.figures(test.rows.only(chosen), probabilities[chosen], among)
            if among != FOUR:
                four = chosen & numpy.isin(test.rows.labels, FOUR)
                told[f"{corpus}, 4 classes|{context}"] = judge.figures(test.rows.only(four), probabilities[four], FOUR)
    return told


def check(model, path, values, usual, known):
    """The exported graph must say what the trainer's networks say, within what 8 bits cost."""
    session = onnxruntime.InferenceSession(str(path), providers=["CPUExecutionProvider"])
    features = numpy.concatenate([values, usual, known[:, None] / USUAL_WINDOWS], axis=1).astype(numpy.float32)
    exported = session.run(None, {"features": features})[0]
    trained = model(values, usual, known)
    worst = float(numpy.abs(exported - trained).max())
    same = float((exported.argmax(axis=1) == trained.argmax(axis=1)).mean())
    assert worst < 0.03 and same > 0.99, f"the exported graph differs from the trained networks by {worst}, the same class in {same:.1%}"
    print(f"exported graph equals the networks within {worst:.1e}, the same class in {same:.2%} of the windows")


if __name__ == "__main__":
    main()
