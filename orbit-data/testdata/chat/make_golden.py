"""Writes golden.json: what transformers renders for the templates of this folder.

    pip install transformers==5.24.0 jinja2==3.1.6 tokenizers
    python make_golden.py

snippets.txt     one template a line; each tries an idiom of chat templates, or what jinja2 does in a corner
templates/       whole templates, each written here with the idioms of a family of published models
golden.json      the tokens, the time and the conversations they are given, and the text; null where transformers refuses;
                 and the same for the model directories written down below

The same versions of transformers and jinja2 write the same bytes.
"""

import datetime
import json
import os
import pathlib
import tempfile
import time

import jinja2
import transformers
from tokenizers import Tokenizer, models
from transformers.utils import chat_template_utils

HERE = pathlib.Path(__file__).parent
NOW = "2025-03-04T15:06:07Z"
TOKENS = {"bos_token": "<s>", "eos_token": "</s>", "unk_token": "<unk>", "pad_token": "</s>"}


def message(role, content):
    return {"role": role, "content": content}


CONVERSATIONS = {
    "pair": [message("user", "Hello <b>you</b>,\n it's \"late\"! "), message("assistant", "Yes.")],
    "thoughts": [message("user", "  2 + 2?\n"), message("assistant", "<think>\nTwo and two.\n</think>\n\n4 \u00e9\U0001f600")],
    "system": [message("system", " Be brief. "), message("user", "a"), message("assistant", "b"), message("user", "c\n")],
    "long": [message("user", "a"), message("assistant", "b"), message("user", "c"), message("assistant", "</think>d")],
    "one": [message("user", "Translate: cat")],
}

ALL_TOKENS = "{{ bos_token }}|{{ eos_token }}|{{ pad_token }}|{{ mask_token }}|{{ image_token }}|{{ video_token }}|{{ audio_token }}|{{ additional_special_tokens }}"
TOKEN = {"content": "<t>", "lstrip": False, "normalized": False, "rstrip": False, "single_word": False}

# The files of model directories beside tokenizer.json; those in JSON are written here as what they hold.
DIRECTORIES = {
    "a list": {"tokenizer_config.json": {"chat_template": [{"name": "tool_use", "template": "t"}, {"name": "default", "template": "d"}]}},
    "a list without default": {"tokenizer_config.json": {"chat_template": [{"name": "tool_use", "template": "t"}, {"name": "rag", "template": "r"}]}},
    "a mapping": {"tokenizer_config.json": {"chat_template": {"default": "d", "rag": "r"}}},
    "a file and a text": {"tokenizer_config.json": {"chat_template": "config"}, "chat_template.jinja": "file"},
    "a file and more": {"tokenizer_config.json": {}, "chat_template.jinja": "file", "additional_chat_templates/rag.jinja": "r"},
    "only more": {"tokenizer_config.json": {"chat_template": "config"}, "additional_chat_templates/rag.jinja": "r"},
    "a default among more": {"tokenizer_config.json": {}, "chat_template.jinja": "file", "additional_chat_templates/default.jinja": "more"},
    "line ends": {"tokenizer_config.json": {}, "chat_template.jinja": "a\r\n{% if true %}\r\nb\r\n{% endif %}\rc\r\n"},
    "tokens": {
        "tokenizer_config.json": {
            "bos_token": {"__type": "AddedToken", **TOKEN},
            "eos_token": "</s>",
            "mask_token": None,
            "add_bos_token": True,
            "image_token": "<image>",
            "extra_special_tokens": {"video_token": "<video>"},
            "additional_special_tokens": ["<x>"],
            "chat_template": ALL_TOKENS,
        }
    },
    "tokens in their own file": {
        "tokenizer_config.json": {"eos_token": "</config>", "chat_template": ALL_TOKENS},
        "special_tokens_map.json": {"bos_token": TOKEN, "eos_token": "</map>", "additional_special_tokens": ["<x>"]},
    },
    "tokens in both": {
        "tokenizer_config.json": {"eos_token": "</config>", "added_tokens_decoder": {}, "chat_template": ALL_TOKENS},
        "special_tokens_map.json": {"bos_token": TOKEN, "eos_token": "</map>"},
    },
}


class Fixed(datetime.datetime):
    @classmethod
    def now(cls, tz=None):
        return cls(2025, 3, 4, 15, 6, 7)


def load(files):
    with tempfile.TemporaryDirectory() as folder:
        Tokenizer(models.WordLevel({"a": 0, "<unk>": 1, "<s>": 2, "</s>": 3}, unk_token="<unk>")).save(f"{folder}/tokenizer.json")
        for name, content in files.items():
            path = pathlib.Path(folder, name)
            path.parent.mkdir(exist_ok=True)
            if name == "tokenizer_config.json":
                content = {"tokenizer_class": "PreTrainedTokenizerFast", **content}
            path.write_bytes((content if isinstance(content, str) else json.dumps(content)).encode())
        return transformers.AutoTokenizer.from_pretrained(folder)


def render(tokenizer, source, name, prompt):
    messages = CONVERSATIONS[name]
    try:
        return tokenizer.apply_chat_template(messages, chat_template=source, tokenize=False, add_generation_prompt=prompt)
    except (jinja2.exceptions.TemplateError, TypeError, ValueError, AttributeError, KeyError, LookupError):
        return None


def main():
    os.environ["TZ"] = "UTC"
    time.tzset()
    chat_template_utils.datetime = Fixed
    given = load({"tokenizer_config.json": TOKENS})
    snippets = (HERE / "snippets.txt").read_text().splitlines()
    templates = {
        path.name: {
            f"{name}{'+' if prompt else ''}": render(given, path.read_text(), name, prompt)
            for name in CONVERSATIONS
            for prompt in (False, True)
        }
        for path in sorted((HERE / "templates").glob("*.jinja"))
    }
    golden = {
        "transformers": transformers.__version__,
        "jinja2": jinja2.__version__,
        "now": NOW,
        "tokens": TOKENS,
        "conversations": CONVERSATIONS,
        "snippets": [[source, render(given, source, "pair", True)] for source in snippets],
        "templates": templates,
        "directories": {name: [files, render(load(files), None, "pair", True)] for name, files in DIRECTORIES.items()},
    }
    (HERE / "golden.json").write_text(json.dumps(golden, indent=1, ensure_ascii=True) + "\n")


main()
