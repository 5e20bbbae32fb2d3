//! Models that can be compared by size: of the same architecture, and tuned first or not.

use super::{StudyModel, StudyReport};

/// An architecture, with or without general instruction tuning first.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Family {
    pub(super) encoder_decoder: bool,
    pub(super) tuned_first: bool,
}

impl Family {
    /// In the order of their series.
    pub(super) const ALL: [Self; 4] = [
        Self { encoder_decoder: false, tuned_first: false },
        Self { encoder_decoder: true, tuned_first: false },
        Self { encoder_decoder: false, tuned_first: true },
        Self { encoder_decoder: true, tuned_first: true },
    ];

    pub(super) fn name(self) -> &'static str {
        match (self.encoder_decoder, self.tuned_first) {
            (false, false) => "decoder",
            (true, false) => "encoder-decoder",
            (false, true) => "decoder, tuned first",
            (true, true) => "encoder-decoder, tuned first",
        }
    }

    /// Its models, the smallest first.
    pub(super) fn models(self, study: &StudyReport) -> Vec<&StudyModel> {
        let mut models: Vec<&StudyModel> = study.models.iter().filter(|model| model.family() == self).collect();
        models.sort_by_key(|model| model.parameters);
        models
    }
}

impl StudyModel {
    pub(super) fn family(&self) -> Family {
        Family { encoder_decoder: self.architecture == "encoder-decoder", tuned_first: self.tuned_first }
    }
}

impl StudyReport {
    /// Models that differ in nothing but general instruction tuning first: without, with.
    pub(super) fn tuning_pairs(&self) -> Vec<(&StudyModel, &StudyModel)> {
        let same = |a: &StudyModel, b: &StudyModel| (a.parameters, &a.architecture) == (b.parameters, &b.architecture);
        let (with, without): (Vec<_>, Vec<_>) = self.models.iter().partition(|model| model.tuned_first);
        let pairs = without.into_iter().flat_map(|one| with.iter().map(move |other| (one, *other)));
        pairs.filter(|(one, other)| same(one, other)).collect()
    }
}
