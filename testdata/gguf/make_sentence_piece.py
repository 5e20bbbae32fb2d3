"""Makes sentence_piece.json: a small SentencePiece BPE tokenizer as a GGUF file holds it, trained on the questions of
testdata/instruct with the settings of Llama 2, and the tokens that SentencePiece finds in some texts.

    python -m pip install sentencepiece
    python make_sentence_piece.py
"""

import io
import json
from pathlib import Path

import sentencepiece

HERE = Path(__file__).resolve().parent
TEXTS = [
    "What is the colour of the sky?",
    "  two  spaces,\ttabs\n\nand lines \n  end   ",
    "What-is 12345.67 + thethethe the  the?",
    "aaaa aaaaaaa aaa",
    "caf\u00e9 \u4f60\u597d \U0001f642 \u2581",
    "",
    " ",
    "a",
    "The weather in the weather, whether or not: colour colourcolour.",
]
# The numbers that GGUF files give to kinds of tokens.
NORMAL, UNKNOWN, CONTROL, USER_DEFINED, UNUSED, BYTE = range(1, 7)


def trained() -> sentencepiece.SentencePieceProcessor:
    out = io.BytesIO()
    files = sorted((HERE.parent / "instruct").glob("*.train.jsonl"))
    lines = [line for file in files for line in file.read_text().splitlines()]
    sentencepiece.SentencePieceTrainer.train(
        sentence_iterator=iter(lines),
        model_writer=out,
        model_type="bpe",
        vocab_size=450,
        byte_fallback=True,
        normalization_rule_name="identity",
        remove_extra_whitespaces=False,
        split_digits=True,
        allow_whitespace_only_pieces=True,
        num_threads=1,
        minloglevel=2,
    )
    return sentencepiece.SentencePieceProcessor(model_proto=out.getvalue())


def kind(model: sentencepiece.SentencePieceProcessor, token: int) -> int:
    if model.is_unknown(token):
        return UNKNOWN
    if model.is_control(token):
        return CONTROL
    return BYTE if model.is_byte(token) else NORMAL


def main() -> None:
    model = trained()
    tokens = range(model.get_piece_size())
    out = {
        "tokens": [model.id_to_piece(token) for token in tokens],
        "scores": [model.get_score(token) for token in tokens],
        "token_type": [kind(model, token) for token in tokens],
        "texts": TEXTS,
        "ids": [model.encode(text) for text in TEXTS],
    }
    (HERE / "sentence_piece.json").write_text(json.dumps(out) + "\n")


if __name__ == "__main__":
    main()
