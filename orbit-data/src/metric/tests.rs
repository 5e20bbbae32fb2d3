#![allow(clippy::unwrap_used, reason = "tests")]

use std::collections::BTreeMap;
use std::path::Path;

use proptest::prelude::*;
use serde::Deserialize;
use serde::de::DeserializeOwned;

use super::*;

/// One of the texts of `make_metrics.py` and what the reference packages say about it.
#[derive(Deserialize)]
struct Case {
    source: String,
    prediction: String,
    references: Vec<String>,
    exact_match: bool,
    exact_match_squad: bool,
    rouge_1: f64,
    rouge_1_stemmed: f64,
    rouge_l: f64,
    rouge_l_stemmed: f64,
    bleu: f64,
    bleu_corpus_of_one: f64,
    sari: f64,
    sentence_sari: f64,
}

#[derive(Deserialize)]
struct Scores {
    cases: Vec<Case>,
    corpus_bleu: BTreeMap<String, f64>,
    corpus_sari: BTreeMap<String, f64>,
    by_hand: usize,
}

fn fixture<T: DeserializeOwned>(name: &str) -> T {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../testdata/metrics").join(name);
    serde_json::from_str(&std::fs::read_to_string(path).unwrap()).unwrap()
}

fn scores() -> Scores {
    fixture("scores.json")
}

fn close(what: &str, case: &Case, own: f64, reference: f64) {
    let Case { source, prediction, references, .. } = case;
    assert!(
        (own - reference).abs() < 1e-9,
        "{what}: {own} for {reference}\n{source:?}\n{prediction:?}\n{references:?}"
    );
}

#[test]
fn scores_are_those_of_the_reference_packages() {
    let scores = scores();
    assert!(scores.cases.len() > 80);
    for case in &scores.cases {
        let (prediction, references) = (case.prediction.as_str(), &case.references);
        close("rouge_1", case, rouge_1(prediction, references, false), case.rouge_1);
        close("rouge_1 stemmed", case, rouge_1(prediction, references, true), case.rouge_1_stemmed);
        close("rouge_l", case, rouge_l(prediction, references, false), case.rouge_l);
        close("rouge_l stemmed", case, rouge_l(prediction, references, true), case.rouge_l_stemmed);
        close("bleu", case, Bleu::new(prediction, references).sentence(), case.bleu);
        close("bleu of a corpus", case, Bleu::new(prediction, references).corpus(), case.bleu_corpus_of_one);
        close("sari", case, Sari::new(&case.source, prediction, references).score(), case.sari);
        close("sari of a sentence", case, sentence_sari(&case.source, prediction, references), case.sentence_sari);
        let exact = |normalization| exact_match(prediction, references, normalization);
        assert_eq!(exact(Normalization::SuperNi), case.exact_match, "{prediction:?} {references:?}");
        assert_eq!(exact(Normalization::Squad), case.exact_match_squad, "{prediction:?} {references:?}");
    }
}

#[test]
fn scores_of_a_corpus_are_those_of_the_reference_packages() {
    let Scores { cases, corpus_bleu, corpus_sari, by_hand } = scores();
    for (name, cases) in [("by_hand", &cases[..by_hand]), ("drawn", &cases[by_hand..]), ("short", &cases[10..12])] {
        let answers: Vec<_> = cases.iter().map(generated).collect();
        for (metric, expected) in [(Metric::Bleu, corpus_bleu[name]), (Metric::Sari, corpus_sari[name])] {
            let score = 100.0 * metric.score(&answers).unwrap().value;
            assert!((score - expected).abs() < 1e-9, "{name} {metric:?}: {score} for {expected}");
        }
    }
}

#[test]
fn stems_are_those_of_nltk() {
    let stems: BTreeMap<String, String> = fixture("stems.json");
    assert!(stems.len() > 2000);
    for (word, expected) in stems {
        assert_eq!(stem::stem(&word), expected, "{word}");
    }
}

fn generated(case: &Case) -> Generated<'_> {
    Generated { source: &case.source, prediction: &case.prediction, references: &case.references }
}

#[test]
fn the_metrics_of_tasks_are_means_on_one_scale() {
    let cases = scores().cases;
    let answers: Vec<_> = cases.iter().map(generated).collect();
    let mean = |value: fn(&Case) -> f64| cases.iter().map(value).sum::<f64>() / cases.len() as f64;
    for (metric, expected) in [
        (Metric::ExactMatch, mean(|case| f64::from(case.exact_match))),
        (Metric::Rouge1, mean(|case| case.rouge_1_stemmed)),
        (Metric::RougeL, mean(|case| case.rouge_l_stemmed)),
    ] {
        let score = metric.score(&answers).unwrap();
        assert_eq!(score.items.len(), answers.len());
        assert!((score.value - expected).abs() < 1e-9, "{metric:?}");
    }
    for (metric, alone) in [(Metric::Bleu, (|case| case.bleu) as fn(&Case) -> f64), (Metric::Sari, |case| case.sari)] {
        let items = metric.score(&answers).unwrap().items;
        assert!(items.iter().zip(&cases).all(|(item, case)| (item - alone(case) / 100.0).abs() < 1e-9), "{metric:?}");
    }
}

#[test]
fn what_cannot_be_scored_is_an_error() {
    let references = ["x".to_owned()];
    let answer = Generated { source: "", prediction: "x", references: &references };
    let message = |metric: Metric, answers: &[Generated<'_>]| metric.score(answers).unwrap_err().to_string();
    assert!(message(Metric::RougeL, &[]).contains("no answers"));
    assert!(message(Metric::Bleu, &[answer, Generated { references: &[], ..answer }]).contains("answer 1"));
    assert!(message(Metric::Accuracy, &[answer]).contains("choices, not text"));
    assert!(accuracy(&[], &[]).is_err());
    assert!(accuracy(&[1, 2], &[1]).unwrap_err().to_string().contains("2 for 1"));
}

/// A copy of the source wins by ROUGE-1 and loses by SARI, which is why the one cannot stand for the other.
#[test]
fn sari_does_not_reward_copying_the_source() {
    let source = "The legislation was subsequently ratified by the assembly .";
    let references = ["The assembly then passed the law ."];
    let simpler = "The assembly then approved the law .";
    let sari = |prediction| Sari::new(source, prediction, &references).score();
    assert!(sari(source) < 0.5 * sari(simpler), "{} {}", sari(source), sari(simpler));
    assert!(rouge_1(source, &references, false) > 0.4);
}

#[test]
fn a_metric_is_called_in_a_config_what_its_function_is_called() {
    let names = [Metric::ExactMatch, Metric::Rouge1, Metric::RougeL, Metric::Bleu, Metric::Sari, Metric::Accuracy];
    let json = serde_json::to_string(&names).unwrap();
    assert_eq!(json, r#"["exact_match","rouge_1","rouge_l","bleu","sari","accuracy"]"#);
}

/// Texts with few different words, so that they share some, in several scripts and with any spaces.
fn text() -> impl Strategy<Value = String> {
    prop_oneof!["([a-cA-C]{1,2}[ .,]{1,2}){0,9}", "\\PC{0,20}", "[éßİ東 \n\t&;<>-]{0,12}", "([a-z]{4,12} ){1,4}"]
}

fn texts() -> impl Strategy<Value = Vec<String>> {
    prop::collection::vec(text(), 1..5)
}

/// All scores with their upper bounds.
fn all(source: &str, prediction: &str, references: &[String]) -> [(f64, f64); 10] {
    let bleu = Bleu::new(prediction, references);
    let exact = |normalization| f64::from(exact_match(prediction, references, normalization));
    [
        (exact(Normalization::SuperNi), 1.0),
        (exact(Normalization::Squad), 1.0),
        (rouge_1(prediction, references, false), 1.0),
        (rouge_1(prediction, references, true), 1.0),
        (rouge_l(prediction, references, false), 1.0),
        (rouge_l(prediction, references, true), 1.0),
        (bleu.sentence(), 100.0),
        (bleu.corpus(), 100.0),
        (sentence_sari(source, prediction, references), 100.0),
        (Sari::new(source, prediction, references).score(), 100.0),
    ]
}

proptest! {
    #[test]
    fn scores_keep_their_bounds(source in text(), prediction in text(), references in texts()) {
        for (index, (score, most)) in all(&source, &prediction, &references).into_iter().enumerate() {
            prop_assert!((0.0..=most).contains(&score), "{} {}", index, score);
        }
    }

    #[test]
    fn the_order_of_references_does_not_matter(source in text(), prediction in text(), references in texts()) {
        let mut turned = references.clone();
        turned.rotate_left(1);
        prop_assert_eq!(all(&source, &prediction, &references), all(&source, &prediction, &turned));
        turned.reverse();
        prop_assert_eq!(all(&source, &prediction, &references), all(&source, &prediction, &turned));
    }

    /// SARI of a sentence counts a word that the source has twice and the reference once as wrongly deleted, hence the
    /// distinct words; SARI of a corpus gives nothing for what there was not to do.
    #[test]
    fn the_reference_itself_has_the_full_score(
        source in prop::collection::btree_set("[a-z]{1,3}", 0..8),
        reference in "[a-z]{1,8}( [a-z]{1,8}){3,9}",
    ) {
        let source = Vec::from_iter(source).join(" ");
        let scores = all(&source, &reference, std::slice::from_ref(&reference));
        for (index, (score, most)) in scores.into_iter().take(9).enumerate() {
            prop_assert!((score - most).abs() < 1e-9, "{} {}", index, score);
        }
    }

    #[test]
    fn the_reference_itself_has_the_best_sari(source in text(), reference in text(), other in text()) {
        let score = |prediction: &str| Sari::new(&source, prediction, std::slice::from_ref(&reference)).score();
        prop_assert!(score(&reference) >= score(&other) - 1e-9);
    }

    /// By ROUGE-1 and exact match another reference can only help; the other measures weigh all references.
    #[test]
    fn another_reference_does_not_hurt(prediction in text(), references in texts(), more in text()) {
        let with: Vec<String> = references.iter().cloned().chain([more]).collect();
        for ((before, _), (after, _)) in all("", &prediction, &references).into_iter().zip(all("", &prediction, &with)).take(6) {
            prop_assert!(after >= before);
        }
    }

    #[test]
    fn a_common_subsequence_is_no_longer_than_the_common_words(prediction in text(), references in texts()) {
        prop_assert!(rouge_l(&prediction, &references, true) <= rouge_1(&prediction, &references, true) + 1e-12);
    }

    #[test]
    fn stems_of_any_word_are_no_longer_than_the_word_and_a_letter(word in "[a-z0-9]{1,14}") {
        let stem = stem::stem(&word);
        prop_assert!(!stem.is_empty() && stem.len() <= word.len() + 1);
    }
}
