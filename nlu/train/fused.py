"""What fusion gains: calls of recorded voices with fitting words, judged by the voice, by the words, and by both.

Nobody in them was heard in training: the voice is judged by the model of the fold that held its speaker out, and the sentences
are those that the model of words was never taught. The listener is the program's own (`nlu/examples/fused.rs`).
"""

import argparse
import json
import pathlib
import subprocess
from dataclasses import dataclass

import numpy

import judge
import streams
from corpora import CALM, TRAINED_ON, load
from rows import FOLDS, folds_by_speaker

SEED = 9
# How sure a recogniser is of such words, in the middle.
CONFIDENCE = 0.85
# Every so often a sentence is said in recordings whose own words are not known, and so long it takes, seconds.
EVERY_S, SAYING_S = 6.0, 3.0
MANDARIN = ("casia", "aishell_sample")
WAYS = ("voice", "words", "both")


@dataclass
class Call:
    """`kind`: `angry` from `onset_s` on, `calm`, or `polite`: a calm voice, of whose sentences some complain politely."""

    kind: str
    corpus: str
    speaker: str
    path: pathlib.Path
    onset_s: float | None
    said: list


def main():
    parser = argparse.ArgumentParser()
    for name in ("shared", "work", "program", "models", "said"):
        parser.add_argument(f"--{name}", type=pathlib.Path, required=True)
    options = parser.parse_args()
    said = json.loads(options.said.read_text(encoding="utf-8"))
    folder = options.work / "fused"
    folder.mkdir(parents=True, exist_ok=True)
    clips = load(options.shared, options.work / "clips", TRAINED_ON)
    folds = folds_by_speaker((clip.corpus, clip.speaker) for clip in clips)
    calls = acted_calls(clips, said, folder)
    judged = []
    for fold in range(FOLDS):
        mine = [call for call in calls if folds[call.speaker] == fold]
        sound = options.work / f"fold-{fold}-sound"
        judged += figures(mine, options, options.work / f"fold-{fold}", sound)
    calm = calm_calls(load(options.shared, options.work / "clips", CALM), said, folder)
    judged += figures(calm, options, options.models / "acoustic", options.models / "sound")
    print(table(judged))


def acted_calls(clips, said, folder):
    """The chosen clips of every speaker as calls, a sentence with each; calm ones a second time, with polite complaints."""
    made = []
    for first, then, random in judge.chosen_clips(clips, SEED):
        moods = ["calm"] * len(first) + ["angry"] * len(then)
        made.append(call("angry" if then else "calm", (first, then), moods, said, random, folder, len(made)))
        if not then:
            moods = ["polite" if number % 3 == 2 else "calm" for number in range(len(first))]
            made.append(call("polite", (first, then), moods, said, random, folder, len(made)))
    return made


def call(kind, clips, moods, said, random, folder, number):
    """One call: the clips one after the other through a line, and what is said with each."""
    first, then = clips
    spans, samples = streams.Line(first + then, random, False).together(first + then)
    sentences = sentences_for(first[0], said)
    words = [told(random.choice(sentences[mood]), start, end) for (start, end, _), mood in zip(spans, moods)]
    path = written(folder, number, samples)
    return Call(kind, first[0].corpus, first[0].speaker, path, judge.onset_s(spans, first, then), words)


def calm_calls(clips, said, folder):
    """Every speaker's recordings one after the other, 20 at most in a call, with calm sentences; nobody is called angry."""
    made = []
    for some, random in judge.in_twenties(clips, SEED):
        _, samples = streams.Line(some, random, False).together(some)
        sentences = sentences_for(some[0], said)["calm"]
        begins = numpy.arange(1.0, len(samples) / streams.RATE - SAYING_S, EVERY_S)
        words = [told(random.choice(sentences), at, at + SAYING_S) for at in begins]
        path = written(folder, f"calm-{len(made)}", samples)
        made.append(Call("calm", some[0].corpus, some[0].speaker, path, None, words))
    return made


def sentences_for(clip, said):
    """The sentences in the language that goes with a voice."""
    return said["zh" if clip.corpus in MANDARIN else "en"]


def told(text, start_s, end_s):
    return {"text": str(text), "start_s": float(start_s), "end_s": float(end_s), "confidence": CONFIDENCE}


def written(folder, number, samples):
    path = folder / f"{number}.wav"
    streams.write(path, samples)
    return path


def figures(calls, options, numbers, sound):
    """Figures per corpus, kind and way, by the program's own listener with these two parts of the model."""
    judged = []
    both = lambda path: [path.with_suffix(".onnx"), path.with_suffix(".json")]
    arguments = [options.program, *both(numbers), options.models / "encoder.onnx", *both(sound)]
    for corpus, kind in sorted({(call.corpus, call.kind) for call in calls}):
        mine = [call for call in calls if (call.corpus, call.kind) == (corpus, kind)]
        lines = [json.dumps({"path": str(c.path), "onset_s": c.onset_s, "said": c.said}) for c in mine]
        done = subprocess.run(arguments, input="\n".join(lines), text=True, check=True, capture_output=True)
        for line in done.stdout.splitlines():
            judged.append({"corpus": corpus, "kind": kind, **json.loads(line)})
    return judged


def table(judged):
    """Per corpus and way: shares of onsets found, and false highs per hour of calm voices with calm, and with polite, words."""
    lines = ["| corpus | by | onsets | high within 4 s % | before the end % | calm hours | false highs | per hour | with polite complaints: hours | highs |"]
    lines.append("|" + "---|" * 10)
    corpora = sorted({one["corpus"] for one in judged})
    for corpus in [*corpora, "all"]:
        for way in WAYS:
            mine = [one for one in judged if one["way"] == way and corpus in (one["corpus"], "all")]
            onsets = sum(one["figures"]["onsets"] for one in mine)
            share = lambda name: 100 * sum(o["figures"][name] * o["figures"]["onsets"] for o in mine) / max(onsets, 1)
            hours, highs = calm_of(one for one in mine if one["kind"] != "polite")
            polite_hours, polite_highs = calm_of(one for one in mine if one["kind"] == "polite")
            found = f"{share('high_within_4_s'):.0f} | {share('high_at_all'):.0f}" if onsets else "- | -"
            rate = highs / max(hours, 1e-9)
            polite = f"{polite_hours:.2f} | {polite_highs:.0f}" if polite_hours else "- | -"
            lines.append(f"| {corpus} | {way} | {onsets} | {found} | {hours:.2f} | {highs:.0f} | {rate:.1f} | {polite} |")
    return "\n".join(lines)


def calm_of(judged):
    """Hours of calm speech, and times that the level became high in it."""
    judged = [one["figures"] for one in judged]
    hours = sum(one["calm_hours"] for one in judged)
    return hours, round(sum(one["false_highs_per_hour"] * one["calm_hours"] for one in judged))


if __name__ == "__main__":
    main()
