"""The streaming engine beside the Python package sherpa-onnx: the same model, the same recordings, the same machine.

    compare.py [--search greedy|beam] [--streams N] [--threads N,N] [--rounds N] [--write FILE] \\
        MODEL_FOLDER EXAMPLE RECORDING...

EXAMPLE is the program `target/release/examples/streaming`; recordings are WAV, read as 16 kHz whatever they are. Texts
and the frame of every token (but of a Paraformer's, for which sherpa-onnx tells none) must be equal; times are taken in turns, as many rounds as asked for, and told as the best
of each. A model that takes one call at a time wants `--streams 1`. `--write` keeps what sherpa-onnx says, for the tests.
"""

import argparse
import json
import os
import pathlib
import subprocess
import sys
import time

import onnxruntime
import sherpa_onnx
import soundfile

AFTER_S = 0.66
FRAMES_PER_S = 100


def main():
    arguments = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    arguments.add_argument("folder", type=pathlib.Path)
    arguments.add_argument("example", type=pathlib.Path)
    arguments.add_argument("--streams", type=int, default=16)
    arguments.add_argument("--rounds", type=int, default=1)
    arguments.add_argument("--search", choices=["greedy", "beam"], default="greedy")
    arguments.add_argument("--threads", type=lambda text: [int(part) for part in text.split(",")], default=[1, 2])
    arguments.add_argument("--write", type=pathlib.Path)
    arguments.add_argument("recordings", nargs="+")
    asked = arguments.parse_args()
    audio = {path: soundfile.read(path, dtype="float32")[0] for path in asked.recordings}
    best = {}
    for _ in range(asked.rounds):
        for threads in asked.threads:
            theirs = run_theirs(asked, audio, threads)
            keep(best, f"sherpa-onnx, {threads} threads", theirs)
            ours = run_ours(asked, min(threads, asked.streams), -(-asked.streams // threads))
            keep(best, f"ours, {min(threads, asked.streams)} workers", ours)
            wrong = differences(theirs["texts"], ours["texts"])
    if asked.write:
        said = {pathlib.Path(path).name: utterances for path, utterances in theirs["texts"].items()}
        asked.write.write_text(json.dumps(said, ensure_ascii=False, indent=1) + "\n", encoding="utf-8")
    for name, run in best.items():
        audio_s, wall_s, cpu_s = run["audio_s"], run["wall_s"], run["cpu_s"]
        print(f"{name}: {audio_s / wall_s:.2f} x real time, {cpu_s / audio_s:.4f} CPU s per s ({wall_s:.1f} s)")
    tokens = sum(len(utterance["frames"]) for said in ours["texts"].values() for utterance in said)
    print(f"{len(audio)} recordings, {audio_s:.0f} s, {tokens} tokens, {asked.streams} streams: {len(wrong)} differ")
    sys.exit(1 if wrong else 0)


def keep(best, name, run):
    if name not in best or run["wall_s"] < best[name]["wall_s"]:
        best[name] = run


def without_frames(texts):
    return {path: [{"text": said["text"]} for said in utterances] for path, utterances in texts.items()}


def differences(theirs, ours):
    if not any(said["frames"] for utterances in theirs.values() for said in utterances):
        ours, theirs = without_frames(ours), without_frames(theirs)
    wrong = [path for path in theirs if theirs[path] != ours.get(path)]
    for path in wrong[:3]:
        print(f"differs: {path}\n  sherpa-onnx: {theirs[path]}\n  ours:        {ours.get(path)}")
    return wrong


def run_ours(asked, workers, streams):
    command = [asked.example, asked.folder, asked.search, workers, streams, *asked.recordings]
    answer = subprocess.run([str(part) for part in command], check=True, stdout=subprocess.PIPE).stdout
    *lines, figures = map(json.loads, answer.splitlines())
    return {"texts": {line["file"]: line["utterances"] for line in lines}, **figures}


def recognizer(asked, threads):
    path = lambda name: str(asked.folder / name)
    same = {
        "tokens": path("tokens.txt"),
        "num_threads": threads,
        "enable_endpoint_detection": True,
        "rule1_min_trailing_silence": 2.4,
        "rule2_min_trailing_silence": 1.2,
        "rule3_min_utterance_length": 20,
        "decoding_method": {"greedy": "greedy_search", "beam": "modified_beam_search"}[asked.search],
    }
    if (asked.folder / "model.onnx").exists():
        kind = kind_of(path("model.onnx"))
        if kind == "wenet_ctc":
            return sherpa_onnx.OnlineRecognizer.from_wenet_ctc(model=path("model.onnx"), **same)
        if kind.startswith("EncDec"):
            # It takes the steps of 80 ms for steps of 40 ms: so half of a silence is as long to it as the whole.
            rules = {rule: same[rule] / 2 for rule in ("rule1_min_trailing_silence", "rule2_min_trailing_silence")}
            return sherpa_onnx.OnlineRecognizer.from_nemo_ctc(model=path("model.onnx"), **{**same, **rules})
        return sherpa_onnx.OnlineRecognizer.from_zipformer2_ctc(model=path("model.onnx"), **same)
    if not (asked.folder / "joiner.onnx").exists():
        graphs = {name: path(f"{name}.onnx") for name in ("encoder", "decoder")}
        return sherpa_onnx.OnlineRecognizer.from_paraformer(**graphs, **same)
    graphs = {name: path(f"{name}.onnx") for name in ("encoder", "decoder", "joiner")}
    return sherpa_onnx.OnlineRecognizer.from_transducer(**graphs, **same)


def kind_of(model):
    """The metadata's `model_type`."""
    session = onnxruntime.InferenceSession(model, providers=["CPUExecutionProvider"])
    return session.get_modelmeta().custom_metadata_map["model_type"]


def run_theirs(asked, audio, threads):
    """As its own examples: all streams that are ready through the batch API."""
    engine = recognizer(asked, threads)
    model = asked.folder / "model.onnx"
    is_nemo = model.exists() and kind_of(str(model)).startswith("EncDec")
    began, began_cpu = time.perf_counter(), sum(os.times()[:2])
    waiting, calls, texts = list(audio), {}, {}
    while waiting or calls:
        while waiting and len(calls) < asked.streams:
            path = waiting.pop(0)
            stream = engine.create_stream()
            stream.accept_waveform(16_000, audio[path])
            stream.accept_waveform(16_000, [0.0] * int(AFTER_S * 16_000))
            stream.input_finished()
            # Of a Paraformer, has what is left at the end decoded, too.
            stream.set_option("is_final", "1")
            calls[path], texts[path] = stream, []
        ready = [stream for stream in calls.values() if engine.is_ready(stream)]
        if ready:
            engine.decode_streams(ready)
        for path, stream in list(calls.items()):
            if engine.is_endpoint(stream):
                end(engine, stream, texts[path], 2 if is_nemo else 1)
                engine.reset(stream)
            if not engine.is_ready(stream):
                end(engine, stream, texts[path], 2 if is_nemo else 1)
                del calls[path]
    wall_s, cpu_s = time.perf_counter() - began, sum(os.times()[:2]) - began_cpu
    audio_s = sum(len(samples) for samples in audio.values()) / 16_000
    return {"texts": texts, "wall_s": wall_s, "cpu_s": cpu_s, "audio_s": audio_s}


def end(engine, stream, utterances, times):
    result = engine.get_result_all(stream)
    if result.tokens:
        frames = [round(times * stamp * FRAMES_PER_S) for stamp in result.timestamps]
        utterances.append({"text": result.text.strip(), "frames": frames})


if __name__ == "__main__":
    main()
