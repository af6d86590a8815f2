"""Recordings of people: who is taught, and who is kept apart to judge by.

`python corpora.py SHARED WORK` writes WORK/words.npz (single syllables and words), WORK/people.npz (sentences),
WORK/between.npz (sentences of other speakers by whom weights may be chosen) and WORK/apart.npz (sentences that nothing is
learnt from and nothing is chosen by). Speakers are the parts, but for AISHELL's one speaker: every second sentence of that
one is taught, so the others tell nothing about unknown voices.

Two corpora that are not in SHARED are taken where they lie in WORK/more (nlu/train/README.md says whence).
"""

import csv
import pathlib
import re
import sys

import recordings

RAVDESS = {"01": "kids are talking by the door", "02": "dogs are sitting by the door"}
# Of the Mandarin speakers of English, those whose number divides by this are judged by.
APART_EVERY = 3


def main(shared, work):
    data, more = shared / "data", work / "more"
    recordings.keep(work / "words.npz", read([*words(data / "audio_cmn"), *syllables(more / "mp3-chinese-pinyin-sound")]))
    mandarin = misc(data, "zh")
    people = [*aishell(data, 0), *service(more / "customer-service"), *misc(data, "en"), *learners(data, taught=True)]
    people += [each for each in mandarin if "bznsyp" in each[0].name]
    recordings.keep(work / "people.npz", read(people))
    recordings.keep(work / "between.npz", read([each for each in mandarin if "bznsyp" not in each[0].name]))
    apart = [*casia(data), *aishell(data, 1), *ravdess(data), *learners(data, taught=False)]
    recordings.keep(work / "apart.npz", read(apart))


def read(listed):
    """Samples, what is said, and who says it."""
    for path, said, speaker in listed:
        samples = recordings.decoded(path)
        if len(samples):
            yield samples, said, speaker


def words(folder):
    """Single words (`hsk`, in characters) and syllables (with their tones in figures)."""
    found = []
    for path in sorted(folder.glob("hsk/*.mp3")):
        word = path.stem.removeprefix("cmn-")
        if re.fullmatch(r"[\u4e00-\u9fff]{1,6}", word):
            found.append((path, word, "audio_cmn words"))
    for path in sorted(folder.glob("syllabs/*.mp3")):
        syllable = path.stem.removeprefix("cmn-")
        if re.fullmatch(r"[a-zü]+[1-5]", syllable):
            found.append((path, f"/{syllable}", "audio_cmn syllables"))
    return found


def syllables(folder):
    """Syllables of one more speaker."""
    found = []
    for path in sorted(folder.glob("mp3/*.mp3")):
        syllable = path.stem.replace("uu", "ü")
        if re.fullmatch(r"[a-zü]+[1-5]", syllable):
            found.append((path, f"/{syllable}", "pinyin syllables"))
    return found


def service(folder):
    """Sentences of an agent on the telephone, as syllables; those with English in them are left out."""
    found = []
    for path in sorted(folder.glob("ProsodyLabeling/*.txt")):
        lines = path.read_text(encoding="utf-8-sig").splitlines()
        for line, spoken in zip(lines[::2], lines[1::2]):
            if "/" not in spoken:
                wave = folder / "Wave" / path.stem / f"{line.split()[0]}.wav"
                found.append((wave, f"/{' '.join(erised(spoken.split()))}", "service"))
    return found


def erised(syllables):
    """Syllables that end in the sound of er as two, as texts are read."""
    for syllable in syllables:
        parts = re.fullmatch(r"([a-zü]{2,})r([1-6])", syllable)
        yield from [f"{parts[1]}{parts[2]}", "er5"] if parts and parts[1] not in ("e", "") else [syllable]


def aishell(data, part):
    folder = data / "aishell_sample"
    rows = list(csv.DictReader((folder / "manifest.csv").open(encoding="utf-8")))
    return [(folder / row["file"], row["text"], "aishell") for row in rows[part::2]]


def casia(data):
    folder = data / "casia"
    lines = (folder / "texts_201_250.txt").read_text(encoding="utf-8").splitlines()
    texts = dict(re.match(r"(\d+)\.\s*(\S.*)", line).groups() for line in lines if line.strip())
    rows = csv.DictReader((folder / "manifest.csv").open(encoding="utf-8"))
    return [(folder / row["file"], re.sub(r"\W", "", texts[row["text_id"]]), f"casia {row['speaker']}") for row in rows]


def ravdess(data):
    folder = data / "ravdess"
    rows = csv.DictReader((folder / "manifest.csv").open(encoding="utf-8"))
    return [(folder / row["file"], RAVDESS[row["text_id"]], f"ravdess {row['speaker']}") for row in rows]


def misc(data, language):
    folder = data / f"speech_{language}_misc"
    rows = csv.DictReader((folder / "manifest.tsv").open(encoding="utf-8"), delimiter="\t")
    has_text = [row for row in rows if row["text"] and float(row["seconds"]) < 12]
    return [(folder / pathlib.Path(row["path"]).name, row["text"], f"misc {row['repo']}") for row in has_text]


def learners(data, taught):
    folder = data / "speech_en_by_mandarin_speakers"
    rows = list(csv.DictReader((folder / "manifest.tsv").open(encoding="utf-8"), delimiter="\t"))
    number = lambda row: int(re.sub(r"\D", "", row["speaker"]))
    chosen = [row for row in rows if (number(row) % APART_EVERY != 0) == taught]
    return [(folder / pathlib.Path(row["path"]).name, row["text"], f"learner {row['speaker']}") for row in chosen]


if __name__ == "__main__":
    main(pathlib.Path(sys.argv[1]), pathlib.Path(sys.argv[2]))
