"""Writes scores.json and stems.json: what the reference packages say about the texts below.

    pip install rouge-score==0.1.2 sacrebleu==2.6.0
    python make_metrics.py

All texts are written here or drawn from a seed. SARI is not in a package that pip has, so its two forms are
written down below from Xu et al. (2016): `sari` with the conventions of EASSE (arXiv 1908.04567), and `sentence_sari` with
those of Hugging Face's `evaluate` (0/0 is 1; recall of kept n-grams by occurrence). They are held against the example in
the documentation of `evaluate` and against cases worked by hand.
"""

import collections
import json
import pathlib
import random
import re
import string

import sacrebleu
from nltk.stem.porter import PorterStemmer
from rouge_score import rouge_scorer

HERE = pathlib.Path(__file__).parent

# Source, prediction, references.
BY_HAND = [
    ("The cat sat on the mat.", "The cat sat on the mat.", ["The cat sat on the mat."]),
    ("The cat sat on the mat.", "", ["The cat sat on the mat."]),
    ("The cat sat on the mat.", "A cat sat.", [""]),
    ("", "", [""]),
    ("", "new words", ["new words", "other words"]),
    ("x", "   ", ["..."]),
    ("the the the the", "the the the the the the the", ["The cat is on the mat.", "There is a cat on the mat."]),
    ("the the the the", "the the the the the the the", ["There is a cat on the mat.", "The cat is on the mat."]),
    ("a b a b a b a b", "a b a b", ["a b a b a b", "b a b a"]),
    ("The U.S. economy grew 3.5%, officials said.", "the us economy grew 3.5 % officials said", ["The U.S. economy grew 3.5%, officials said."]),
    ("Paris", "The answer is Paris!", ["Paris", "the Paris", "A Paris"]),
    ("PARIS", "paris", ["Paris."]),
    ("An apple a day", "an Apple a Day", ["apple day", "Apple, day"]),
    ("running runners ran easily", "The runners were running quickly and easily", ["A runner runs quick and easy", "running is easy"]),
    ("generalizations", "generalization of the organizers' conditional flies", ["generally organized conditions fly", "nothing"]),
    ("well-known 1990-91 season", "a well-known season in 1990-91", ["The well-known 1990-91 season", "the 1990 - 91 season, well known"]),
    ("He paid $1,000.50 (about 900 EUR).", "He paid $1,000.50, i.e. about EUR 900...", ["He paid 1000.50 dollars.", "He paid $1,000.50 (about 900 EUR)."]),
    ("Tom &amp; Jerry &quot;run&quot; &lt;fast&gt;", "Tom & Jerry \"run\" <fast>", ["Tom &amp; Jerry &quot;run&quot; &lt;fast&gt;"]),
    ("one<skipped>two inter-\nnational\nnews", "onetwo international news", ["one<skipped>two inter-\nnational\nnews"]),
    ("Das Mädchen aß Äpfel in Zürich.", "Das Mädchen ißt Äpfel in ZÜRICH.", ["Das Mädchen aß Äpfel in Zürich.", "ein mädchen isst äpfel"]),
    ("東京は日本の首都です。", "東京は日本の首都。", ["東京は日本の首都です。"]),
    ("Привет, мир!", "привет мир", ["Привет, мир!", "Здравствуй, мир!"]),
    ("ΟΔΟΣ İstanbul ǅ ﬁne", "οδος istanbul ǆ fine", ["ΟΔΟΣ İstanbul ǅ ﬁne"]),
    ("emoji 🙂🙂 café", "emoji 🙂 cafe\u0301", ["emoji 🙂🙂 café", "no\u00a0break\u2003space"]),
    ("sep\u001carated\u0085by\u00a0odd\u2028spaces", "sep arated by odd spaces", ["sep\u001carated\u0085by\u00a0odd\u2028spaces"]),
    ("About 95 species are currently accepted .", "About 95 you now get in .", ["About 95 species are currently known .", "About 95 species are now accepted .", "95 species are now accepted ."]),
    ("One side of the conflict is composed mainly of the military.", "One side of the conflict is mainly the military.", ["On one side is mainly the military.", "The military is one side of the conflict.", "One side is the military."]),
    ("It was written by a poet", "It was written by a poet", ["A poet wrote it", "A poet wrote this"]),
    ("snake_case a*b c/d [x] {y} ~z", "snake case a * b c/d [x] {y} ~ z", ["snake_case a*b c/d [x] {y} ~z"]),
    ("wait... what?! 1,2.3", "wait . . . what ? ! 1 , 2 . 3", ["wait... what?! 1,2.3", "Wait - what?"]),
]

PIECES = "the The cat cats running runs ran, dog dogs. nation national nationally 3.14 1,000 U.S. state-of-the-art (maybe) \"yes\" no! é 東".split()


def drawn(count):
    rng = random.Random(4)
    text = lambda: " ".join(rng.choice(PIECES) for _ in range(rng.randrange(0, 13)))
    return [(text(), text(), [text() for _ in range(rng.randrange(1, 5))]) for _ in range(count)]


def normalized(text, articles):
    text = "".join(c for c in text.lower() if c not in set(string.punctuation))
    if articles:
        text = re.sub(r"\b(a|an|the)\b", " ", text)
    return " ".join(text.split())


def rouge(prediction, references, kind, stemmer):
    scorer = rouge_scorer.RougeScorer([kind], use_stemmer=stemmer)
    return float(scorer.score_multi(references, prediction)[kind].fmeasure)


TOKENIZE = sacrebleu.metrics.bleu._get_tokenizer("13a")()


def counts(words, n, times):
    grams = collections.Counter(tuple(words[i : i + n]) for i in range(len(words) - n + 1))
    return collections.Counter({gram: count * times for gram, count in grams.items()})


def f(precision, recall):
    return 2 * precision * recall / (precision + recall) if precision + recall else 0.0


def sentence_sari(source, prediction, references):
    words = lambda text: TOKENIZE(text.lower()).split(" ")
    share = lambda good, of: good / of if of else 1.0
    total = 0
    for n in range(1, 5):
        s, c = counts(words(source), n, len(references)), counts(words(prediction), n, len(references))
        r = sum((counts(words(text), n, 1) for text in references), collections.Counter())
        kept, wanted = s & c, s & r
        good = kept & r
        keep = f(share(sum(good[g] / kept[g] for g in good), len(kept)), share(sum(good.values()), sum(wanted.values())))
        deleted = s - c
        good = deleted - r
        delete = share(sum(good[g] / deleted[g] for g in good), len(deleted))
        added, wanted = set(c) - set(s), set(r) - set(s)
        add = f(share(len(added & set(r)), len(added)), share(len(added & wanted), len(wanted)))
        total += keep + delete + add
    return 100 * total / 12


def sari(cases):
    words = lambda text: TOKENIZE(text.lower()).split()
    total = 0
    for n in range(1, 5):
        right, done, wanted = (collections.Counter() for _ in range(3))
        for source, prediction, references in cases:
            s, c = counts(words(source), n, len(references)), counts(words(prediction), n, len(references))
            r = sum((counts(words(text), n, 1) for text in references), collections.Counter())
            once = lambda grams: collections.Counter(set(grams) - set(s))
            for operation, own, theirs in [("keep", s & c, s & r), ("delete", s - c, s - r), ("add", once(c), once(r))]:
                right[operation] += sum((own & theirs).values())
                done[operation] += sum(own.values())
                wanted[operation] += sum(theirs.values())
        share = lambda operation, of: right[operation] / of[operation] if of[operation] else 0.0
        total += sum(f(share(operation, done), share(operation, wanted)) for operation in ["keep", "delete", "add"])
    return 100 * total / 12


def check_sari():
    documented = sentence_sari("About 95 species are currently accepted .", "About 95 you now get in .",
                               ["About 95 species are currently known .", "About 95 species are now accepted .", "95 species are now accepted ."])
    assert abs(documented - 26.953601953601954) < 1e-9
    # "a b" -> "a c" with reference "a d". Words: keep 1 of 1 and 1 of 1; delete b, rightly; add c, wrongly, and miss d.
    # Pairs: keep none (0/0 both ways); delete "a b", rightly; add "a c", wrongly. Longer ones: 0/0 throughout.
    by_hand = 100 * ((1 + 1 + 1 + 1) / 4 + (1 + 1 + 1 + 1) / 4 + (0 + 0 + 1 + 1) / 4) / 3
    assert abs(sentence_sari("a b", "a c", ["a d"]) - by_hand) < 1e-9
    # The same with 0/0 as 0: keep a, delete b and "a b".
    assert abs(sari([("a b", "a c", ["a d"])]) - 100 * (1 / 4 + 2 / 4 + 0) / 3) < 1e-9


def case(source, prediction, references):
    wanted = [normalized(text, articles=False) for text in references]
    squad = [normalized(text, articles=True) for text in references]
    return {
        "source": source,
        "prediction": prediction,
        "references": references,
        "exact_match": normalized(prediction, articles=False) in wanted,
        "exact_match_squad": normalized(prediction, articles=True) in squad,
        "rouge_1": rouge(prediction, references, "rouge1", False),
        "rouge_1_stemmed": rouge(prediction, references, "rouge1", True),
        "rouge_l": rouge(prediction, references, "rougeL", False),
        "rouge_l_stemmed": rouge(prediction, references, "rougeL", True),
        "bleu": sacrebleu.sentence_bleu(prediction, references).score,
        "bleu_corpus_of_one": sacrebleu.corpus_bleu([prediction], [[text] for text in references]).score,
        "sari": sari([(source, prediction, references)]),
        "sentence_sari": sentence_sari(source, prediction, references),
    }


def corpus_bleu(cases):
    most = max(len(references) for _, _, references in cases)
    streams = [[references[i] if i < len(references) else None for _, _, references in cases] for i in range(most)]
    return sacrebleu.corpus_bleu([prediction for _, prediction, _ in cases], streams).score


def words():
    """Roots with every suffix the stemmer knows, and forms with rules of their own."""
    roots = "a be tr oat by troubl priv hop fil fall hiss conflat relat valen radic vil oper decis hope form sensib electr reviv infer adjust adopt homolog commun effect bowdl prob ceas controll roll geo syzyg enjoy spy yy 1990".split()
    suffixes = "s es ies sses ss ed eed ing ied y e l ll ational tional enci anci izer bli abli alli entli eli ousli ization ation ator alism iveness fulness ousness aliti iviti biliti fulli logi icate ative alize iciti ical ful ness al ance ence er ic able ible ant ement ment ent ion sion tion ou ism ate iti ous ive ize ization ally".split()
    other = "sky skies dying lying tying news innings inning outings outing cannings canning howe proceed exceed succeed flies dies died lied tied spied die feed agreed plastered bled motoring sing sized hopping tanned failing fizzed happy rate cease ties caresses ponies cats employment yes yyyy aaaa zzzz 2nd 3rd naturally".split()
    return sorted({root + suffix for root in roots for suffix in suffixes} | set(other))


def write(name, value, **options):
    (HERE / name).write_text(json.dumps(value, ensure_ascii=False, **options) + "\n", encoding="utf-8")


check_sari()
drawn = drawn(60)
corpora = {"by_hand": BY_HAND, "drawn": drawn, "short": BY_HAND[10:12]}
write("scores.json", {
    "cases": [case(*texts) for texts in BY_HAND + drawn],
    "corpus_bleu": {name: corpus_bleu(texts) for name, texts in corpora.items()},
    "corpus_sari": {name: sari(texts) for name, texts in corpora.items()},
    "by_hand": len(BY_HAND),
}, indent=1)
write("stems.json", {word: PorterStemmer().stem(word) for word in words() if len(word) > 3}, indent=0, separators=(",", ":"))
