//! Multiple choice: what a model is asked, and which choice it takes.

use std::borrow::Cow;

/// A question whose answer is one of several continuations.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct MultipleChoice {
    /// What every choice continues. With a [`suffix`](Self::suffix), what stands before every choice; it may be empty.
    pub context: String,
    /// The choices, at least two, each with the blank that stands before it.
    pub choices: Vec<String>,
    /// Partial scoring (arXiv 1806.02847), as WinoGrande needs it: the text that follows every choice, with the blank
    /// before it. The choice then belongs to the context, and the likelihood of this text is the choice's score.
    pub suffix: Option<String>,
    /// Index of the right choice.
    pub gold: usize,
}

/// A context and the continuations of it whose log-likelihoods are wanted.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Request<'a> {
    /// What a model has read.
    pub context: Cow<'a, str>,
    /// What may follow, each with the blank before it.
    pub continuations: Vec<&'a str>,
}

impl MultipleChoice {
    /// What a model has to score. The scores of all continuations, in this order, are those of the choices: one request
    /// with a continuation a choice, or, with a [`suffix`](Self::suffix), one request a choice.
    ///
    /// ```
    /// use orbit_data::text::MultipleChoice;
    ///
    /// let choices = vec!["The cup fits the box as the cup".into(), "The cup fits the box as the box".into()];
    /// let suffix = Some(" is large.".into());
    /// let question = MultipleChoice { context: String::new(), choices, suffix, gold: 1 };
    /// let requests = question.requests();
    /// assert_eq!(requests[1].context, "The cup fits the box as the box");
    /// assert_eq!(requests[1].continuations, [" is large."]);
    /// ```
    pub fn requests(&self) -> Vec<Request<'_>> {
        let Some(suffix) = &self.suffix else {
            let continuations = self.choices.iter().map(String::as_str).collect();
            return vec![Request { context: Cow::Borrowed(&self.context), continuations }];
        };
        let request = |choice: &String| Request {
            context: Cow::Owned(format!("{}{choice}", self.context)),
            continuations: vec![suffix],
        };
        self.choices.iter().map(request).collect()
    }

    /// The characters of each choice, without the blank before it: what lm-evaluation-harness divides by for
    /// `acc_norm`.
    pub fn lengths(&self) -> Vec<usize> {
        // With a suffix, the blank stands before the suffix.
        let bare = |choice: &String| match &self.suffix {
            Some(_) => choice.chars().count(),
            None => choice.strip_prefix(' ').unwrap_or(choice).chars().count(),
        };
        self.choices.iter().map(bare).collect()
    }
}

/// Which choice has the highest log-likelihood, and which has the highest log-likelihood per character. The first of
/// equal choices wins.
///
/// ```
/// use orbit_data::text::score_choices;
/// assert_eq!(score_choices(&[-4.0, -6.0, -4.0], &[4, 12, 2]), (0, 1));
/// ```
pub fn score_choices(loglik: &[f64], lengths: &[usize]) -> (usize, usize) {
    let normalised = loglik.iter().zip(lengths).map(|(score, &length)| score / length as f64);
    (first_max(loglik.iter().copied()), first_max(normalised))
}

/// Which choice has the highest log-likelihood. The first of equal choices wins.
pub fn likeliest(loglik: &[f64]) -> usize {
    first_max(loglik.iter().copied())
}

fn first_max(scores: impl Iterator<Item = f64>) -> usize {
    let better = |best: (usize, f64), next: (usize, f64)| if next.1 > best.1 { next } else { best };
    scores.enumerate().fold((0, f64::NEG_INFINITY), better).0
}
