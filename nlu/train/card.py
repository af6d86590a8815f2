"""Writes what is known about the model: JSON for the program, Markdown for people."""

import hashlib
import json
import subprocess

from corpora import CLASSES


def feature_names(program):
    """The names of the model's inputs, as the program tells them."""
    done = subprocess.run([program, "--names"], check=True, capture_output=True)
    return done.stdout.decode().split()


def write_json(path, version, names, parameters):
    graph = path.with_suffix(".onnx").read_bytes()
    content = {
        "name": "acoustic",
        "version": version,
        "labels": list(CLASSES),
        "features": names,
        "sha256": hashlib.sha256(graph).hexdigest(),
        "parameters": int(parameters),
    }
    path.write_text(json.dumps(content, indent=1) + "\n", encoding="utf-8")


def write_card(path, version, parameters, rows, figures):
    lines = [HEAD.format(version=version, parameters=parameters, rows=rows)]
    lines += ["## One window of 2 s\n", COLUMNS, RULE]
    for split, title in (("speaker", "speaker held out"), ("corpus", "corpus held out")):
        for corpus, f in figures[split].items():
            lines.append(
                f"| {corpus} | {title} | {f['windows']} | {100 * f['accuracy']:.1f} | {100 * f['uar']:.1f} "
                f"| {100 * f['macro_f1']:.1f} | {100 * f['anger_f1']:.1f} | {f['anger_auc_rest']:.3f} "
                f"| {f['anger_auc_neutral']:.3f} | {100 * f['neutral_called_anger']:.1f} "
                f"| {f['calibration_error']:.3f} |"
            )
    lines.append("\nSignal processing alone, anger against neutral / against all others (area under the curve): ")
    signal = figures["signal"].items()
    lines.append(", ".join(f"{c} {f['anger_auc_neutral']:.3f} / {f['anger_auc_rest']:.3f}" for c, f in signal) + ".\n")
    lines.append("Confusion with the speaker held out (rows: truth; neutral, anger, joy, sadness):\n")
    for corpus, f in figures["speaker"].items():
        lines.append(f"- {corpus}: {f['confusion']}")
    lines += [STREAMS, STREAM_COLUMNS, STREAM_RULE]
    for name, f in figures["streams"].items():
        way, corpus = name.split()
        found = ["high_within_2_s", "high_within_4_s", "high_at_all"]
        shares = " | ".join(f"{100 * f[share]:.0f}" if f["onsets"] else "-" for share in found)
        rate = f["false_highs"] / max(f["calm_hours"], 1e-9)
        lines.append(
            f"| {corpus} | {way} | {f['onsets']} | {f['early']} | {shares} "
            f"| {f['calm_hours'] * 60:.0f} | {f['false_highs']:.0f} | {rate:.1f} |"
        )
    lines.append(TAIL)
    path.write_text("\n".join(lines) + "\n", encoding="utf-8")


COLUMNS = (
    "| corpus | split | windows | accuracy % | UAR % | macro-F1 % | anger F1 % | AUC anger / all others "
    "| AUC anger / neutral | neutral called anger % | ECE |"
)
RULE = "|---|---|---|---|---|---|---|---|---|---|---|"
STREAM_COLUMNS = (
    "| corpus | listening by | onsets | already high | high within 2 s % | within 4 s % | before the end % "
    "| calm speech, minutes | false highs in it | per hour |"
)
STREAM_RULE = "|---|---|---|---|---|---|---|---|---|---|"

HEAD = """# Acoustic emotion model {version}

Written by `nlu/train/train`; do not edit. What it takes and how it is used: `docs/MODELS.md`.

- **Judges** a window of 2 s of telephone speech: neutral, anger, joy, sadness.
- **Input** 75 numbers per window: functionals of pitch, level, spectrum and rhythm, and how far the window is from the
  speaker's own baseline (`nlu/src/features.rs`). No audio, no words.
- **Shape** three small perceptrons (75-64-32-4, seeds 0, 1, 2) with averaged logits; {parameters} weights in all.
- **Trained on** {rows} windows of CASIA (Mandarin, 3 of its speakers, acted; no licence stated, research), EmoDB
  (German, 8 speakers, acted; free for research) and URDU (talk shows, spontaneous; no licence stated, research).
  Neutral speech besides: 125 Mandarin speakers reading English (speechocean762, free for all use) and some 20 readers
  of Mandarin and English from test files of public repositories (licence per file, see their manifests).
  In URDU most speakers have one emotion only, so its figures partly measure who speaks. The corpora are not part of
  this project; whoever ships these weights commercially has to clear that use with the owners of the corpora.
- **Not trained on** RAVDESS (English, acted, CC BY-NC-SA 4.0): only judged on it, as a language and studio it never heard.
- **Band** everything at 8 kHz, 300-3400 Hz, through G.711 A-law or mu-law; training adds gain, noise, speed and loudness levelling.
- **Other emotions** (fear, surprise, disgust) were trained as "anything but anger" and count in the areas as not anger;
  accuracy, UAR and F1 are over the four classes. RAVDESS "calm" counts as neutral.
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
## What it can not do

Lively agents on real calls are called angry far too often (see calls_8k): listen to callers, and ask for a duration
before acting. Acted anger is louder than most real anger; three Mandarin speakers are few; fear and great joy are often taken for
anger; cold, quiet anger is not found. Children, crosstalk and music were not tested. Emotion scores are about a window
of sound, not about a person: use them to offer help sooner, never to judge somebody.
"""
