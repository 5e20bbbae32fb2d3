//! Accuracy.

use crate::{Error, Result};

/// The share of questions for which the right choice was taken, in `[0, 1]`. Choices are named by their indices; by
/// log-likelihood, [`score_choices`](crate::text::score_choices) says which is taken.
///
/// ```
/// use orbit_data::metric::accuracy;
/// assert_eq!(accuracy(&[0, 2, 1, 1], &[0, 1, 1, 1])?, 0.75);
/// assert!(accuracy(&[0], &[]).is_err());
/// # Ok::<(), orbit_data::Error>(())
/// ```
///
/// # Errors
/// Without questions, or when there is not one choice for each.
pub fn accuracy(taken: &[usize], right: &[usize]) -> Result<f64> {
    if taken.len() != right.len() || right.is_empty() {
        let reason = format!("accuracy needs a choice for each question: {} for {}", taken.len(), right.len());
        return Err(Error::Invalid(reason));
    }
    let hits = taken.iter().zip(right).filter(|(taken, right)| taken == right).count();
    Ok(hits as f64 / right.len() as f64)
}
