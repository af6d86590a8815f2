"""Writes what is known about the model: JSON for the program, Markdown for people."""

import datetime
import hashlib
import json
import subprocess

import pictures
from corpora import CLASSES


def feature_names(program):
    """The names of the model's inputs, as the program tells them."""
    done = subprocess.run([program, "--names"], check=True, capture_output=True)
    return done.stdout.decode().split()


def write_json(path, part, names, parameters, **told):
    graph = path.with_suffix(".onnx").read_bytes()
    content = {
        "name": part.name,
        "version": part.version,
        "labels": list(CLASSES),
        "features": names,
        "sha256": hashlib.sha256(graph).hexdigest(),
        "parameters": int(parameters),
        **told,
    }
    path.write_text(json.dumps(content, indent=1) + "\n", encoding="utf-8")


def write_card(path, models, windows, figures):
    """`models` and how many `windows` each was taught by, by part."""
    told = {"windows": max(windows.values()), "date": datetime.date.today()}
    told |= {f"{part.name}_version": part.version for part in models}
    told |= {f"{part.name}_weights": model.parameters() for part, model in models.items()}
    lines = [HEAD.format(**told), COLUMNS, RULE]
    lines += rows_of(figures["speaker"], "speaker held out") + rows_of(figures["corpus"], "corpus held out")
    lines += [ALONE, COLUMNS, RULE]
    for name, f in figures["parts"].items():
        lines += rows_of(f, f"speaker held out, {name} alone")
    lines += [WIDE, COLUMNS, RULE, *rows_of(figures["wide"], "speaker held out")]
    lines += [GENDERS, COLUMNS, RULE, *rows_of(figures["gender"], "speaker held out")]
    lines += [STREAMS, STREAM_COLUMNS, STREAM_RULE]
    for name, f in figures["streams"].items():
        way, corpus = name.rsplit(" ", 1)
        found = ["high_within_2_s", "high_within_4_s", "high_at_all"]
        shares = " | ".join(f"{100 * f[share]:.0f}" if f["onsets"] else "-" for share in found)
        rate = f["false_highs"] / max(f["calm_hours"], 1e-9)
        lines.append(
            f"| {corpus} | {way} | {f['onsets']} | {f['early']} | {shares} "
            f"| {f['calm_hours'] * 60:.0f} | {f['false_highs']:.0f} | {rate:.1f} |"
        )
    lines.append(TAIL)
    path.write_text("\n".join(lines) + "\n", encoding="utf-8")


def rows_of(figures, split):
    """One row per corpus and context."""
    rows = []
    for name, f in figures.items():
        corpus, context = name.split("|")
        rows.append(
            f"| {corpus} | {split} | {context} | {f['clips']} | {percent(f['accuracy'])} | {percent(f['uar'])} "
            f"| {percent(f['anger_f1'])} | {share(f['anger_auc'])} | {percent(f['calibration_error'])} |"
        )
    return rows


def write_pictures(folder, figures):
    """Confusion and reliability with the speaker held out, after neutral speech."""
    told = figures["speaker"]
    named = [(corpus, told[f"{corpus}|after neutral speech"]) for corpus in figures["reliability"]]
    pictures.write_confusions(folder / "acoustic-confusion.svg", [(c, f["classes"], f["confusion"]) for c, f in named])
    pictures.write_reliability(folder / "acoustic-reliability.svg", list(figures["reliability"].items()))


def percent(estimate):
    value, low, high = (100 * part for part in estimate)
    return f"{value:.1f} ({low:.1f}-{high:.1f})"


def share(estimate):
    value, low, high = estimate
    return f"{value:.3f} ({low:.3f}-{high:.3f})"


COLUMNS = (
    "| corpus | split | heard before | clips | accuracy % | UAR % | anger F1 % | AUC anger / all others | ECE % |"
)
RULE = "|---|---|---|---|---|---|---|---|---|"
STREAM_COLUMNS = (
    "| corpus | listening by | onsets | already high | high within 2 s % | within 4 s % | before the end % "
    "| calm speech, minutes | false highs in it | per hour |"
)
STREAM_RULE = "|---|---|---|---|---|---|---|---|---|---|"

HEAD = """# Acoustic emotion model {acoustic_version}, with the sound {sound_version}

Written by `nlu/train/train`; do not edit. What it takes and how it is used: `docs/MODELS.md`.

- **Judges** a window of up to 3 s of telephone speech: neutral, calm, anger, joy, sadness, anxiety, surprise, disgust.
- **Input** Of the numbers (`acoustic.onnx`): 570 per window about pitch, level, spectrum, voice quality and rhythm (`nlu/src/window.rs`).
  Of the sound (`encoder.onnx`, `sound.onnx`): mean and deviation of the 512 values that the convolutions and the first two Transformer
  layers of Whisper base (OpenAI, MIT; weights as they are, in 8 bits) make of every 20 ms of the window that are speech, heard half a
  second at a time with the half before it (`nlu/src/sound.rs`). To each the same over the speaker's first 24 windows, and how many of these there
  were. No words.
- **Shape** Of the numbers: four perceptrons with one hidden layer of 128 (seeds 0 to 3) on each value and its distance from the usual,
  averaged logits, one temperature, {acoustic_weights} weights in all; of the sound two with one of 256, {sound_weights} weights behind the
  encoder's 7.3 million. Those of the hidden layers have 8 bits. What both say is multiplied, the numbers by the power of a half, and brought to
  one temperature. The figures are of the perceptrons before they had 8 bits, which a test of the recipe holds the graphs to
  (`docs/MODELS.md` has what it costs), on the encoder as it is.
- **Trained on** {windows} windows (each clip through the plain line, through an augmented one, as it was recorded, and as another
  voice in the same wide band; with and without neutral speech before) of CASIA (Mandarin, 3 of its speakers, acted; no licence stated, research), EmoDB (German, 8 speakers, acted; free for
  research), URDU (talk shows, spontaneous; no licence stated, research) and RAVDESS (English, 18 of its actors, acted;
  **CC BY-NC-SA 4.0: these weights are for non-commercial use**). Speech besides that was trained to be neutral rather than angry: 125 Mandarin speakers reading
  English (speechocean762, free for all use) and some 20 readers of Mandarin and English from test files of public repositories
  (licence per file, see their manifests). The corpora are not part of this project; who needs weights for commerce takes RAVDESS
  out of `TRAINED_ON` in `nlu/train/corpora.py`, trains anew and clears the use of the others with their owners.
- **Band** everything at 8 kHz: 300-3400 Hz through G.711 A-law or mu-law at levels from -34 to -16 dBov, and up to 4 kHz at -46 to -14 dBov;
  training adds noise, speed, tilt and loudness levelling.
- **Date** {date}. Seeds are fixed.

## Clips

One clip, one judgement: the mean over its windows (the first three count a quarter to three quarters), the likeliest of the classes that the corpus has. "Alone": nothing else was heard
of the speaker. "After neutral speech": five neutral clips of the speaker, never the clip itself, came before (10 s or so of
speech, what a caller says at first). Speakers held out: eight models, each without one speaker of EmoDB, at most one of CASIA,
two or three of RAVDESS and an eighth of those of URDU, in whom speaker and emotion go together, so that its figures measure little. CASIA
has three speakers here: two to learn from. Corpus held out: the class names of a language and studio that were never heard.
Telephone band; wide band below. In brackets 95 % intervals (bootstrap over clips). The temperature is that of the other folds. Shape, features, layer, steps and shares were chosen on folds 0-2,
so expect somewhat less elsewhere.
"""

ALONE = """
## Each part alone

Telephone band, speaker held out: what the numbers say alone, as while work is spared, and what the sound says alone.
"""

WIDE = """
## Wide band

The same models on the clips as they were recorded, at their own level, with all that 8 kHz can hold and without G.711: what
`calmline eval speech` hears of a file. Clips without enough speech for a window are left out, here and above; RAVDESS is quiet, and
loses more of them as it was recorded.
"""

GENDERS = """
## By gender

Telephone band. Not URDU: its women and men said different emotions. CASIA is two women and one man, EmoDB four and four, RAVDESS nine
and nine.
"""

STREAMS = """
## Streams: is anger found, and how soon?

Up to five neutral clips of a speaker, then up to five angry ones, and streams of up to ten neutral ones; judged by the real
listener (fused with the signal, smoothed, default thresholds) with a model that had not heard the speaker. Time runs
from the first angry word. The thresholds were chosen on these same streams, so expect somewhat less elsewhere.
calls_8k (real and staged telephone calls, English agents and a caller, Mandarin) and aishell_sample (one Mandarin reader)
have no emotion labels and were never trained on; nobody in them is known to be angry, so every high counts as false.
"""

TAIL = """
![Confusion, speaker held out, after neutral speech](../../docs/img/acoustic-confusion.svg)
![Reliability, speaker held out, after neutral speech](../../docs/img/acoustic-reliability.svg)

## What it can not do

Name six emotions of a Mandarin speaker it has not heard more than every second time, nor find more than half of that speaker's anger
within ten seconds at the default thresholds. Twenty minutes of real calls are too few to promise anything about others. Acted anger is louder than most real anger;
three Mandarin speakers are few; fear and great joy are often taken for anger; cold, quiet anger is not found. Children, crosstalk
and music were not tested. Emotion scores are about a window of sound, not about a person: use them to offer help sooner, never
to judge somebody.
"""
