"""Makes the evaluation sets of fixtures/interactions: synthetic interactions with the best action, from a seed.

Nothing in them was ever said by anybody. Each interaction grows from a template, a story as one would tell it of a service
line, with times and levels drawn at random. Those of the sets called unseen were written after version 2 of the shipped
policies, with what is best decided from the story alone; the policies were not changed for them. Run from the project's
folder: python3 scripts/make-interactions.py
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

    def uses_between(self, before, after, *categories):
        self.calm(*before)
        self.uses(*categories)
        self.calm(*after)

    def says(self, intent):
        self.events.append(f'{{ at_s = {self.at:.1f}, said = "{intent}" }}')

    def knows(self):
        self.events.append(order(0.0, self.rng.choice(self.states)))


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
    call.uses_between((5, 20), (5, 20), "anxiety")


def known_problem(call):
    call.knows()
    call.uses_between((5, 20), (5, 15), "dissatisfaction")


def asks_for_human(call):
    call.uses_between((5, 20), (5, 15), "human")


def long_wait(call):
    call.waited = call.rng.uniform(95, 300)
    call.calm(10, 30)


def sad(call):
    call.calm()
    call.feels("sadness", 4, 10)
    call.calm(3, 8)


def complains(call):
    call.uses_between((5, 20), (5, 15), "complaint")


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
    call.uses_between((5, 20), (3, 8), "dissatisfaction")
    call.uses("threat")
    call.calm(3, 8)


def cross_about_what_is_known(call):
    call.knows()
    call.calm()
    call.uses("dissatisfaction")
    call.feels("anger", 3, 8, level="medium")
    call.calm(3, 8)


def loud_but_calm(call):
    for _ in range(6):
        call.feels("neutral", 3, 6, score=call.rng.uniform(0.15, 0.3))


def dissatisfied_without_a_reason(call):
    call.uses_between((5, 20), (5, 15), "dissatisfaction")


BUILT = [
    (calm, "none"), (furious, "human"), (cross_then_calm, "soothe"), (anxious, "simplify"), (known_problem, "inform"),
    (asks_for_human, "human"), (long_wait, "call_back"), (sad, "soothe"), (complains, "alert"),
]
# Written after version 1 of the policies, which left the last one alone; version 2 was changed for it.
LATER = [
    (flicker, "soothe", 2), (joyful, "none", 2), (anxious_then_furious, "human", 2), (slow_burn, "human", 2),
    (threatens_calmly, "human", 2), (cross_about_what_is_known, "soothe", 2), (loud_but_calm, "none", 2),
    (dissatisfied_without_a_reason, "soothe", 1),
]
EACH = 4


# The stories of the unseen set.
def waits_patiently(call):
    # The order is late, as the customer knows. She asks when it will come, hears it, and says thank you.
    call.knows()
    call.uses_between((10, 30), (3, 8), "thanks")


def praises(call):
    # Calls to say that all went well, and laughs about a small mishap.
    call.feels("joy", 4, 10)
    call.calm(5, 10)
    call.feels("joy", 3, 6)
    call.uses("joy", "thanks")


def is_not_understood(call):
    # Says calmly what he wants, and gets an answer to something else; says it again; and a third time.
    wish = call.rng.choice(("refund", "progress", "change-date"))
    for _ in range(3):
        call.calm(4, 9)
        call.says(wish)
        call.at += 0.5
    call.calm(4, 9)


def cancels_quietly(call):
    # Has changed her mind and would like to cancel. Nothing is wrong.
    call.uses_between((6, 15), (8, 20), "cancel")


def wants_the_money_back(call):
    # It is not what he had hoped for; he wants the money back, and says nothing of any trouble with the order.
    call.uses_between((5, 12), (6, 15), "refund", "dissatisfaction")


def shouts_at_once(call):
    # The first thing that is heard of her is shouting, and it goes on.
    call.feels("anger", 4, 9, level="high")
    call.feels("anger", 2, 5, level="medium")
    call.calm(3, 6)


def insults_in_a_flat_voice(call):
    # Calls the bot names without raising his voice, and goes on with his question.
    call.uses_between((6, 14), (8, 16), "abuse")


def worries_about_the_next_step(call):
    # Does not know what to do next and fears to do it wrong; has waited for less than a minute.
    call.waited = call.rng.uniform(10, 60)
    call.uses_between((4, 8), (6, 12), "anxiety")
    call.uses("anxiety")
    call.calm(5, 10)


def has_waited_and_worries(call):
    # Has hung on for minutes already and is worried besides: a call back takes both from him.
    call.waited = call.rng.uniform(120, 400)
    call.uses_between((3, 8), (5, 12), "anxiety")


def mourns_what_is_known(call):
    # What she looked forward to has come to nothing, as the order says. She is close to tears, not angry.
    call.knows()
    call.calm(4, 8)
    call.uses("dissatisfaction")
    call.feels("sadness", 5, 10)
    call.calm(4, 8)


def grumbles_and_laughs(call):
    # Grumbles about nothing in particular, and laughs about himself a little later.
    call.uses_between((5, 10), (4, 8), "dissatisfaction")
    call.feels("joy", 3, 6)


def flares_up_twice(call):
    # Gets cross, calms down, gets cross about the next question, calms down for good.
    for _ in range(2):
        call.calm(6, 12)
        call.feels("anger", 3, 7, level="medium")
    call.calm(14, 25)


def cross_for_half_a_minute(call):
    # Cross for a good while; then the answer is found and she is content. A supervisor should have had a look.
    call.calm(4, 10)
    call.feels("anger", 20, 30, level="medium")
    call.calm(14, 25)


def threatens_with_the_press(call):
    # Cross, and says that the newspapers will hear of it.
    call.calm(4, 10)
    call.feels("anger", 4, 8, level="medium")
    call.uses("threat")
    call.feels("anger", 3, 6, level="medium")


def is_told_and_complains(call):
    # The trouble is known and he is told of it; that does not content him, and he wants to file a complaint.
    call.knows()
    call.uses_between((4, 8), (8, 15), "dissatisfaction")
    call.uses("complaint")
    call.calm(4, 8)


def one_loud_word(call):
    # One loud word, when something falls down, and on it goes as if nothing had been.
    call.calm(6, 12)
    call.feels("anger", 0.5, 1.0, level="medium")
    call.feels("anger", 0, 0, level="high")
    call.feels("anger", 0, 0, level="medium")
    call.calm(12, 25)


def nothing_is_late_and_yet(call):
    # All is as planned, and she is not content with it.
    call.events.append(order(0.0, "as-planned"))
    call.uses_between((6, 12), (6, 15), "dissatisfaction")


def speaks_through_a_bad_line(call):
    # Half of what he says is lost on the way; he is patient about it.
    call.calm(4, 8)
    call.events.append(f"{{ at_s = {call.at:.1f}, mos = 2.1, loss = 0.18 }}")
    call.calm(10, 25)


UNSEEN = [
    (waits_patiently, "none"), (praises, "none"), (is_not_understood, "human"), (cancels_quietly, "none"),
    (wants_the_money_back, "soothe"), (shouts_at_once, "human"), (insults_in_a_flat_voice, "alert"),
    (worries_about_the_next_step, "simplify"), (has_waited_and_worries, "call_back"), (mourns_what_is_known, "soothe"),
    (grumbles_and_laughs, "soothe"), (flares_up_twice, "soothe"), (cross_for_half_a_minute, "alert"),
    (threatens_with_the_press, "human"), (is_told_and_complains, "alert"), (one_loud_word, "soothe"),
    (nothing_is_late_and_yet, "soothe"), (speaks_through_a_bad_line, "none"),
]


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
    plan += [(template, best, False) for template, best, times in LATER for _ in range(times)]
    return short_blocks(rng, f"{family}-{language}", (scenarios, states, language), plan)


def unseen_set(family, language):
    rng = random.Random(f"{SEED}-unseen-{family}-{language}")
    scenarios, states = FAMILIES[family]
    plan = [(template, best, True) for template, best in UNSEEN]
    return short_blocks(rng, f"unseen-{family}-{language}", (scenarios, states, language), plan)


def short_blocks(rng, prefix, where, plan):
    scenarios, states, language = where
    blocks = []
    for number, (template, best, held_out) in enumerate(plan):
        call = Call(rng, states)
        template(call)
        lines = [f'best = "{best}"', f"held_out = {str(held_out).lower()}"]
        name = f"{prefix}-{number:03}"
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


# The shapes of the unseen set.
def creeping(rng, minutes):
    # Sours all the way through, a little more each minute, never twice alike.
    return [min(0.65, 0.08 + 0.55 * n / (minutes - 1) + rng.uniform(-0.06, 0.06)) for n in range(minutes)]


def turns_late(rng, minutes):
    # A good conversation until a promise turns out to be broken; from then on it sours over five or six minutes.
    last = rng.randint(5, 6)
    good = [rng.uniform(0.0, 0.12) for _ in range(minutes - last)]
    return good + [0.25 + 0.4 * n / (last - 1) for n in range(last)]


def in_steps(rng, minutes):
    # Sours by steps: each refusal makes it worse, and it stays there for a while.
    steps = sorted(rng.sample(range(2, minutes - 1), 3))
    return [0.1 + 0.17 * sum(minute >= step for step in steps) + rng.uniform(-0.03, 0.03) for minute in range(minutes)]


def always_grumpy(rng, minutes):
    # Grumbles from the first minute to the last, and means no harm by it.
    level = rng.uniform(0.25, 0.4)
    return [level + rng.uniform(-0.05, 0.05) for _ in range(minutes)]


def won_back(rng, minutes):
    # Sours for two or three minutes in the middle until somebody finds the solution; thankful from then on.
    shares = [rng.uniform(0.0, 0.15) for _ in range(minutes)]
    at = rng.randint(2, minutes - 5)
    for n in range(rng.randint(2, 3)):
        shares[at + n] = rng.uniform(0.3, 0.45)
    return shares


def many_questions(rng, minutes):
    # Asks a lot, of other things each time, and is content with the answers.
    return [rng.uniform(0.0, 0.2) for _ in range(minutes)]


UNSEEN_LONG = [
    (creeping, True, 4), (turns_late, True, 4), (in_steps, True, 3), (sudden, True, 1), (always_grumpy, False, 4),
    (won_back, False, 3), (many_questions, False, 4), (steady, False, 3),
]
SOURING = (souring, creeping, turns_late, in_steps)
ASKS = {many_questions: 0.6}


def long_set(family):
    return long_blocks(f"long-{family}", family, LONG, lambda number: number % 2 == 1)


def unseen_long_set(family):
    return long_blocks(f"unseen-long-{family}", family, UNSEEN_LONG, lambda _: True)


def long_blocks(prefix, family, shapes, is_held_out):
    rng = random.Random(f"{SEED}-{prefix}")
    scenarios, states = FAMILIES[family]
    plan = [(shape, escalates) for shape, escalates, times in shapes for _ in range(times)]
    blocks = []
    for number, (shape, escalates) in enumerate(plan):
        call = Call(rng, states)
        minutes = rng.randint(8, 13)
        shares = shape(rng, minutes)
        for minute, share in enumerate(shares):
            call.feels("anger", 54, 58, score=min(0.2 + 0.4 * share, 0.6), share=share)
            sours = shape in SOURING
            if sours and share > 0.25 and rng.random() < 0.4:
                call.says("complaint")
            if sours and share > 0.35 and rng.random() < 0.4:
                call.events.append(f"{{ at_s = {call.at:.1f}, interruptions = {minute} }}")
            if not sours and rng.random() < ASKS.get(shape, 0.1):
                call.says(f"question-{rng.randint(1, 4)}")
        lines = [f"held_out = {str(is_held_out(number)).lower()}"]
        if escalates:
            lines.append(f"escalates_at_s = {call.at:.1f}")
            call.feels("anger", 5, 15, level="high")
        else:
            lines.append("escalates_at_s = false")
        name = f"{prefix}-{number:03}"
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
            write(f"unseen-{family}-{language}.toml", unseen_set(family, language))
        write(f"long-{family}.toml", long_set(family))
        write(f"unseen-long-{family}.toml", unseen_long_set(family))


if __name__ == "__main__":
    main()
