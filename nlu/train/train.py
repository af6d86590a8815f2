"""Trains and judges the acoustic emotion model, and writes the graphs, their JSON, the card and its pictures. Seeds are fixed.

It has two parts: one on the numbers about a window, one on what the encoder makes of its sound.
"""

import argparse
import concurrent.futures
import json
import multiprocessing
import os
import pathlib
from dataclasses import dataclass

import numpy
import onnxruntime

import card
import judge
import network
from corpora import BANDS, CALM, CLASSES, FOUR, READ, TRAINED_ON, load
from rows import FOLDS, USUAL_WINDOWS, Programs, Turn, build_rows, folds_of, joined, usual_after_neutral, usual_alone

# Of every clip: as the plain line carries it, as an augmented one does, as it was recorded, and another voice of that.
TURNS = (Turn(0), Turn(1, line="augmented"), Turn(2, "wide", "recorded"), Turn(3, "wide", "augmented"))
# Which of them are judged, of speakers who were held out.
TESTS = {"telephone": 0, "wide": 2}
SPLITS = ("speaker", "corpus")
# A little of every possible class, so that the network learns doubt.
DOUBT = 0.08


@dataclass(frozen=True)
class Part:
    """One of the model's parts, and how it is trained."""

    name: str
    version: str
    seeds: tuple
    hidden: int
    epochs: int
    decay: float
    # By what its logarithms count beside the other's.
    share: float

    def of(self, rows):
        """The rows that it learns from and judges."""
        return rows.of_sound() if self == SOUND else rows


NUMBERS = Part("acoustic", "0.3.1", (0, 1, 2, 3), 128, 4, 1e-3, 0.5)
SOUND = Part("sound", "0.1.0", (0, 1), 256, 8, 1e-2, 1.0)
PARTS = (NUMBERS, SOUND)


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
    """One part: a scaler and a few networks from different seeds whose logits are averaged."""

    def __init__(self, part, training, keep):
        self.part, self.temperature = part, 1.0
        self.scaler = network.Scaler(training.rows.values[keep])
        x = self.scaler(training.rows.values[keep], training.usual[keep], training.known[keep])
        weights = balance(training.rows.corpora[keep], training.labels[keep])
        self.networks = []
        for seed in part.seeds:
            random = numpy.random.default_rng(seed)
            net = network.Network((x.shape[1], part.hidden, len(CLASSES)), random)
            fitted = net.fit(x, training.targets[keep], training.possible[keep], weights, random, part.epochs, decay=part.decay)
            self.networks.append(fitted)

    def logits(self, values, usual, known):
        x = self.scaler(values, usual, known)
        return sum(net.logits(x) for net in self.networks) / len(self.networks)

    def __call__(self, *rows):
        return network.softmax(self.logits(*rows) / self.temperature)

    def parameters(self):
        return sum(net.parameters() for net in self.networks)

    def export(self, path, names, **told):
        network.export(path.with_suffix(".onnx"), self.scaler, self.networks, self.temperature, self.part.version)
        card.write_json(path.with_suffix(".json"), self.part, names, self.parameters(), **told)


class Voice:
    """Both parts, as they are taught by the same clips."""

    def __init__(self, trainings, keep):
        """`keep` says of rows which of them are learnt from."""
        self.parts = {part: Model(part, training, keep(training.rows)) for part, training in trainings.items()}

    def export(self, path, names, temperatures):
        """`PATH.onnx` and `PATH-sound.onnx`, or for `acoustic` its neighbour `sound`, each with its JSON."""
        for part, model in self.parts.items():
            model.temperature = temperatures[part]
            shares = {f"share_of_{name}": one.share / temperatures[TOGETHER] for name, one in (("numbers", NUMBERS), ("sound", SOUND))}
            model.export(path_of(path, part), names[part], **(shares if part == SOUND else {}))


class Test:
    """Clips to judge: what is usual in every context, and what models said who had not heard the speaker, or the corpus."""

    def __init__(self, rows):
        self.rows, self.folds = rows, folds_of(rows)
        self.usual = {part: {name: of(part.of(rows)) for name, of in CONTEXTS.items()} for part in PARTS}
        empty = lambda: numpy.zeros((len(rows.labels), len(CLASSES)), numpy.float32)
        self.logits = {part: {split: {name: empty() for name in CONTEXTS} for split in SPLITS} for part in PARTS}

    def hear(self, voice, split, chosen):
        """Keeps the logits of the chosen rows in every context."""
        for part, model in voice.parts.items():
            # Of the part's rows, and of all.
            mine = numpy.flatnonzero(self.rows.heard) if part == SOUND else numpy.arange(len(chosen))
            own = numpy.flatnonzero(chosen[mine])
            values = part.of(self.rows).values[own]
            for context, (usual, known) in self.usual[part].items():
                self.logits[part][split][context][mine[own]] = model.logits(values, usual[own], known[own])

    def logarithms(self, split, context, temperatures):
        """Of what each part says, and of what both say together before that is made as sure as it is right."""
        told = {part: log_softmax(self.logits[part][split][context] / temperatures[part][self.folds][:, None]) for part in PARTS}
        return told | {TOGETHER: sum(part.share * told[part] for part in PARTS)}

    def probabilities(self, split, context, temperatures, part=None):
        """Of one part, or of both; where no sound is known the numbers speak alone."""
        told = self.logarithms(split, context, temperatures)
        if part is None:
            sure = network.softmax(told[TOGETHER] / temperatures[TOGETHER][self.folds][:, None])
            return numpy.where(self.rows.heard[:, None], sure, numpy.exp(told[NUMBERS]))
        return numpy.exp(told[part])


CONTEXTS = {"alone": usual_alone, "after neutral speech": usual_after_neutral}
TOGETHER = "together"


def path_of(path, part):
    if part == NUMBERS:
        return path
    return path.with_name("sound" if path.name == NUMBERS.name else f"{path.name}-sound")


def log_softmax(x):
    x = x - x.max(axis=1, keepdims=True)
    return x - numpy.log(numpy.exp(x).sum(axis=1, keepdims=True))


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
    onset = options.programs / "onset"
    programs = Programs(options.programs / "features", options.programs / "sound", options.models / "encoder.onnx")
    names = {NUMBERS: card.feature_names(programs.features), SOUND: card.feature_names(programs.sound)}
    heard = {band: [load(options.shared, options.work / "clips", of, band) for of in (TRAINED_ON, READ)] for band in BANDS}
    clips = heard["telephone"][0]
    calm = load(options.shared, options.work / "clips", CALM)
    parts = [build_rows(heard[turn.band][0], options.work, turn, programs) for turn in TURNS]
    learnt = parts + [build_rows(heard[turn.band][1], options.work, turn, programs) for turn in TURNS]
    trainings = {part: Training([part.of(rows) for rows in learnt]) for part in PARTS}
    tests = {name: Test(parts[place]) for name, place in TESTS.items()}
    telephone = tests["telephone"]
    streams = judge.onset_streams(clips, options.work / "onset")

    voices = trained(trainings, [*range(FOLDS), *TRAINED_ON, None])
    for fold in range(FOLDS):
        for test in tests.values():
            test.hear(voices[fold], "speaker", test.folds == fold)
    for corpus in TRAINED_ON:
        telephone.hear(voices[corpus], "corpus", telephone.rows.corpora == corpus)
    temperatures = temperatures_of(telephone)
    figures = {"onset": [], **figures_of(tests, temperatures)}
    for name, f in figures["speaker"].items():
        print(name, card.percent(f["accuracy"]), card.share(f["anger_auc"]), card.percent(f["calibration_error"]), flush=True)
    for fold in range(FOLDS):
        voice, path = voices[fold], options.work / f"fold-{fold}"
        voice.export(path, names, {part: told[fold] for part, told in temperatures.items()})
        speakers = set(telephone.rows.speakers[telephone.folds == fold])
        mine = [stream for stream in streams if stream.speaker in speakers]
        figures["onset"] += judge.onset_figures(mine, files_of(path, programs), onset)
    voice, path = voices[None], options.models / NUMBERS.name
    voice.export(path, names, {part: float(numpy.median(told)) for part, told in temperatures.items()})
    for part, model in voice.parts.items():
        check(model, path_of(path, part).with_suffix(".onnx"), part.of(telephone.rows), telephone.usual[part]["after neutral speech"])
    figures["onset"] += judge.onset_figures(judge.calm_streams(calm, options.work / "calm"), files_of(path, programs), onset)
    figures["streams"] = judge.sum_up(figures.pop("onset"))
    (options.work / "figures.json").write_text(json.dumps(figures, indent=1))
    windows = {part: len(training.labels) for part, training in trainings.items()}
    card.write_card(path.with_suffix(".md"), voice.parts, windows, figures)
    card.write_pictures(options.images, figures)
    print(json.dumps(figures["streams"], indent=1))


def trained(trainings, without):
    """A voice each, taught without one fold of the speakers, or one corpus, or by all: by what was left out. One process per processor."""
    # They share what they learn from.
    with concurrent.futures.ProcessPoolExecutor(os.cpu_count(), multiprocessing.get_context("fork"), share, (trainings,)) as pool:
        return dict(zip(without, pool.map(trained_without, without)))


def share(trainings):
    global TRAININGS
    TRAININGS = trainings


def trained_without(left_out):
    print(f"without {left_out}", flush=True)

    def keep(rows):
        if left_out is None:
            return numpy.ones(len(rows.labels), bool)
        if isinstance(left_out, str):
            return rows.corpora != left_out
        return ~numpy.isin(rows.corpora, list(TRAINED_ON)) | (folds_of(rows) != left_out)

    return Voice(TRAININGS, keep)


def files_of(path, programs):
    """What the listener is given of a voice: the graph and the JSON of each part, and the encoder between them."""
    numbers, sound = (path_of(path, part) for part in PARTS)
    both = lambda path: [path.with_suffix(".onnx"), path.with_suffix(".json")]
    return [*both(numbers), programs.encoder, *both(sound)]


def temperatures_of(test):
    """Of each part and of both together, per fold, from the held-out judgements of all the other ones."""
    labels = numpy.array([CLASSES.index(label) for label in test.rows.labels])
    allowed = possible(test.rows)
    both = lambda part: numpy.concatenate([part] * len(CONTEXTS))

    def fitted(logits):
        others = [both((test.folds != fold) & test.rows.heard) for fold in range(FOLDS)]
        return numpy.array([judge.fitted_temperature(logits[o], both(labels)[o], both(allowed)[o]) for o in others])

    found = {part: fitted(numpy.concatenate(list(test.logits[part]["speaker"].values()))) for part in PARTS}
    together = [test.logarithms("speaker", context, found)[TOGETHER] for context in CONTEXTS]
    return found | {TOGETHER: fitted(numpy.concatenate(together))}


def figures_of(tests, temperatures):
    """By split, by band and by gender, of every corpus and context; and how the leading probabilities are right.

    Not URDU by gender: its women and men said different emotions.
    """
    telephone, wide = tests["telephone"], tests["wide"]
    everybody = numpy.ones(len(telephone.rows.labels), bool)
    told = {split: by_corpus(telephone, split, temperatures, everybody) for split in SPLITS}
    told["wide"] = by_corpus(wide, "speaker", temperatures, numpy.ones(len(wide.rows.labels), bool))
    told["parts"] = {part.name: by_corpus(telephone, "speaker", temperatures, everybody, part) for part in PARTS}
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


def by_corpus(test, split, temperatures, among_rows, part=None):
    """Figures of the rows chosen, by one part or by both; those of RAVDESS and CASIA also among the four classes of calls."""
    told = {}
    for corpus, among in TRAINED_ON.items():
        for context in CONTEXTS:
            probabilities = test.probabilities(split, context, temperatures, part)
            chosen = among_rows & (test.rows.corpora == corpus)
            if not chosen.any():
                continue
            told[f"{corpus}|{context}"] = judge.figures(test.rows.only(chosen), probabilities[chosen], among)
            if among != FOUR:
                four = chosen & numpy.isin(test.rows.labels, FOUR)
                told[f"{corpus}, 4 classes|{context}"] = judge.figures(test.rows.only(four), probabilities[four], FOUR)
    return told


def check(model, path, rows, context):
    """The exported graph must say what the trainer's networks say, within what 8 bits cost."""
    usual, known = context
    session = onnxruntime.InferenceSession(str(path), providers=["CPUExecutionProvider"])
    features = numpy.concatenate([rows.values, usual, known[:, None] / USUAL_WINDOWS], axis=1).astype(numpy.float32)
    exported = session.run(None, {"features": features})[0]
    trained = model(rows.values, usual, known)
    worst = float(numpy.abs(exported - trained).max())
    same = float((exported.argmax(axis=1) == trained.argmax(axis=1)).mean())
    assert worst < 0.03 and same > 0.99, f"{path}: differs from the trained networks by {worst}, the same class in {same:.1%}"
    print(f"{path.name} equals the networks within {worst:.1e}, the same class in {same:.2%} of the windows")


if __name__ == "__main__":
    main()
