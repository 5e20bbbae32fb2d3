"""Writes the inputs that the fuzz targets start from: small, and right in what they are.

Needs nothing but Python: `python3 make_seeds.py`. An input is a byte that chooses a reader, where the target has several,
and the files that it reads, with ASCII's file separator between them.
"""

import base64
import bz2
import gzip
import io
import json
import math
import struct
import zipfile
from pathlib import Path

HERE = Path(__file__).resolve().parent
TESTDATA = HERE.parent.parent / "testdata"
LARGEST = 4096


def put(target, name, choice, *files):
    start = b"" if choice is None else bytes([choice])
    data = start + b"\x1c".join(file if isinstance(file, bytes) else file.encode() for file in files)
    assert len(data) <= LARGEST, (target, name, len(data))
    (HERE / target).mkdir(exist_ok=True)
    (HERE / target / name).write_bytes(data)


def first_lines(path, count):
    return b"\n".join((TESTDATA / "corpora" / path).read_bytes().split(b"\n")[:count]) + b"\n"


def floats(*values):
    return struct.pack(f"<{len(values)}f", *values)


def u32(value):
    return struct.pack("<I", value)


def u64(value):
    return struct.pack("<Q", value)


# Corpora.
items = '{"id": 1, "title": "Tea", "brand": "B"}\n{"id": "2", "title": null}\n'
put("corpus", "timed", 0, '{"user": "a", "item": 1, "time": 9}\n{"user": "a", "item": "2", "time": 5.5}\n', items)
put("corpus", "skip", 8, '{"user": "a", "item": 7}\n{"user": 3, "item": "2"}\n', items)
put("corpus", "sequences", 1, "u1 1 2 1\nu2 2\n", items)
put(
    "corpus",
    "documents",
    2,
    '{"id": "d", "text": "Wings."}\n{"id": 2, "text": "Slabs."}\n',
    '{"id": "q", "text": "What?", "relevant": ["d", 2], "split": "train"}\n',
)
put(
    "corpus",
    "boolq",
    3,
    '{"labels": ["true"]}\n{"input": "question: is it?\\npassage: It is."}\n',
    '{"input": "question: was it?\\npassage: It is."}\n',
)
put(
    "corpus",
    "cranfield",
    4,
    ".I 1\n.T\nTitle\n.W\nWings in\na stream.\n.I 2\n.W\nSlabs.\n.I\n",
    ".I 001\n.W\nwhat of wings\n.I 002\n.W\nslabs\n",
    "1 1 2\n1 2 1\n2 2 3\n2 1 -1\n",
)


# Raw data: the kind, then 8 to skip bad rows, 16 for first repeats, 32 with items, 64 and 128 for kinds of MovieLens.
put(
    "prepare",
    "amazon_2014",
    0 | 32,
    first_lines("amazon_2014/reviews.json", 3),
    first_lines("amazon_2014/meta.json", 3),
)
put(
    "prepare",
    "amazon_2018",
    1 | 32,
    first_lines("amazon_2018/reviews.jsonl", 3),
    first_lines("amazon_2018/meta.jsonl", 3),
)
put(
    "prepare",
    "amazon_2023",
    2 | 32,
    first_lines("amazon_2023/reviews.jsonl", 3),
    first_lines("amazon_2023/meta.jsonl", 3),
)
put("prepare", "movielens_100k", 3, first_lines("movielens/100k/u.data", 3), first_lines("movielens/100k/u.item", 3))
put(
    "prepare",
    "movielens_1m",
    3 | 64,
    first_lines("movielens/1m/ratings.dat", 3),
    first_lines("movielens/1m/movies.dat", 3),
)
put(
    "prepare",
    "movielens_latest",
    3 | 128,
    first_lines("movielens/latest/ratings.csv", 4),
    first_lines("movielens/latest/movies.csv", 4),
)
put("prepare", "recbole", 4, first_lines("recbole/shop.inter", 4), first_lines("recbole/shop.item", 4))
put("prepare", "s3_rec", 5 | 32, first_lines("s3_rec/sequences.txt", 3), first_lines("s3_rec/items.jsonl", 3))
put("prepare", "jsonl", 6 | 32, first_lines("own/shop.jsonl", 4), first_lines("own/items.jsonl", 4))
put("prepare", "csv", 7 | 32 | 8, first_lines("own/shop.csv", 5), first_lines("own/items.csv", 5))
put(
    "prepare",
    "csv_beside",
    7 | 16,
    'user,item,time,title\nann,7,30,"Green ""tea""\nloose"\nann,8,20,Cup\nbob,7,10,Green tea\n',
)


# Suites and documents.
put("text", "piqa", 0, '{"goal": "To cut", "sol1": "a knife", "sol2": "a spoon"}\n', "0\n")
put("text", "hellaswag", 1, "He sits\n1\nand flies\nand reads\nand melts\nand ends\n")
put("text", "arc", 2, '{"question": "Which?", "choices": ["sun", "moon"], "gold": 1}\n')
put("text", "jsonl", 5, '{"context": "The sky is", "choices": ["blue", "green"], "gold": 0}\n')
put(
    "text",
    "crows",
    4,
    ',sent_more,sent_less,stereo_antistereo,bias_type\n0,"They, too",He did,stereo,gender\n1,a,b,antistereo,age\n',
)
put("text", "olora", 6, '{"labels": ["yes", "no"]}\n{"input": "it is", "output": "no"}\n')
put("text", "perplexity_gz", 7 | 128, gzip.compress(b"Some running text.\n", mtime=0))
put("text", "perplexity_bz2", 7 | 192, bz2.compress(b"Some running text.\n"))


def archive(members, method):
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w", method) as f:
        for n, b in members.items():
            i = zipfile.ZipInfo(n)
            i.compress_type = method
            f.writestr(i, b)
    return out.getvalue()


put(
    "text",
    "blimp",
    3,
    archive(
        {"data/a.jsonl": '{"sentence_good": "I am.", "sentence_bad": "I is."}\n', "__MACOSX/._a.jsonl": "x"},
        zipfile.ZIP_STORED,
    ),
)
put(
    "text",
    "blimp_packed",
    3 | 16,
    archive({"a.jsonl": '{"sentence_good": "I am.", "sentence_bad": "I is."}\n' * 3}, zipfile.ZIP_DEFLATED),
)
put("text", "documents_zip", 8 | 1, archive({"a.txt": b"caf\xe9  au\n\n\nlait", "b.txt": "two"}, zipfile.ZIP_DEFLATED))
put("text", "documents_plain", 8 | 4, "it is n't , he said .\n\n\n`` so ''\n")
put("text", "documents_jsonl", 8 | 3, '{"text": "a: The sun rises. b", "title": ["x: y."]}\n')
put("text", "documents_jsonl_gz", 8 | 2, gzip.compress(b'{"text": "The sun rises."}\n', mtime=0))


# Instruction tasks.
row = '{"instruction": "Add.", "input": "1 + 1", "output": ["2", "two"]}\n'
put("instruct", "jsonl", 0, row, row)
sn = '{"definition": "Add."}\n{"input": "1 + 1", "output": ["2"]}\n'
put("instruct", "super_ni", 1, sn, sn)
ol = '{"labels": ["good", "bad"]}\n{"input": "Fine.", "output": "good"}\n'
put("instruct", "olora", 2 | 8, ol, ol)
ct = '{"input": "A long one.", "refs": ["Short.", "One."]}\n'
put("instruct", "ct0_simplification", 3, ct, ct)
ce = '{"premise": "A", "hypothesis": "B", "label": "neutral", "explanation": "C"}\n'
put("instruct", "ct0_explanation", 4, ce, ce)


# NumPy matrices.
def npy(descr, shape, data, fortran=False, version=1):
    h = f"{{'descr': '{descr}', 'fortran_order': {fortran}, 'shape': {shape}, }}".encode()
    pre = 10 if version == 1 else 12
    h += b" " * (-(pre + len(h) + 1) % 64) + b"\n"
    return (
        b"\x93NUMPY"
        + bytes([version, 0])
        + (struct.pack("<H", len(h)) if version == 1 else struct.pack("<I", len(h)))
        + h
        + data
    )


put("npy", "f4", None, npy("<f4", "(2, 2)", struct.pack("<4f", 3, 4, -1, 0.5)))
put("npy", "f2_v2", None, npy("<f2", "(1, 3)", struct.pack("<3e", 1, 2, 2), version=2))
put("npy", "big_f8", None, npy(">f8", "(2, 1)", struct.pack(">2d", 1, -2)))
put("npy", "u1", None, npy("|u1", "(1, 2)", b"\x03\x04"))
put("npy", "i1_fortran", None, npy("|i1", "(1, 2)", b"\x03\xff", fortran=True))
put("npy", "record", None, npy("<f4", "(2,)", struct.pack("<2f", 3, 4)))


# Chat templates.
put(
    "chat",
    "configured",
    0,
    '{"bos_token": {"content": "<s>"}, "eos_token": "</s>", "chat_template": "{{ bos_token }}{% for m in messages %}{{ m.role + m[\'content\'] | trim }}{% endfor %}"}',
)
put(
    "chat",
    "file",
    1,
    '{"eos_token": "</s>"}',
    "{%- for m in messages %}{% generation %}{{ '<' ~ m.role.upper() ~ '>' + m.content.split('.')[0] }}{% endgeneration %}{%- endfor %}{% if add_generation_prompt %}<a>{% endif %}",
)
put(
    "chat",
    "macro",
    1,
    "{}",
    "{% macro f(x) %}{{ x }}{% endmacro %}{% set ns = namespace(n=0) %}{% for m in messages[1:] if m.role == 'user' %}{% set ns.n = ns.n + 1 %}{{ loop.index0 }}{% endfor %}{{ f(ns.n) }}{{ raise_exception('no') }}",
)
put(
    "chat",
    "doubling",
    0,
    '{"chat_template": "{% set ns = namespace(x=1) %}{% for i in range(40) %}{% set ns.x = ns.x ~ ns.x %}{% endfor %}"}',
)
put("chat", "plain", 0, '{"eos_token": "</s>"}')
put(
    "chat",
    "named",
    0,
    '{"chat_template": [{"name": "default", "template": "{{ messages | length }}{{ messages | tojson }}"}]}',
)


# Semantic IDs; the target makes the digest right.
def semantic_ids(**k):
    level = lambda n: {"codes": n, "used": 2, "usage": 2 / n, "entropy": 0.69, "perplexity": 2.0}
    d = {
        "format": 3,
        "digest": "",
        "codes_per_level": [3, 2],
        "health": {"levels": [level(3)], "collision_rate": 0.0, "unique_prefixes": 2, "largest_group": 1},
        "codes": [[2, 1], [0, 0]],
        "collisions": "extra_level",
    }
    d.update(k)
    return json.dumps(d)


put("semantic_ids", "plain", 0, semantic_ids())
put(
    "semantic_ids",
    "codebooks",
    0,
    semantic_ids(
        codebooks={
            "dim": 2,
            "standard": {"mean": [0.0, 0.5], "scale": [1.0, 2.0]},
            "normalize_residuals": True,
            "centroids": [[1.0, 0.0, 0.0, 1.0, -1.0, 0.5]],
        }
    ),
)
put(
    "semantic_ids",
    "encoder",
    0,
    semantic_ids(
        codebooks={
            "dim": 2,
            "standard": None,
            "encoder": [{"weight": [1.0, 0.5], "bias": [0.1]}],
            "normalize_residuals": False,
            "centroids": [[1.0, 0.0, 0.5]],
        }
    ),
)
put("semantic_ids", "none", 2, semantic_ids(collisions="none", codes=[[1, 1], [1, 1]]))
put(
    "semantic_ids",
    "format_1",
    0,
    json.dumps({k: v for k, v in json.loads(semantic_ids(format=1)).items() if k != "collisions"}),
)
put("semantic_ids", "published", 1, '{"id": 1, "sid": [3, 2]}\n{"id": "b", "sid": "<a_7><b_0>", "x": 1}\n')


# Tokenizers; the first byte is how many rows the model has.
def tokenizer(model, **k):
    d = {
        "version": "1.0",
        "truncation": None,
        "padding": None,
        "added_tokens": [],
        "normalizer": None,
        "pre_tokenizer": None,
        "post_processor": None,
        "decoder": None,
        "model": model,
    }
    d.update(k)
    return json.dumps(d, ensure_ascii=False)


put(
    "tokenizer",
    "word_level",
    3,
    tokenizer(
        {"type": "WordLevel", "vocab": {"<unk>": 0, "a": 1, "<user_0>": 2}, "unk_token": "<unk>"},
        pre_tokenizer={"type": "Whitespace"},
        added_tokens=[
            {
                "id": 0,
                "content": "<unk>",
                "single_word": False,
                "lstrip": False,
                "rstrip": False,
                "normalized": False,
                "special": True,
            }
        ],
    ),
    "a b <unk>",
)
put(
    "tokenizer",
    "bpe",
    4,
    tokenizer(
        {
            "type": "BPE",
            "dropout": None,
            "unk_token": None,
            "continuing_subword_prefix": None,
            "end_of_word_suffix": None,
            "fuse_unk": False,
            "byte_fallback": False,
            "vocab": {"a": 0, "b": 1, "ab": 2, "Ġ": 3},
            "merges": [["a", "b"]],
        },
        pre_tokenizer={
            "type": "Sequence",
            "pretokenizers": [
                {"type": "Digits", "individual_digits": True},
                {"type": "ByteLevel", "add_prefix_space": False, "trim_offsets": True, "use_regex": True},
            ],
        },
        decoder={"type": "ByteLevel", "add_prefix_space": True, "trim_offsets": True, "use_regex": True},
    ),
    "ab 12 abab",
)
put(
    "tokenizer",
    "unigram",
    3,
    tokenizer(
        {"type": "Unigram", "unk_id": 0, "vocab": [["<unk>", 0.0], ["▁", -2.0], ["a", -1.5]], "byte_fallback": False},
        pre_tokenizer={"type": "Metaspace", "replacement": "▁", "prepend_scheme": "always", "split": True},
        decoder={"type": "Metaspace", "replacement": "▁", "prepend_scheme": "always", "split": True},
    ),
    "a aa b",
)
put(
    "tokenizer",
    "word_piece",
    4,
    tokenizer(
        {
            "type": "WordPiece",
            "unk_token": "[UNK]",
            "continuing_subword_prefix": "##",
            "max_input_chars_per_word": 100,
            "vocab": {"[UNK]": 0, "[CLS]": 1, "a": 2, "##b": 3},
        },
        normalizer={
            "type": "BertNormalizer",
            "clean_text": True,
            "handle_chinese_chars": True,
            "strip_accents": None,
            "lowercase": True,
        },
        pre_tokenizer={"type": "BertPreTokenizer"},
        post_processor={
            "type": "TemplateProcessing",
            "single": [{"SpecialToken": {"id": "[CLS]", "type_id": 0}}, {"Sequence": {"id": "A", "type_id": 0}}],
            "pair": [{"Sequence": {"id": "A", "type_id": 0}}, {"Sequence": {"id": "B", "type_id": 1}}],
            "special_tokens": {"[CLS]": {"id": "[CLS]", "ids": [1], "tokens": ["[CLS]"]}},
        },
        decoder={"type": "WordPiece", "prefix": "##", "cleanup": True},
    ),
    "ab Ab c",
)
put(
    "tokenizer",
    "split",
    1,
    tokenizer(
        {"type": "BPE", "dropout": None, "unk_token": None, "vocab": {"a": 0}, "merges": []},
        normalizer={
            "type": "Sequence",
            "normalizers": [{"type": "NFC"}, {"type": "Replace", "pattern": {"Regex": " {2,}"}, "content": " "}],
        },
        pre_tokenizer={"type": "Split", "pattern": {"Regex": "\\p{L}+|\\s+"}, "behavior": "Isolated", "invert": False},
        truncation={"direction": "Right", "max_length": 2, "strategy": "LongestFirst", "stride": 0},
        padding={
            "strategy": {"Fixed": 4},
            "direction": "Right",
            "pad_to_multiple_of": None,
            "pad_id": 0,
            "pad_type_id": 0,
            "pad_token": "a",
        },
    ),
    "a  a",
)


# Plugins.
put(
    "manifest",
    "a",
    None,
    'id = "l2-ball"\nversion = "0.1.0"\nabi = 1\nlicence = "MIT"\ndescription = "Keeps"\nexample = { radius = 0.3 }\n[library.linux-x86_64]\nfile = "a.so"\n',
)


def state_entry(n, k, b):
    return u32(len(n)) + n + bytes([k]) + b


put(
    "state",
    "all",
    None,
    b"\x01"
    + u32(5)
    + state_entry(b"a", 0, u64(3))
    + state_entry(b"b", 1, struct.pack("<d", 0.5))
    + state_entry(b"c", 2, u32(2) + struct.pack("<2f", 1, 2))
    + state_entry(b"d", 3, u32(2) + b"hi")
    + state_entry(b"e", 4, u32(1) + b"\xff"),
)
put("state", "empty", None, b"\x01" + u32(0))
put("table", "short", None, u32(8) + u32(1) + b"name")
put("table", "text", None, u32(1 << 16) + u32(1) + b"na\xffme")


# Safetensors.
def safetensors(tensors, meta=None):
    h = {} if meta is None else {"__metadata__": meta}
    data = b""
    for n, (dt, shape, b) in tensors.items():
        h[n] = {"dtype": dt, "shape": shape, "data_offsets": [len(data), len(data) + len(b)]}
        data += b
    h = json.dumps(h, separators=(",", ":")).encode()
    h += b" " * (-len(h) % 8)
    return struct.pack("<Q", len(h)) + h + data


one = safetensors(
    {"a": ("F32", [2, 2], floats(1, 2, 3, 4)), "b": ("BF16", [1], b"\x80?"), "c": ("F16", [0], b"")}, {"format": "pt"}
)
put("safetensors", "file", 0, one)
put(
    "safetensors",
    "shard",
    1,
    '{"metadata":{"total_size":16},"weight_map":{"a":"a.safetensors","b":"a.safetensors","c":"a.safetensors"}}',
    one,
)


# Model directories, adapters, instruction vectors.
llama = {
    "architectures": ["LlamaForCausalLM"],
    "model_type": "llama",
    "vocab_size": 3,
    "hidden_size": 2,
    "intermediate_size": 1,
    "num_hidden_layers": 1,
    "num_attention_heads": 1,
    "num_key_value_heads": 1,
    "head_dim": 2,
    "hidden_act": "silu",
    "rms_norm_eps": 1e-05,
    "rope_theta": 10000.0,
    "max_position_embeddings": 8,
    "tie_word_embeddings": True,
    "bos_token_id": 1,
    "eos_token_id": 2,
}
L = "model.layers.0."
t = {
    "model.embed_tokens.weight": [3, 2],
    "model.norm.weight": [2],
    L + "input_layernorm.weight": [2],
    L + "post_attention_layernorm.weight": [2],
    L + "mlp.gate_proj.weight": [1, 2],
    L + "mlp.up_proj.weight": [1, 2],
    L + "mlp.down_proj.weight": [2, 1],
}
t.update({L + f"self_attn.{n}_proj.weight": [2, 2] for n in "qkvo"})


def filled(t):
    return safetensors({n: ("F32", s, floats(*[0.1] * math.prod(s))) for n, s in sorted(t.items())})


put("config", "llama", 0, json.dumps(llama), b"", filled(t))
put("config", "llama_alone", 4, json.dumps(llama))
put(
    "config",
    "orbit",
    0,
    json.dumps(dict(llama, tie_word_embeddings=False)),
    '{"base_vocabulary": 2, "base_tied": true, "semantic_ids": null, "origin": null}',
    filled(dict(t, **{"lm_head.weight": [3, 2]})),
)
put(
    "config",
    "bert",
    1,
    json.dumps(
        {
            "vocab_size": 2,
            "hidden_size": 2,
            "num_hidden_layers": 1,
            "num_attention_heads": 1,
            "intermediate_size": 1,
            "max_position_embeddings": 4,
            "type_vocab_size": 1,
            "layer_norm_eps": 1e-12,
            "hidden_act": "gelu",
        }
    ),
    b"",
    filled({"embeddings.word_embeddings.weight": [2, 2]}),
)
put(
    "config",
    "sasrec",
    2,
    json.dumps(
        {
            "model_type": "sasrec",
            "items": 2,
            "shape": {"width": 2, "layers": 1, "heads": 1, "max_history": 2, "dropout": 0.5},
        }
    ),
    b"",
    filled({"items": [2, 2]}),
)
put("config", "switch", 3, b"", b"", filled({"0.weight": [2, 3], "0.bias": [2], "2.weight": [2, 2], "2.bias": [2]}))
t5 = {
    "architectures": ["T5ForConditionalGeneration"],
    "model_type": "t5",
    "vocab_size": 3,
    "d_model": 2,
    "d_kv": 1,
    "d_ff": 1,
    "num_layers": 1,
    "num_heads": 1,
    "relative_attention_num_buckets": 4,
    "relative_attention_max_distance": 8,
    "dropout_rate": 0.0,
    "layer_norm_epsilon": 1e-06,
    "initializer_factor": 1.0,
    "feed_forward_proj": "relu",
    "decoder_start_token_id": 0,
    "eos_token_id": 1,
    "pad_token_id": 0,
}
put("config", "t5", 0, json.dumps(t5), b"", filled({"shared.weight": [3, 2]}))
put("config", "t5_alone", 5, json.dumps(t5))
put(
    "adapter",
    "lora",
    0,
    '{"peft_type":"LORA","r":1,"lora_alpha":2.0,"target_modules":["q_proj"],"bias":"none"}',
    safetensors(
        {
            "base_model.model.model.layers.0.self_attn.q_proj.lora_A.weight": ("F32", [1, 32], floats(*[0.1] * 32)),
            "base_model.model.model.layers.0.self_attn.q_proj.lora_B.weight": ("F32", [32, 1], floats(*[0.1] * 32)),
        }
    ),
)
about = {
    "format": 1,
    "task": "t",
    "model": "m",
    "effect": "probability",
    "prompts": "p",
    "averaged": 1,
    "patched": 1,
    "heads": [{"layer": 0, "head": 1, "effect": 0.5}],
}
put(
    "vector",
    "vector",
    None,
    safetensors(
        {
            "vector": ("F32", [8], floats(*[0.1] * 8)),
            "layers.0.attn_out": ("F32", [8], floats(*[0.1] * 8)),
            "means": ("F32", [2, 8], floats(*[0.1] * 16)),
            "effects": ("F32", [2, 2], floats(*[0.1] * 4)),
        },
        {"orbit": json.dumps(about)},
    ),
)


# GGUF files.
def gguf_text(s):
    s = s.encode()
    return u64(len(s)) + s


def gguf_entry(k, kind, b):
    return gguf_text(k) + u32(kind) + b


meta = [
    ("general.architecture", 8, gguf_text("llama")),
    ("tokenizer.ggml.model", 8, gguf_text("gpt2")),
    ("tokenizer.ggml.pre", 8, gguf_text("smollm")),
    ("tokenizer.ggml.tokens", 9, u32(8) + u64(3) + gguf_text("a") + gguf_text("b") + gguf_text("ab")),
    ("tokenizer.ggml.merges", 9, u32(8) + u64(1) + gguf_text("a b")),
    ("tokenizer.ggml.token_type", 9, u32(5) + u64(3) + u32(3) + u32(1) + u32(1)),
    ("tokenizer.ggml.bos_token_id", 4, u32(0)),
    ("tokenizer.ggml.add_bos_token", 7, b"\x01"),
    ("tokenizer.chat_template", 8, gguf_text("{{ messages }}")),
    ("llama.embedding_length", 4, u32(32)),
    ("llama.attention.head_count", 4, u32(4)),
    ("llama.attention.head_count_kv", 4, u32(2)),
    ("llama.feed_forward_length", 4, u32(32)),
    ("llama.block_count", 4, u32(1)),
    ("llama.context_length", 4, u32(16)),
    ("llama.attention.layer_norm_rms_epsilon", 6, floats(1e-05)),
]


def gguf_file(meta, tensors):
    """`tensors`: name, shape with the innermost dimension first, number of the type, bytes."""
    out = b"GGUF" + u32(3) + struct.pack("<QQ", len(tensors), len(meta)) + b"".join((gguf_entry(*m) for m in meta))
    data = b""
    for n, shape, kind, size in tensors:
        at = -(-len(data) // 32) * 32
        data = data.ljust(at, b"\x00")
        out += gguf_text(n) + u32(len(shape)) + b"".join((u64(x) for x in shape)) + u32(kind) + u64(at)
        data += b"\x01" * size
    return out.ljust(-(-len(out) // 32) * 32, b"\x00") + data


three_tensors = [
    ("token_embd.weight", (32, 3), 2, 54),
    ("blk.0.attn_q.weight", (32, 32), 8, 1088),
    ("output_norm.weight", (32,), 0, 128),
]
put("gguf", "three_tensors", None, gguf_file(meta, three_tensors))
# A tensor each of Q2_K, Q3_K, Q4_K, Q5_K, Q6_K, IQ4_NL, IQ4_XS, F64 and BF16.
k_quants = [
    ("token_embd.weight", (256, 1), 10, 84),
    ("output.weight", (256, 1), 11, 110),
    ("blk.0.attn_q.weight", (256, 8), 12, 1152),
    ("blk.0.attn_v.weight", (256, 1), 13, 176),
    ("blk.0.attn_output.weight", (256, 1), 14, 210),
    ("blk.0.ffn_gate.weight", (32, 1), 20, 18),
    ("blk.0.ffn_up.weight", (256, 1), 23, 136),
    ("output_norm.weight", (3,), 28, 24),
    ("blk.0.ffn_norm.weight", (3,), 30, 6),
]
put("gguf", "k_quants", None, gguf_file(meta, k_quants))
sentence_piece = [
    ("tokenizer.ggml.model", 8, gguf_text("llama")),
    ("tokenizer.ggml.tokens", 9, u32(8) + u64(5) + b"".join(gguf_text(t) for t in ["<unk>", "a", "b", "ab", "<0x0A>"])),
    ("tokenizer.ggml.scores", 9, u32(6) + u64(5) + floats(0, -1, -2, 0, 0)),
    ("tokenizer.ggml.token_type", 9, u32(5) + u64(5) + u32(2) + u32(1) + u32(1) + u32(1) + u32(6)),
]
replaced = [key for key, *_ in sentence_piece] + ["tokenizer.ggml.pre", "tokenizer.ggml.merges"]
kept = [entry for entry in meta if entry[0] not in replaced]
put("gguf", "sentence_piece", None, gguf_file(kept + sentence_piece, three_tensors[2:]))


# Checkpoints.
put("checkpoint", "hooks", 0, "[]")
put(
    "checkpoint",
    "hook",
    0 | 64,
    '[{"name": "ema", "acted": 1, "state": {"a": {"float_bits": [1]}, "b": {"count": 2}}}]',
)
put("checkpoint", "optimizer", 1, safetensors({"first.model.norm.weight": ("F32", [2], floats(0, 0))}))
put("checkpoint", "slots", 2, safetensors({"1.0.model.norm.weight": ("F32", [2], floats(0, 0))}))
put("checkpoint", "weights", 3 | 64, safetensors({"model.norm.weight": ("F32", [2], floats(0, 0))}))
put("checkpoint", "name", 6, "../weights.safetensors")
put("checkpoint", "manifest", 7, '{"format": 1, "step": 0, "finished": false, "origin": "", "files": {}, "sha256": ""}')


# Parquet, without the mark at the start: users u, v, u and items 7, 8, 9, written by the crate `parquet`.
put(
    "parquet",
    "plain",
    None,
    base64.b64decode(
        "FQAVKhUqLBUGFQAVBhUGAAACAAAABgEBAAAAdQEAAAB2AQAAAHUVABU8FTwsFQYVABUGFQYAAAIAAAAGAQcAAAAAAAAACAAAAAAA"
        "AAAJAAAAAAAAABUCGTxIBHJvd3MVBAAVDCUCGAR1c2VyJQAAFQQlAhgEaXRlbQAWBhkcGSwmABwVDBklAAYZGAR1c2VyFQAWBhZM"
        "FkwmCEkcFQAVABUCAAAAJgAcFQQZJQAGGRgEaXRlbRUAFgYWXhZeJlRJHBUAFQAVAgAAABaqARYGJggWqgEUAAAoAXgZLBwAABwA"
        "AACOAAAAUEFSMQ=="
    ),
)
put(
    "parquet",
    "dictionary_snappy",
    None,
    base64.b64decode(
        "FQQVFBUYTBUEFQASAAAKJAEAAAB1AQAAAHYVABUSFRYsFQYVEBUGFQYAAAkgAgAAAAYBAQMCFQQVMBUuTBUGFQASAAAYBAcACQE8"
        "CAAAAAAAAAAJAAAAAAAAABUAFRQVGCwVBhUQFQYVBgAACiQCAAAABgECAyQAFQIZPEgEcm93cxUEABUMJQIYBHVzZXIlAAAVBCUC"
        "GARpdGVtABYGGRwZLCYAHBUMGTUABhAZGAR1c2VyFQIWBhZkFmwmPCYIKSwVBBUAFQIAFQAVEBUCAAAAJgAcFQQZNQAGEBkYBGl0"
        "ZW0VAhYGFoIBFoQBJr4BJnQpLBUEFQAVAgAVABUQFQIAAAAW5gEWBiYIFvABFAAAKAF4GSwcAAAcAAAApQAAAFBBUjE="
    ),
)
put(
    "parquet",
    "delta_v2",
    None,
    base64.b64decode(
        "FQYVMhUyXBUGFQAVBhUOFQQVABIAAAYBgAEEAwAAAAAAAIABBAMCAAAAAAB1dnUVBhUYFRhcFQYVABUGFQoVBBUAEgAABgGAAgQD"
        "DgIAAAAAFQQZPEgEcm93cxUEABUMJQIYBHVzZXIlAAAVBCUCGARpdGVtABYGGRwZLCYAHBUMGSUGDhkYBHVzZXIVABYGFl4WXiYI"
        "SRwVBhUOFQIAAAAmABwVBBklBgoZGARpdGVtFQAWBhZEFkQmZkkcFQYVChUCAAAAFqIBFgYmCBaiARQAACgBeBksHAAAHAAAAI4A"
        "AABQQVIx"
    ),
)
