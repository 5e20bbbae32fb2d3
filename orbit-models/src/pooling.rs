//! How a sentence encoder makes one vector of a text, as the files of sentence-transformers say beside the model.

use std::path::Path;

use burn::tensor::Tensor;
use serde::Deserialize;
use serde_json::{Map, Value};

use crate::atomic;
use crate::error::{Error, Result};

const MODULES_FILE: &str = "modules.json";
const POOLING_FILE: &str = "1_Pooling/config.json";
const LENGTH_FILE: &str = "sentence_bert_config.json";

/// What of a text's last hidden states becomes its vector.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Pooling {
    /// That of the first token.
    FirstToken,
    /// The largest of all tokens, number by number.
    Max,
    /// The mean over all tokens.
    Mean,
    /// The sum over all tokens, divided by the root of their number.
    MeanOfRoot,
    /// The mean over all tokens, weighted by their places from 1.
    WeightedMean,
    /// That of the last token.
    LastToken,
}

impl Pooling {
    /// In the order in which sentence-transformers puts them end to end, under their keys.
    const KEYS: [(&str, Self); 6] = [
        ("pooling_mode_cls_token", Self::FirstToken),
        ("pooling_mode_max_tokens", Self::Max),
        ("pooling_mode_mean_tokens", Self::Mean),
        ("pooling_mode_mean_sqrt_len_tokens", Self::MeanOfRoot),
        ("pooling_mode_weightedmean_tokens", Self::WeightedMean),
        ("pooling_mode_lasttoken", Self::LastToken),
    ];

    /// As the newer key `pooling_mode` calls it.
    fn named(name: &str) -> Option<Self> {
        Some(match name {
            "cls" => Self::FirstToken,
            "max" => Self::Max,
            "mean" => Self::Mean,
            "mean_sqrt_len_tokens" => Self::MeanOfRoot,
            "weightedmean" => Self::WeightedMean,
            "lasttoken" => Self::LastToken,
            _ => return None,
        })
    }

    /// Of the states of a text's tokens, each of `d` numbers.
    fn of(self, states: &[f32], d: usize) -> Vec<f32> {
        let tokens = states.len() / d;
        let weighted = |weight: &dyn Fn(usize) -> f64| -> Vec<f32> {
            let sum = |at: usize| (0..tokens).map(|t| weight(t) * f64::from(states[t * d + at])).sum::<f64>() as f32;
            (0..d).map(sum).collect()
        };
        match self {
            Self::FirstToken => states[..d].to_vec(),
            Self::LastToken => states[(tokens - 1) * d..].to_vec(),
            Self::Max => (0..d).map(|at| (0..tokens).map(|t| states[t * d + at]).fold(f32::MIN, f32::max)).collect(),
            Self::Mean => weighted(&|_| 1.0 / tokens as f64),
            Self::MeanOfRoot => weighted(&|_| 1.0 / (tokens as f64).sqrt()),
            Self::WeightedMean => weighted(&|t| (t + 1) as f64 / (tokens * (tokens + 1) / 2) as f64),
        }
    }
}

/// What follows an encoder.
///
/// ```
/// use orbit_models::pooling::{Pooling, SentenceEncoding};
/// // Without a file of sentence-transformers it is the mean, as it is.
/// assert_eq!(SentenceEncoding::read("no/such/directory")?.pooling, [Pooling::Mean]);
/// # Ok::<(), orbit_models::Error>(())
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SentenceEncoding {
    /// Put end to end, where there are several.
    pub pooling: Vec<Pooling>,
    /// Whether vectors are scaled to length one.
    pub normalized: bool,
    /// Tokens of a text, at most, where the files say so.
    pub longest: Option<usize>,
}

impl Default for SentenceEncoding {
    fn default() -> Self {
        Self { pooling: vec![Pooling::Mean], normalized: false, longest: None }
    }
}

impl SentenceEncoding {
    /// Reads `modules.json` and what it names, or `1_Pooling/config.json` alone. The default where there is neither.
    ///
    /// # Errors
    /// When a file is broken, or asks for a module or a way of pooling that this crate does not compute.
    pub fn read(dir: impl AsRef<Path>) -> Result<Self> {
        #[derive(Deserialize)]
        struct Module {
            #[serde(default)]
            path: String,
            r#type: String,
        }
        let dir = dir.as_ref();
        let mut encoding = Self { longest: longest(dir)?, ..Self::default() };
        let modules = dir.join(MODULES_FILE);
        if !modules.exists() {
            let file = dir.join(POOLING_FILE);
            if file.exists() {
                encoding.pooling = pooling(&file)?;
            }
            return Ok(encoding);
        }
        for Module { path, r#type } in atomic::read_json::<Vec<Module>>(&modules)? {
            match r#type.rsplit('.').next().unwrap_or_default() {
                "Transformer" if path.is_empty() => {}
                "Pooling" => encoding.pooling = pooling(&dir.join(&path).join("config.json"))?,
                "Normalize" => encoding.normalized = true,
                "Dropout" => {}
                _ => {
                    let reason = format!("has {type} in {path:?}; Transformer, Pooling and Normalize can be computed");
                    return Err(Error::config(modules, "type", reason));
                }
            }
        }
        Ok(encoding)
    }

    /// The vectors of texts of the given lengths, from the last hidden states of their tokens, `[B, T, D]`; in f64 inside.
    pub fn vectors(&self, hidden: Tensor<3>, lengths: &[usize]) -> Vec<Vec<f32>> {
        let [_, width, d] = hidden.dims();
        let entries: Vec<f32> = hidden.into_data().convert::<f32>().try_into_vec().unwrap_or_default();
        let vector = |(row, &length): (&[f32], &usize)| {
            let states = &row[..length * d];
            let vector: Vec<f32> = self.pooling.iter().flat_map(|pooling| pooling.of(states, d)).collect();
            if self.normalized { scaled_to_one(vector) } else { vector }
        };
        entries.chunks_exact(width * d).zip(lengths).map(vector).collect()
    }
}

fn scaled_to_one(mut vector: Vec<f32>) -> Vec<f32> {
    let length = vector.iter().map(|x| f64::from(*x) * f64::from(*x)).sum::<f64>().sqrt();
    // As PyTorch's normalize, which keeps a vector of zeros.
    vector.iter_mut().for_each(|x| *x = (f64::from(*x) / length.max(1e-12)) as f32);
    vector
}

/// Tokens of a text, at most.
fn longest(dir: &Path) -> Result<Option<usize>> {
    #[derive(Deserialize)]
    struct Length {
        max_seq_length: Option<usize>,
    }
    let path = dir.join(LENGTH_FILE);
    if !path.exists() {
        return Ok(None);
    }
    Ok(atomic::read_json::<Length>(&path)?.max_seq_length.filter(|length| *length > 0))
}

fn pooling(path: &Path) -> Result<Vec<Pooling>> {
    let keys: Map<String, Value> = atomic::read_json(path)?;
    let wrong = |key: &str, value: &Value| Error::config(path, key, format!("is {value}, which is not computed"));
    if let Some(named) = keys.get("pooling_mode") {
        let names = named.as_array().cloned().unwrap_or_else(|| vec![named.clone()]);
        let mode = |name: &Value| name.as_str().and_then(Pooling::named).ok_or_else(|| wrong("pooling_mode", name));
        return names.iter().map(mode).collect();
    }
    let asked = |key: &str| keys.get(key).is_some_and(|value| value == &Value::Bool(true));
    let known = |key: &str| Pooling::KEYS.iter().any(|(known, _)| *known == key);
    if let Some(key) = keys.keys().find(|key| key.starts_with("pooling_mode_") && !known(key) && asked(key)) {
        return Err(wrong(key, &keys[key]));
    }
    let modes: Vec<Pooling> = Pooling::KEYS.into_iter().filter(|(key, _)| asked(key)).map(|(_, mode)| mode).collect();
    // Neither true nor false: the mean is what sentence-transformers takes where no key says otherwise.
    Ok(if modes.is_empty() { vec![Pooling::Mean] } else { modes })
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "tests")]
mod tests {
    use serde_json::json;

    use super::*;

    fn read(modules: Option<Value>, pooling: Option<Value>) -> Result<SentenceEncoding> {
        let dir = tempfile::tempdir().unwrap();
        std::fs::create_dir(dir.path().join("1_Pooling")).unwrap();
        for (name, content) in [(MODULES_FILE, modules), (POOLING_FILE, pooling)] {
            if let Some(content) = content {
                std::fs::write(dir.path().join(name), content.to_string()).unwrap();
            }
        }
        SentenceEncoding::read(dir.path())
    }

    fn modules(kinds: &[(&str, &str)]) -> Value {
        let module =
            |(path, kind): &(&str, &str)| json!({"path": path, "type": format!("sentence_transformers.models.{kind}")});
        kinds.iter().map(module).collect::<Vec<_>>().into()
    }

    #[test]
    fn what_follows_the_encoder_is_read() {
        let cls =
            json!({"word_embedding_dimension": 8, "pooling_mode_cls_token": true, "pooling_mode_mean_tokens": false});
        let all = modules(&[("", "Transformer"), ("1_Pooling", "Pooling"), ("2_Normalize", "Normalize")]);
        let encoding = read(Some(all.clone()), Some(cls.clone())).unwrap();
        assert_eq!((encoding.pooling, encoding.normalized), (vec![Pooling::FirstToken], true));
        assert_eq!(read(None, Some(cls)).unwrap().pooling, [Pooling::FirstToken]);
        assert_eq!(read(None, Some(json!({"pooling_mode": "lasttoken"}))).unwrap().pooling, [Pooling::LastToken]);
        let two = json!({"pooling_mode_mean_tokens": true, "pooling_mode_max_tokens": true});
        assert_eq!(read(None, Some(two)).unwrap().pooling, [Pooling::Max, Pooling::Mean]);
        assert_eq!(read(None, None).unwrap(), SentenceEncoding::default());
    }

    #[test]
    fn what_is_not_computed_is_named() {
        let why = |modules, pooling| read(modules, pooling).unwrap_err().to_string();
        let dense = modules(&[("", "Transformer"), ("2_Dense", "Dense")]);
        assert!(why(Some(dense), None).contains("has sentence_transformers.models.Dense in \"2_Dense\""));
        assert!(why(None, Some(json!({"pooling_mode_attention": true}))).contains("pooling_mode_attention"));
        assert!(why(None, Some(json!({"pooling_mode": "sum"}))).contains("is \"sum\""));
    }

    /// By hand, of two tokens of three numbers; what stands behind them is padding.
    #[test]
    fn vectors_are_those_of_the_tokens_alone() {
        let states = [[1.0, -4.0, 2.0], [3.0, 2.0, 2.0], [9.0, 9.0, 9.0]];
        let hidden = || Tensor::<3>::from_data([states], &orbit_core::device("flex").unwrap());
        let root = 2.0_f32.sqrt();
        for (pooling, expected) in [
            (Pooling::FirstToken, [1.0, -4.0, 2.0]),
            (Pooling::LastToken, [3.0, 2.0, 2.0]),
            (Pooling::Max, [3.0, 2.0, 2.0]),
            (Pooling::Mean, [2.0, -1.0, 2.0]),
            (Pooling::MeanOfRoot, [4.0 / root, -2.0 / root, 4.0 / root]),
            (Pooling::WeightedMean, [7.0 / 3.0, 0.0, 2.0]),
        ] {
            let plain = SentenceEncoding { pooling: vec![pooling], ..SentenceEncoding::default() };
            let found = plain.vectors(hidden(), &[2]).concat();
            assert!(found.iter().zip(expected).all(|(a, b)| (a - b).abs() < 1e-6), "{pooling:?}: {found:?}");
            let length = SentenceEncoding { normalized: true, ..plain }.vectors(hidden(), &[2]).concat();
            assert!((length.iter().map(|x| x * x).sum::<f32>() - 1.0).abs() < 1e-6);
        }
    }
}
