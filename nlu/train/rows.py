"""Windows with their labels, made by the project's own program from clips, and what is usual for a speaker beside them."""

import shutil
import subprocess
import zlib
from dataclasses import dataclass, fields

import numpy

import streams

# Line number, seconds, scores of pitch, level, rate, alpha ratio: what the program writes before a row's values.
HEAD = 6
# Line number, seconds, whether there is any: what it writes before a row of the sound.
SOUND_HEAD = 3
SEED = 7
FOLDS = 8
# As in nlu/src/features.rs: windows that tell what is usual for a speaker.
USUAL_WINDOWS = 24
# Clips that the speaker says before, in tests; `calmline eval speech` takes as many.
BASELINE_CLIPS = 5


@dataclass(frozen=True)
class Turn:
    """Once through all clips: their band, and whether they are as they were recorded, or as a line carries them, or another voice."""

    number: int
    band: str = "telephone"
    line: str = "plain"

    def heard(self, clips):
        """What is heard of every clip of one speaker."""
        if self.line == "recorded":
            return [streams.recorded(clip) for clip in clips]
        random = numpy.random.default_rng([SEED, self.number, zlib.crc32(clips[0].speaker.encode())])
        line = streams.Line(clips, random, self.line == "augmented", self.band)
        return [line.alone(clip) for clip in clips]


@dataclass
class Rows:
    """One row per window: its values, what it sounds like, whether that is known, which clip it is of, and that clip's corpus, speaker,
    gender, label and turn."""

    values: numpy.ndarray
    sound: numpy.ndarray
    heard: numpy.ndarray
    clips: numpy.ndarray
    corpora: numpy.ndarray
    speakers: numpy.ndarray
    genders: numpy.ndarray
    labels: numpy.ndarray
    turns: numpy.ndarray
    # Clips without a row: too little speech.
    silent: int = 0

    def only(self, chosen):
        parts = {field.name: getattr(self, field.name) for field in fields(self)}
        return Rows(**{name: part[chosen] if name != "silent" else part for name, part in parts.items()})

    def of_sound(self):
        """The rows of which the sound is known, with its values for theirs."""
        rows = self.only(self.heard)
        rows.values = rows.sound
        return rows

    def starts(self):
        """Where each clip's rows begin, and the end of the last."""
        return numpy.r_[0, numpy.flatnonzero(numpy.diff(self.clips)) + 1, len(self.clips)]


@dataclass(frozen=True)
class Programs:
    """The project's own, which write rows, and the encoder's graph."""

    features: str
    sound: str
    encoder: str


def build_rows(clips, folder, turn, programs):
    """The windows of every clip by itself, heard as `turn` says."""
    stored = folder / f"{'-'.join(sorted({clip.corpus for clip in clips}))[:40]}-{turn.number}"
    shutil.rmtree(stored, ignore_errors=True)
    stored.mkdir(parents=True)
    kept, paths = [], []
    for speaker in sorted({clip.speaker for clip in clips}):
        mine = [clip for clip in clips if clip.speaker == speaker]
        for clip, samples in zip(mine, turn.heard(mine)):
            paths.append(stored / f"{len(paths):05}.wav")
            streams.write(paths[-1], samples)
            kept.append(clip)
    table = written([programs.features], stored, paths, HEAD)
    sound = written([programs.sound, programs.encoder], stored, paths, SOUND_HEAD)
    shutil.rmtree(stored)
    numbers = table[:, 0].astype(int)
    assert (table[:, :2] == sound[:, :2]).all(), "the programs judge other windows"
    told = lambda of: numpy.array([of(clip) for clip in kept])[numbers]
    # Behind a row's values stands what was usual before, which this recipe makes by itself.
    half = lambda table, head: table[:, head : head + (table.shape[1] - head) // 2].copy()
    values = half(table, HEAD), half(sound, SOUND_HEAD), sound[:, 2] == 1
    silent = len(kept) - len(set(numbers))
    print(f"{stored.name}: {len(kept)} clips, {len(table)} windows, {silent} clips without one", flush=True)
    who = [told(of) for of in (lambda c: c.corpus, lambda c: c.speaker, lambda c: c.gender(), lambda c: c.label)]
    return Rows(*values, numbers, *who, numpy.full(len(table), turn.number), silent)


def written(command, folder, paths, head):
    """What a program writes of recordings: (N, head + values of a row)."""
    out = folder / "rows.f32"
    subprocess.run([*command, out], input="\n".join(str(path) for path in paths), text=True, check=True)
    names = subprocess.run([command[0], "--names"], text=True, check=True, capture_output=True).stdout.split()
    return numpy.fromfile(out, "<f4").reshape(-1, head + len(names))


def joined(parts):
    """All rows together; clips stay apart."""
    offsets = numpy.cumsum([0] + [part.clips.max() + 1 for part in parts[:-1]])
    clips = numpy.concatenate([part.clips + offset for part, offset in zip(parts, offsets)])
    stacked = {f.name: numpy.concatenate([getattr(p, f.name) for p in parts]) for f in fields(Rows) if f.name not in ("clips", "silent")}
    return Rows(clips=clips, **stacked)


def usual_alone(rows):
    """What is usual where nothing but the clip was heard: the mean of its windows before, and how many these are."""
    usual, known = numpy.zeros_like(rows.values), numpy.zeros(len(rows.values), numpy.float32)
    starts = rows.starts()
    for start, end in zip(starts, starts[1:]):
        count = numpy.arange(1, end - start)[:, None]
        usual[start + 1 : end] = numpy.cumsum(rows.values[start : end - 1], axis=0) / count
        known[start:end] = numpy.arange(end - start)
    return usual, known


def usual_after_neutral(rows, random=None):
    """What is usual after neutral clips of the speaker, never the clip itself: the first five, or by `random` one to six."""
    usual, known = usual_alone(rows)
    starts = rows.starts()
    firsts = starts[:-1]
    who = numpy.array([f"{speaker}/{turn}" for speaker, turn in zip(rows.speakers[firsts], rows.turns[firsts])])
    for one in numpy.unique(who):
        mine = numpy.flatnonzero(who == one)
        calm = [clip for clip in mine if rows.labels[firsts[clip]] == "neutral"]
        for clip in mine:
            others = [other for other in calm if other != clip]
            heard = others[:BASELINE_CLIPS]
            if random is not None:
                heard = list(random.permutation(others))[: random.integers(1, BASELINE_CLIPS + 2)]
            if not heard:
                continue
            before = numpy.concatenate([numpy.arange(starts[other], starts[other + 1]) for other in heard])[:USUAL_WINDOWS]
            own = slice(starts[clip], starts[clip + 1])
            count = numpy.minimum(known[own], USUAL_WINDOWS - len(before))[:, None]
            mean = rows.values[before].mean(axis=0)
            usual[own] = (mean * len(before) + usual[own] * count) / (len(before) + count)
            known[own] = len(before) + count[:, 0]
    return usual, known


def folds_of(rows):
    """The fold in which each row's speaker is held out: eight, over the speakers of every corpus in turn."""
    folds = folds_by_speaker(zip(rows.corpora, rows.speakers))
    return numpy.array([folds[speaker] for speaker in rows.speakers], int)


def folds_by_speaker(pairs):
    """As [`folds_of`], of pairs (corpus, speaker): the fold of each speaker."""
    pairs = set(pairs)
    numbers = lambda corpus: enumerate(sorted(speaker for one, speaker in pairs if one == corpus))
    return {speaker: number % FOLDS for corpus in {one for one, _ in pairs} for number, speaker in numbers(corpus)}
