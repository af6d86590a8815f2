"""What recognisers make of a text: homophones, deletions, lost signs."""

import random

from pypinyin import Style, lazy_pinyin

# Shares of the characters that are heard as another of the same sound, left out, or said twice.
HOMOPHONE, DELETION, REPETITION = 0.06, 0.03, 0.01
SIGNS = set("，。！？、；：,.!?;:~…“”\"'()（）【】《》-—")


class Noise:
    """Learns from `texts` which characters sound the same and how common they are."""

    def __init__(self, texts):
        counts = {}
        for text in texts:
            for character in text:
                if is_chinese(character):
                    counts[character] = counts.get(character, 0) + 1
        sounds = {}
        for character, sound in zip(counts, lazy_pinyin(list(counts), style=Style.NORMAL)):
            sounds.setdefault(sound, []).append(character)
        self.alike = {
            character: [(other, counts[other]) for other in group if other != character]
            for group in sounds.values()
            for character in group
        }

    def recognised(self, text, dice: random.Random):
        """As a recogniser would write it: no signs, no case, some characters wrong or missing."""
        found = []
        words = text.split(" ")
        if len(words) > 3 and not any(map(is_chinese, text)):
            words = [word for word in words if dice.random() >= DELETION]
            return " ".join(self.misheard_word(word, dice) for word in words).lower()
        for character in text:
            if character in SIGNS:
                continue
            chance = dice.random()
            others = self.alike.get(character)
            if is_chinese(character) and chance < DELETION:
                continue
            if others and chance < DELETION + HOMOPHONE:
                character = dice.choices([o for o, _ in others], [count for _, count in others])[0]
            found.append(character)
            if is_chinese(character) and dice.random() < REPETITION:
                found.append(character)
        return "".join(found) or text

    def misheard_word(self, word, dice):
        """An English word without signs, now and then without one of its letters."""
        word = "".join(c for c in word if c not in SIGNS or c == "'")
        if len(word) > 3 and dice.random() < HOMOPHONE:
            at = dice.randrange(len(word))
            word = word[:at] + word[at + 1 :]
        return word


def is_chinese(character):
    return "\u4e00" <= character <= "\u9fff"
