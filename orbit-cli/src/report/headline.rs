//! The result in plain words, computed from the numbers, whichever way they fell.

use super::{Interval, POPULARITY, Report, Retrieval, Run, TRANSITIONS, Text, labels, quantity};

/// Differences smaller than this are not worth a verdict: a point of retention, a hundredth of the recall.
const TIE: f64 = 0.01;

/// What a reader should take away, and what should make them careful.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Headline {
    /// One or two sentences.
    pub summary: String,
    /// Reasons to doubt, each a sentence; empty when there is none.
    pub cautions: Vec<String>,
}

/// Compares plain fine-tuning with the first protected run (ORBIT where there is one); with fewer runs, says what there is.
pub(crate) fn headline(report: &Report) -> Headline {
    let plain = report.runs.iter().find(|run| run.is_plain());
    let protected = protected(report);
    let summary = match (plain, protected) {
        (Some(plain), Some(protected)) => compare(plain, protected),
        (Some(only), None) | (None, Some(only)) => single(only),
        (None, None) => untouched(report),
    };
    let pair = plain.zip(protected);
    let cautions = pair.iter().flat_map(|(plain, protected)| doubts(plain, protected));
    let spikes = report.runs.iter().filter_map(|run| spiked(run.label(), run.spikes));
    let cautions = cautions.chain(dominated(report)).chain(unlearned(report)).chain(undefined(report)).chain(spikes);
    Headline { summary, cautions: cautions.chain(notes(report)).collect() }
}

/// What the runs have to say of their data, each once: runs of one report have the same data.
fn notes(report: &Report) -> Vec<String> {
    let mut notes: Vec<String> = Vec::new();
    for note in report.runs.iter().flat_map(|run| &run.notes) {
        if !notes.contains(note) {
            notes.push(note.clone());
        }
    }
    notes
}

/// The run the summary is about.
fn protected(report: &Report) -> Option<&Run> {
    let by_orbit = |run: &&Run| run.hooks.iter().any(|hook| hook == "orbit");
    report.runs.iter().find(by_orbit).or_else(|| report.runs.iter().find(|run| !run.is_plain()))
}

fn compare(plain: &Run, protected: &Run) -> String {
    let price = price(plain, protected);
    match (plain.retention(), protected.retention()) {
        (Some(without), Some(with)) => {
            let (clause, joint) = language(plain, without, protected, with);
            price.map_or_else(|| format!("{clause}."), |price| format!("{clause}{joint}{price}."))
        }
        (None, None) => {
            let name = protected.heading();
            price.map_or_else(
                || "Neither language ability nor retrieval was measured.".to_owned(),
                |price| format!("{name} {price}, against {}. Language ability was not measured.", plain.label()),
            )
        }
        (without, _) => {
            let (measured, other) = if without.is_some() { (plain, protected) } else { (protected, plain) };
            format!("{} Language ability was not measured for {}.", single(measured), other.label())
        }
    }
}

/// A clause on what was kept, and what joins it to a predicate about the protected run.
fn language(plain: &Run, without: f64, protected: &Run, with: f64) -> (String, &'static str) {
    let (kept_without, kept_with) = (kept(without), kept(with));
    if with - without >= TIE {
        let (a, b) = (plain.heading(), protected.label());
        let clause = format!("{a} kept {kept_without} of the language ability; {b} kept {kept_with}");
        return match regained(without, with) {
            Some(share) => (format!("{clause}, saving {share} of what was lost"), ", and "),
            None => (clause, " and "),
        };
    }
    let (a, b) = (protected.heading(), plain.label());
    let verdict = if without - with >= TIE { "kept less" } else { "kept no more" };
    (format!("{a} {verdict} of the language ability than {b}: {kept_with} against {kept_without}"), ". It ")
}

/// How much of the loss of plain fine-tuning did not happen.
fn regained(without: f64, with: f64) -> Option<String> {
    let lost = 1.0 - without;
    (lost > TIE).then(|| quantity::percent(((with - without) / lost).min(1.0)))
}

fn kept(retention: f64) -> String {
    if retention < 0.005 { "none".to_owned() } else { quantity::percent(retention) }
}

/// What the protected run pays in retrieval, as a predicate.
fn price(plain: &Run, protected: &Run) -> Option<String> {
    let (without, with) = (plain.recall()?, protected.recall()?);
    let numbers = format!("{} against {}", quantity::retrieval(with), quantity::retrieval(without));
    let change = (with - without) / without;
    Some(match change {
        c if !c.is_finite() => format!("reaches a Recall@10 of {numbers}"),
        c if c <= -TIE => format!("gives up {} of Recall@10 ({numbers})", quantity::percent(-c)),
        c if c >= TIE => format!("gains {} of Recall@10 ({numbers})", quantity::percent(c)),
        _ => format!("has the same Recall@10 ({numbers})"),
    })
}

fn single(run: &Run) -> String {
    let language = run.retention().map(|share| format!("kept {} of the language ability", kept(share)));
    let retrieval = run.recall().map(|recall| format!("reached a Recall@10 of {}", quantity::retrieval(recall)));
    match (language, retrieval) {
        (Some(language), Some(retrieval)) => format!("{} {language} and {retrieval}.", run.heading()),
        (Some(language), None) => format!("{} {language}. Retrieval was not measured.", run.heading()),
        (None, Some(retrieval)) => format!("{} {retrieval}. Language ability was not measured.", run.heading()),
        (None, None) => format!("{} was trained; nothing was measured.", run.heading()),
    }
}

fn untouched(report: &Report) -> String {
    let untouched = report.untouched.as_ref();
    let recall = untouched.and_then(|model| model.retrieval.as_ref()).and_then(Retrieval::recall_at_10);
    let mean = untouched.and_then(|model| model.text.as_ref()).and_then(|text| text.mean);
    let parts = [
        mean.map(|mean| format!("gets {} of the language questions right", quantity::percent(mean))),
        recall.map(|recall| format!("has a Recall@10 of {}", quantity::retrieval(recall))),
    ];
    let parts: Vec<String> = parts.into_iter().flatten().collect();
    if parts.is_empty() {
        return "Nothing was trained and nothing was measured.".to_owned();
    }
    format!("Nothing was trained. The model {}.", parts.join(" and "))
}

/// Whether the comparison could be chance or is not like with like.
fn doubts(plain: &Run, protected: &Run) -> Vec<String> {
    let interval = |run: &Run| run.text.as_ref().and_then(|text| text.ci);
    let recall_interval = |run: &Run| run.retrieval.as_ref().and_then(|r| r.ci.recall.get(&10).copied());
    let overlapping = [
        overlap(interval(plain), interval(protected)).then_some("language retention"),
        overlap(recall_interval(plain), recall_interval(protected)).then_some("Recall@10"),
    ];
    let overlapping: Vec<&str> = overlapping.into_iter().flatten().collect();
    let mut doubts = Vec::new();
    if !overlapping.is_empty() {
        let (a, b) = (plain.label(), protected.label());
        let what = overlapping.join(" and ");
        doubts.push(format!("The 95% intervals of {what} overlap between {a} and {b}: that difference may be chance."));
    }
    if plain.steps != protected.steps {
        let (a, b) = (quantity::count(plain.steps), quantity::count(protected.steps));
        doubts.push(format!("{} took {a} steps, {} took {b}.", plain.heading(), protected.label()));
    }
    doubts
}

fn overlap(a: Option<Interval>, b: Option<Interval>) -> bool {
    a.zip(b).is_some_and(|(a, b)| a[0] <= b[1] && b[0] <= a[1])
}

/// A run the summary does not speak of, that is better in both respects.
fn dominated(report: &Report) -> Option<String> {
    let chosen = protected(report)?;
    let (language, recall) = (chosen.retention()?, chosen.recall()?);
    let better = |run: &&Run| run.retention() > Some(language) && run.recall() > Some(recall);
    let better = report.runs.iter().find(better)?;
    let kept = kept(better.retention()?);
    let recall = quantity::retrieval(better.recall()?);
    Some(format!(
        "{} did better than {} in both respects: it kept {kept}, with a Recall@10 of {recall}.",
        better.heading(),
        chosen.label()
    ))
}

/// Runs that recommend worse than a table of counts.
fn unlearned(report: &Report) -> Vec<String> {
    let below = |name: &str, baseline: &Retrieval| {
        let bar = baseline.recall_at_10()?;
        let runs: Vec<&str> =
            report.runs.iter().filter(|r| r.recall().is_some_and(|x| x < bar)).map(Run::label).collect();
        (!runs.is_empty())
            .then(|| format!("Below {name} ({}) in Recall@10: {}.", quantity::retrieval(bar), runs.join(", ")))
    };
    let named = |name: &str| match name {
        POPULARITY => "the popularity baseline".to_owned(),
        TRANSITIONS => "the transition counts".to_owned(),
        other => labels::baseline(other).to_owned(),
    };
    report.baselines.iter().flatten().filter_map(|(name, baseline)| below(&named(name), baseline)).collect()
}

/// A training that the guard has found fault with.
pub(super) fn spiked(name: &str, spikes: u64) -> Option<String> {
    let steps = if spikes == 1 { "one step".to_owned() } else { format!("{} steps", quantity::count(spikes)) };
    (spikes > 0).then(|| format!("The guard took {steps} in the training of {name} for spikes of the loss."))
}

/// Suites that cannot show forgetting.
fn undefined(report: &Report) -> Option<String> {
    let texts = report.runs.iter().filter_map(|run| run.text.as_ref());
    let mut names: Vec<&str> = texts.flat_map(without_retention).collect();
    names.sort_unstable();
    names.dedup();
    let clause = "cannot show forgetting: before training the model was no better than chance there";
    (!names.is_empty()).then(|| format!("{} {clause}.", names.join(", ")))
}

fn without_retention(text: &Text) -> impl Iterator<Item = &str> {
    let undefined = text.suites.iter().filter(|(_, suite)| suite.retention.is_none() && !suite.is_bias());
    undefined.map(|(name, _)| name.as_str())
}

#[cfg(test)]
mod tests {
    use orbit_data::text::Group;

    use super::{
        super::{SuiteScore, sample},
        *,
    };

    fn summary(runs: Vec<Run>) -> String {
        headline(&Report { runs, ..sample::report() }).summary
    }

    fn plain() -> Run {
        sample::run("plain", &[], Some(0.12), Some(0.0521))
    }

    fn orbit(retention: f64, recall: f64) -> Run {
        sample::run("orbit", &["orbit"], Some(retention), Some(recall))
    }

    #[test]
    fn orbit_better_at_a_price() {
        assert_eq!(
            summary(vec![plain(), orbit(0.71, 0.048)]),
            "Plain fine-tuning kept 12% of the language ability; ORBIT kept 71%, saving 67% of what was lost, \
             and gives up 8% of Recall@10 (0.0480 against 0.0521)."
        );
    }

    #[test]
    fn orbit_better_in_both() {
        let text = summary(vec![plain(), orbit(1.02, 0.06)]);
        assert!(text.contains("ORBIT kept 102%, saving 100% of what was lost, and gains 15% of Recall@10"), "{text}");
    }

    #[test]
    fn orbit_worse_is_said() {
        assert_eq!(
            summary(vec![plain(), orbit(-0.1, 0.0521)]),
            "ORBIT kept less of the language ability than plain fine-tuning: none against 12%. It has the same \
             Recall@10 (0.0521 against 0.0521)."
        );
        let text = summary(vec![plain(), orbit(0.121, 0.04)]);
        assert!(
            text.starts_with(
                "ORBIT kept no more of the language ability than plain fine-tuning: 12% against 12%. It gives up 23%"
            ),
            "{text}"
        );
    }

    #[test]
    fn single_run() {
        assert_eq!(
            summary(vec![plain()]),
            "Plain fine-tuning kept 12% of the language ability and reached a Recall@10 of 0.0521."
        );
        assert_eq!(
            summary(vec![]),
            "Nothing was trained. The model gets 52% of the language questions right and has a Recall@10 of 0.0002."
        );
    }

    #[test]
    fn without_text() {
        let runs = vec![sample::run("plain", &[], None, Some(0.05)), sample::run("ema", &["ema"], None, Some(0.04))];
        assert_eq!(
            summary(runs),
            "ema gives up 20% of Recall@10 (0.0400 against 0.0500), against plain fine-tuning. Language ability was not \
             measured."
        );
    }

    #[test]
    fn without_retrieval() {
        let runs = vec![sample::run("plain", &[], Some(0.2), None), sample::run("orbit", &["orbit"], Some(0.6), None)];
        assert_eq!(
            summary(runs),
            "Plain fine-tuning kept 20% of the language ability; ORBIT kept 60%, saving 50% of what was lost."
        );
    }

    #[test]
    fn sound_comparison_needs_no_caution() {
        let runs = vec![plain(), orbit(0.71, 0.04)];
        assert_eq!(headline(&Report { runs, ..sample::report() }).cautions, Vec::<String>::new());
    }

    #[test]
    fn cautions_name_what_weakens_the_claim() {
        let mut weak = orbit(0.14, 0.0110);
        weak.steps = 1200;
        weak.spikes = 2;
        if let Some(text) = &mut weak.text {
            text.suites.entry("blimp".to_owned()).and_modify(|suite| suite.retention = None);
            // A measure of bias has no retention, and that is no weakness.
            let neutral = |suite: &mut SuiteScore| (suite.retention, suite.group) = (None, Some(Group::Bias));
            text.suites.entry("arc-easy".to_owned()).and_modify(neutral);
        }
        let better = sample::run("ema", &["ema"], Some(0.3), Some(0.05));
        let cautions = headline(&Report { runs: vec![plain(), weak, better], ..sample::report() }).cautions;
        let expected = [
            "The 95% intervals of language retention overlap between plain fine-tuning and ORBIT: that difference may \
             be chance.",
            "Plain fine-tuning took 200 steps, ORBIT took 1,200.",
            "ema did better than ORBIT in both respects: it kept 30%, with a Recall@10 of 0.0500.",
            "Below the popularity baseline (0.0121) in Recall@10: ORBIT.",
            "Below the transition counts (0.0312) in Recall@10: ORBIT.",
            "blimp cannot show forgetting: before training the model was no better than chance there.",
            "The guard took 2 steps in the training of ORBIT for spikes of the loss.",
        ];
        assert_eq!(cautions, expected);
    }
}
