"""A small `bpe.model` with its `tokens.txt`, and how the Python package sentencepiece cuts phrases by it: for the tests.

    pieces.py FOLDER PHRASES TEXT...

PHRASES is a list of English phrases (config/lexicons), on which the model is trained with the texts.
"""

import argparse
import json
import pathlib
import tomllib

import sentencepiece

PIECES = 300
# Tokens beside the pieces, as in models of both languages.
CHARACTERS = "我要退款投诉"


def main():
    arguments = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    arguments.add_argument("folder", type=pathlib.Path)
    arguments.add_argument("phrases", type=pathlib.Path)
    arguments.add_argument("texts", nargs="+", type=pathlib.Path)
    asked = arguments.parse_args()
    intents = tomllib.loads(asked.phrases.read_text(encoding="utf-8"))["intent"]
    phrases = [phrase if isinstance(phrase, str) else phrase["text"] for intent in intents for phrase in intent["phrases"]]
    lines = phrases + [line for text in asked.texts for line in text.read_text(encoding="utf-8").splitlines()]
    (asked.folder / "corpus.txt").write_text("\n".join(lines).upper(), encoding="utf-8")
    sentencepiece.SentencePieceTrainer.train(
        input=str(asked.folder / "corpus.txt"),
        model_prefix=str(asked.folder / "bpe"),
        vocab_size=PIECES,
        model_type="bpe",
        # The usual one takes 240 kB and changes nothing here.
        normalization_rule_name="identity",
        character_coverage=0.98,
        user_defined_symbols=["<blk>", "<sos/eos>"],
        unk_id=2,
        bos_id=-1,
        eos_id=-1,
        minloglevel=2,
    )
    (asked.folder / "corpus.txt").unlink()
    (asked.folder / "bpe.vocab").unlink()
    model = sentencepiece.SentencePieceProcessor(model_file=str(asked.folder / "bpe.model"))
    tokens = [model.id_to_piece(number) for number in range(len(model))] + list(CHARACTERS)
    written = "".join(f"{token} {number}\n" for number, token in enumerate(tokens))
    (asked.folder / "tokens.txt").write_text(written, encoding="utf-8")
    cut = {phrase: model.encode(phrase.upper()) for phrase in phrases}
    cut["我要 refund"] = [tokens.index("我"), tokens.index("要"), *model.encode("REFUND")]
    rows = ",\n".join(f" {json.dumps(phrase, ensure_ascii=False)}: {numbers}" for phrase, numbers in cut.items())
    (asked.folder / "cut.json").write_text(f"{{\n{rows}\n}}\n", encoding="utf-8")


if __name__ == "__main__":
    main()
