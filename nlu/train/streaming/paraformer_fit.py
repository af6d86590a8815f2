"""Fits the last layers of a random Paraformer to recordings, so that it says many different things, and writes it.

Both its predictor (how many tokens there are) and its decoder (which) would otherwise say the same of everything.
"""

import kaldi_native_fbank
import numpy
import onnxruntime
import soundfile

import paraformer
from paraformer import BANDS, FRAMES, HEARD, LEFT, RIGHT, SHIFT, STEPS, WIDTH, WINDOW

# How far apart the predictor's logits lie, and where: about a quarter of a token in each step, and hardly any in silence.
SHARE_SCALE, SHARE_BIAS = 2.0, -1.7
# Of the tokens, so many say nothing; and how far apart the logits lie.
BLANK_SHARE = 0.05
LOGIT_SCALE = 4.0
NEVER = -1e4


def write(folder, sizes, seed, recordings, fitted):
    """The model of these sizes into `folder`; `fitted` makes a layer with outputs of mean 0 and deviation 1."""
    frames = [frames_of(recording) for recording in recordings]
    every = numpy.concatenate(frames)
    levels = every.mean(axis=0), every.std(axis=0)
    names = paraformer.tokens(sizes, seed)
    (folder / "tokens.txt").write_text("".join(f"{name} {i}\n" for i, name in enumerate(names)), encoding="utf-8")
    told = paraformer.metadata(sizes, levels, len(names))

    random = numpy.random.default_rng(seed + 1)
    windows = [steps_of(sizes, each, levels) for each in frames]
    calls = [listen(sizes, seed, folder, each) for each, _ in windows]
    share = loudness_of(calls, numpy.concatenate([loud for _, loud in windows]))
    paraformer.encoder(sizes, seed, share).save(folder / "encoder.onnx", told)

    said = numpy.concatenate(list(write_all(sizes, seed + 2, folder, calls, share)))
    weights, bias = fitted(said, len(names), random)
    weights, bias = weights * LOGIT_SCALE, bias * LOGIT_SCALE
    # FunASR's lists have them, and no text should.
    bias[[1, 2, -1]] = NEVER
    logits = said @ weights + bias
    bias[0] += numpy.quantile(logits[:, 1:].max(axis=1) - logits[:, 0], BLANK_SHARE)
    paraformer.decoder(sizes, seed + 2, (weights, bias)).save(folder / "decoder.onnx", {})


def loudness_of(calls, loud):
    """Weights and bias of the predictor's last layer: the louder a step, the more of a token is in it."""
    near = numpy.concatenate([window[LEFT : HEARD - RIGHT] for _, nears in calls for window in nears])
    loud = (loud[:, LEFT : HEARD - RIGHT].ravel() - loud.mean()) / loud.std()
    centred = near - near.mean(axis=0)
    # Ridge regression: where there are more numbers than steps, the smallest weights that do.
    ridge = 1e-2 * centred.var() * len(centred) * numpy.eye(near.shape[1])
    weights = numpy.linalg.solve(centred.T @ centred + ridge, centred.T @ loud)
    bias = numpy.array([-(near.mean(axis=0) @ weights)])
    return (weights * SHARE_SCALE).astype(numpy.float32), (bias * SHARE_SCALE + SHARE_BIAS).astype(numpy.float32)


def frames_of(recording):
    """Log-mel energies with FunASR's settings, (frames, 80)."""
    samples, rate = soundfile.read(recording, dtype="float32")
    options = kaldi_native_fbank.FbankOptions()
    options.frame_opts.dither, options.frame_opts.snip_edges, options.frame_opts.samp_freq = 0, True, rate
    options.frame_opts.window_type = "hamming"
    options.mel_opts.num_bins, options.mel_opts.low_freq, options.mel_opts.high_freq = BANDS, 20, 0
    fbank = kaldi_native_fbank.OnlineFbank(options)
    fbank.accept_waveform(rate, (samples * 32_768).tolist())
    return numpy.array([fbank.get_frame(i) for i in range(fbank.num_frames_ready)])


def steps_of(sizes, frames, levels):
    """What the encoder is given of one recording, (windows, 18, 560), and how loud each step is."""
    mean, deviation = (numpy.tile(level, FRAMES) for level in levels)
    before, windows, loud = numpy.zeros((LEFT + RIGHT, WIDTH)), [], []
    quiet = numpy.zeros(LEFT + RIGHT)
    waves = numpy.exp(-numpy.log(10_000) / (WIDTH / 2 - 1) * numpy.arange(WIDTH // 2))
    for window, at in enumerate(range(0, len(frames) - WINDOW, STEPS * SHIFT)):
        steps = [frames[at + SHIFT * i : at + SHIFT * i + FRAMES].reshape(WIDTH) for i in range(STEPS)]
        steps = (numpy.array(steps) - mean) / deviation * sizes.dim**0.5
        loud.append(numpy.concatenate([quiet, steps.mean(axis=1)]))
        quiet = loud[-1][-(LEFT + RIGHT) :]
        places = (1 + window * STEPS + numpy.arange(STEPS))[:, None] * waves
        steps += numpy.concatenate([numpy.sin(places), numpy.cos(places)], axis=1)
        heard = numpy.concatenate([before, steps])
        before = heard[-(LEFT + RIGHT) :]
        windows.append(heard)
    return numpy.array(windows, numpy.float32).reshape(-1, HEARD, WIDTH), numpy.array(loud).reshape(-1, HEARD)


def session_of(graph, folder):
    path = folder / "fitting.onnx"
    graph.save(path, {})
    session = onnxruntime.InferenceSession(str(path), providers=["CPUExecutionProvider"])
    path.unlink()
    return session


sessions = {}


def listen(sizes, seed, folder, windows):
    """What the encoder and the layers before the predictor's last make of windows."""
    if "encoder" not in sessions:
        sessions["encoder"] = session_of(paraformer.encoder(sizes, seed), folder)
    lengths = numpy.full(1, HEARD, numpy.int32)
    outs = [sessions["encoder"].run(None, {"speech": each[None], "speech_lengths": lengths}) for each in windows]
    return [out[0][0] for out in outs], [out[2][0] for out in outs]


def write_all(sizes, seed, folder, calls, share):
    """What the decoder makes of the tokens of every recording, before its last layer."""
    session = session_of(paraformer.decoder(sizes, seed), folder)
    weights, bias = share
    for heard, nears in calls:
        shape = (1, sizes.dim, sizes.kernel - 1)
        caches = {f"in_cache_{block}": numpy.zeros(shape, numpy.float32) for block in range(sizes.blocks)}
        sound, whole = numpy.zeros(sizes.dim), 0.0
        for sounds, near in zip(heard, nears):
            fired = []
            for i in range(LEFT, HEARD - RIGHT):
                part = 1 / (1 + numpy.exp(-(near[i] @ weights + bias[0])))
                if whole + part < 1:
                    whole, sound = whole + part, sound + part * sounds[i]
                    continue
                fired.append(sound + (1 - whole) * sounds[i])
                whole += part - 1
                sound = whole * sounds[i]
            if fired:
                given = {
                    "enc": sounds[None],
                    "enc_len": numpy.full(1, HEARD, numpy.int32),
                    "acoustic_embeds": numpy.array(fired, numpy.float32)[None],
                    "acoustic_embeds_len": numpy.full(1, len(fired), numpy.int32),
                }
                said, _, *fresh = session.run(None, {**given, **caches})
                caches = dict(zip(caches, fresh))
                yield said[0]
