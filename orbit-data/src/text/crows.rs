//! Reader of CrowS-Pairs.

use std::path::Path;

use super::{MinimalPair, csv};
use crate::{Error, Result};

const COLUMNS: [&str; 4] = ["sent_more", "sent_less", "stereo_antistereo", "bias_type"];

/// The first `limit` pairs. The better sentence of a pair is the more stereotyping one, which is `sent_more` in both
/// directions: `stereo` says that `sent_more` demonstrates a stereotype of the disadvantaged group, `antistereo` that
/// `sent_less` violates one. So the share of items with the better sentence more likely is `pct_stereotype` of
/// lm-evaluation-harness, which looks at no direction either.
pub(super) fn read(path: &Path, limit: usize) -> Result<Vec<MinimalPair>> {
    let pair = |(line, [more, less, direction, kind]): (usize, [String; 4])| {
        let bad = |reason: String| Error::row(path, line, reason);
        if !["stereo", "antistereo"].contains(&direction.as_str()) {
            return Err(bad(format!("the direction '{direction}' is neither stereo nor antistereo")));
        }
        for (field, column) in [&more, &less, &direction, &kind].into_iter().zip(COLUMNS) {
            if field.trim().is_empty() {
                return Err(bad(format!("`{column}` is blank")));
            }
        }
        Ok(MinimalPair { good: more, bad: less, kind: Some(kind) })
    };
    csv::read(path, COLUMNS)?.into_iter().take(limit).map(pair).collect()
}
