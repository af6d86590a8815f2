"""What callers say in calls where voice and words are judged together: our service sentences as a recogniser writes them."""

import argparse
import json
import random

from noise import Noise
from service import sentences

# What kinds of sentences go with a voice that is calm, and with one that is angry. Polite complaints go with a calm one, to be
# told apart: they may be dissatisfaction, but nobody shouts.
MOODS = {
    "calm": ("inquiry", "refund", "cancel", "human", "thanks"),
    "polite": ("polite",),
    "angry": ("angry", "abuse", "threat"),
}
SEED = 8


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--part", choices=("train", "validation", "test"), default="test")
    made = sentences()
    noise = Noise([one.text for one in made])
    dice = random.Random(SEED)
    chosen = [one for one in made if one.part == parser.parse_args().part]
    said = {language: {mood: [] for mood in MOODS} for language in ("zh", "en")}
    for one in chosen:
        for mood, kinds in MOODS.items():
            if one.labels["kind"] in kinds:
                said[one.language][mood].append(noise.recognised(one.text, dice))
    print(json.dumps(said, ensure_ascii=False))


if __name__ == "__main__":
    main()
