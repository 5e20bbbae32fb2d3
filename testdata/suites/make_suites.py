"""Writes expected.json: what lm-evaluation-harness makes of the rows below, in the forms in which suites are published.

    pip install lm_eval==0.4.13
    python make_suites.py

All rows are written here. The harness's own task files make the requests; only their data sets are replaced, so that
nothing is downloaded.
"""

import csv
import io
import itertools
import json
import logging
import pathlib
import random

import datasets
import lm_eval.tasks
from lm_eval import utils
from lm_eval.api import metrics
from lm_eval.api.task import ConfigurableTask, PerplexityTask
from lm_eval.tasks._yaml_loader import load_yaml

HERE = pathlib.Path(__file__).parent
TASKS = pathlib.Path(lm_eval.tasks.__file__).parent
WORDS = "amber birch cedar drift ember fjord grove heron inlet jetty knoll larch maple night ocean".split()


def words(draw, count):
    return " ".join(draw.choice(WORDS) for _ in range(count))


# Rows as the data sets of the harness have them: a function makes the n-th of many, the list holds the odd ones.


def arc(draw, n):
    count = 3 + n % 3
    texts = [words(draw, 1 + i) for i in range(count)]
    labels = list("ABCDE" if n % 2 else "12345")[:count]
    return {"id": f"a{n}", "question": f"Which {words(draw, 3)}?", "choices": {"text": texts, "label": labels}, "answerKey": labels[n % count]}


ARC = [
    {"id": "x", "question": " It's \"two\" lines\nlong: é, 日本 — {{question}} ", "choices": {"text": [" led by a blank", "it's", "\"q\"\\", "tab\there"], "label": ["A", "B", "C", "D"]}, "answerKey": "B"},
    {"id": "y", "question": "7", "choices": {"text": ["1", "2"], "label": ["1", "2"]}, "answerKey": "2"},
]


def openbookqa(draw, n):
    row = arc(draw, n)
    return {"id": row["id"], "question_stem": row["question"], "choices": row["choices"], "answerKey": " " * (n % 2) + row["answerKey"]}


OPENBOOKQA = [{"id": r["id"], "question_stem": "Stem " + r["question"], "choices": r["choices"], "answerKey": r["answerKey"]} for r in ARC]


def hellaswag(draw, n):
    endings = [words(draw, 2 + i) + "." for i in range(4)]
    a, b = words(draw, 5) + ".", words(draw, 2)
    return {"ind": n, "activity_label": words(draw, 1), "ctx_a": a, "ctx_b": b, "ctx": f"{a} {b}", "split": "val", "split_type": "indomain", "label": str(n % 4), "endings": endings, "source_id": f"s~{n}"}


def odd_swag(n, activity, a, b, label, endings):
    return {**hellaswag(random.Random(0), n), "activity_label": activity, "ctx_a": a, "ctx_b": b, "label": label, "endings": endings}


HELLASWAG = [
    odd_swag(101, " Cooking", "A man.", "mcDONALD says NO", "0", ["é", "Ünï", "[a\nb]", "\u2003wide\u2003"]),
    odd_swag(100, "Home and Garden", "[header] How to dig [title] Take a spade. [step]  Two  blanks   three.", "", "2", ["[substeps] One. [title] Two.", " led", "[only]", "a [b [c] d] e"]),
    odd_swag(102, "Dancing", "\u001ca\u001f", "ßtraße ΑΣ", "3", ["1", "2", "3", "4"]),
    odd_swag(103, "ǆ", "b", "ﬁn. Σ ΟΔΟΣ İI", "1", ["1", "2", "3", "4"]),
]


def piqa(draw, n):
    return {"goal": f"To {words(draw, 2)}", "sol1": words(draw, 3), "sol2": words(draw, 4), "label": n % 2}


PIQA = [{"goal": " Open [title]  a tin ", "sol1": " use an 'opener'.", "sol2": "sing\nto it.", "label": 0}]


def social_iqa(draw, n):
    answers = {f"answer{letter}": words(draw, 2) for letter in "ABC"}
    return {"context": words(draw, 4) + ".", "question": words(draw, 3) + "?", **answers, "label": str(1 + n % 3)}


SOCIAL_IQA = [{"context": "Sue's  dog", "question": "Why\tnow?", "answerA": "don't", "answerB": "\"no\"", "answerC": " yes", "label": "3"}]


def winogrande(draw, n):
    return {"sentence": f"The {words(draw, 3)} because the _ {words(draw, 2)}.", "option1": words(draw, 1), "option2": words(draw, 2), "answer": str(1 + n % 2)}


WINOGRANDE = [
    {"sentence": " It _  was _ big. ", "option1": "é", "option2": "two words", "answer": "2"},
    {"sentence": "_ won.", "option1": "Ann", "option2": "Bob", "answer": "1"},
]


def mmlu(draw, n, subject="world_religions"):
    return {"question": f" What {words(draw, 3)}?\n", "subject": subject, "choices": [words(draw, 1 + i) for i in range(4)], "answer": n % 4}


MMLU = [{"question": "\n 2 + 2, \"so\"?", "subject": "world_religions", "choices": ["3", " 4", "it's, 5", "six\nseven"], "answer": 1}]


def boolq(draw, n):
    return {"question": f"is {words(draw, 2)}", "passage": f"{words(draw, 1)} -- {words(draw, 6)}.", "idx": n, "label": n % 2}


BOOLQ = [{"question": "is it 'so'", "passage": "Café -- It's so (/ˈpɜː/), \"yes\".\nTwo -- dashes.", "idx": 99, "label": 1}]


def lambada(draw, n):
    return {"text": words(draw, 6) + " ."  * (n % 2)}


LAMBADA = [{"text": "he said : \" two  blanks behind\n\nthe lines , '' and laughed"}, {"text": "Ends with one.\nWord\nthere"}]


# Forms: a function makes a file's text of rows.


def lines(rows):
    return "".join(json.dumps(row, ensure_ascii=False) + "\n" for row in rows)


def plain(*names):
    return lambda rows: lines([{name: row[name] for name in names} for row in rows])


def listed(row):
    return [{"text": text, "label": label} for text, label in zip(row["choices"]["text"], row["choices"]["label"])]


def ai2(rows):
    """As the Allen Institute publishes ARC and OpenBookQA."""
    stem = lambda row: row.get("question", row.get("question_stem"))
    return lines([{"id": row["id"], "question": {"stem": stem(row), "choices": listed(row)}, "answerKey": row["answerKey"]} for row in rows])


def flat(rows):
    return lines([{**row, "choices": listed(row)} for row in rows])


def old_arc(rows):
    gold = lambda row: row["choices"]["label"].index(row["answerKey"])
    return lines([{"question": row["question"], "choices": row["choices"]["text"], "gold": gold(row)} for row in rows])


def whole_labels(rows):
    return lines([{**row, "label": int(row["label"])} for row in rows])


def lettered(rows):
    return lines([{**{k: v for k, v in row.items() if k != "label"}, "correct": " ABC"[int(row["label"])]} for row in rows])


def mmlu_csv(rows):
    text = io.StringIO()
    csv.writer(text, lineterminator="\n").writerows([row["question"], *row["choices"], "ABCD"[row["answer"]]] for row in rows)
    return text.getvalue()


def boolq_google(rows):
    split = lambda row: row["passage"].split(" -- ", 1)
    return lines([{"question": row["question"], "title": split(row)[0], "answer": bool(row["label"]), "passage": split(row)[1]} for row in rows])


def boolq_super(rows):
    return lines([{**row, "label": bool(row["label"])} for row in rows])


def boolq_export(rows):
    return lines([{"question": row["question"], "passage": row["passage"], "answer": bool(row["label"])} for row in rows])


def passages(rows):
    return "".join(row["text"] + " \n" for row in rows)


# Each suite: the harness's file, the odd rows, how others are made, and the forms by the ending of the file's name.
SUITES = {
    "arc": ("arc/arc_easy.yaml", ARC, arc, [(".jsonl", lines), (".jsonl", ai2), (".json", flat), (".jsonl", old_arc)]),
    "openbookqa": ("openbookqa/openbookqa.yaml", OPENBOOKQA, openbookqa, [(".jsonl", lines), (".jsonl", ai2)]),
    "hellaswag": ("hellaswag/hellaswag.yaml", HELLASWAG, hellaswag, [(".jsonl", lines), (".jsonl", whole_labels)]),
    "piqa": ("piqa/piqa.yaml", PIQA, piqa, [(".jsonl", lines), (".jsonl", plain("goal", "sol1", "sol2"))]),
    "social_iqa": ("siqa/siqa.yaml", SOCIAL_IQA, social_iqa, [(".jsonl", lines), (".jsonl", whole_labels), (".jsonl", lettered), (".jsonl", plain("context", "question", "answerA", "answerB", "answerC"))]),
    "winogrande": ("winogrande/default.yaml", WINOGRANDE, winogrande, [(".jsonl", lines)]),
    "mmlu": ("mmlu/default/mmlu_world_religions.yaml", MMLU, mmlu, [(".jsonl", lines), (".csv", mmlu_csv)]),
    "boolq": ("super_glue/boolq/default.yaml", BOOLQ, boolq, [(".jsonl", lines), (".jsonl", boolq_google), (".jsonl", boolq_super), (".jsonl", boolq_export)]),
    "lambada": ("lambada/lambada_openai.yaml", LAMBADA, lambada, [(".jsonl", lines)]),
}
# Those forms that have their labels in a file beside them.
LABELS = {("piqa", 1), ("social_iqa", 3)}
FIRST = {"mmlu": "world_religions_"}


def task(yaml, splits, seed, shots, **changes):
    config = load_yaml(TASKS / yaml)
    config.pop("dataset_path", None), config.pop("dataset_name", None), config.pop("tag", None)
    data = {split: datasets.Dataset.from_list(rows) for split, rows in splits.items()}
    config.update(custom_dataset=lambda **_: data, num_fewshot=shots, **changes)
    made = ConfigurableTask(config=config)
    made.set_fewshot_seed(seed)
    return made


def grouped(requests):
    """A context once, with all continuations of it that follow each other."""
    return [[context, [request[1] for request in group]] for context, group in itertools.groupby(requests, lambda r: r[0])]


def asked(made, limit):
    made.build_all_requests(limit=limit)
    items = {}
    for instance in made.instances:
        items.setdefault(instance.doc_id, []).append(instance)
    answers = []
    for doc_id, instances in sorted(items.items()):
        doc, requests = instances[0].doc, [list(instance.args) for instance in sorted(instances, key=lambda i: i.idx)]
        answer = {"requests": grouped(requests)}
        if made.OUTPUT_TYPE == "multiple_choice":
            answer["gold"] = made.doc_to_text(doc) if made.multiple_input else made.doc_to_target(doc)
            answer["lengths"] = [len(choice) for choice in made.doc_to_choice(doc)]
        answers.append(answer)
    return answers


def files(suite, at, ending, form, name, rows):
    stem = FIRST.get(suite, "rows_") + name
    made = {stem + ending: form(rows)}
    if (suite, at) in LABELS:
        made[stem + "-labels.lst"] = "".join(f"{row['label']}\n" for row in rows)
    return made


def case(suite, rows, train, shots, seed, limit=None):
    yaml, _, _, forms = SUITES[suite]
    config = load_yaml(TASKS / yaml)
    split = config.get("test_split") or config["validation_split"]
    if train is None:
        made = task(yaml, {split: rows}, seed, shots, training_split=None, validation_split=None, test_split=split, fewshot_split=split if shots else None)
    else:
        source = config.get("fewshot_split") or config.get("training_split") or config.get("validation_split")
        # LAMBADA has nothing to draw from but what it asks: the harness is told of another split.
        more = {} if source else {"training_split": "train"}
        made = task(yaml, {split: rows, source or "train": train, "validation": train} | {split: rows}, seed, shots, **more)
    published = []
    for at, (ending, form) in enumerate(forms):
        made_files = files(suite, at, ending, form, "test", rows)
        entry = {"path": next(iter(made_files)), "files": made_files}
        if train is not None and shots:
            more = files(suite, at, ending, form, "dev", train)
            entry |= {"shots_from": next(iter(more)), "files": made_files | more}
        published.append(entry)
    return {"kind": suite, "shots": shots, "seed": seed, "limit": limit, "forms": published, "asked": asked(made, limit)}


def cases():
    for suite, (_, odd, make, _) in SUITES.items():
        draw = random.Random(suite)
        rows = odd + [make(draw, n) for n in range(4)]
        train = [make(draw, n) for n in range(9)] + odd
        yield case(suite, rows, [make(draw, 0)], 0, 1234)
        yield case(suite, rows, train, 3, 1234, limit=4)
        yield case(suite, rows, None, 2, 7)
        # So few rows, and so many copies of the first question, that they must be drawn again.
        if suite not in ("mmlu", "lambada"):
            yield case(suite, rows[:3], [rows[0]] * 3 + train[:3], 3, 5)
    lambada_rows = [{"text": f"{words(random.Random(n), 4)}"} for n in range(5)]
    made = case("lambada", lambada_rows, None, 0, 0)
    made["forms"] = [{"path": "test.txt", "files": {"test.txt": passages(lambada_rows)}}]
    yield made


def pairs():
    """Minimal pairs: what the harness lets the model score."""
    blimp = [{"sentence_good": "Who sleeps?", "sentence_bad": "Who sleep?"}]
    crows = [{"sent_more": "He codes.", "sent_less": "She codes."}]
    return {
        "blimp": asked(task("blimp/_template_yaml", {"train": blimp}, 0, 0, task="blimp"), None)[0]["requests"],
        "crows_pairs": asked(task("crows_pairs/crows_pairs_english.yaml", {"test": crows}, 0, 0), None)[0]["requests"],
    }


def samples():
    for seed in [0, 1, 1234, 2**32 - 1, 2**32, 2**63 + 12345, 2**64 - 1]:
        source = random.Random(seed)
        for size, count in [(1, 1), (5, 5), (21, 3), (22, 3), (85, 6), (86, 6), (1000, 5), (1000, 40), (3_000_000, 4)]:
            yield {"seed": seed, "size": size, "count": count, "drawn": source.sample(range(size), count)}


def windows():
    for length in [0, 1, 2, 3, 7, 8, 9, 16, 17, 40]:
        for most, context in [(1, 1), (2, 1), (2, 2), (8, 1), (8, 3), (8, 8)]:
            made = map(utils.make_disjoint_window, utils.get_rolling_token_windows(list(range(1, length + 1)), 0, most, context))
            yield {"length": length, "most": most, "context": context, "windows": list(made)}


TEXTS = ["", " ", "one", "two words", " led and ended \n", "tabs\t\tand\u00a0no-break\u3000wide\u001cfile\u0085next", "日本 — é\u200bjoined\r\nline", "a\u2028b\u0000c"]


def measures():
    for at, text in enumerate(TEXTS):
        loglik = -3.75 * (at + 1)
        sizes = (PerplexityTask.count_words(text), PerplexityTask.count_bytes(text))
        of = lambda measure, size: measure([(loglik, size)]) if size else None
        values = [of(metrics.weighted_perplexity, sizes[0]), of(metrics.weighted_perplexity, sizes[1]), of(metrics.bits_per_byte, sizes[1])]
        yield {"text": text, "loglik": loglik, "words": sizes[0], "bytes": sizes[1], "measures": values}


def capitals():
    # Every character whose capital form is not what its uppercase form is, but for the Greek letters with iota below, and
    # some texts that are cased in context.
    greek = range(0x1F80, 0x2000)
    odd = [chr(c) for c in range(0x110000) if chr(c).capitalize() != chr(c).upper() and c not in greek]
    for text in odd + ["", "ABC", "éA", "aΣ", "Σ", "ΑΣΑ ΑΣ", "İİ", "'tWAS"]:
        yield [text, text.capitalize()]


if __name__ == "__main__":
    logging.disable(logging.WARNING)
    expected = {
        "cases": list(cases()),
        "pairs": pairs(),
        "samples": list(samples()),
        "windows": list(windows()),
        "measures": list(measures()),
        "capitals": list(capitals()),
    }
    (HERE / "expected.json").write_text(json.dumps(expected, ensure_ascii=True, indent=None, separators=(",", ":")) + "\n")
