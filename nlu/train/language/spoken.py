"""Speech of known language as calls carry it: streams of one corpus and speaker through telephone lines, some nine seconds each."""

import pathlib
import sys
import zlib

import numpy

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent.parent))

import corpora  # noqa: E402
import streams  # noqa: E402
from corpora import RATE  # noqa: E402

SEED = 11
# Which language a corpus is in. Of the mixed folders each source is a corpus of its own.
LANGUAGES = {
    "casia": "zh",
    "aishell_sample": "zh",
    "audio_cmn": "zh",
    "speech_zh_misc": "zh",
    "tencent8k": "zh",
    "ravdess": "en",
    "speech_en_misc": "en",
    "lca": "en",
    "speech_en_by_mandarin_speakers": "en",
}
# Whole corpora of both languages that are left out together, and judged by what was trained on the others.
PAIRS = {
    "acted": ("casia", "ravdess"),
    "read": ("speech_zh_misc", "speech_en_misc"),
    "commands": ("aishell_sample", "speech_en_by_mandarin_speakers"),
    "calls": ("tencent8k", "lca"),
    "words": ("audio_cmn", "lca"),
}
# Recordings in both languages, or in none.
LEFT_OUT = ("azure_en-us_zh-cn.flac",)
# Speech of one stream, seconds, and streams of a corpus in one turn.
STREAM_S = 9.0
STREAMS_MAX = 90
# Single words of audio_cmn that are taken.
WORDS = 600
# Frames this far below the loudest are pauses of a long recording, dB.
PAUSE_DB = 35.0


def load(shared, cache):
    """Clips by corpus, in the telephone's band."""
    names = ["casia", "aishell_sample", "speech_zh_misc", "calls_8k", "ravdess", "speech_en_misc"]
    clips = corpora.load(shared, cache, [*names, "speech_en_by_mandarin_speakers"])
    clips += words(pathlib.Path(shared) / "data" / "audio_cmn", pathlib.Path(cache))
    by_corpus = {name: [] for name in LANGUAGES}
    for clip in clips:
        if clip.corpus == "calls_8k":
            clip.corpus = "tencent8k" if clip.file.startswith("tencent") else "lca"
        if clip.file not in LEFT_OUT and len(clip.samples) > RATE // 4:
            by_corpus[clip.corpus].extend(cut(clip))
    return by_corpus


def words(folder, cache):
    """Single words of audio_cmn, in an order by chance."""
    random = numpy.random.default_rng(SEED)
    files = sorted((folder / "hsk").glob("*.mp3"))
    chosen = [files[i] for i in random.permutation(len(files))[:WORDS]]
    stored = cache / "audio_cmn-telephone.npz"
    if not stored.exists():
        numpy.savez(stored, **{path.name: corpora.decode(path, "telephone") for path in chosen})
    clips = []
    with numpy.load(stored) as samples:
        for path in chosen:
            clip = corpora.Clip("audio_cmn", {"file": path.name, "speaker": "any", "label": "neutral"})
            clip.samples = samples[path.name].astype(numpy.float64) / 32768.0
            clips.append(clip)
    return clips


def cut(clip):
    """A long recording as pieces of speech, without what is silent in it."""
    if len(clip.samples) < 12 * RATE:
        return [clip]
    hop = RATE // 10
    frames = clip.samples[: len(clip.samples) // hop * hop].reshape(-1, hop)
    level = 10 * numpy.log10((frames**2).mean(axis=1) + 1e-12)
    loud = level > numpy.percentile(level, 98) - PAUSE_DB
    loud = numpy.convolve(loud, numpy.ones(5), "same") > 0
    speech = frames[loud].reshape(-1)
    pieces = []
    for start in range(0, len(speech) - 2 * RATE, 3 * RATE):
        piece = corpora.Clip(clip.corpus, {"file": clip.file, "speaker": clip.speaker.split("/")[1], "label": "neutral"})
        piece.samples = speech[start : start + 3 * RATE]
        pieces.append(piece)
    return pieces


def build(by_corpus, turn, augmented):
    """Streams of every corpus: corpus, speaker, samples (int16)."""
    out = []
    for corpus, clips in by_corpus.items():
        random = numpy.random.default_rng([SEED, turn, zlib.crc32(corpus.encode())])
        made = []
        speakers = sorted({clip.speaker for clip in clips})
        # Who has said too little alone speaks with others.
        if corpus in ("speech_zh_misc", "speech_en_misc", "speech_en_by_mandarin_speakers"):
            groups = mixed(clips, random)
        else:
            groups = [[clip for clip in clips if clip.speaker == speaker] for speaker in speakers]
        for group in groups:
            order = [group[i] for i in random.permutation(len(group))] if "lca" != corpus else group
            while order:
                said, length = [], 0.0
                while order and length < STREAM_S:
                    said.append(order.pop(0))
                    length += len(said[-1].samples) / RATE
                if length >= 0.6 * STREAM_S:
                    line = streams.Line(said, random, augmented)
                    made.append((corpus, said[0].speaker, line.together(said)[1]))
        chosen = random.permutation(len(made))[:STREAMS_MAX]
        out.extend(made[i] for i in chosen)
    return out


def mixed(clips, random):
    """Clips of one source and speaker together where they are enough, others with one another."""
    groups, rest = [], []
    for speaker in sorted({clip.speaker for clip in clips}):
        own = [clip for clip in clips if clip.speaker == speaker]
        enough = sum(len(clip.samples) for clip in own) > 0.6 * STREAM_S * RATE
        (groups if enough else rest).append(own)
    rest = [clip for own in rest for clip in own]
    return groups + [[rest[i] for i in random.permutation(len(rest))]] if rest else groups
