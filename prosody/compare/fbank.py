"""Log-mel energies beside `kaldi-native-fbank` (the features of Kaldi, sherpa-onnx and FunASR).

    fbank.py golden WAV > prosody/tests/golden/log-mel.csv
    fbank.py compare LOG_MEL FOLDER

`golden` writes Kaldi's energies of 1,000 samples of WAV (fixtures/audio/calm-caller.wav), taken once as 8 and once as
16 kHz, then by Hamming windows with its edges snipped, then as sherpa-onnx has it for NeMo's models, then as Whisper
defines them. `compare` runs the example `log_mel` on every WAV of FOLDER and prints the largest and the mean difference, and
what both cost (processor seconds per second of audio; ours with the start of the program).
"""

import argparse
import pathlib
import resource
import subprocess

import kaldi_native_fbank
import numpy as np
import soundfile

BINS = 80
GOLDEN_FROM, GOLDEN_SAMPLES = 8_000, 1_000


def kaldi(samples, rate_hz, snipped=False, nemo=False):
    options = kaldi_native_fbank.FbankOptions()
    options.frame_opts.samp_freq = rate_hz
    options.frame_opts.dither = 0
    options.frame_opts.snip_edges = snipped
    options.frame_opts.window_type = "hamming" if snipped else "povey"
    options.mel_opts.num_bins = BINS
    if nemo:
        options.frame_opts.window_type, options.frame_opts.remove_dc_offset = "hann", False
        options.mel_opts.is_librosa, options.mel_opts.low_freq, options.mel_opts.high_freq = True, 0, rate_hz / 2
    fbank = kaldi_native_fbank.OnlineFbank(options)
    fbank.accept_waveform(rate_hz, samples.tolist())
    fbank.input_finished()
    return np.array([fbank.get_frame(i) for i in range(fbank.num_frames_ready)])


def whisper(samples, rate_hz):
    """The logarithms of the energies that Whisper takes of 16 kHz, by its own definition (no kaldi), of frames centred as ours are."""
    hop, length = rate_hz // 100, rate_hz // 40
    continued = np.pad(samples.astype(np.float64), ((length - hop) // 2, length), mode="symmetric")
    frames = np.stack([continued[at * hop :][:length] for at in range(round(len(samples) / hop))])
    power = np.abs(np.fft.rfft(frames * np.hanning(length + 1)[:-1])) ** 2
    return np.log(np.maximum(power @ slaney(rate_hz, length).T, np.finfo(np.float32).eps))


def slaney(rate_hz, length):
    """librosa's triangles of area one between 0 and half the rate: (BINS, length / 2 + 1)."""
    to_mel = lambda hz: hz * 3 / 200 if hz < 1000 else 15 + 27 * np.log(hz / 1000) / np.log(6.4)
    from_mel = lambda mel: mel * 200 / 3 if mel < 15 else 1000 * 6.4 ** ((mel - 15) / 27)
    corners = np.array([from_mel(mel) for mel in np.linspace(0, to_mel(rate_hz / 2), BINS + 2)])
    bins, gaps = np.arange(length // 2 + 1) * rate_hz / length, np.diff(corners)
    rising = (bins - corners[:-2, None]) / gaps[:-1, None]
    falling = (corners[2:, None] - bins) / gaps[1:, None]
    return np.maximum(0, np.minimum(rising, falling)) * (2 / (corners[2:] - corners[:-2]))[:, None]


def seconds(who):
    usage = resource.getrusage(who)
    return usage.ru_utime + usage.ru_stime


def golden(wav):
    samples, _ = soundfile.read(wav, dtype="float32")
    samples = samples[GOLDEN_FROM : GOLDEN_FROM + GOLDEN_SAMPLES]
    for rate_hz in (8_000, 16_000):
        for frame in kaldi(samples, rate_hz):
            print(rate_hz, *(f"{energy:.4f}" for energy in frame), sep=",")
    for frame in kaldi(samples, 16_000, snipped=True):
        print("snipped", *(f"{energy:.4f}" for energy in frame), sep=",")
    for frame in kaldi(samples, 16_000, nemo=True):
        print("nemo", *(f"{energy:.4f}" for energy in frame), sep=",")
    for frame in whisper(samples, 16_000):
        print("whisper", *(f"{energy:.4f}" for energy in frame), sep=",")


def compare(program, folder):
    worst, total, count, audio_s, cost_s = 0.0, 0.0, 0, 0.0, [0.0, 0.0]
    wavs = sorted(folder.rglob("*.wav"))
    for wav in wavs:
        samples, rate_hz = soundfile.read(wav, dtype="float32")
        before = seconds(resource.RUSAGE_SELF)
        theirs = kaldi(samples, rate_hz)
        cost_s[0] += seconds(resource.RUSAGE_SELF) - before
        before = seconds(resource.RUSAGE_CHILDREN)
        ours = subprocess.run([program, wav], check=True, capture_output=True).stdout
        cost_s[1] += seconds(resource.RUSAGE_CHILDREN) - before
        difference = np.abs(np.frombuffer(ours, "<f4").reshape(-1, BINS) - theirs)
        worst, total, count = max(worst, difference.max()), total + difference.sum(), count + difference.size
        audio_s += len(samples) / rate_hz
    if not count:
        raise SystemExit(f"expected WAV files in {folder}, found none")
    print(f"{len(wavs)} recordings, {audio_s:.0f} s, {count} energies: largest difference {worst:.2g}, mean {total / count:.2g}")
    print(f"CPU s/s: kaldi-native-fbank {cost_s[0] / audio_s:.5f}, calmline {cost_s[1] / audio_s:.5f}")


parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
commands = parser.add_subparsers(dest="command", required=True)
commands.add_parser("golden").add_argument("wav", type=pathlib.Path)
command = commands.add_parser("compare")
command.add_argument("program")
command.add_argument("folder", type=pathlib.Path)
arguments = parser.parse_args()
if arguments.command == "golden":
    golden(arguments.wav)
else:
    compare(arguments.program, arguments.folder)
