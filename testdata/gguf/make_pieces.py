"""Makes pieces.json: how the pre-tokenizers that GGUF files name cut some texts, with transformers and, for smollm,
with the expressions of llama.cpp.

    python -m pip install transformers regex
    python make_pieces.py
"""

import json
from pathlib import Path

import regex
from transformers import GPT2Tokenizer, Qwen2Tokenizer
from transformers.convert_slow_tokenizer import bytes_to_unicode
from transformers.integrations.gguf.gguf_tokenizer_mapping import set_split_regex

HERE = Path(__file__).resolve().parent
TEXTS = [
    "Hello world! I'm here, you're THERE, and HE'LL pay 12345.67 dollars in 2024.",
    "  two  spaces,\ttabs\t\tand\n\nlines \r\n  end   ",
    "def f(x):\n    return x**2  # α²½ Ⅷ ٣٤٥\n",
    "camelCase HTTPServer iPhone's it'S ÉCOLE école naïve Straße ﬁn",
    "नमस्ते दुनिया 你好，世界！ こんにちは 👩\u200d👩\u200d👧 🙂🙂",
    "cafe\u0301 A\u030a \u1e9b\u0323 \u212b",
    "a/b//c\n/d -- (x) [y] {z} <|no|> $5 €10 100%\n\n\n",
    "x\u00a0y\u3000z\u200bw",
    "",
]


def smollm(text: str) -> list[str]:
    """Digits one by one, then GPT-2's expression within what lies between them."""
    words = r"'s|'t|'re|'ve|'m|'ll|'d| ?\p{L}+| ?\p{N}+| ?[^\s\p{L}\p{N}]+|\s+(?!\S)|\s+"
    spelling = bytes_to_unicode()
    parts = [part for part in regex.split(r"(\p{N})", text) if part]
    pieces = [piece for part in parts for piece in regex.findall(words, part)]
    return ["".join(spelling[byte] for byte in piece.encode()) for piece in pieces]


def pieces(tokenizer, text: str) -> list[str]:
    backend = tokenizer.backend_tokenizer
    text = backend.normalizer.normalize_str(text) if backend.normalizer else text
    return [piece for piece, _ in backend.pre_tokenizer.pre_tokenize_str(text)]


def main() -> None:
    tokenizers = {"gpt-2": GPT2Tokenizer(), "qwen2": Qwen2Tokenizer()}
    for name in ["llama-bpe", "llama3", "llama-v3", "smaug-bpe", "tekken"]:
        tokenizers[name] = set_split_regex(GPT2Tokenizer(), {"pre_tokenizer_type": name})
    cut = {name: [pieces(tokenizer, text) for text in TEXTS] for name, tokenizer in tokenizers.items()}
    cut["smollm"] = [smollm(text) for text in TEXTS]
    out = {"texts": TEXTS, "pieces": cut}
    (HERE / "pieces.json").write_text(json.dumps(out, ensure_ascii=True, sort_keys=True) + "\n")


if __name__ == "__main__":
    main()
