"""What the model writes: nothing, one of the toneless syllables of Mandarin, or one of the letters of English.

A character has up to three syllables, as people read it; the table of them goes into the model's card, since the program
has no other dictionary.
"""

import re
import string

from pypinyin import Style, lazy_pinyin, pinyin_dict

BLANK = 0
LETTERS = string.ascii_lowercase
READINGS_MAX = 3
INITIALS = ["zh", "ch", "sh", *"bpmfdtnlgkhjqxrzcsyw"]
# What people ask for beyond the characters of GB 2312.
MORE_CHARACTERS = "啰嗦喂嗯哦欸噢呃嘛呗咯哎唉"


def plain(syllable):
    """A syllable without its tone, with v for ü; None for what is none."""
    syllable = syllable.strip().lower().replace("ü", "v").rstrip("0123456")
    syllable = {"lue": "lve", "nue": "nve", "n": "en", "ng": "en", "hng": "heng", "hm": "heng", "m": "en", "ê": "ei"}.get(syllable, syllable)
    return syllable if re.fullmatch(r"[a-z]+", syllable) else None


def parts(syllable):
    """Initial and final of a syllable as they sound; the initial may be empty."""
    initial = next((initial for initial in INITIALS if syllable.startswith(initial) and syllable != initial), "")
    final = syllable[len(initial) :]
    if initial in ("j", "q", "x", "y") and final.startswith("u"):
        final = "v" + final[1:]
    if initial in ("zh", "ch", "sh", "r", "z", "c", "s") and final == "i":
        final = "ih"
    return initial, final


def characters():
    """Every character of GB 2312 with its readings, the usual one first."""
    codes = (bytes([row, cell]) for row in range(0xB0, 0xF8) for cell in range(0xA1, 0xFF))
    known = [code.decode("gb2312", "ignore") for code in codes]
    table = {}
    for character in [*filter(None, known), *MORE_CHARACTERS]:
        marked = pinyin_dict.pinyin_dict.get(ord(character), "").split(",")
        readings = [plain(lazy_pinyin(character, style=Style.TONE3)[0])]
        readings += [plain(untoned(reading)) for reading in marked]
        table[character] = list(dict.fromkeys(filter(None, readings)))[:READINGS_MAX]
    return {character: readings for character, readings in table.items() if readings}


def untoned(marked):
    """A syllable without the marks over its vowels."""
    import unicodedata

    letters = unicodedata.normalize("NFD", marked.replace("ü", "v").replace("ǖ", "v").replace("ǘ", "v").replace("ǚ", "v").replace("ǜ", "v"))
    return "".join(letter for letter in letters if not unicodedata.combining(letter))


class Tokens:
    """Syllables and letters with their numbers."""

    def __init__(self):
        self.table = characters()
        self.syllables = sorted({reading for readings in self.table.values() for reading in readings})
        self.names = ["", *self.syllables, *LETTERS]
        self.index = {name: number for number, name in enumerate(self.names) if number <= len(self.syllables)}
        self.letter = {letter: 1 + len(self.syllables) + place for place, letter in enumerate(LETTERS)}
        # Initials and finals, for the head in the middle of the network.
        pieces = sorted({piece for syllable in self.syllables for piece in marked_parts(syllable)})
        self.pieces = ["", *pieces, *LETTERS]
        self.piece = {piece: number for number, piece in enumerate(self.pieces) if number <= len(pieces)}
        self.piece_letter = {letter: 1 + len(pieces) + place for place, letter in enumerate(LETTERS)}

    def of_syllables(self, syllables):
        """Numbers of syllables; None when one is unknown."""
        plains = [plain(syllable) for syllable in syllables]
        return [self.index[each] for each in plains] if all(each in self.index for each in plains) else None

    def of_said(self, said):
        """Numbers of what is said in a recording: a text, or syllables behind a stroke; None when one is unknown."""
        return self.of_syllables(said[1:].split()) if said.startswith("/") else self.of_text(said)

    def of_text(self, text):
        """Numbers of a text in Mandarin, English or both, read in its context; None when it cannot be spoken so."""
        text = re.sub(r"[’]", "'", text)
        if re.search(r"[0-9０-９]", text):
            return None
        numbers = []
        for run in re.findall(r"[\u4e00-\u9fff]+|[A-Za-z']+", text):
            if run[0] in string.ascii_letters + "'":
                numbers += [self.letter[letter] for letter in run.lower() if letter in self.letter]
                continue
            spoken = self.of_syllables(lazy_pinyin(run, style=Style.TONE3, neutral_tone_with_five=True))
            if spoken is None:
                return None
            numbers += spoken
        return numbers or None

    def to_pieces(self, numbers):
        """The same as initials, finals and letters."""
        found = []
        for number in numbers:
            name = self.names[number]
            if number > len(self.syllables):
                found.append(self.piece_letter[name])
            else:
                found += [self.piece[piece] for piece in marked_parts(name)]
        return found


def marked_parts(syllable):
    """Initial and final with a mark that tells them from each other; an empty initial is left out."""
    initial, final = parts(syllable)
    return [*([f"{initial}-"] if initial else []), f"-{final}"]
