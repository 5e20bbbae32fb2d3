//! Named arrays in `f32`, read from and written to safetensors files: `model.safetensors`, or shards with an index.

mod foreign;
mod reader;
mod shards;

use std::borrow::Cow;
use std::collections::{BTreeMap, HashMap};
use std::io;
use std::path::Path;

use half::{bf16, f16};
use rayon::prelude::*;
use safetensors::tensor::{SafeTensors, TensorView, View};

pub use reader::Reader;

use crate::atomic;
use crate::error::{Error, Result};

/// The file that holds a model's weights when they are in one piece.
pub const WEIGHTS_FILE: &str = "model.safetensors";

/// What old exporters saved beside the weights: the numbers 0, 1, 2 and so on, as integers. It is passed over.
const POSITIONS: &str = "position_ids";

/// What PyTorch saves weights as: a pickle, which when it is opened runs whatever its writer put into it. None is opened.
const PICKLES: [&str; 2] = ["pytorch_model.bin", "pytorch_model.bin.index.json"];

/// How many parameters a model may have beyond twice its weights and still be built, with zeros in their place, so that one error
/// can name all that is missing: 64 MiB of them.
const MISSING: usize = 1 << 24;

/// A dense array of `f32`, row-major.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Array {
    /// Its dimensions, outermost first.
    pub shape: Vec<usize>,
    /// Its entries; as many as the product of `shape`.
    pub data: Vec<f32>,
}

/// How entries are stored in a file. In memory they are always `f32`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Dtype {
    /// IEEE 754 single precision.
    F32,
    /// bfloat16: the upper half of an `f32`, rounded to nearest even.
    Bf16,
    /// IEEE 754 half precision, rounded to nearest even; beyond 65504 it is infinite.
    F16,
}

impl Dtype {
    /// Bytes an entry takes.
    pub const fn size(self) -> usize {
        match self {
            Self::F32 => 4,
            Self::Bf16 | Self::F16 => 2,
        }
    }

    /// The name that `config.json` uses.
    pub const fn torch_name(self) -> &'static str {
        match self {
            Self::F32 => "float32",
            Self::Bf16 => "bfloat16",
            Self::F16 => "float16",
        }
    }
}

/// A model's weights by name.
///
/// ```
/// use orbit_models::weights::{Array, Dtype, Weights};
///
/// # fn main() -> orbit_models::Result<()> {
/// # let dir = tempfile::tempdir().map_err(|e| orbit_models::Error::io("tmp", e))?;
/// let mut weights = Weights::default();
/// weights.tensors.insert("norm.weight".into(), Array { shape: vec![2], data: vec![1.0, 0.5] });
/// weights.write(dir.path(), Dtype::Bf16, None)?;
/// assert_eq!(Weights::read(dir.path())?, weights);
/// # Ok(())
/// # }
/// ```
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Weights {
    /// The arrays, sorted by name.
    pub tensors: BTreeMap<String, Array>,
}

impl Weights {
    /// Reads the model directory `dir`: `model.safetensors`, else the shards named by `model.safetensors.index.json`.
    ///
    /// Takes the size of the largest file in memory beside the result.
    ///
    /// # Errors
    ///
    /// Neither file is there, even if a pickle is; a shard the index names is missing; a tensor is not in the shard the index gives for
    /// it, or in a shard without being in the index; and whatever [`Weights::read_file`] finds wrong.
    pub fn read(dir: impl AsRef<Path>) -> Result<Self> {
        let dir = dir.as_ref();
        let file = dir.join(WEIGHTS_FILE);
        if file.exists() {
            return Self::read_file(file);
        }
        if dir.join(shards::INDEX_FILE).exists() {
            return shards::read(dir);
        }
        match PICKLES.into_iter().map(|name| dir.join(name)).find(|pickle| pickle.exists()) {
            Some(pickle) => {
                let reason = "a pickle can run any code when it is opened, so orbit opens none: save the model as \
                              model.safetensors, by `save_pretrained` of transformers";
                Err(Error::io(pickle, io::Error::new(io::ErrorKind::Unsupported, reason)))
            }
            None => Self::read_file(file),
        }
    }

    /// Reads one safetensors file.
    ///
    /// # Errors
    ///
    /// The file cannot be read, is cut short, its header does not fit its size, or a tensor is neither F32, F16 nor
    /// BF16.
    pub fn read_file(path: impl AsRef<Path>) -> Result<Self> {
        let path = path.as_ref();
        let bytes = atomic::read(path)?;
        let file = SafeTensors::deserialize(&bytes).map_err(|e| match foreign::recognized(&bytes) {
            Some(what) => Error::foreign(path, what),
            None => Error::safetensors(path, e),
        })?;
        let mut tensors = BTreeMap::new();
        // In the order of their names, so that of several faults it is always the same one that is told.
        let mut named = file.tensors();
        named.sort_by(|a, b| a.0.cmp(&b.0));
        for (name, view) in named {
            if name.ends_with(POSITIONS) {
                continue;
            }
            let data = decode(&view).map_err(|reason| Error::tensor(path, &name, reason))?;
            tensors.insert(name, Array { shape: view.shape().to_vec(), data });
        }
        Ok(Self { tensors })
    }

    /// Writes the model directory `dir`, which must be there: `model.safetensors`, or shards of at most
    /// `max_shard_bytes` with an index where the weights are larger than that. A single tensor larger than that gets
    /// a shard of its own. Every file is written beside its place, synced and renamed; weight files of an earlier
    /// write that no longer count are removed.
    ///
    /// # Errors
    ///
    /// The system refuses to write, or an array's shape does not fit its data.
    pub fn write(&self, dir: impl AsRef<Path>, dtype: Dtype, max_shard_bytes: Option<u64>) -> Result<()> {
        shards::write(self, dir.as_ref(), dtype, max_shard_bytes)
    }

    /// Writes one safetensors file, beside its place first, then synced and renamed.
    ///
    /// # Errors
    ///
    /// As [`Weights::write`].
    pub fn write_file(&self, path: impl AsRef<Path>, dtype: Dtype) -> Result<()> {
        write_some(self.tensors.iter(), path.as_ref(), dtype)
    }

    /// That a model of `parameters` entries may be built to take these weights: a config of a few bytes can ask for any size.
    ///
    /// # Errors
    ///
    /// [`Error::TooFew`], in the name of `path`.
    pub(crate) fn check_size(&self, path: &Path, parameters: usize) -> Result<()> {
        let entries: usize = self.tensors.values().map(|array| array.data.len()).sum();
        if parameters <= entries.saturating_mul(2).saturating_add(MISSING) {
            return Ok(());
        }
        Err(Error::TooFew { path: path.to_owned(), entries, parameters })
    }

    /// Hands the arrays out one by one and keeps account of those that are missing, misshapen or left over. `path` is
    /// what its errors name.
    pub fn into_reader(self, path: impl AsRef<Path>) -> Reader {
        Reader::new(self, path.as_ref())
    }
}

fn write_some<'a>(arrays: impl Iterator<Item = (&'a String, &'a Array)>, path: &Path, dtype: Dtype) -> Result<()> {
    let mut views = Vec::new();
    for (name, array) in arrays {
        if array.shape.iter().product::<usize>() != array.data.len() {
            let reason = format!("shape {:?} does not fit {} entries", array.shape, array.data.len());
            return Err(Error::tensor(path, name, reason));
        }
        views.push((name, Encoded { array, dtype }));
    }
    // transformers refuses files that do not say which framework's layout they follow.
    let metadata = HashMap::from([("format".to_owned(), "pt".to_owned())]);
    let dir = path.parent().unwrap_or(Path::new("."));
    let file = atomic::temporary_file(dir).map_err(|e| Error::io(path, e))?;
    safetensors::serialize_to_file(views, Some(metadata), file.path()).map_err(|e| Error::safetensors(path, e))?;
    atomic::persist(file, path)
}

/// An array as a file is to store it. Encoded when written, so that one tensor at a time is held twice.
struct Encoded<'a> {
    array: &'a Array,
    dtype: Dtype,
}

impl View for Encoded<'_> {
    fn dtype(&self) -> safetensors::Dtype {
        match self.dtype {
            Dtype::F32 => safetensors::Dtype::F32,
            Dtype::Bf16 => safetensors::Dtype::BF16,
            Dtype::F16 => safetensors::Dtype::F16,
        }
    }

    fn shape(&self) -> &[usize] {
        &self.array.shape
    }

    fn data(&self) -> Cow<'_, [u8]> {
        let data = &self.array.data;
        Cow::Owned(match self.dtype {
            Dtype::F32 => encode(data, f32::to_le_bytes),
            Dtype::Bf16 => encode(data, |x| bf16::from_f32(x).to_le_bytes()),
            Dtype::F16 => encode(data, |x| f16::from_f32(x).to_le_bytes()),
        })
    }

    fn data_len(&self) -> usize {
        self.array.data.len() * self.dtype.size()
    }
}

fn encode<const N: usize>(data: &[f32], bytes: impl Fn(f32) -> [u8; N] + Sync) -> Vec<u8> {
    let mut out = vec![0; data.len() * N];
    out.par_chunks_exact_mut(N).zip(data).for_each(|(out, x)| out.copy_from_slice(&bytes(*x)));
    out
}

fn decode(view: &TensorView<'_>) -> Result<Vec<f32>, String> {
    let bytes = view.data();
    match view.dtype() {
        safetensors::Dtype::F32 => Ok(decode_as(bytes, f32::from_le_bytes)),
        safetensors::Dtype::F16 => Ok(decode_as(bytes, |b| f16::from_le_bytes(b).to_f32())),
        safetensors::Dtype::BF16 => Ok(decode_as(bytes, |b| bf16::from_le_bytes(b).to_f32())),
        other => Err(format!(
            "is {other:?}, as weights that were quantised are; F32, F16 and BF16 can be read: give the original weights"
        )),
    }
}

fn decode_as<const N: usize>(bytes: &[u8], value: impl Fn([u8; N]) -> f32 + Sync) -> Vec<f32> {
    let (entries, _) = bytes.as_chunks::<N>();
    entries.par_iter().map(|entry| value(*entry)).collect()
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "tests")]
mod tests;
