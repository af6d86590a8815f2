"""What is heard of voices that nobody was taught, and how sure one can be of it: `python judge.py SHARED WORK MODELS`.

Syllables and letters in error, open; phrases of a list, hits and false ones; the certainty of the card (fitted on one half of
the speakers' sentences and judged on the other). Prints JSON. `calmline eval asr` judges the program itself.
"""

import json
import pathlib
import re
import sys

import numpy
import onnxruntime

import recordings
import sentences
import spectra
from corpora import RAVDESS
from tokens import Tokens
from train import collapsed, distance

ROOT = pathlib.Path(__file__).resolve().parents[3]
BEHIND = 64
COST_MAX = 5.0
# Long recordings are cut at their quietest frame between these, as frames of 10 ms.
PIECE = (300, 800)


class Ear:
    """The exported graph."""

    def __init__(self, models):
        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = 1
        self.heard = {}
        self.session = onnxruntime.InferenceSession(str(models / "words.onnx"), options)

    def likelihoods(self, samples):
        """(steps, tokens), natural logarithms; of what was heard before, the same."""
        key = hash(samples.tobytes())
        if key not in self.heard:
            self.heard[key] = self.hear(samples)
        return self.heard[key]

    def hear(self, samples):
        values = spectra.levelled(spectra.energies(numpy.exp(spectra.power(samples).astype(numpy.float32))))
        steps = -(-len(values) // 4)
        padded = numpy.zeros((1, steps * 4 + BEHIND, spectra.BANDS), numpy.float32)
        padded[0, : len(values)] = values
        return self.session.run(None, {"energies": padded})[0][0, :steps]


class Listed:
    """Phrases as tokens, all of them followed at once; the same search as `spotting.rs`."""

    def __init__(self, phrases, tokens):
        self.phrases = phrases
        said = [[self.ways(unit, tokens) for unit in units(phrase)] for phrase in phrases]
        self.said = [[way for unit in each for way in unit] for each in said]
        longest = max(len(each) for each in self.said)
        shape = (len(phrases), longest)
        self.numbers = numpy.zeros((*shape, 3), numpy.int64)
        self.may_skip = numpy.zeros(shape, bool)
        for row, each in enumerate(self.said):
            for place, ways in enumerate(each):
                self.numbers[row, place] = (ways * 3)[:3]
                self.may_skip[row, place] = place > 0 and not set(ways) & set(each[place - 1])
        self.last = numpy.array([len(each) - 1 for each in self.said])
        # What the tokens are laid beside: nothing, and syllables or letters, whichever the phrases are made of.
        used = numpy.concatenate([way for each in self.said for way in each])
        letters = numpy.arange(len(tokens.names)) > len(tokens.syllables)
        self.beside = (letters & letters[used].any()) | (~letters & ~letters[used].all())
        self.beside[0] = True

    @staticmethod
    def ways(unit, tokens):
        if re.match(r"[\u4e00-\u9fff]", unit):
            return [[tokens.index[reading] for reading in tokens.table[unit]]]
        return [[tokens.letter[letter]] for letter in unit.lower() if letter in tokens.letter]

    def spot(self, likelihoods):
        """(phrase, mean, worst, tokens, steps, start, end) of all places that cost little, the best per phrase and place."""
        costs = likelihoods - likelihoods[:, self.beside].max(axis=1, keepdims=True)
        rows, longest = self.may_skip.shape
        # Per state: score, what the token has cost so far, the worst token before it, where it began.
        blank_score = numpy.full((rows, longest), -numpy.inf)
        token = [blank_score.copy(), numpy.zeros((rows, longest)), numpy.zeros((rows, longest)), numpy.zeros((rows, longest), int)]
        blank = [part.copy() for part in token]
        at = numpy.arange(rows)
        ends = []
        for step, cost in enumerate(costs):
            emitted = cost[self.numbers].max(axis=2)
            shifted = lambda part, fill: numpy.concatenate([numpy.full((rows, 1), fill, part.dtype), part[:, :-1]], axis=1)
            closed = numpy.minimum(token[2], token[1]), numpy.minimum(blank[2], blank[1])
            fresh = numpy.full((rows, longest), -numpy.inf)
            fresh[:, 0] = 0.0
            skip = numpy.where(self.may_skip, shifted(token[0], -numpy.inf), -numpy.inf)
            choices = numpy.stack([fresh, token[0], shifted(blank[0], -numpy.inf), skip])
            best = choices.argmax(axis=0)
            pick = lambda *parts: numpy.choose(best, parts)
            zero = numpy.zeros((rows, longest))
            fresh_token = [
                choices.max(axis=0) + emitted,
                pick(zero, token[1], zero, zero) + emitted,
                pick(zero, token[2], shifted(closed[1], 0.0), shifted(closed[0], 0.0)),
                pick(numpy.full((rows, longest), step), token[3], shifted(blank[3], 0), shifted(token[3], 0)),
            ]
            stays = blank[0] > token[0]
            fresh_blank = [numpy.where(stays, one, other) for one, other in zip(blank, token)]
            fresh_blank[0] = fresh_blank[0] + cost[0]
            fresh_blank[1] = fresh_blank[1] + cost[0]
            token, blank = fresh_token, fresh_blank
            scores = token[0][at, self.last]
            worst = numpy.minimum(token[2], token[1])[at, self.last]
            ends.append((scores, worst, token[3][at, self.last]))
        return list(self.places(ends))

    def places(self, ends):
        if not ends:
            return
        scores, worst, starts = (numpy.array(part) for part in zip(*ends))
        for row, said in enumerate(self.said):
            taken = []
            for step in numpy.argsort(-scores[:, row])[:200]:
                mean, start = scores[step, row] / len(said), int(starts[step, row])
                if mean < -COST_MAX or len(taken) == 4:
                    break
                if all(step < first or last < start for first, last in taken):
                    taken.append((start, step))
                    yield self.phrases[row], float(mean), float(worst[step, row]), len(said), int(step) + 1 - start, start, int(step) + 1


def units(phrase):
    return re.findall(r"[\u4e00-\u9fff]|[A-Za-z']+", phrase)


def pieces(samples):
    """A recording cut where it is quiet."""
    frames = samples[: len(samples) // 80 * 80].reshape(-1, 80)
    loudness = numpy.convolve((frames**2).mean(axis=1), numpy.ones(15) / 15, "same")
    at = 0
    while at < len(frames):
        end = len(frames)
        if end - at > PIECE[1]:
            end = at + PIECE[0] + int(loudness[at + PIECE[0] : at + PIECE[1]].argmin())
        if end - at > 40:
            yield samples[at * 80 : end * 80]
        at = end


def candidates(ear, listed, samples):
    found, behind = [], 0
    for piece in pieces(samples):
        found += [(*each[:5], behind + each[5], behind + each[6]) for each in listed.spot(ear.likelihoods(piece))]
        behind += len(piece) // 320
    return found


def features(found):
    return [1.0, found[1], numpy.log(found[3])]


def fitted(rows, wanted):
    """A logistic function by Newton's method, its weights a little kept small."""
    x, y = numpy.array(rows), numpy.array(wanted, float)
    weights = numpy.zeros(x.shape[1])
    for _ in range(60):
        p = 1 / (1 + numpy.exp(-numpy.clip(x @ weights, -30, 30)))
        slope = x.T @ (y - p) - 0.3 * weights
        curve = (x * (p * (1 - p))[:, None]).T @ x + 0.3 * numpy.eye(x.shape[1])
        weights = weights + numpy.linalg.solve(curve, slope)
    return weights


def certainty(weights, found):
    return float(1 / (1 + numpy.exp(-numpy.clip(numpy.dot(features(found), weights), -30, 30))))


def heard(found, weights, least):
    """What is told of candidates, as the program does it: sure enough, and none upon another."""
    sure = [each for each in found if certainty(weights, each) >= least]
    sure.sort(key=lambda each: -(each[1] + 1.5) * each[3])
    kept = []
    for each in sure:
        if all(each[6] <= other[5] or other[6] <= each[5] for other in kept):
            kept.append(each)
    return kept


def main(shared, work, models):
    tokens, ear = Tokens(), Ear(models)
    apart = list(recordings.kept(work / "apart.npz"))
    of = lambda corpus: [(samples, said) for samples, said, speaker in apart if speaker.split()[0] == corpus]
    casia, aishell, ravdess, learners = (of(corpus) for corpus in ("casia", "aishell", "ravdess", "learner"))
    whole, casia, ravdess = casia, casia[::3], ravdess[::8]
    calls = {language: telephone(shared, language) for language in ("zh", "en")}
    told = {"open": {name: round(errors(ear, tokens, clips), 1) for name, clips in (("casia", casia), ("aishell", aishell), ("ravdess", ravdess), ("learners", learners))}}
    listed = sorted({said for _, said in casia})
    zh = Trial(ear, Listed(listed + decoys(listed), tokens), casia, {"aishell": aishell, "calls": calls["zh"] + calls["en"]})
    spoken = sorted({said.lower() for _, said in learners}) + list(RAVDESS.values())
    people = [(samples, said.lower()) for samples, said in learners] + ravdess
    en = Trial(ear, Listed(spoken + decoys(spoken), tokens), people, {"calls": calls["en"]})
    weights = {"syllables": zh.fitted(), "letters": en.fitted()}
    names = ("even", "mean", "tokens")
    (work / "certainty.json").write_text(json.dumps({of: dict(zip(names, map(float, each))) for of, each in weights.items()}))
    told["weights"] = {of: [round(float(each), 3) for each in values] for of, values in weights.items()}
    told["casia"], told["english"] = zh.told(weights["syllables"]), en.told(weights["letters"])
    told["casia, every clip"] = Trial(ear, zh.listed, whole, {}).told(weights["syllables"])
    shipped = {language: Listed(sentences.phrases(ROOT, language), tokens) for language in ("zh", "en")}
    others = {"zh": {"casia": casia, "aishell": aishell, "calls": calls["zh"]}, "en": {"calls": calls["en"], "ravdess": ravdess, "learners": learners}}
    for language, of in (("zh", "syllables"), ("en", "letters")):
        trial = Trial(ear, shipped[language], [], others[language])
        told[f"shipped {language}"] = trial.told(weights[of])
    print(json.dumps(told, ensure_ascii=False, indent=1))


def telephone(shared, language):
    import csv

    folder = shared / "data/calls_8k"
    rows = csv.DictReader((folder / "manifest.csv").open(encoding="utf-8"))
    return [(recordings.decoded(folder / row["file"]), "") for row in rows if row["lang"] == language]


def errors(ear, tokens, clips):
    wrong = count = 0
    for samples, said in clips:
        numbers = tokens.of_text(said)
        wrong += distance(collapsed(ear.likelihoods(samples).argmax(axis=1)), numbers)
        count += len(numbers)
    return 100 * wrong / count


def decoys(phrases):
    """Phrases that nobody says: the first half of each with the second half of another."""
    halves = [(units(phrase), " " if " " in phrase else "") for phrase in phrases]
    made = []
    for number, (said, blank) in enumerate(halves):
        other = halves[(number + 7) % len(halves)][0]
        made.append(blank.join([*said[: -(-len(said) // 2)], *other[len(other) // 2 :]]))
    return sorted(set(made) - set(phrases))


class Trial:
    """One list: clips in which its phrases are said, and speech in which none is. What is listed and never said are decoys."""

    def __init__(self, ear, listed, clips, others):
        self.listed = listed
        self.clips = [(said, candidates(ear, listed, samples)) for samples, said in clips]
        self.others = {name: [(len(samples), candidates(ear, listed, samples)) for samples, _ in given] for name, given in others.items() if given}
        self.said = sorted({said for said, _ in self.clips})

    def half(self, part):
        """Clips of every second sentence."""
        return [each for each in self.clips if self.said.index(each[0]) % 2 == part]

    def fitted(self):
        rows, wanted = [], []
        for said, found in self.half(0):
            right = max((each for each in found if each[0] == said), key=lambda each: each[1], default=None)
            for each in found:
                if each[0] != said or each is right:
                    rows.append(features(each))
                    wanted.append(each is right)
        for given in self.others.values():
            for _, found in given[::2]:
                rows += [features(each) for each in found]
                wanted += [False] * len(found)
        return fitted(rows, wanted)

    def told(self, weights):
        table = {}
        for least in (0.5, 0.7, 0.9, 0.95, 0.98):
            hits = wrong = deceived = 0
            listed = lambda found: [each for each in found if not self.said or each[0] in self.said]
            for said, found in self.half(1):
                phrases = {each[0] for each in heard(listed(found), weights, least)}
                hits += said in phrases
                wrong += bool(phrases - {said})
                # Were only what is not said listed, it would be heard.
                deceived += bool(heard([each for each in found if each[0] != said], weights, least))
            row = {"hits %": round(100 * hits / max(len(self.half(1)), 1), 1), "others in clips": wrong, "decoys": deceived, "clips": len(self.half(1))}
            for name, given in self.others.items():
                hours = sum(length for length, _ in given) / 8_000 / 3_600
                false = sum(len(heard(listed(found), weights, least)) for _, found in given)
                row[name] = f"{false} in {hours:.2f} h"
            table[least] = row
        return table


if __name__ == "__main__":
    main(*(pathlib.Path(each) for each in sys.argv[1:4]))
