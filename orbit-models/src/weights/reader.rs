use std::path::{Path, PathBuf};

use super::Weights;
use crate::error::{Error, Misshapen, NotFinite, Result};

/// Hands out a model's weights by name and keeps account, so that one error lists everything that does not fit.
///
/// ```
/// use orbit_models::weights::{Array, Weights};
///
/// let mut weights = Weights::default();
/// weights.tensors.insert("a".into(), Array { shape: vec![2], data: vec![1.0, 2.0] });
/// let mut reader = weights.into_reader("model");
/// assert_eq!(reader.tensor("a", &[2]), [1.0, 2.0]);
/// assert_eq!(reader.tensor("b", &[3]), [0.0; 3]);
/// assert!(reader.finish(&[]).unwrap_err().to_string().contains("1 missing: b"));
/// ```
#[derive(Debug)]
pub struct Reader {
    weights: Weights,
    path: PathBuf,
    missing: Vec<String>,
    misshapen: Vec<Misshapen>,
    not_finite: Vec<NotFinite>,
}

impl Reader {
    pub(super) fn new(weights: Weights, path: &Path) -> Self {
        Self { weights, path: path.to_owned(), missing: Vec::new(), misshapen: Vec::new(), not_finite: Vec::new() }
    }

    /// Takes the tensor `name` out. Where it is not there or not of `shape` that is noted for [`Reader::finish`], and
    /// the answer is zeros. Entries that are not finite are noted too.
    pub fn tensor(&mut self, name: &str, shape: &[usize]) -> Vec<f32> {
        match self.weights.tensors.remove(name) {
            Some(array) if array.shape == shape => {
                self.not_finite.extend(NotFinite::of(name, &array));
                return array.data;
            }
            Some(array) => {
                self.misshapen.push(Misshapen { name: name.to_owned(), expected: shape.to_vec(), found: array.shape });
            }
            None => self.missing.push(name.to_owned()),
        }
        vec![0.0; shape.iter().product()]
    }

    /// Whether the tensor `name` is there and not yet taken.
    pub fn has(&self, name: &str) -> bool {
        self.weights.tensors.contains_key(name)
    }

    /// Ends the account.
    ///
    /// # Errors
    ///
    /// [`Error::Weights`] where a tensor was missing or misshapen, or one is left whose name does not end in any of
    /// `ignore`; [`Error::NotFinite`] where entries are NaN or infinite.
    pub fn finish(self, ignore: &[&str]) -> Result<()> {
        let Self { weights, path, missing, misshapen, not_finite } = self;
        let ignored = |name: &String| ignore.iter().any(|suffix| name.ends_with(suffix));
        let unused: Vec<String> = weights.tensors.into_keys().filter(|name| !ignored(name)).collect();
        if !(missing.is_empty() && misshapen.is_empty() && unused.is_empty()) {
            return Err(Error::Weights { path, missing, unused, misshapen });
        }
        if not_finite.is_empty() { Ok(()) } else { Err(Error::NotFinite { path, tensors: not_finite }) }
    }
}
