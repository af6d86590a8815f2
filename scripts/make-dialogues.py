"""Makes the third set of long interactions in fixtures/interactions: synthetic dialogues turn by turn, from a seed.

Nothing in them was ever said by anybody. Unlike the long sets of make-interactions.py, which deal out a share of negative
speech minute by minute, a dialogue is told as turns: the caller speaks for some seconds in one mood, whoever serves
answers, and now and then nobody speaks. A shape says how the caller's moods go from phase to phase. The set was written,
and committed, before early warning was tried on it; the present weights know it (fit-warning.py). Run from the project's
folder: python3 scripts/make-dialogues.py
"""

import random
from pathlib import Path

SEED = 20261127
FOLDER = Path("fixtures/interactions")
LANGUAGES = ("zh", "en")
SCENARIOS = {
    "ecommerce": ("ecommerce-returns", "ecommerce-logistics"),
    "banking": ("bill-dispute", "investment"),
    "travel": ("itinerary",),
    "government": ("procedure", "progress"),
}
ABOUT = "Synthetic: made by scripts/make-dialogues.py from shapes of dialogues. No recording, no person."
INTENTS = ("refund", "progress", "complaint", "change-date")


class Dialogue:
    """One interaction, turn after turn; `at` is the time since the answer in seconds."""

    def __init__(self, rng):
        self.rng, self.at, self.events, self.interrupted, self.wish = rng, 0.0, [], 0, rng.choice(INTENTS)

    def tell(self, what):
        self.events.append((self.at, f"{{ at_s = {self.at:.1f}, {what} }}"))

    def feels(self, emotion, lasts, level=None, score=None):
        more = (f', level = "{level}"' if level else "") + (f", score = {score:.2f}" if score is not None else "")
        self.tell(f'emotion = "{emotion}", lasts_s = {lasts:.1f}{more}')
        self.at += lasts + 0.5

    def turn(self, phase):
        """The caller says something."""
        rng = self.rng
        lasts = rng.uniform(*phase.get("turn_s", (3, 14)))
        if rng.random() < phase.get("repeats", 0.03):
            self.tell(f'said = "{self.wish}"')
        elif rng.random() < 0.1:
            self.tell(f'said = "question-{rng.randint(1, 9)}"')
        if rng.random() < phase.get("cross", 0.05):
            score = min(max(rng.gauss(phase.get("score", 0.42), 0.08), 0.2), 0.62)
            medium = rng.random() < phase.get("medium", 0.0)
            self.feels("anger", lasts, level="medium" if medium else None, score=score)
        else:
            emotion = "neutral"
            if rng.random() < phase.get("other", 0.0):
                emotion = phase["emotion"]
            self.feels(emotion, lasts, score=min(max(rng.gauss(phase.get("calm_score", 0.12), 0.05), 0.02), 0.3))

    def answer(self, phase):
        """Whoever serves answers, or nobody speaks for a while."""
        rng = self.rng
        if rng.random() < phase.get("pause", 0.05):
            self.at += rng.uniform(8.5, phase.get("pause_s", 14))
        lasts = rng.uniform(*phase.get("answer_s", (3, 16)))
        self.tell(f"other_spoke = {lasts:.1f}")
        if rng.random() < phase.get("interrupts", 0.03):
            self.at += lasts * rng.uniform(0.3, 0.8)
            self.interrupted += 1
            self.tell(f"interruptions = {self.interrupted}")
        else:
            self.at += lasts + rng.uniform(0.2, 1.5)

    def phase(self, minutes, **phase):
        """Turns until the time of the phase is over; numbers in pairs `(from, to)` with the key `KEY_to` glide."""
        begun, ends = self.at, self.at + minutes * 60
        glides = {key[:-3]: phase.pop(key) for key in [key for key in phase if key.endswith("_to")]}
        while self.at < ends:
            done = (self.at - begun) / (ends - begun)
            now = dict(phase)
            for key, to in glides.items():
                now[key] = phase[key] + (to - phase[key]) * done
            self.turn(now)
            self.answer(now)


# Shapes that end in a high level of anger.
def turns_at_the_end(talk, rng):
    # All is well for most of the time; then it comes out that it was all for nothing.
    talk.phase(rng.uniform(5, 8), cross=rng.uniform(0.0, 0.1))
    talk.phase(rng.uniform(3, 5), cross=0.3, cross_to=0.85, medium=0.0, medium_to=0.3, interrupts=0.1, interrupts_to=0.35,
               repeats=0.2)


def grows_quiet(talk, rng):
    # Says less and less, with long pauses, and asks the same thing again; hardly sounds cross until it breaks out.
    talk.phase(rng.uniform(2, 4), cross=0.05)
    talk.phase(rng.uniform(4, 6), cross=0.1, cross_to=0.35, score=0.34, score_to=0.42, turn_s=(2, 5), repeats=0.2,
               repeats_to=0.4, pause=0.2, pause_to=0.5, pause_s=20, calm_score=0.16, calm_score_to=0.22)


def flares_that_grow(talk, rng):
    # Flares up, collects himself, flares up again, each time for longer.
    for flare in range(rng.randint(3, 4)):
        talk.phase(rng.uniform(1.2, 2.2), cross=0.08 + 0.06 * flare)
        talk.phase(0.3 + 0.25 * flare, cross=0.8, medium=0.2 + 0.15 * flare, interrupts=0.25)


def goes_in_circles(talk, rng):
    # Says the same thing over and over, because he is not understood.
    talk.phase(rng.uniform(2, 3), cross=0.1, repeats=0.15)
    talk.phase(rng.uniform(5, 8), cross=0.15, cross_to=0.65, repeats=0.3, repeats_to=0.5, interrupts=0.05,
               interrupts_to=0.3)


def is_calmed_and_cheated(talk, rng):
    # Cross, appeased by a promise, and crosser than before when it is taken back.
    talk.phase(rng.uniform(1.5, 2.5), cross=0.35, score=0.4, interrupts=0.1)
    talk.phase(rng.uniform(2, 4), cross=0.08)
    talk.phase(rng.uniform(3, 5), cross=0.4, cross_to=0.8, medium=0.05, medium_to=0.3, interrupts=0.15, repeats=0.15)


def out_of_the_blue(talk, rng):
    # One sentence makes her furious: nobody could foretell it.
    talk.phase(rng.uniform(7, 11), cross=0.08)


# Shapes that do not.
def calms_by_itself(talk, rng):
    # Calls in anger, gets it off the chest, and is calmer from minute to minute, whatever is said.
    talk.phase(rng.uniform(3, 5), cross=rng.uniform(0.5, 0.65), cross_to=0.1, medium=0.15, medium_to=0.0, interrupts=0.15,
               interrupts_to=0.02)
    talk.phase(rng.uniform(4, 7), cross=0.06)


def brief_flares(talk, rng):
    # Short outbursts, about one thing each, over before the answer has ended.
    for _ in range(rng.randint(2, 3)):
        talk.phase(rng.uniform(2, 3.2), cross=0.05)
        talk.phase(rng.uniform(0.2, 0.45), cross=0.9, medium=0.4, interrupts=0.2)
    talk.phase(rng.uniform(1.5, 3), cross=0.05)


def grumbler(talk, rng):
    # Finds fault with everything in the same tone from the first minute to the last.
    talk.phase(rng.uniform(8, 12), cross=rng.uniform(0.3, 0.5), score=rng.uniform(0.36, 0.42))


def talks_over_everybody(talk, rng):
    # In high spirits, never lets anybody finish.
    talk.phase(rng.uniform(7, 11), cross=0.04, other=0.3, emotion="joy", interrupts=rng.uniform(0.2, 0.35))


def looks_for_papers(talk, rng):
    # Asks what to bring, and looks for it while the other side waits.
    talk.phase(rng.uniform(7, 11), cross=0.04, pause=rng.uniform(0.25, 0.4), pause_s=25, repeats=0.08)


def tells_a_sad_story(talk, rng):
    # Close to tears in the middle, about something that nobody is to blame for.
    talk.phase(rng.uniform(2, 3), cross=0.03)
    talk.phase(rng.uniform(2, 3), cross=0.05, other=0.6, emotion="sadness", pause=0.15)
    talk.phase(rng.uniform(3, 5), cross=0.03, other=0.1, emotion="sadness")


def is_put_right(talk, rng):
    # Sours for some minutes, until somebody finds what went wrong; thankful from then on.
    talk.phase(rng.uniform(2, 4), cross=0.08)
    talk.phase(rng.uniform(2, 3), cross=0.2, cross_to=0.5, interrupts=0.1, repeats=0.1)
    talk.phase(rng.uniform(4, 6), cross=0.04, other=0.2, emotion="joy")


def ordinary(talk, rng):
    # Questions, answers, a word of displeasure here and there.
    talk.phase(rng.uniform(7, 12), cross=rng.uniform(0.0, 0.15))


SHAPES = [
    (turns_at_the_end, True, 3), (grows_quiet, True, 2), (flares_that_grow, True, 2), (goes_in_circles, True, 3),
    (is_calmed_and_cheated, True, 2), (out_of_the_blue, True, 1),
    (calms_by_itself, False, 3), (brief_flares, False, 2), (grumbler, False, 3), (talks_over_everybody, False, 1),
    (looks_for_papers, False, 1), (tells_a_sad_story, False, 1), (is_put_right, False, 1), (ordinary, False, 3),
]


def dialogues(family):
    rng = random.Random(f"{SEED}-{family}")
    plan = [(shape, escalates) for shape, escalates, times in SHAPES for _ in range(times)]
    blocks = []
    for number, (shape, escalates) in enumerate(plan):
        talk = Dialogue(rng)
        shape(talk, rng)
        escalates_at = f"{talk.at:.1f}" if escalates else "false"
        if escalates:
            talk.feels("anger", rng.uniform(5, 15), level="high")
        events = [f"  {event}," for _, event in sorted(talk.events, key=lambda told: told[0])]
        head = ["[[interaction]]", f'name = "dialogue-{family}-{number:03}"',
                f'scenario = "{rng.choice(SCENARIOS[family])}"', f'language = "{rng.choice(LANGUAGES)}"',
                f'template = "{shape.__name__}"', "held_out = true", f"escalates_at_s = {escalates_at}"]
        blocks.append("\n".join(head + ["events = [", *events, "]", ""]))
    return blocks


def main():
    for family in SCENARIOS:
        blocks = dialogues(family)
        text = f'about = "{ABOUT}"\n\n' + "\n".join(blocks)
        (FOLDER / f"dialogues-{family}.toml").write_text(text, encoding="utf-8")
        print(f"dialogues-{family}.toml: {len(blocks)} interactions, {len(text)} bytes")


if __name__ == "__main__":
    main()
