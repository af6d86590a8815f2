"""Fits the weights of early warning (routing/src/warning/signs.rs) on synthetic interactions, and says how well they do.

Calls are drawn anew from the shapes of make-dialogues.py, make-long-calls.py and make-interactions.py, the last as they are
and dealt out in turns, and from further shapes below. The signs are those of routing/src/warning/past.rs. A call that
escalates should have a likely moment 190 s before and, less so, 45 s before; one that does not should have none: logistic
loss on the likeliest moment, every shape counts the same, weights are drawn to nothing and never negative. The honest
figure is the one "out of fold", in which each shape was judged by weights that were fitted without it: the bias is to be
such that warnings begin where precision and recall are the same there. The weights in force are older than
make-long-calls.py, so that what is printed differs: docs/POLICIES.md says why they were left as they are.
Needs numpy. Run from the project's folder: python3 scripts/fit-warning.py
"""

import importlib.util
import math
import random
import tomllib
from pathlib import Path

import numpy as np

SIGNS = ("rise", "mood", "repeats", "interruptions", "withdrawal")
BLUE = ("out_of_the_blue", "sudden", "sudden in turns")
LEADS = ((190, 0.6), (45, 0.4))
WARN_AT = 0.8
SHRINK, STEPS, FOLDS, TIMES = 0.02, 200, 5, 4


def module(name):
    spec = importlib.util.spec_from_file_location(name.replace("-", "_"), Path(__file__).parent / f"{name}.py")
    loaded = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(loaded)
    return loaded


DIALOGUES, LONG, CALLS = module("make-dialogues"), module("make-interactions"), module("make-long-calls")


# Further shapes that end in a high level of anger.
def put_on_hold(talk, rng):
    # Patience runs out between long holds.
    times = rng.randint(4, 6)
    for n in range(times):
        talk.phase(rng.uniform(0.8, 1.5), cross=0.08 + 0.5 * n / (times - 1) * rng.uniform(0.8, 1.2), score=0.36 + 0.02 * n)
        talk.at += rng.uniform(25, 60)


def passed_around(talk, rng):
    # Tells the whole story to one after the other.
    for n in range(rng.randint(3, 5)):
        talk.interrupted = 0
        talk.tell(f'said = "{talk.wish}"')
        talk.phase(rng.uniform(1.5, 2.5), cross=0.1 + 0.15 * n, repeats=0.2 + 0.05 * n, interrupts=0.05 + 0.06 * n,
                   medium=0.05 * n)


def politely_sharper(talk, rng):
    talk.phase(rng.uniform(2, 3), cross=0.05)
    talk.phase(rng.uniform(5, 8), cross=0.05, cross_to=0.5, calm_score=0.14, calm_score_to=0.27, score=0.38, score_to=0.5,
               turn_s=(4, 16))


def sad_then_furious(talk, rng):
    talk.phase(rng.uniform(2, 3), cross=0.03, other=0.35, emotion="sadness")
    talk.phase(rng.uniform(4, 6), cross=0.15, cross_to=0.7, other=0.3, emotion="sadness", repeats=0.15, medium=0.0,
               medium_to=0.2, pause=0.12)


def two_waves(talk, rng):
    talk.phase(rng.uniform(1.5, 2.5), cross=0.06)
    talk.phase(rng.uniform(1.5, 2.2), cross=0.45, interrupts=0.12)
    talk.phase(rng.uniform(1.5, 2.5), cross=0.15)
    talk.phase(rng.uniform(3, 4.5), cross=0.5, cross_to=0.85, interrupts=0.2, medium=0.1, medium_to=0.35)


def very_slow_burn(talk, rng):
    talk.phase(rng.uniform(11, 16), cross=0.05, cross_to=0.6, repeats=0.04, repeats_to=0.2, interrupts=0.02,
               interrupts_to=0.15)


def quick_temper(talk, rng):
    talk.phase(rng.uniform(3, 5), cross=0.05)
    talk.phase(rng.uniform(1.5, 2.2), cross=0.5, cross_to=0.95, medium=0.1, medium_to=0.5, interrupts=0.3)


def cross_and_crosser(talk, rng):
    talk.phase(rng.uniform(5, 8), cross=0.35, cross_to=0.85, score=0.4, score_to=0.5, interrupts=0.1, interrupts_to=0.3,
               repeats=0.1, medium=0.05, medium_to=0.3)


def cold_answers(talk, rng):
    # Answers in single words, with long silences.
    talk.phase(rng.uniform(2, 4), cross=0.06, turn_s=(6, 14))
    talk.phase(rng.uniform(4, 6), cross=0.12, cross_to=0.3, turn_s=(1, 3.5), pause=0.3, pause_s=18, calm_score=0.15,
               calm_score_to=0.24, score=0.36)


# Further shapes that do not.
def loud_by_nature(talk, rng):
    talk.phase(rng.uniform(8, 12), cross=0.2, score=0.37, calm_score=0.28)


def hard_of_hearing(talk, rng):
    talk.phase(rng.uniform(7, 11), cross=0.05, repeats=0.4)


def patient_on_hold(talk, rng):
    for _ in range(rng.randint(3, 5)):
        talk.phase(rng.uniform(1, 2), cross=0.05)
        talk.at += rng.uniform(25, 70)


def waves_without_end(talk, rng):
    for _ in range(rng.randint(3, 4)):
        talk.phase(rng.uniform(1.2, 2), cross=0.3)
        talk.phase(rng.uniform(1.2, 2), cross=0.08)


def cross_only_at_first(talk, rng):
    talk.phase(rng.uniform(1.5, 2.5), cross=0.7, medium=0.2, interrupts=0.2)
    talk.phase(rng.uniform(6, 9), cross=0.1)


def worried(talk, rng):
    talk.phase(rng.uniform(7, 11), cross=0.05, other=0.3, emotion="sadness", repeats=0.12, calm_score=0.17)


def short_answers(talk, rng):
    # Shy: few words all along.
    talk.phase(rng.uniform(6, 10), cross=0.06, turn_s=(1, 3), pause=0.25, pause_s=15)


def one_sore_point(talk, rng):
    talk.phase(rng.uniform(2, 4), cross=0.07)
    talk.phase(rng.uniform(1, 1.6), cross=0.5, interrupts=0.12, repeats=0.1)
    talk.phase(rng.uniform(4, 6), cross=0.1)


def is_nearly_done(talk, rng):
    # Says less, for all has been said, and is content.
    talk.phase(rng.uniform(3, 5), turn_s=(6, 16))
    talk.phase(rng.uniform(4, 6), turn_s=(2, 5))


def grumbles_then_laughs(talk, rng):
    talk.phase(rng.uniform(3, 5), cross=0.2, cross_to=0.4)
    talk.phase(rng.uniform(4, 6), cross=0.15, other=0.25, emotion="joy")


def bargains(talk, rng):
    talk.phase(rng.uniform(7, 11), cross=0.15, repeats=0.25, interrupts=0.15)


def chatty(talk, rng):
    talk.phase(rng.uniform(8, 13), cross=0.03, turn_s=(8, 25), answer_s=(2, 6), other=0.15, emotion="joy")


FURTHER = [(shape, True) for shape in (put_on_hold, passed_around, politely_sharper, sad_then_furious, two_waves,
                                       very_slow_burn, quick_temper, cross_and_crosser, cold_answers)]
FURTHER += [(shape, False) for shape in (loud_by_nature, hard_of_hearing, patient_on_hold, waves_without_end,
                                         cross_only_at_first, worried, short_answers, one_sore_point, is_nearly_done,
                                         grumbles_then_laughs, bargains, chatty)]


class Call:
    """One call: its shape, when it escalates (or None), and after `watch` the signs at some moments."""

    def __init__(self, shape, escalates, events):
        self.shape, self.escalates = shape, escalates
        self.times, self.signs = watch(steps(events))


def told(shape, escalates, lines, at):
    events = tomllib.loads("events = [\n" + ",\n".join(lines) + "\n]")["events"]
    return Call(shape, at if escalates else None, events)


def of_dialogue(shape, escalates, seed):
    talk = DIALOGUES.Dialogue(random.Random(seed))
    shape(talk, talk.rng)
    return told(shape.__name__, escalates, [line for _, line in sorted(talk.events, key=lambda event: event[0])], talk.at)


def of_minutes(shape, escalates, seed):
    rng = random.Random(seed)
    call, sours = LONG.Call(rng, ("a",)), shape in LONG.SOURING
    for minute, share in enumerate(shape(rng, rng.randint(8, 13))):
        call.feels("anger", 54, 58, score=min(0.2 + 0.4 * share, 0.6), share=share)
        if sours and share > 0.25 and rng.random() < 0.4:
            call.says("complaint")
        if sours and share > 0.35 and rng.random() < 0.4:
            call.events.append(f"{{ at_s = {call.at:.1f}, interruptions = {minute} }}")
        if not sours and rng.random() < LONG.ASKS.get(shape, 0.1):
            call.says(f"question-{rng.randint(1, 4)}")
    return told(shape.__name__, escalates, call.events, call.at)


def of_minutes_in_turns(shape, escalates, seed):
    def in_turns(talk, rng):
        sours = shape in LONG.SOURING
        for share in shape(rng, rng.randint(8, 13)):
            talk.phase(1.0, cross=share, score=min(max(0.2 + 0.4 * share, 0.36), 0.6),
                       repeats=0.12 if sours and share > 0.25 else 0.03,
                       interrupts=0.12 if sours and share > 0.35 else 0.03, medium=max(0, share - 0.35) if sours else 0)
    in_turns.__name__ = f"{shape.__name__} in turns"
    return of_dialogue(in_turns, escalates, seed)


def of_long_call(shape, escalates, seed):
    rng = random.Random(seed)
    call = CALLS.drawn(shape, rng, rng.choice(list(CALLS.SCENARIOS)))
    return told(shape.__name__, escalates, call.events, call.at)


def drawn(tag, times):
    """Calls of each shape, as often as the sets have it."""
    ways = [(of_dialogue, shape, escalates, 2 * often) for shape, escalates, often in DIALOGUES.SHAPES]
    ways += [(of_dialogue, shape, escalates, 4) for shape, escalates in FURTHER]
    ways += [(of_long_call, shape, escalates, 2 * often) for shape, escalates, often in CALLS.SHAPES]
    for shape, escalates, often in LONG.LONG + LONG.UNSEEN_LONG:
        ways += [(of_minutes, shape, escalates, min(often, 3)), (of_minutes_in_turns, shape, escalates, min(often, 3))]
    return [way(shape, escalates, f"{tag}-{way.__name__}-{shape.__name__}-{n}")
            for way, shape, escalates, often in ways for n in range(often * times)]


def committed():
    """The held-out interactions of fixtures/interactions that say whether they escalate, set by set."""
    sets = {"long": [], "unseen-long": [], "dialogues": [], "calls": []}
    for file in sorted(LONG.FOLDER.glob("*.toml")):
        for told in tomllib.loads(file.read_text(encoding="utf-8"))["interaction"]:
            if "escalates_at_s" in told and told["held_out"]:
                at = told["escalates_at_s"]
                calls = sets[file.stem.rpartition("-")[0]]
                calls.append(Call(told["template"], None if at is False else at, told["events"]))
    return sets


def steps(events):
    """What happens, moment by moment: as routing/src/policy/expect.rs reads it."""
    out = []
    for event in events:
        at = event["at_s"]
        if "emotion" in event:
            level = event.get("level", "low")
            score = event.get("score", {"low": 0.1, "medium": 0.5, "high": 0.8}[level])
            for n in range(int(event.get("lasts_s", 0) / 0.5) + 1):
                is_dealt = ((n // 6) * 0.6180339887498949 + 0.5) % 1.0 < event.get("share", 1.0)
                mood = (event["emotion"], level, score) if is_dealt else ("neutral", "low", 0.1)
                out.append((at + n * 0.5, "mood", mood))
        for kind in ("said", "interruptions"):
            if kind in event:
                out.append((at, kind, event[kind]))
        if "other_spoke" in event:
            out += [(at + n * 0.5, "other", None) for n in range(int(event["other_spoke"] / 0.5) + 1)]
    return sorted(out, key=lambda step: step[0])


def watch(events):
    """The signs every four seconds, from when the caller is known on: as routing/src/warning/past.rs has them."""
    times, rows, bins, said, interrupted = [], [], {}, set(), 0
    counts = {kind: [0.0, 0.0] for kind in ("repeats", "interruptions", "silences")}
    watched, counted, heard, observed = [0.0, 0.0], None, None, None
    now, open_s, recent, usual, ended = np.zeros(3), 0.0, [0.0, 0.0], [0.0, 0.0], 0
    for at, kind, what in events:
        if kind == "other":
            heard = at
            continue
        since = 0.0 if counted is None else at - counted
        counted, fades = at, (math.exp(-since / 90), math.exp(-since / 400))
        for count in (*counts.values(), watched):
            count[:] = [value * by for value, by in zip(count, fades)]
        watched = [value + since for value in watched]

        def add(kind, times=1):
            counts[kind] = [value + times for value in counts[kind]]

        if kind == "interruptions":
            add(kind, what - interrupted if what > interrupted else 1)
            interrupted = what
        elif kind == "said":
            if what in said and what != "thanks":
                add("repeats")
            said.add(what)
        if kind != "mood":
            continue
        emotion, level, score = what
        if level == "high":
            break
        if heard is not None and at - heard >= 8:
            add("silences")
        gap = 0.0 if observed is None else at - observed
        heard = observed = at
        lasts = min(max(gap, 0.5), 6.0)
        if gap <= 1.5:
            open_s += lasts
        else:
            length, ended, open_s = math.log(open_s), ended + 1, 0.5
            recent = [recent[0] * 0.75 + length, recent[1] * 0.75 + 1]
            usual = [usual[0] * 0.96 + length, usual[1] * 0.96 + 1]
        negative = emotion in ("anger", "sadness") or level == "medium" or score >= 0.35
        spoken = np.array([lasts, lasts if negative else 0.0, lasts * score])
        now = now * math.exp(-lasts / 50) + spoken
        bins[int(at / 10)] = bins.get(int(at / 10), 0) + spoken
        bins = {place: bin for place, bin in bins.items() if place > int(at / 10) - 60}
        if times and at - times[-1] < 4:
            continue
        newer, before = 0.0, np.zeros(3)
        for place in sorted(bins, reverse=True):
            before = before + bins[place] if newer >= 60 else before
            newer += bins[place][0]
        if newer < 70:
            continue
        share, over = (now[1] + 0.12 * 20) / (now[0] + 20), (now[2] + 3) / (now[0] + 20) - (before[2] + 6) / (before[0] + 40)
        rate = {kind: (fast / (watched[0] + 60) * 60, slow / (watched[1] + 60) * 60) for kind, (fast, slow) in counts.items()}
        shorter = min(max(usual[0] / usual[1] - recent[0] / recent[1], 0), 1) if ended >= 5 else 0.0
        withdrawn = min(shorter + max(rate["silences"][0] - rate["silences"][1], 0), 1.5)
        times.append(at)
        rows.append((min(max(rise(bins), 0), 8), over, rate["repeats"][0] * share,
                     max(rate["interruptions"][0] - rate["interruptions"][1], 0) * share, withdrawn * max(over, 0), 1.0))
    return np.array(times), np.array(rows).reshape(len(rows), len(SIGNS) + 1)


def rise(bins):
    """The slope of the scores over the bins in standard errors."""
    x, y = np.array(list(bins), float), np.array([bin[2] / bin[0] for bin in bins.values()])
    w = np.array([bin[0] for bin in bins.values()])
    x, y = x - (w @ x) / w.sum(), y - (w @ y) / w.sum()
    xx, xy = w @ (x * x), w @ (x * y)
    if xx == 0:
        return 0.0
    scatter = (0.05 + w @ (y - xy / xx * x) ** 2) / (3 + len(x))
    return xy / math.sqrt(xx * scatter)


def fit(calls):
    """Weights of the signs and, last, the bias."""
    calls = [call for call in calls if call.shape not in BLUE and len(call.times)]
    of_shape = {shape: sum(call.shape == shape for call in calls) for shape in {call.shape for call in calls}}
    rows, signs, weights = [], [], []
    for call in calls:
        parts = [(math.inf, -1, 1.0)] if call.escalates is None else [(call.escalates - lead, 1, by) for lead, by in LEADS]
        for until, sign, by in parts:
            if (call.times <= until).any():
                rows.append(call.signs[call.times <= until])
                signs.append(sign)
                weights.append(by / of_shape[call.shape])
    lengths, signs, weights = np.array([len(part) for part in rows]), np.array(signs), np.array(weights) / sum(weights)
    starts, rows = np.cumsum(lengths) - lengths, np.concatenate(rows)
    scale = np.where(rows.std(0) > 0, rows.std(0), 1)
    rows = rows / scale
    w, slow, square = np.array([0.0] * len(SIGNS) + [-2.0]), 0.0, 0.0
    for step in range(1, STEPS + 1):
        z = rows @ w
        soft = np.exp(4 * (z - np.repeat(np.maximum.reduceat(z, starts), lengths)))
        soft /= np.repeat(np.add.reduceat(soft, starts), lengths)
        off = 1 / (1 + np.exp(np.clip(signs * np.add.reduceat(soft * z, starts), -30, 30)))
        gradient = -(np.repeat(signs * weights * off, lengths) * soft) @ rows + SHRINK * np.append(w[:-1], 0)
        slow, square = 0.9 * slow + 0.1 * gradient, 0.99 * square + 0.01 * gradient**2
        pace = 0.1 if step < 0.6 * STEPS else 0.03
        w = w - pace * (slow / (1 - 0.9**step)) / (np.sqrt(square / (1 - 0.99**step)) + 1e-8)
        w[:-1] = np.maximum(w[:-1], 0)
    return w / scale


def root(call):
    return call.shape.removesuffix(" in turns")


def warned(call, likely):
    """When a call is warned of, if it is: once it has been likely for five seconds."""
    since = None
    for at, is_likely in zip(call.times, likely):
        since = (at if since is None else since) if is_likely else None
        if since is not None and at - since >= 5:
            return at
    return None


def figures(judged):
    """Precision, recall and median lead of pairs of a call and when it was warned of."""
    leads = sorted(call.escalates - at for call, at in judged if call.escalates is not None and at is not None)
    vain = sum(call.escalates is None and at is not None for call, at in judged)
    all_escalate = sum(call.escalates is not None for call, _ in judged)
    precision, recall = len(leads) / max(len(leads) + vain, 1), len(leads) / all_escalate
    lead = leads[len(leads) // 2] if leads else 0
    return f"precision {100 * precision:.1f} %, recall {100 * recall:.1f} %, median lead {lead:.0f} s"


def balanced(judged):
    """From which sum of the signs on a warning is in vain as often as an escalation is missed."""
    low, high, escalate = -4.0, 4.0, sum(call.escalates is not None for call, _ in judged)
    for _ in range(12):
        above = (low + high) / 2
        told = sum(warned(call, z >= above) is not None for call, z in judged)
        low, high = (above, high) if told > escalate else (low, above)
    return (low + high) / 2


def main():
    known, fresh, sets = drawn("fitted", TIMES), drawn("judged", TIMES), committed()
    weights = fit(known)
    shapes = sorted({root(call) for call in known})
    random.Random(3).shuffle(shapes)
    apart = {name: [] for name in ("drawn anew", *sets)}
    for fold in (shapes[n::FOLDS] for n in range(FOLDS)):
        without = fit([call for call in known if root(call) not in fold])
        for name, calls in {"drawn anew": fresh, **sets}.items():
            apart[name] += [(call, call.signs @ without) for call in calls if root(call) in fold]
    above = balanced(apart["drawn anew"])
    print(", ".join(f"{sign} {weight:.2f}" for sign, weight in zip(SIGNS, weights)))
    print(f"bias {above - weights[-1] - math.log(WARN_AT / (1 - WARN_AT)):.2f} for a likelihood of {WARN_AT}")
    judged_by = {f"{name}, out of fold": judged for name, judged in apart.items()}
    judged_by |= {name: [(call, call.signs @ weights) for call in calls] for name, calls in sets.items()}
    for name, judged in judged_by.items():
        for by in (-0.2, 0.0, 0.2):
            told = figures([(call, warned(call, z >= above + by)) for call, z in judged])
            print(f"{name}, warned of from {above:.2f} {by:+.1f} on: {told}")


if __name__ == "__main__":
    main()
