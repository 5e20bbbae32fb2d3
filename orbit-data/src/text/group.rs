//! What a suite tells about a model.

use std::fmt;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// The groups in which Luo et al. (arXiv 2308.08747) report suites.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Group {
    /// What it knows: the four parts of MMLU.
    DomainKnowledge,
    /// What it can conclude: BoolQ, PIQA, WinoGrande, HellaSwag, MathQA, MuTual.
    Reasoning,
    /// What it understands of a text: RACE.
    ReadingComprehension,
    /// Which of two sentences it prefers, where it should prefer neither: CrowS-Pairs. Its scores have no better end; one
    /// half is neutral.
    Bias,
}

impl fmt::Display for Group {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::DomainKnowledge => "domain knowledge",
            Self::Reasoning => "reasoning",
            Self::ReadingComprehension => "reading comprehension",
            Self::Bias => "bias",
        })
    }
}
