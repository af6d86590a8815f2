"""Streaming models with random weights in the layout that sherpa-onnx publishes, for equality and speed.

    export.py FOLDER --kind transducer|ctc --size medium|small|tiny|tiny-lstm|... [--seed N] RECORDING...
    export.py FOLDER --kind paraformer --size large|tiny [--seed N] RECORDING...

The last layer is fitted to the recordings, so that greedy search says many different things: without that all frames
would look alike, and two engines that say the same would prove nothing. Beside the graphs it writes `tokens.txt`.
"""

import argparse
import pathlib
from dataclasses import dataclass
from typing import Callable

import kaldi_native_fbank
import numpy
import onnxruntime
import soundfile
from onnx import TensorProto

import others
import paraformer
import paraformer_fit
import tiny
import zipformer2
from graph import Graph

CONTEXT = 2
# How far apart the logits lie.
LOGIT_SCALE = 4.0
NEVER = -1e4


def given(sizes, window, at):
    """What one of k2's encoders is given beside its states: a window of frames, of which the first is number `at`."""
    place = {"processed_lens": numpy.array([at])} if getattr(sizes, "architecture", "") == "conformer" else {}
    return {"x": window[None], **place}


@dataclass
class Model:
    """What is exported: the encoder, its sizes and metadata, numbers of a step, characters and pieces of words, and what it is
    given beside its states."""

    encoder: Callable
    sizes: zipformer2.Sizes | others.Sizes
    metadata: Callable = zipformer2.metadata
    width: int = 512
    characters: int = 5_000
    pieces: int = 500
    given: Callable = given


MODELS = {
    "medium": Model(zipformer2.encoder, zipformer2.MEDIUM),
    "small": Model(zipformer2.encoder, zipformer2.SMALL),
    "tiny": Model(tiny.encoder, tiny.Sizes(), tiny.metadata, 16, 60, 20),
    **{
        f"tiny-{name}": Model(tiny.encoder, tiny.Sizes(architecture=name), tiny.metadata, 16, 60, 20)
        for name in ("zipformer", "conformer", "lstm")
    },
    **{
        f"tiny-{name}": Model(others.encoder, sizes, others.metadata, 16, 60, 20, others.given)
        for name, sizes in (("nemo", others.NEMO), ("wenet", others.WENET))
    },
}

PARAFORMERS = {"large": paraformer.LARGE, "tiny": paraformer.TINY}


def main():
    arguments = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    arguments.add_argument("folder", type=pathlib.Path)
    arguments.add_argument("--kind", choices=["transducer", "ctc", "paraformer"], default="transducer")
    arguments.add_argument("--size", choices=[*MODELS, *PARAFORMERS], default="medium")
    arguments.add_argument("--seed", type=int, default=1)
    arguments.add_argument("--blank", type=float, default=0.7, help="share of the frames in which nothing is said")
    arguments.add_argument("recordings", nargs="+", type=pathlib.Path)
    asked = arguments.parse_args()
    asked.folder.mkdir(parents=True, exist_ok=True)
    if asked.kind == "paraformer":
        paraformer_fit.write(asked.folder, PARAFORMERS[asked.size], asked.seed, asked.recordings, fitted)
        return
    model = MODELS[asked.size]
    vocabulary = write_tokens(asked.folder / "tokens.txt", model, asked.seed)
    said = listen(model, asked.seed, asked.recordings, asked.folder)
    write = write_transducer if asked.kind == "transducer" else write_ctc
    write(asked.folder, model, asked.seed, said, vocabulary, asked.blank)


def write_tokens(path, model, seed):
    """Blank, end, unknown, Chinese characters and pieces of English words; how many there are."""
    random = numpy.random.default_rng(seed)
    pieces = set()
    while len(pieces) < model.pieces:
        letters = "".join(random.choice(list("abcdefghijklmnopqrstuvwxyz"), random.integers(1, 5)))
        pieces.add(("\u2581" if random.random() < 0.6 else "") + letters)
    tokens = ["<blk>", "<sos/eos>", "<unk>", *(chr(0x4E00 + i) for i in range(model.characters)), *sorted(pieces)]
    path.write_text("".join(f"{token} {i}\n" for i, token in enumerate(tokens)), encoding="utf-8")
    return len(tokens)


def frames_of(recording):
    """Log-mel energies with sherpa-onnx's settings, (frames, 80)."""
    samples, rate = soundfile.read(recording, dtype="float32")
    options = kaldi_native_fbank.FbankOptions()
    options.frame_opts.dither, options.frame_opts.snip_edges, options.frame_opts.samp_freq = 0, False, rate
    options.mel_opts.num_bins, options.mel_opts.low_freq, options.mel_opts.high_freq = 80, 20, -400
    fbank = kaldi_native_fbank.OnlineFbank(options)
    fbank.accept_waveform(rate, samples.tolist())
    return numpy.array([fbank.get_frame(i) for i in range(fbank.num_frames_ready)])


def listen(model, seed, recordings, folder):
    """What the encoder says of the recordings before its last layer, (frames, dim)."""
    sizes = model.sizes
    graph, x, dim, finish = model.encoder(sizes, seed)
    finish("said", x, ["N", sizes.steps, dim])
    path = folder / "fitting.onnx"
    graph.save(path, {})
    session = onnxruntime.InferenceSession(path.read_bytes(), providers=["CPUExecutionProvider"])
    path.unlink()
    said = []
    for recording in recordings:
        frames, at, states = frames_of(recording), 0, None
        while at + sizes.window < len(frames):
            window = frames[at : at + sizes.window].astype(numpy.float32)
            beside = model.given(sizes, window, at)
            states = states or {
                state.name: numpy.zeros([free(size, sizes) for size in state.shape], types[state.type])
                for state in session.get_inputs()
                if state.name not in beside
            }
            out, *fresh = session.run(None, {**beside, **states})
            states = dict(zip(states, fresh[-len(states) :]))
            said.append(out[0])
            at += sizes.shift
    return numpy.concatenate(said)


def free(size, sizes):
    """A dimension of what one call remembers."""
    return {"N": 1, "remembered": getattr(sizes, "remembered", 0)}.get(size, size)


types = {"tensor(float)": numpy.float32, "tensor(int64)": numpy.int64}


def fitted(said, width, random):
    """A layer whose outputs over the recordings have mean 0 and deviation 1: weights and biases."""
    weights = random.normal(size=(said.shape[1], width)) / said.std(axis=0)[:, None]
    out = (said - said.mean(axis=0)) @ weights
    weights /= out.std(axis=0)
    biases = -(said.mean(axis=0) @ weights)
    return weights.astype(numpy.float32), biases.astype(numpy.float32)


def blank_bias(logits, share):
    """What to add to the first logit so that it is the largest in the wanted share of rows."""
    return float(numpy.quantile(logits[:, 1:].max(axis=1) - logits[:, 0], share))


def write_transducer(folder, model, seed, said, vocabulary, blank):
    sizes, width = model.sizes, model.width
    random = numpy.random.default_rng(seed + 1)
    graph, x, _, finish = model.encoder(sizes, seed)
    weights, biases = fitted(said, width, random)
    x = graph.op("Add", graph.op("MatMul", x, weights), biases)
    finish("encoder_out", x, ["N", sizes.steps, width])
    graph.save(folder / "encoder.onnx", model.metadata(sizes))

    graph = Graph("decoder", seed + 2)
    y = graph.input("y", ["N", CONTEXT], TensorProto.INT64)
    known = graph.op("Cast", graph.op("GreaterOrEqual", y, numpy.int64(0)), to=TensorProto.FLOAT)
    table = random.normal(size=(vocabulary, width)).astype(numpy.float32)
    x = graph.op("Gather", table, graph.op("Max", y, numpy.int64(0)))
    x = graph.transpose(graph.op("Mul", x, graph.unsqueeze(known, 2)), 0, 2, 1)
    x = graph.op("Conv", x, graph.uniform(0.7, width, 4, CONTEXT), group=width // 4)
    x = graph.linear(graph.op("Relu", graph.reshape(x, -1, width)), width, width)
    graph.output("decoder_out", x, ["N", width])
    graph.save(folder / "decoder.onnx", {"context_size": CONTEXT, "vocab_size": vocabulary})

    spoken = numpy.tanh(said @ weights + biases)
    last = (random.normal(size=(width, vocabulary)) * LOGIT_SCALE / width**0.5).astype(numpy.float32)
    bias = numpy.zeros(vocabulary, numpy.float32)
    bias[0] = blank_bias(spoken @ last, blank)
    graph = Graph("joiner", seed + 3)
    encoder_out = graph.input("encoder_out", ["N", width])
    decoder_out = graph.input("decoder_out", ["N", width])
    x = graph.op("Tanh", graph.op("Add", encoder_out, decoder_out))
    graph.output("logit", graph.op("Add", graph.op("MatMul", x, last), bias), ["N", vocabulary])
    graph.save(folder / "joiner.onnx", {"joiner_dim": width})


def write_ctc(folder, model, seed, said, vocabulary, blank):
    sizes = model.sizes
    random = numpy.random.default_rng(seed + 1)
    graph, x, _, finish = model.encoder(sizes, seed)
    weights, biases = fitted(said, vocabulary, random)
    weights, biases = weights * LOGIT_SCALE, biases * LOGIT_SCALE
    biases[0] += blank_bias(said @ weights + biases, blank)
    # A CTC model's unknown is no silence, and is written differently by everyone.
    biases[1:3] = NEVER
    x = graph.op("LogSoftmax", graph.op("Add", graph.op("MatMul", x, weights), biases), axis=-1)
    finish("log_probs", x, ["N", sizes.steps, vocabulary])
    graph.save(folder / "model.onnx", model.metadata(sizes))


if __name__ == "__main__":
    main()
