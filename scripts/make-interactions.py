"""Makes the evaluation sets of fixtures/interactions: synthetic interactions with the best action, from a seed.

Nothing in them was ever said by anybody. Each interaction grows from a template, a story as one would tell it of a service
line, with times and levels drawn at random. Templates marked held out were written after the shipped policies, which were
not changed for them. Run from the project's folder: python3 scripts/make-interactions.py
"""

import random
from pathlib import Path

SEED = 20261126
FOLDER = Path("fixtures/interactions")
LANGUAGES = ("zh", "en")
FAMILIES = {
    "ecommerce": (("ecommerce-returns", "ecommerce-logistics"), ("delayed", "lost")),
    "banking": (("bill-dispute", "investment"), ("disputed", "fee")),
    "travel": (("itinerary",), ("cancelled", "delayed")),
    "government": (("procedure", "progress"), ("overdue", "returned")),
}
ABOUT = "Synthetic: made by scripts/make-interactions.py from templates. No recording, no person."


def mood(at, emotion, lasts, level=None, score=None, share=None):
    parts = [f"at_s = {at:.1f}", f'emotion = "{emotion}"', f"lasts_s = {lasts:.1f}"]
    if level:
        parts.append(f'level = "{level}"')
    if score is not None:
        parts.append(f"score = {score:.2f}")
    if share is not None:
        parts.append(f"share = {share:.2f}")
    return "{ " + ", ".join(parts) + " }"


def words(at, *categories):
    return f"{{ at_s = {at:.1f}, words = [" + ", ".join(f'"{category}"' for category in categories) + "] }"


def order(at, state):
    return f'{{ at_s = {at:.1f}, order = {{ state = "{state}" }} }}'


class Call:
    """The events of one interaction, in order of time."""

    def __init__(self, rng, states):
        self.rng, self.states, self.at, self.events, self.waited = rng, states, 0.0, [], None

    def feels(self, emotion, least, most, **more):
        lasts = self.rng.uniform(least, most)
        self.events.append(mood(self.at, emotion, lasts, **more))
        self.at += lasts + 0.5

    def calm(self, least=5, most=20):
        self.feels("neutral", least, most)

    def uses(self, *categories):
        self.events.append(words(self.at, *categories))
        self.at += 0.5


def calm(call):
    call.calm(20, 60)
    if call.rng.random() < 0.5:
        call.uses("thanks")
        call.calm(3, 8)


def furious(call):
    call.calm()
    call.feels("anger", 1, 4, level="medium")
    call.feels("anger", 2, 6, level="high")
    call.calm(3, 10)


def cross_then_calm(call):
    call.calm()
    call.feels("anger", 3, 10, level="medium")
    call.calm(12, 30)


def anxious(call):
    call.calm()
    call.uses("anxiety")
    call.calm(5, 20)


def known_problem(call):
    call.events.append(order(0.0, call.rng.choice(call.states)))
    call.calm()
    call.uses("dissatisfaction")
    call.calm(5, 15)


def asks_for_human(call):
    call.calm()
    call.uses("human")
    call.calm(5, 15)


def long_wait(call):
    call.waited = call.rng.uniform(95, 300)
    call.calm(10, 30)


def sad(call):
    call.calm()
    call.feels("sadness", 4, 10)
    call.calm(3, 8)


def complains(call):
    call.calm()
    call.uses("complaint")
    call.calm(5, 15)


def flicker(call):
    call.calm()
    call.feels("anger", 3, 6, level="medium")
    call.feels("anger", 0, 0, level="high")
    call.feels("anger", 2, 4, level="medium")
    call.calm(12, 20)


def joyful(call):
    call.feels("joy", 5, 15)
    call.uses("thanks", "joy")
    call.calm(3, 8)


def anxious_then_furious(call):
    call.calm()
    call.uses("anxiety")
    call.feels("anger", 4, 8, level="medium")
    call.feels("anger", 3, 6, level="high")


def slow_burn(call):
    call.calm()
    call.feels("anger", 55, 90, level="medium")


def threatens_calmly(call):
    call.calm()
    call.uses("dissatisfaction")
    call.calm(3, 8)
    call.uses("threat")
    call.calm(3, 8)


def cross_about_what_is_known(call):
    call.events.append(order(0.0, call.rng.choice(call.states)))
    call.calm()
    call.uses("dissatisfaction")
    call.feels("anger", 3, 8, level="medium")
    call.calm(3, 8)


def loud_but_calm(call):
    for _ in range(6):
        call.feels("neutral", 3, 6, score=call.rng.uniform(0.15, 0.3))


def dissatisfied_without_a_reason(call):
    call.calm()
    call.uses("dissatisfaction")
    call.calm(5, 15)


BUILT = [
    (calm, "none"), (furious, "human"), (cross_then_calm, "soothe"), (anxious, "simplify"), (known_problem, "inform"),
    (asks_for_human, "human"), (long_wait, "call_back"), (sad, "soothe"), (complains, "alert"),
]
HELD_OUT = [
    (flicker, "soothe", 2), (joyful, "none", 2), (anxious_then_furious, "human", 2), (slow_burn, "human", 2),
    (threatens_calmly, "human", 2), (cross_about_what_is_known, "soothe", 2), (loud_but_calm, "none", 2),
    (dissatisfied_without_a_reason, "soothe", 1),
]
EACH = 4


def block(name, scenario, language, template, call, lines):
    out = ["[[interaction]]", f'name = "{name}"', f'scenario = "{scenario}"', f'language = "{language}"',
           f'template = "{template}"']
    if call.waited:
        out.append(f"waited_s = {call.waited:.1f}")
    return "\n".join(out + lines + ["events = [", *(f"  {event}," for event in call.events), "]", ""])


def short_set(family, language):
    rng = random.Random(f"{SEED}-{family}-{language}")
    scenarios, states = FAMILIES[family]
    plan = [(template, best, False) for template, best in BUILT for _ in range(EACH)]
    plan += [(template, best, True) for template, best, times in HELD_OUT for _ in range(times)]
    blocks = []
    for number, (template, best, held_out) in enumerate(plan):
        call = Call(rng, states)
        template(call)
        lines = [f'best = "{best}"', f"held_out = {str(held_out).lower()}"]
        name = f"{family}-{language}-{number:03}"
        blocks.append(block(name, rng.choice(scenarios), language, template.__name__, call, lines))
    return blocks


# Long interactions: how the share of negative speech goes from minute to minute.
def souring(rng, minutes):
    # From about 20 % to 60 % and on to a high level of anger.
    first = rng.randint(1, 3)
    return [rng.uniform(0.05, 0.2)] * first + [0.2 + 0.5 * n / (minutes - first) for n in range(minutes - first)]


def steady(rng, minutes):
    level = rng.uniform(0.0, 0.25)
    return [max(0.0, level + rng.uniform(-0.05, 0.05)) for _ in range(minutes)]


def bump(rng, minutes):
    # Cross for a minute or two in the middle, and soothed.
    shares = steady(rng, minutes)
    at = rng.randint(2, minutes - 4)
    shares[at] = rng.uniform(0.3, 0.45)
    return shares


def sudden(rng, minutes):
    # Calm until something is said that makes the caller furious at once: nobody could foretell it.
    return steady(rng, minutes)


LONG = [(souring, True, 13), (sudden, True, 1), (steady, False, 9), (bump, False, 6)]


def long_set(family):
    rng = random.Random(f"{SEED}-long-{family}")
    scenarios, states = FAMILIES[family]
    plan = [(shape, escalates) for shape, escalates, times in LONG for _ in range(times)]
    blocks = []
    for number, (shape, escalates) in enumerate(plan):
        call = Call(rng, states)
        minutes = rng.randint(8, 13)
        shares = shape(rng, minutes)
        for minute, share in enumerate(shares):
            call.feels("anger", 54, 58, score=min(0.2 + 0.4 * share, 0.6), share=share)
            if shape is souring and share > 0.25 and rng.random() < 0.4:
                call.events.append(f'{{ at_s = {call.at:.1f}, said = "complaint" }}')
            if shape is souring and share > 0.35 and rng.random() < 0.4:
                call.events.append(f"{{ at_s = {call.at:.1f}, interruptions = {minute} }}")
            if shape is not souring and rng.random() < 0.1:
                call.events.append(f'{{ at_s = {call.at:.1f}, said = "question-{rng.randint(1, 4)}" }}')
        lines = [f"held_out = {str(number % 2 == 1).lower()}"]
        if escalates:
            lines.append(f"escalates_at_s = {call.at:.1f}")
            call.feels("anger", 5, 15, level="high")
        else:
            lines.append("escalates_at_s = false")
        name = f"long-{family}-{number:03}"
        blocks.append(block(name, rng.choice(scenarios), rng.choice(LANGUAGES), shape.__name__, call, lines))
    return blocks


def write(name, blocks):
    text = f'about = "{ABOUT}"\n\n' + "\n".join(blocks)
    (FOLDER / name).write_text(text, encoding="utf-8")
    print(f"{name}: {len(blocks)} interactions, {len(text)} bytes")


def main():
    FOLDER.mkdir(parents=True, exist_ok=True)
    for family in FAMILIES:
        for language in LANGUAGES:
            write(f"{family}-{language}.toml", short_set(family, language))
        write(f"long-{family}.toml", long_set(family))


main()
