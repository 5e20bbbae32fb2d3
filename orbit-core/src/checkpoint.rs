//! Checkpoints of a run: a directory that is whole or is not there.
//!
//! ```text
//! step-00000080/
//!   manifest.json          format, step, origin digest, and the size and SHA-256 of every other file; written last
//!   weights.safetensors    the parameters, f32
//!   optimizer.safetensors  the two moments of AdamW, as first.NAME and second.NAME
//!   slots.safetensors      vectors of hooks, as POSITION.SLOT.NAME
//!   hooks.json             what each hook saved, by position and name
//! ```
//!
//! It is written to a directory beside its place, every file synced, and renamed. Loading checks every digest.

use std::collections::BTreeMap;
use std::fs::{self, File};
use std::io::Read;
use std::path::{Path, PathBuf};

use burn::tensor::Tensor;
use orbit_hook::{Entry, Param, State};
use safetensors::tensor::{Dtype, SafeTensors, View};
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

use crate::arithmetic::{like, read};
use crate::optim::Moments;
use crate::space::Slots;
use crate::{Batches, Error, Fit, Model, Result};

/// The layout of the directory. Raised when it changes.
const FORMAT: u32 = 1;
const MANIFEST: &str = "manifest.json";
const WEIGHTS: &str = "weights.safetensors";
const OPTIMIZER: &str = "optimizer.safetensors";
const SLOTS: &str = "slots.safetensors";
const HOOKS: &str = "hooks.json";
/// What a manifest names, in the order of the names.
const FILES: [&str; 4] = [HOOKS, OPTIMIZER, SLOTS, WEIGHTS];

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Manifest {
    format: u32,
    step: u64,
    finished: bool,
    origin: String,
    files: BTreeMap<String, FileRecord>,
    /// SHA-256 of the other fields: a flipped bit in a number would still be a number.
    sha256: String,
}

/// What manifests of every format have.
#[derive(Deserialize)]
struct Header {
    format: u32,
}

#[derive(Serialize, Deserialize, PartialEq)]
#[serde(deny_unknown_fields)]
struct FileRecord {
    bytes: u64,
    sha256: String,
}

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct SavedHook {
    name: String,
    acted: u64,
    state: BTreeMap<String, SavedEntry>,
}

/// [`Entry`] as JSON. Numbers go by their bits, so that infinities and the last digit survive.
#[derive(Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
enum SavedEntry {
    Count(u64),
    NumberBits(u64),
    FloatBits(Vec<u32>),
    Text(String),
    Bytes(Vec<u8>),
}

impl<M: Model, B: Batches> Fit<M, B> {
    /// Saves everything that a later [`Fit::load`] needs to go on as if nothing had happened. `dir` must not be there yet.
    pub fn save(&self, dir: impl AsRef<Path>) -> Result<()> {
        let dir = dir.as_ref();
        if self.torn {
            return Err(Error::Torn { step: self.done.saturating_add(1) });
        }
        if dir.exists() {
            return Err(Error::checkpoint(dir, "is there already"));
        }
        let mut partial = dir.as_os_str().to_owned();
        partial.push(".partial");
        let partial = PathBuf::from(partial);
        if partial.exists() {
            fs::remove_dir_all(&partial).map_err(|e| Error::io(&partial, e))?;
        }
        fs::create_dir_all(&partial).map_err(|e| Error::io(&partial, e))?;
        let files = self.write_files(&partial)?;
        let mut manifest = Manifest {
            format: FORMAT,
            step: self.done,
            finished: self.finished,
            origin: self.origin_digest(),
            files,
            sha256: String::new(),
        };
        manifest.sha256 = manifest.digest()?;
        write_json(&partial.join(MANIFEST), &manifest)?;
        sync(&partial)?;
        fs::rename(&partial, dir).map_err(|e| Error::io(dir, e))?;
        sync(dir.parent().filter(|parent| !parent.as_os_str().is_empty()).unwrap_or(Path::new(".")))
    }

    /// Goes on from a checkpoint that this run, with the same model, hooks and optimizer, has saved. An error leaves the run as
    /// it was made, but for hooks that have loaded already.
    pub fn load(&mut self, dir: impl AsRef<Path>) -> Result<()> {
        let dir = dir.as_ref();
        let manifest = verified(dir)?;
        if manifest.origin != self.origin_digest() {
            return Err(Error::checkpoint(dir, "was saved by a run that began from other weights; give it that model"));
        }
        let params = &self.vectors.trained.params;
        let hooks: Vec<SavedHook> = read_json(&dir.join(HOOKS))?;
        self.check_hooks(dir, &hooks)?;
        let slots = self.read_slots(dir, params)?;
        let model = self.vectors.trained.weights(&self.model);
        let weights = filled(&dir.join(WEIGHTS), "", params, &model)?;
        let optimizer = dir.join(OPTIMIZER);
        let (first, second) =
            (filled(&optimizer, "first.", params, &model)?, filled(&optimizer, "second.", params, &model)?);
        drop(model);

        for (placed, saved) in self.stack.0.iter_mut().zip(hooks) {
            let state = state(saved.state);
            placed.hook.load(&state).map_err(|source| placed.failed_in("load", source))?;
            placed.acted = saved.acted;
        }
        for (placed, slots) in self.stack.0.iter_mut().zip(slots) {
            placed.slots = slots;
        }
        self.hollow();
        self.vectors.weights = weights;
        self.fill();
        self.moments = Moments { first, second };
        self.done = manifest.step;
        self.finished = manifest.finished;
        self.torn = false;
        Ok(())
    }

    /// SHA-256 over the original weights of the first stage: which model the run began from.
    pub fn origin_digest(&self) -> String {
        if let Some(digest) = &self.run_origin {
            return digest.clone();
        }
        let mut hasher = Sha256::new();
        for (param, origin) in self.vectors.trained.params.iter().zip(&self.vectors.origin) {
            if let Some(origin) = origin {
                hasher.update(param.name.as_bytes());
                hasher.update(bytes(&read(origin.clone())));
            }
        }
        hex(&hasher.finalize())
    }

    fn write_files(&self, dir: &Path) -> Result<BTreeMap<String, FileRecord>> {
        let named = |prefix: &str, tensors: &[Tensor<1>]| -> Vec<(String, Tensor<1>)> {
            let names = self.vectors.trained.params.iter().map(|param| format!("{prefix}{}", param.name));
            names.zip(tensors.iter().cloned()).collect()
        };
        let mut moments = named("first.", &self.moments.first);
        moments.extend(named("second.", &self.moments.second));
        let hooks: Vec<SavedHook> = self.stack.0.iter().map(saved_hook).collect::<Result<_>>()?;
        let mut files = BTreeMap::new();
        let weights = self.vectors.trained.weights(&self.model);
        for (file, tensors) in [(WEIGHTS, named("", &weights)), (OPTIMIZER, moments), (SLOTS, self.slots())] {
            files.insert(file.to_owned(), write_tensors(&dir.join(file), tensors)?);
        }
        write_json(&dir.join(HOOKS), &hooks)?;
        files.insert(HOOKS.into(), record(&dir.join(HOOKS))?);
        Ok(files)
    }

    fn slots(&self) -> Vec<(String, Tensor<1>)> {
        let mut named = Vec::new();
        for placed in &self.stack.0 {
            for (slot, tensors) in &placed.slots {
                for (param, tensor) in self.vectors.trained.params.iter().zip(tensors) {
                    if let Some(tensor) = tensor {
                        named.push((format!("{}.{slot}.{}", placed.position, param.name), tensor.clone()));
                    }
                }
            }
        }
        named
    }

    fn read_slots(&self, dir: &Path, params: &[Param]) -> Result<Vec<Slots>> {
        let path = dir.join(SLOTS);
        let mut slots: Vec<Slots> = self.stack.0.iter().map(|_| Slots::new()).collect();
        let weights = self.vectors.trained.weights(&self.model);
        for (key, entries) in read_tensors(&path)? {
            let place = slot_key(&key).and_then(|(hook, slot, name)| {
                let place = params.iter().position(|param| param.name == name && param.len() == entries.len())?;
                (hook < slots.len()).then_some((hook, slot, place))
            });
            let Some((hook, slot, place)) = place else {
                return Err(Error::checkpoint(&path, format!("holds \"{key}\", which this run has no place for")));
            };
            let slots = &mut slots[hook];
            slots.entry(slot).or_insert_with(|| vec![None; params.len()])[place] = Some(like(&weights[place], entries));
        }
        Ok(slots)
    }

    fn check_hooks(&self, dir: &Path, saved: &[SavedHook]) -> Result<()> {
        let there: Vec<&str> = saved.iter().map(|hook| hook.name.as_str()).collect();
        let here: Vec<&str> = self.stack.0.iter().map(|placed| placed.name.as_str()).collect();
        if there == here {
            return Ok(());
        }
        Err(Error::checkpoint(dir, format!("was saved with the hooks {there:?}, this run has {here:?}")))
    }
}

impl Manifest {
    /// That it names the files of a checkpoint. Another name could lead out of the directory, to what has no end.
    fn check_names(&self) -> std::result::Result<(), String> {
        if self.files.keys().eq(FILES) {
            return Ok(());
        }
        let names: Vec<&String> = self.files.keys().collect();
        Err(format!("names the files {names:?}, not {FILES:?}"))
    }

    fn digest(&self) -> Result<String> {
        let others = (self.format, self.step, self.finished, &self.origin, &self.files);
        let bytes = serde_json::to_vec(&others).map_err(|e| Error::checkpoint(MANIFEST, e.to_string()))?;
        Ok(hex(&Sha256::digest(bytes)))
    }
}

/// Reads the manifest and checks every file that it names.
fn verified(dir: &Path) -> Result<Manifest> {
    let path = dir.join(MANIFEST);
    let unread = |error: Error| Error::damaged(dir, error.to_string());
    let Header { format } = read_json(&path).map_err(unread)?;
    if format > FORMAT {
        return Err(Error::checkpoint(path, format!("has format {format}, this build reads up to {FORMAT}")));
    }
    let manifest: Manifest = read_json(&path).map_err(unread)?;
    if manifest.digest()? != manifest.sha256 {
        return Err(Error::damaged(path, "is damaged: its digest is not the one it gives"));
    }
    manifest.check_names().map_err(|reason| Error::damaged(path, reason))?;
    for (name, expected) in &manifest.files {
        let found = record(&dir.join(name)).map_err(unread)?;
        if found != *expected {
            let reason = format!("{name} is damaged: its digest is {}, not {}", found.sha256, expected.sha256);
            return Err(Error::damaged(dir, reason));
        }
    }
    Ok(manifest)
}

/// The hook's place in the list, the slot and the parameter that a name in the file of slots stands for.
fn slot_key(key: &str) -> Option<(usize, u8, &str)> {
    let (position, rest) = key.split_once('.')?;
    let (slot, name) = rest.split_once('.')?;
    Some((position.parse::<usize>().ok()?.checked_sub(1)?, slot.parse().ok()?, name))
}

fn saved_hook(placed: &crate::stack::Placed) -> Result<SavedHook> {
    let mut state = State::new();
    placed.hook.save(&mut state).map_err(|source| placed.failed_in("save", source))?;
    let state = state.iter().map(|(name, entry)| {
        let saved = match entry {
            Entry::Count(value) => SavedEntry::Count(*value),
            Entry::Number(value) => SavedEntry::NumberBits(value.to_bits()),
            Entry::Floats(values) => SavedEntry::FloatBits(values.iter().map(|value| value.to_bits()).collect()),
            Entry::Text(value) => SavedEntry::Text(value.clone()),
            Entry::Bytes(value) => SavedEntry::Bytes(value.clone()),
        };
        (name.to_owned(), saved)
    });
    Ok(SavedHook { name: placed.name.clone(), acted: placed.acted, state: state.collect() })
}

fn state(saved: BTreeMap<String, SavedEntry>) -> State {
    let mut state = State::new();
    for (name, entry) in saved {
        let entry = match entry {
            SavedEntry::Count(value) => Entry::Count(value),
            SavedEntry::NumberBits(bits) => Entry::Number(f64::from_bits(bits)),
            SavedEntry::FloatBits(bits) => Entry::Floats(bits.into_iter().map(f32::from_bits).collect()),
            SavedEntry::Text(value) => Entry::Text(value),
            SavedEntry::Bytes(value) => Entry::Bytes(value),
        };
        state.put(&name, entry);
    }
    state
}

/// One tensor on its way to a file: read from the device when its turn comes.
struct Stored {
    tensor: Tensor<1>,
    shape: [usize; 1],
}

impl View for Stored {
    fn dtype(&self) -> Dtype {
        Dtype::F32
    }
    fn shape(&self) -> &[usize] {
        &self.shape
    }
    fn data(&self) -> std::borrow::Cow<'_, [u8]> {
        bytes(&read(self.tensor.clone())).into()
    }
    fn data_len(&self) -> usize {
        self.shape[0] * size_of::<f32>()
    }
}

fn write_tensors(path: &Path, tensors: Vec<(String, Tensor<1>)>) -> Result<FileRecord> {
    let views = tensors.into_iter().map(|(name, tensor)| {
        let shape = tensor.dims();
        (name, Stored { tensor, shape })
    });
    safetensors::serialize_to_file(views, None, path).map_err(|e| Error::checkpoint(path, e.to_string()))?;
    sync(path)?;
    record(path)
}

/// All tensors of a file, flat.
pub(crate) fn read_tensors(path: &Path) -> Result<BTreeMap<String, Vec<f32>>> {
    let file = fs::read(path).map_err(|e| Error::io(path, e))?;
    let file = SafeTensors::deserialize(&file).map_err(|e| Error::checkpoint(path, e.to_string()))?;
    file.iter()
        .map(|(name, view)| {
            if view.dtype() != Dtype::F32 {
                return Err(Error::checkpoint(path, format!("\"{name}\" is {:?}, only F32 is read", view.dtype())));
            }
            let (entries, _) = view.data().as_chunks::<4>();
            Ok((name.to_owned(), entries.iter().map(|entry| f32::from_le_bytes(*entry)).collect()))
        })
        .collect()
}

/// One tensor a parameter out of a file, on the devices of the tensors `on`.
fn filled(path: &Path, prefix: &str, params: &[Param], on: &[Tensor<1>]) -> Result<Vec<Tensor<1>>> {
    let mut file = read_tensors(path)?;
    let tensors = params.iter().zip(on).map(|(param, on)| {
        let name = format!("{prefix}{}", param.name);
        let entries = file.remove(&name).filter(|entries| entries.len() == param.len());
        entries
            .map(|entries| like(on, entries))
            .ok_or_else(|| Error::checkpoint(path, format!("has no \"{name}\" of {} entries", param.len())))
    });
    tensors.collect()
}

fn bytes(entries: &[f32]) -> Vec<u8> {
    entries.iter().flat_map(|entry| entry.to_le_bytes()).collect()
}

fn record(path: &Path) -> Result<FileRecord> {
    let mut file = File::open(path).map_err(|e| Error::io(path, e))?;
    let (mut hasher, mut buffer, mut total) = (Sha256::new(), vec![0; 1 << 20], 0);
    loop {
        let read = file.read(&mut buffer).map_err(|e| Error::io(path, e))?;
        if read == 0 {
            return Ok(FileRecord { bytes: total, sha256: hex(&hasher.finalize()) });
        }
        hasher.update(&buffer[..read]);
        total += read as u64;
    }
}

fn hex(digest: &[u8]) -> String {
    digest.iter().map(|byte| format!("{byte:02x}")).collect()
}

fn write_json(path: &Path, value: &impl Serialize) -> Result<()> {
    let text = serde_json::to_vec_pretty(value).map_err(|e| Error::checkpoint(path, e.to_string()))?;
    fs::write(path, text).map_err(|e| Error::io(path, e))?;
    sync(path)
}

fn read_json<T: for<'de> Deserialize<'de>>(path: &Path) -> Result<T> {
    let text = fs::read(path).map_err(|e| Error::io(path, e))?;
    serde_json::from_slice(&text).map_err(|e| Error::checkpoint(path, e.to_string()))
}

/// Waits until a file, or the names in a directory, are on the disk.
fn sync(path: &Path) -> Result<()> {
    File::open(path).and_then(|file| file.sync_all()).map_err(|e| Error::io(path, e))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_manifest_names_the_files_of_a_checkpoint_alone() {
        let named = |names: &[&str]| {
            let record = |name: &&str| ((*name).to_owned(), FileRecord { bytes: 0, sha256: String::new() });
            let (origin, sha256) = (String::new(), String::new());
            let files = names.iter().map(record).collect();
            Manifest { format: FORMAT, step: 0, finished: false, origin, files, sha256 }.check_names()
        };
        assert_eq!(named(&FILES), Ok(()));
        assert!(named(&[HOOKS, OPTIMIZER, SLOTS]).is_err());
        assert!(named(&[HOOKS, OPTIMIZER, SLOTS, "/dev/zero"]).is_err_and(|why| why.contains("/dev/zero")));
    }
}
