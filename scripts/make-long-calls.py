"""Makes the fourth set of long interactions in fixtures/interactions: synthetic calls of 6 to 20 minutes, from a seed.

Nothing in them was ever said by anybody. A call is told turn by turn, as in make-dialogues.py, but from the caller's
side of the matter: each shape says how hot the caller is from phase to phase, and each caller shows the same heat in his
own way, one in the voice, one by cutting in, one by saying it all again. Between the heat and what is written down stands
an emotion recogniser that errs. Many calls that do not escalate run for a while as if they did. The set was written without
knowing how warnings are computed; once it had been played, its shapes were given to fit-warning.py. A call that escalates
ends with its first high anger, since what comes after is no matter of warning. Run: python3 scripts/make-long-calls.py
"""

import math
import random
from pathlib import Path

SEED = 20261128
FOLDER = Path(__file__).resolve().parent.parent / "fixtures" / "interactions"
LANGUAGES = ("zh", "en")
SCENARIOS = {
    "banking": ("bill-dispute", "investment"),
    "ecommerce": ("ecommerce-returns", "ecommerce-logistics"),
    "government": ("procedure", "progress"),
    "travel": ("itinerary",),
}
WISHES = {
    "banking": ("refund", "complaint", "progress"),
    "ecommerce": ("refund", "progress", "complaint"),
    "government": ("progress", "complaint", "change-date"),
    "travel": ("change-date", "refund", "progress"),
}
ABOUT = "Synthetic: made by scripts/make-long-calls.py from shapes of long calls. No recording, no person."
SHORTEST_S, LONGEST_S = 6 * 60, 20 * 60


def within(value, low, high):
    return min(max(value, low), high)


class Call:
    """One call; `at` is the time since the answer in seconds, and the numbers drawn first are who the caller is."""

    def __init__(self, rng, family):
        self.rng, self.at, self.events, self.cuts = rng, 0.0, [], 0
        self.wish, self.questions = rng.choice(WISHES[family]), 0
        self.voice = rng.uniform(0.6, 1.2)  # how much of the heat is to be heard
        self.bias = rng.gauss(0, 0.025)  # some voices sound sharper than they are, some softer
        self.cuts_in, self.habit = rng.uniform(0.3, 1.3), rng.uniform(0.0, 0.06)  # in heat, and by nature
        self.insists = rng.uniform(0.4, 1.3)
        self.talks, self.listens = rng.uniform(0.75, 1.35), rng.uniform(0.8, 1.25)
        self.errs = rng.uniform(0.005, 0.035)  # how often the recogniser is wrong about this voice
        self.drift = 0.0

    def tell(self, what):
        self.events.append(f"{{ at_s = {self.at:.1f}, {what} }}")

    def feels(self, emotion, lasts, level=None, score=None, share=None):
        more = f', level = "{level}"' if level else ""
        more += f", score = {score:.2f}" if score is not None else ""
        more += f", share = {share:.2f}" if share is not None else ""
        self.tell(f'emotion = "{emotion}", lasts_s = {lasts:.1f}{more}')
        self.at += lasts + self.rng.uniform(0.2, 0.9)

    def cross(self, heat, lasts, medium):
        """A turn heard as anger; of a long one only a share is."""
        score = within(self.rng.gauss(0.3 + 0.2 * heat + self.bias + 0.05 * medium, 0.07), 0.15, 0.62)
        share = within(self.rng.gauss(0.3 + 0.5 * heat, 0.13), 0.1, 0.95) if lasts > 15 else None
        self.feels("anger", lasts, level="medium" if medium else None, score=score, share=share)

    def calm(self, heat, lasts, emotion="neutral"):
        score = within(self.rng.gauss(0.1 + 0.1 * heat + self.bias, 0.05), 0.0, 0.32)
        self.feels(emotion, lasts, score=score)

    def misheard(self, heat, lasts):
        """The recogniser is wrong: nothing at all in a hot turn, a sharp one in a calm call."""
        if heat > 0.35:
            self.feels("neutral", lasts, score=self.rng.uniform(0.0, 0.04))
        else:
            self.cross(self.rng.uniform(0.2, 0.7), lasts, self.rng.random() < 0.5)

    def heard(self, heat, lasts, manner):
        """What the recogniser makes of one turn; of a very short one it knows less."""
        rng = self.rng
        voice = self.voice * manner.get("voice", 1.0)
        if rng.random() < self.errs * (2 if lasts < 2.5 else 1):
            self.misheard(heat, lasts)
        elif rng.random() < manner.get("other", 0.0):
            if rng.random() < manner.get("taken_for_anger", 0.0):
                self.cross(0.3, lasts, rng.random() < 0.12)
            else:
                self.calm(heat, lasts, manner["emotion"])
        elif rng.random() < min(0.02 + 0.9 * heat * voice, 0.93):
            self.cross(heat, lasts, rng.random() < max(0.0, heat - 0.35) * 0.6 * voice)
        else:
            self.calm(heat, lasts)

    def says(self, heat, manner):
        """What the turn is about: the wish again, a question, or nothing that counts as a new one."""
        rng = self.rng
        if rng.random() < (0.03 + 0.28 * heat * self.insists) * manner.get("insists", 1.0):
            self.tell(f'said = "{"complaint" if rng.random() < 0.4 * heat else self.wish}"')
        elif rng.random() < manner.get("asks", 0.12):
            again = self.questions and rng.random() < manner.get("asks_again", 0.15)
            self.questions += 0 if again else 1
            self.tell(f'said = "question-{rng.randint(1, self.questions) if again else self.questions}"')

    def chooses_words(self, heat, manner):
        """Words that a word list knows; the hotter, the ruder."""
        rng = self.rng
        if "words" in manner and rng.random() < manner.get("wordy", 0.1):
            self.tell(f'words = ["{rng.choice(manner["words"])}"]')
        elif rng.random() < 0.11 * heat:
            words = ["dissatisfaction"] * 5 + ["complaint"] * 2 + ["human"] * 2
            words += ["threat", "cancel"] if heat > 0.55 else []
            self.tell(f'words = ["{rng.choice(words)}"]')

    def turn(self, heat, manner):
        """The caller says something, often no more than a yes."""
        rng = self.rng
        short = rng.random() < manner.get("nods", 0.15)
        lasts = rng.uniform(0.8, 2.5) if short else rng.lognormvariate(math.log(6.5), 0.6) * self.talks
        lasts = within(lasts * manner.get("talks", 1.0), 0.8, 42)
        if not short:
            self.says(heat, manner)
            self.chooses_words(heat, manner)
        self.heard(heat, lasts, manner)

    def answer(self, heat, manner):
        """Whoever serves answers, after looking something up now and then, and may be cut short."""
        rng = self.rng
        if rng.random() < manner.get("pauses", 0.08):
            self.at += rng.uniform(6, manner.get("pause_s", 18))
        lasts = within(rng.lognormvariate(math.log(7.5), 0.6) * self.listens * manner.get("explains", 1.0), 1, 45)
        if rng.random() < self.habit + 0.4 * heat * heat * self.cuts_in + manner.get("cuts_in", 0.0):
            begun = lasts * rng.uniform(0.25, 0.85)
            self.tell(f"other_spoke = {min(lasts, begun + rng.uniform(0.3, 2)):.1f}")
            self.at += begun
            self.cuts += 1
            self.tell(f"interruptions = {self.cuts}")
        else:
            self.tell(f"other_spoke = {lasts:.1f}")
            self.at += lasts + rng.uniform(0.1, 1.8)

    def phase(self, minutes, heat, to=None, **manner):
        """Turns until the time is over; the heat glides to `to` and drifts about it, and KEY glides to `KEY_to`."""
        begun, ends = self.at, self.at + self.rng.uniform(*minutes) * 60
        glides = {key[:-3]: manner.pop(key) for key in [key for key in manner if key.endswith("_to")]}
        while self.at < ends:
            done = (self.at - begun) / (ends - begun)
            self.drift = 0.7 * self.drift + self.rng.gauss(0, 0.06)
            now = dict(manner)
            for key, last in glides.items():
                now[key] = manner[key] + (last - manner[key]) * done
            hot = within(heat + ((heat if to is None else to) - heat) * done + self.drift, 0.0, 0.95)
            self.turn(hot, now)
            self.answer(hot, now)

    def greeting(self):
        self.tell(f"other_spoke = {self.rng.uniform(3, 9):.1f}")
        self.at += 9.5

    def hold(self, seconds, mutters=0.0, heat=0.2):
        """Put on hold: nobody is there but a tape, and the caller says something to himself or does not."""
        rng, ends = self.rng, self.at + self.rng.uniform(*seconds)
        tape = rng.random() < 0.4
        while self.at + 12 < ends:
            self.at += rng.uniform(8, 28)
            if rng.random() < mutters:
                self.heard(heat, rng.uniform(0.8, 4), {})
            elif tape and rng.random() < 0.4:
                self.tell("other_spoke = 4.2")
                self.at += 5
        self.at = max(self.at, ends)

    def passed_on(self, heat, seconds=(20, 110)):
        """Another desk, after a wait, and the whole story once more."""
        self.hold(seconds, 0.15, heat)
        self.greeting()
        self.tell(f'said = "{self.wish}"')
        self.heard(heat, self.rng.uniform(9, 28), {})
        self.answer(heat, {})

    def quality(self):
        """The line as measured: bad, not always equally so."""
        self.tell(f"mos = {self.rng.uniform(1.7, 3.1):.1f}, loss = {self.rng.uniform(0.04, 0.2):.2f}")


# Shapes that end in a high level of anger.
def slow_burn(call, rng):
    # No one thing: each answer is a little less than was hoped for.
    call.phase((2, 6), rng.uniform(0.04, 0.2))
    call.phase((5, 9), 0.17, 0.8)


def told_again_bursts(call, rng):
    # From desk to desk, and at each the same story from the beginning.
    call.phase((1.5, 4), 0.1, 0.2)
    for heat in (0.3, 0.5) if rng.random() < 0.6 else (0.25, 0.4, 0.55):
        call.passed_on(heat)
        call.phase((1.2, 2.6), heat, heat + 0.18)


def grows_cold(call, rng):
    # Shorter and shorter answers, longer and longer silences, a voice without any colour; then it breaks.
    call.phase((2, 5), rng.uniform(0.08, 0.2))
    call.phase((4.5, 8), 0.2, 0.75, voice=0.55, voice_to=0.3, talks=0.9, talks_to=0.4, pauses=0.1, pauses_to=0.45,
               pause_s=26, nods=0.2, nods_to=0.4)


def steps_and_islands(call, rng):
    # Up, talked down again, and up from a little higher each time.
    call.phase((1, 3), 0.1)
    steps = rng.randint(3, 4)
    for step in range(steps):
        call.phase((0.8, 1.7), 0.28 + 0.12 * step, 0.42 + 0.13 * step)
        if step + 1 < steps:
            call.phase((1, 2.6), 0.12 + 0.05 * step, explains=1.3)


def second_problem_bursts(call, rng):
    # The first matter is settled with thanks; the second, "while I have you", is what it is really about.
    call.phase((3, 6), 0.2, 0.06)
    call.phase((0.5, 1.2), 0.04, other=0.3, emotion="joy", words=["thanks"], wordy=0.3)
    call.phase((3.5, 6.5), 0.15, 0.8)


def sarcasm_snaps(call, rng):
    # Says the friendliest things and means none of them; the recogniser hears a smile in it.
    call.phase((1.5, 4), rng.uniform(0.1, 0.2))
    call.phase((4.5, 8), 0.3, 0.75, voice=0.55, voice_to=0.8, other=0.25, other_to=0.12, emotion="joy",
               words=["thanks", "dissatisfaction"], wordy=0.12)


def held_too_long(call, rng):
    # "One moment please", three times over; each moment is longer, and the muttering is audible.
    call.phase((1.5, 3.5), 0.12)
    for wait in range(rng.randint(3, 4)):
        call.hold((45 + 15 * wait, 110 + 25 * wait), 0.15 + 0.12 * wait, 0.25 + 0.13 * wait)
        call.phase((0.7, 1.6), 0.25 + 0.14 * wait, 0.32 + 0.14 * wait)


def refused_after_all(call, rng):
    # All goes well, form after form, until it is said that it cannot be done.
    call.phase((5, 10), rng.uniform(0.04, 0.14))
    call.phase((3, 4.5), 0.25, 0.82)


def polite_until_not(call, rng):
    # Asks the same thing in the same courteous words, eight times, and then does not.
    call.phase((1.5, 3), 0.1)
    call.phase((4, 7.5), 0.2, 0.6, voice=0.5, insists=2.2, cuts_in=0.02)
    call.phase((0.7, 1.6), 0.6, 0.88, insists=1.5)


def out_of_the_blue(call, rng):
    # One sentence, a fee or a name, and she is furious; there was nothing before it.
    call.phase((6.5, 15), rng.uniform(0.03, 0.12))


# Shapes that do not.
def plain_business(call, rng):
    # Questions and answers, a sigh here and there.
    call.phase((3, 8), rng.uniform(0.03, 0.15))
    call.phase((3.5, 8), rng.uniform(0.03, 0.2), words=["thanks"], wordy=0.05)


def grumbles_throughout(call, rng):
    # Nothing is ever good enough, in one tone from the first minute to the last: so he speaks to everybody.
    heat = rng.uniform(0.3, 0.5)
    for _ in range(rng.randint(2, 4)):
        call.phase((3, 5), heat + rng.gauss(0, 0.04))


def complains_once(call, rng):
    # Says what has to be said about the last time, is heard out, and goes on to the matter.
    call.phase((1, 3), 0.1)
    call.phase((1, 2.5), 0.4, 0.55, talks=1.4)
    call.phase((1, 1.5), 0.45, 0.12, explains=1.3)
    call.phase((3.5, 9), 0.08)


def settled_in_time(call, rng):
    # For minutes the same road as those who burst; then somebody decides, and there is no more to be angry about.
    call.phase((2, 5), 0.1)
    call.phase((3.5, 6.5), 0.17, rng.uniform(0.55, 0.72))
    call.phase((0.8, 2), 0.55, 0.2, explains=1.4)
    call.phase((2, 5), 0.1, words=["thanks"], wordy=0.1)


def sarcastic_to_the_end(call, rng):
    # Bites all the time, and enjoys it.
    call.phase((7, 13), rng.uniform(0.25, 0.42), rng.uniform(0.25, 0.42), voice=0.7, other=0.25, emotion="joy",
               taken_for_anger=0.15, words=["thanks", "dissatisfaction"], wordy=0.1)


def polite_and_insistent(call, rng):
    # Asks again, and again, and writes down the answer.
    call.phase((7, 14), rng.uniform(0.12, 0.25), rng.uniform(0.1, 0.3), voice=0.6, insists=3.0, asks_again=0.4)


def happy_talker(call, rng):
    # Delighted, loud, and never lets anybody finish; loud and quick is easily taken for angry.
    call.phase((6.5, 13), rng.uniform(0.02, 0.08), other=0.4, emotion="joy", taken_for_anger=rng.uniform(0.08, 0.22),
               cuts_in=rng.uniform(0.12, 0.3), talks=1.35, nods=0.08, words=["joy", "thanks"], wordy=0.12)


def afraid(call, rng):
    # What if it does not come in time? And what then? And is it certain?
    heat = rng.uniform(0.12, 0.25)
    call.phase((3, 6), heat, heat + 0.12, cuts_in=0.08, asks=0.35, asks_again=0.4, words=["anxiety"], wordy=0.15)
    call.phase((3.5, 7), heat + 0.1, 0.08, asks=0.25, asks_again=0.3, words=["anxiety"], wordy=0.07, explains=1.2)


def bereaved(call, rng):
    # Somebody died, and accounts and tickets have to be closed; here and there a form is too much.
    call.phase((1.5, 3), 0.05, other=0.25, emotion="sadness", pauses=0.15)
    call.phase((3, 7), 0.1, rng.uniform(0.1, 0.3), other=0.55, emotion="sadness", taken_for_anger=0.06, pauses=0.3,
               pause_s=22)
    call.phase((2.5, 6), 0.06, other=0.25, emotion="sadness", pauses=0.12, words=["thanks"], wordy=0.08)


def held_in_silence(call, rng):
    # Waits for minutes while something is looked up, does something else meanwhile, and does not mind.
    call.phase((1.5, 3), 0.08)
    for _ in range(rng.randint(2, 3)):
        call.hold((70, 210))
        call.phase((1, 2.5), rng.uniform(0.05, 0.2))
    call.phase((0.5, 1.5), 0.08)


def bad_line(call, rng):
    # Each hears the other a second late, so they collide, and everything has to be said twice.
    for _ in range(rng.randint(4, 6)):
        call.quality()
        call.phase((1.5, 2.6), rng.uniform(0.06, 0.3), cuts_in=rng.uniform(0.15, 0.4), insists=2.0, asks_again=0.5,
                   nods=0.3)


def mutters_while_waiting(call, rng):
    # Swears at the music, and is courteous as soon as there is somebody.
    call.phase((1.5, 3.5), 0.1)
    for _ in range(rng.randint(2, 4)):
        call.hold((50, 150), rng.uniform(0.4, 0.7), rng.uniform(0.35, 0.6))
        call.phase((1.2, 2.6), 0.2, 0.1)


def wavers_and_settles(call, rng):
    # Now cross, now not, without any order to it, and in the end content.
    for _ in range(rng.randint(5, 8)):
        call.phase((0.6, 1.8), rng.choice((0.05, 0.1, 0.2, 0.35, 0.45, 0.6)))
    call.phase((2, 4), 0.2, 0.06)


def angry_then_calm(call, rng):
    # Has been waiting to say it since yesterday; after it is said there is less of it by the minute.
    call.phase((1.5, 4), rng.uniform(0.55, 0.75), 0.42, talks=1.3)
    call.phase((2, 4), 0.38, 0.15)
    call.phase((3, 7), 0.1)


def told_again_settles(call, rng):
    # From desk to desk, like those who burst; the last desk knows what to do.
    call.phase((1.5, 4), 0.1, 0.2)
    call.passed_on(0.3)
    call.phase((1.2, 2.6), 0.3, 0.45)
    call.passed_on(0.45)
    call.phase((1, 2.5), 0.45, rng.uniform(0.15, 0.3))
    call.phase((2, 4), 0.12, words=["thanks"], wordy=0.1)


def second_problem_settles(call, rng):
    # A second matter after the first was settled; cross about it for a while, and it is settled too.
    call.phase((3, 6), 0.2, 0.06)
    call.phase((2, 4), 0.2, rng.uniform(0.4, 0.6))
    call.phase((2, 4.5), 0.35, 0.08, words=["thanks"], wordy=0.1)


SHAPES = [
    (slow_burn, True, 2), (told_again_bursts, True, 2), (grows_cold, True, 1), (steps_and_islands, True, 2),
    (second_problem_bursts, True, 1), (sarcasm_snaps, True, 1), (held_too_long, True, 1), (refused_after_all, True, 1),
    (polite_until_not, True, 1), (out_of_the_blue, True, 1),
    (plain_business, False, 2), (grumbles_throughout, False, 2), (complains_once, False, 1), (settled_in_time, False, 1),
    (sarcastic_to_the_end, False, 1), (polite_and_insistent, False, 1), (happy_talker, False, 1), (afraid, False, 1),
    (bereaved, False, 1), (held_in_silence, False, 1), (bad_line, False, 1), (mutters_while_waiting, False, 1),
    (wavers_and_settles, False, 1), (angry_then_calm, False, 2), (told_again_settles, False, 1),
    (second_problem_settles, False, 1),
]


def drawn(shape, rng, family):
    """A call of that shape; one that turns out too short or too long for the set is drawn anew."""
    while True:
        call = Call(rng, family)
        call.greeting()
        shape(call, rng)
        if SHORTEST_S <= call.at <= LONGEST_S:
            return call


def block(call, shape, escalates, name, scenario, language):
    """The call as the files have it; one that escalates ends with the outburst."""
    escalates_at = f"{call.at:.1f}" if escalates else "false"
    if escalates:
        call.feels("anger", call.rng.uniform(4, 15), level="high")
    head = ["[[interaction]]", f'name = "{name}"', f'scenario = "{scenario}"', f'language = "{language}"',
            f'template = "{shape.__name__}"', "held_out = true", f"escalates_at_s = {escalates_at}"]
    return "\n".join(head + ["events = [", *[f"  {event}," for event in call.events], "]", ""])


def calls(family):
    rng = random.Random(f"{SEED}-{family}")
    plan = [(shape, escalates) for shape, escalates, times in SHAPES for _ in range(times)]
    languages = list(LANGUAGES) * (len(plan) // 2)
    rng.shuffle(languages)
    return [block(drawn(shape, rng, family), shape, escalates, f"calls-{family}-{number:03}",
                  rng.choice(SCENARIOS[family]), languages[number])
            for number, (shape, escalates) in enumerate(plan)]


def main():
    for family in SCENARIOS:
        blocks = calls(family)
        text = f'about = "{ABOUT}"\n\n' + "\n".join(blocks)
        (FOLDER / f"calls-{family}.toml").write_text(text, encoding="utf-8")
        print(f"calls-{family}.toml: {len(blocks)} interactions, {len(text)} bytes")


if __name__ == "__main__":
    main()
