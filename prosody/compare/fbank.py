"""Log-mel energies beside `kaldi-native-fbank` (the features of Kaldi, sherpa-onnx and FunASR).

    fbank.py golden WAV > prosody/tests/golden/log-mel.csv
    fbank.py compare LOG_MEL FOLDER

`golden` writes Kaldi's energies of 1,000 samples of WAV (fixtures/audio/calm-caller.wav), taken once as 8 and once as
16 kHz, then by Hamming windows with its edges snipped, then as sherpa-onnx has it for NeMo's models. `compare` runs the example `log_mel` on every WAV of FOLDER and prints the largest and the mean difference, and
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
