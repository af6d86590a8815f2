"""The built-in recogniser beside pocketsphinx, both as the program runs them: `python beside.py SHARED WORK PROGRAM`.

PROGRAM is target/…/examples/heard. The same lists, the same clips of voices that were not taught, the same other speech.
Prints hits with 95 % intervals (Wilson) and false phrases per hour for each least confidence.
"""

import json
import pathlib
import subprocess
import sys

import numpy
import soundfile

import recordings
import sentences
from corpora import RAVDESS
from judge import telephone

ROOT = pathlib.Path(__file__).resolve().parents[3]
LEAST = (0.5, 0.7, 0.9, 0.95, 0.98)


def main(shared, work, program):
    sets = written(shared, work)
    casia = sorted({said for _, said, _ in sets["casia"]})
    learners = sorted({said.lower() for _, said, _ in sets["learner"]}) + list(RAVDESS.values())
    lists = {"casia": ("zh", casia), "english": ("en", learners)}
    lists |= {f"shipped {language}": (language, sentences.phrases(ROOT, language)) for language in ("zh", "en")}
    sphinx = shared / "data/pocketsphinx_zh"
    engines = {
        "built-in": lambda language: ["built-in"],
        "pocketsphinx": lambda language: SPHINX[language](sphinx),
    }
    trials = {
        "casia": (["casia"], ["aishell", "calls zh", "calls en", "misc"]),
        "shipped zh": ([], ["casia", "aishell", "calls zh", "misc"]),
        "english": (["learner", "ravdess"], ["calls en"]),
        "shipped en": ([], ["calls en", "learner", "ravdess"]),
    }
    for name, (said_in, others) in trials.items():
        language, phrases = lists[name]
        path = work / f"{name}.toml"
        quoted = ", ".join(json.dumps(phrase, ensure_ascii=False) for phrase in phrases)
        path.write_text(f'language = "{language}"\n[[intent]]\nname = "any"\nphrases = [{quoted}]\n', encoding="utf-8")
        for engine, arguments in engines.items():
            try:
                heard = {each: run([program, language, path, *arguments(language)], sets[each]) for each in [*said_in, *others]}
            except subprocess.CalledProcessError as error:
                print(name, engine, error.stderr.strip()[-300:], flush=True)
                continue
            for least in LEAST:
                print(name, engine, least, json.dumps(figures(sets, heard, said_in, others, least), ensure_ascii=False), flush=True)


# Debian's pocketsphinx-en-us.
EN_US = pathlib.Path("/usr/share/pocketsphinx/model/en-us")
SPHINX = {
    "zh": lambda folder: [folder / "hmm/zh/tdt_sc_8k", folder / "lm_zh_CN/mandarin_notone.dic"],
    "en": lambda folder: [EN_US / "en-us", EN_US / "cmudict-en-us.dict"],
}


def written(shared, work):
    """WAV files of all speech that is judged: path, what is said, seconds."""
    sets = {}
    for samples, said, speaker in recordings.kept(work / "apart.npz"):
        sets.setdefault(speaker.split()[0], []).append((samples, said))
    sets["casia"] = sets["casia"][::3]
    sets["ravdess"] = sets["ravdess"][::4]
    for language in ("zh", "en"):
        sets[f"calls {language}"] = telephone(shared, language)
    misc = shared / "data/speech_zh_misc"
    untold = [path for path in sorted(misc.glob("*.flac")) if not path.name.startswith(("bznsyp", "foamliu", "wenet", "zyq", "thchs", "xe_", "azure_en"))]
    sets["misc"] = [(recordings.decoded(path), "") for path in untold]
    files = {}
    for name, clips in sets.items():
        folder = work / "wav" / name.replace(" ", "-")
        folder.mkdir(parents=True, exist_ok=True)
        files[name] = []
        for number, (samples, said) in enumerate(clips):
            path = folder / f"{number:04}.wav"
            if not path.exists():
                soundfile.write(path, samples, recordings.RATE, subtype="PCM_16")
            files[name].append((path, said.lower(), len(samples) / recordings.RATE))
    return files


def run(command, files):
    """Per file: the phrases that were heard and how sure."""
    paths = "\n".join(str(path) for path, _, _ in files) + "\n"
    lines = subprocess.run([*map(str, command)], input=paths, capture_output=True, text=True, check=True).stdout.splitlines()
    found = []
    for line in lines:
        told = [each.rsplit(" ", 1) for each in line.split("\t")[2].split(" | ") if each]
        found.append([(phrase.lower(), float(sure)) for phrase, sure in told])
    return found


def figures(sets, heard, said_in, others, least):
    told = {}
    for name in said_in:
        rows = [({phrase for phrase, sure in found if sure >= least}, said) for found, (_, said, _) in zip(heard[name], sets[name], strict=True)]
        hits = sum(said in phrases for phrases, said in rows)
        told[name] = f"{interval(hits, len(rows))} of {len(rows)}, another one in {sum(bool(phrases - {said}) for phrases, said in rows)}"
    for name in others:
        false = sum(sure >= least for found in heard[name] for _, sure in found)
        hours = sum(seconds for _, _, seconds in sets[name]) / 3_600
        told[f"false: {name}"] = f"{false} in {hours:.2f} h"
    return told


def interval(hits, count):
    share, z = hits / count, 1.96
    middle = (share + z * z / 2 / count) / (1 + z * z / count)
    half = z * numpy.sqrt(share * (1 - share) / count + z * z / 4 / count**2) / (1 + z * z / count)
    return f"{100 * share:.1f} % ({100 * (middle - half):.1f}-{100 * (middle + half):.1f})"


if __name__ == "__main__":
    main(*(pathlib.Path(each) for each in sys.argv[1:4]))
