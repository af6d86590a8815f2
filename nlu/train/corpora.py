"""The corpora: which clips there are, who speaks, what they are labelled; and their samples in the telephone band."""

import csv
import os
import pathlib
import subprocess

import numpy

RATE = 8000
# As in nlu/src/model.rs.
CLASSES = ("neutral", "calm", "anger", "joy", "sadness", "anxiety", "surprise", "disgust")
ALSO_CALLED = {
    "angry": "anger",
    "happy": "joy",
    "sad": "sadness",
    "fear": "anxiety",
    "fearful": "anxiety",
    "surprised": "surprise",
}
FOUR = ("neutral", "anger", "joy", "sadness")
# Which classes the labels of a corpus choose among. RAVDESS is licensed for non-commercial use only, and so is what is
# trained on it.
TRAINED_ON = {
    "casia": ("neutral", "anger", "joy", "sadness", "anxiety", "surprise"),
    "emodb4": FOUR,
    "urdu": FOUR,
    "ravdess": CLASSES,
}
# People who read or say something without emotion, on many microphones: neutral, so that a strange line is not anger.
READ = ("speech_en_by_mandarin_speakers", "speech_zh_misc", "speech_en_misc")
# What is kept of the sound: what a telephone line lets through, or all that 8 kHz can hold.
BANDS = {"telephone": ("-af", "highpass=f=300,highpass=f=300,lowpass=f=3400"), "wide": ()}
# The men among the speakers of corpora whose names do not tell.
MEN = {f"emodb4/{number}" for number in ("03", "10", "11", "12", "15")} | {"casia/ZhaoZuoxiang", "casia/wangzhe"}
# Recordings that were never trained on: one reader, and telephone calls without emotion labels (their agents and
# callers are not angry for most of the time, so a level that is often high is wrong).
CALM = ("aishell_sample", "calls_8k")


class Clip:
    """One recording of one speaker in one emotion."""

    def __init__(self, corpus, row):
        self.corpus = corpus
        self.file = row["file"]
        self.speaker = f"{corpus}/{row['speaker']}"
        self.label = ALSO_CALLED.get(row["label"], row["label"])
        self.samples = None

    def gender(self):
        """Of the speaker, where the corpus tells it: URDU by a letter of the name, RAVDESS by odd and even numbers."""
        number = self.speaker.split("/")[1]
        men = {"urdu": number[:2] == "SM", "ravdess": number[-1] in "13579"}.get(self.corpus, self.speaker in MEN)
        return "men" if men else "women"


def load(shared, cache, names, band="telephone"):
    """All clips of the named corpora, decoded to 8 kHz in one of `BANDS`, as float64 in [-1, 1]."""
    clips = []
    for name in names:
        folder = pathlib.Path(shared) / "data" / name
        found = [Clip(name, row) for row in manifest(folder)]
        stored = pathlib.Path(cache) / f"{name}-{band}.npz"
        if not stored.exists():
            stored.parent.mkdir(parents=True, exist_ok=True)
            numpy.savez(stored, **{clip.file: decode(folder / clip.file, band) for clip in found})
        with numpy.load(stored) as samples:
            for clip in found:
                clip.samples = samples[clip.file].astype(numpy.float64) / 32768.0
        clips.extend(found)
    return clips


def manifest(folder):
    """The rows of a corpus's manifest; recordings without a label are neutral, without a speaker named by their source."""
    path = folder / "manifest.csv"
    comma = path.exists()
    with open(path if comma else folder / "manifest.tsv", newline="", encoding="utf-8") as lines:
        rows = list(csv.DictReader(lines) if comma else csv.DictReader(lines, delimiter="\t", quoting=csv.QUOTE_NONE))
    for row in rows:
        row["file"] = pathlib.Path(row.get("file") or row["path"]).name
        row.setdefault("label", "neutral")
        row.setdefault("speaker", pathlib.Path(row["file"]).stem if folder.name == "calls_8k" else row["file"].split("_")[0])
    return rows


def decode(path, band):
    """The clip as 16-bit samples at 8 kHz."""
    command = ["ffmpeg", "-v", "error", "-i", os.fspath(path), *BANDS[band]]
    command += ["-ar", str(RATE), "-ac", "1", "-f", "s16le", "-"]
    return numpy.frombuffer(subprocess.run(command, check=True, capture_output=True).stdout, numpy.int16)
