"""The card of the table of punctuation."""

HEAD = """# Punctuation 0.1.0

Written by `nlu/train/punctuation/train.py`; do not edit. How it is used: `docs/MODELS.md`.

- **Sets** a comma, a full stop, a question mark or nothing behind each word of a text without any, from left to right; Mandarin
  and English.
- **Shape** multinomial logistic regression over hashed features of up to three words around, of the beginning of the sentence and of
  words that ask in it, of how much has been said since the last mark and is left: {entries} features, {kilobytes} KB. Pauses are added
  by hand (`nlu/src/punctuation.rs`): no dialogues with times of words were to be had.
- **Trained on** four of five dialogues of XDailyDialog's development set (Apache-2.0) and bilingual MELD's training set (none stated; MELD
  GPL-3.0), in both languages. Exclamation marks are full stops, `、；：` and their like commas. The corpora are not part of this
  project.
- **Judged** on the fifth dialogues, whole turns, text alone. The rules that it is compared with (`rules.py`): discourse words, question
  words and particles, auxiliaries at the beginning. The strength of the regression was chosen on these same dialogues out of four.
- **Date** 2026-11-27. Nothing in it is by chance.

## Held-out dialogues

Precision / recall / **F1** in %. "Inside": whether there is any mark at all, but for the end of a turn.

| corpus | turns | by | comma | full stop | question mark | inside |
|---|---|---|---|---|---|---|
"""


def written(told, entries, size):
    lines = []
    for name, own in told.items():
        for way in ("rules", "table"):
            cells = []
            for mark in ("comma", "stop", "question", "inside"):
                precision, recall, score = own[way][mark][:3]
                cells.append(f"{100 * precision:.0f} / {100 * recall:.0f} / **{100 * score:.1f}**")
            lines.append(f"| {name} | {own['texts']} | {way} | {' | '.join(cells)} |")
    return HEAD.format(entries=entries, kilobytes=round(size / 1000)) + "\n".join(lines) + "\n"
