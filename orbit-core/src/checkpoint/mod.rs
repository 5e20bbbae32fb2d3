//! Checkpoints of a run: a directory that is whole or is not there.
//!
//! ```text
//! step-00000080/
//!   manifest.json          format, step, origin digest, what the guard has seen, and the size and SHA-256 of every other file;
//!                          written last
//!   weights.safetensors    the parameters, f32
//!   optimizer.safetensors  the two moments of AdamW, as first.NAME and second.NAME
//!   slots.safetensors      vectors of hooks, as POSITION.SLOT.NAME
//!   hooks.json             what each hook saved, by position and name
//! ```
//!
//! It is written to a directory beside its place, every file synced, and renamed. Weights and moments that are not finite are not
//! saved. Loading checks every digest.

mod manifest;
mod write;

use std::collections::BTreeMap;
use std::panic::resume_unwind;
use std::path::{Path, PathBuf};
use std::thread;

use burn::tensor::Tensor;
use orbit_hook::{Entry, Param, State};
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

use manifest::{FileRecord, MANIFEST, Manifest, hex, read_json};

use crate::arithmetic::read;
use crate::disk::{Disk, System};
use crate::space::{Slots, Vectors};
use crate::tensor_file::TensorFile;
use crate::{Batches, Error, Fit, Model, Result};

const WEIGHTS: &str = "weights.safetensors";
const OPTIMIZER: &str = "optimizer.safetensors";
const SLOTS: &str = "slots.safetensors";
const HOOKS: &str = "hooks.json";
/// What a manifest names, in the order of a map.
const FILES: [&str; 4] = [HOOKS, OPTIMIZER, SLOTS, WEIGHTS];
/// What the names of AdamW's moments begin with.
const FIRST: &str = "first.";
const SECOND: &str = "second.";

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
    ///
    /// # Errors
    /// Whatever the disk says, [`Error::Poisoned`] for weights that are not finite, [`Error::Torn`] after a step that failed. Then
    /// nothing is left of it.
    pub fn save(&self, dir: impl AsRef<Path>) -> Result<()> {
        self.save_on(&System, dir)
    }

    /// [`Fit::save`] through other operations on files than the system's.
    pub fn save_on(&self, disk: &dyn Disk, dir: impl AsRef<Path>) -> Result<()> {
        let dir = dir.as_ref();
        if self.torn {
            return Err(Error::Torn { step: self.done + 1 });
        }
        if dir.exists() {
            return Err(Error::checkpoint(dir, "is there already"));
        }
        let mut partial = dir.as_os_str().to_owned();
        partial.push(".partial");
        let partial = PathBuf::from(partial);
        if partial.exists() {
            disk.remove_dir(&partial).map_err(|e| Error::io(&partial, e))?;
        }
        let saved =
            self.write_files(disk, &partial).and_then(|()| disk.rename(&partial, dir).map_err(|e| Error::io(dir, e)));
        if saved.is_err() && partial.exists() {
            // It would only fill the disk, which may be what went wrong.
            let _ = disk.remove_dir(&partial);
        }
        saved?;
        let above = |path: &Path| match path.parent() {
            Some(parent) if !parent.as_os_str().is_empty() => parent.to_owned(),
            _ => PathBuf::from("."),
        };
        // The folder of checkpoints may be new itself.
        let parent = above(dir);
        [above(&parent), parent].iter().try_for_each(|folder| disk.sync_dir(folder).map_err(|e| Error::io(folder, e)))
    }

    /// Goes on from a checkpoint that this run, with the same model, hooks and optimizer, has saved. An error leaves the run as
    /// it was made, but for hooks that have loaded already; where the disk fails in the middle of a checkpoint that was whole a
    /// moment before, the run is over.
    ///
    /// Tensors are read one by one into the memory of those that are there: taking up a run needs no more than beginning it.
    pub fn load(&mut self, dir: impl AsRef<Path>) -> Result<()> {
        let dir = dir.as_ref();
        // Both digest as many bytes as there are; the checkpoint's come first where both are wrong.
        let (manifest, origin) = thread::scope(|scope| {
            let verifying = scope.spawn(|| Manifest::verified(dir));
            let origin = self.origin_digest();
            (verifying.join().unwrap_or_else(|panic| resume_unwind(panic)), origin)
        });
        let manifest = manifest?;
        if manifest.origin != origin {
            return Err(Error::checkpoint(dir, "was saved by a run that began from other weights; give it that model"));
        }
        let hooks: Vec<SavedHook> = read_json(&dir.join(HOOKS))?;
        self.check_hooks(dir, &hooks)?;
        let open = |file: &str| TensorFile::open(&dir.join(file));
        let files = Files { weights: open(WEIGHTS)?, optimizer: open(OPTIMIZER)?, slots: open(SLOTS)? };
        let slots = files.check(&self.vectors.trained.params, self.stack.0.len(), &dir.join(SLOTS))?;

        for (placed, saved) in self.stack.0.iter_mut().zip(hooks) {
            let state = state(saved.state);
            placed.hook.load(&state).map_err(|source| placed.failed_in("load", source))?;
            (placed.acted, placed.counted) = (saved.acted, 0);
        }
        self.torn = true;
        self.hollow();
        let read = self.read_files(files, slots);
        self.fill();
        read?;
        self.done = manifest.step;
        self.finished = manifest.finished;
        self.guarded = manifest.guard;
        self.torn = false;
        Ok(())
    }

    /// Reads weights, moments and slots in place of those that are there.
    fn read_files(&mut self, mut files: Files, saved: Vec<SavedSlot>) -> Result<()> {
        let Vectors { trained, weights, .. } = &mut self.vectors;
        let params = &trained.params;
        for (param, tensor) in params.iter().zip(weights.iter_mut()) {
            files.weights.read_into(&param.name, tensor)?;
        }
        for (prefix, moments) in [(FIRST, &mut self.moments.first), (SECOND, &mut self.moments.second)] {
            for (param, tensor) in params.iter().zip(moments) {
                files.optimizer.read_into(&format!("{prefix}{}", param.name), tensor)?;
            }
        }
        let hooks = &mut self.stack.0;
        let mut there: Vec<Slots> = hooks.iter_mut().map(|placed| std::mem::take(&mut placed.slots)).collect();
        for SavedSlot { key, hook, slot, place } in saved {
            let old = there[hook].get_mut(&slot).and_then(|tensors| tensors[place].take());
            let mut tensor = old.unwrap_or_else(|| weights[place].zeros_like());
            files.slots.read_into(&key, &mut tensor)?;
            let tensors = hooks[hook].slots.entry(slot).or_insert_with(|| vec![None; params.len()]);
            tensors[place] = Some(tensor);
        }
        Ok(())
    }

    /// SHA-256 over the original weights of the first stage: which model the run began from. Computed once a run.
    pub fn origin_digest(&self) -> String {
        let digest = || {
            let (mut hasher, mut bytes) = (Sha256::new(), Vec::new());
            for (param, origin) in self.vectors.trained.params.iter().zip(&self.vectors.origin) {
                if let Some(origin) = origin {
                    let entries = read(origin.clone());
                    bytes.resize(size_of_val(entries.as_slice()), 0);
                    write::little_endian(&entries, &mut bytes);
                    hasher.update(param.name.as_bytes());
                    hasher.update(&bytes);
                }
            }
            hex(&hasher.finalize())
        };
        self.run_origin.get_or_init(digest).clone()
    }

    /// Writes all files into a new directory, the manifest last, and syncs it.
    fn write_files(&self, disk: &dyn Disk, dir: &Path) -> Result<()> {
        disk.create_dir(dir).map_err(|e| Error::io(dir, e))?;
        let named = |prefix: &str, tensors: &[Tensor<1>]| -> Vec<(String, Tensor<1>)> {
            let names = self.vectors.trained.params.iter().map(|param| format!("{prefix}{}", param.name));
            names.zip(tensors.iter().cloned()).collect()
        };
        let mut moments = named(FIRST, &self.moments.first);
        moments.extend(named(SECOND, &self.moments.second));
        let weights = named("", &self.vectors.trained.weights(&self.model));
        let finite = |name: &str, entries: &[f32]| self.check_finite(name, entries);
        // What a hook keeps is its own affair.
        let any = |_: &str, _: &[f32]| Ok(());
        let path = |file: &str| dir.join(file);
        let hooks: Vec<SavedHook> = self.stack.0.iter().map(saved_hook).collect::<Result<_>>()?;
        let files: BTreeMap<String, FileRecord> = [
            (WEIGHTS.into(), write::tensors(disk, &path(WEIGHTS), weights, finite)?),
            (OPTIMIZER.into(), write::tensors(disk, &path(OPTIMIZER), moments, finite)?),
            (SLOTS.into(), write::tensors(disk, &path(SLOTS), self.slots(), any)?),
            (HOOKS.into(), write::json(disk, &path(HOOKS), &hooks)?),
        ]
        .into();
        let manifest = Manifest::new((self.done, self.finished), self.origin_digest(), files, self.guarded.clone())?;
        write::json(disk, &path(MANIFEST), &manifest)?;
        disk.sync_dir(dir).map_err(|e| Error::io(dir, e))
    }

    /// That weights, or moments, are finite.
    pub(crate) fn check_finite(&self, name: &str, entries: &[f32]) -> Result<()> {
        match entries.iter().find(|entry| !entry.is_finite()) {
            Some(&value) => Err(Error::Poisoned { step: self.done, name: name.into(), value }),
            None => Ok(()),
        }
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

    fn check_hooks(&self, dir: &Path, saved: &[SavedHook]) -> Result<()> {
        let there: Vec<&str> = saved.iter().map(|hook| hook.name.as_str()).collect();
        let here: Vec<&str> = self.stack.0.iter().map(|placed| placed.name.as_str()).collect();
        if there == here {
            return Ok(());
        }
        Err(Error::checkpoint(dir, format!("was saved with the hooks {there:?}, this run has {here:?}")))
    }
}

/// The files of a checkpoint that hold tensors.
struct Files {
    weights: TensorFile,
    optimizer: TensorFile,
    slots: TensorFile,
}

/// A tensor of the file of slots: its name there, and where it belongs.
struct SavedSlot {
    key: String,
    /// The hook's place in the list, from 0.
    hook: usize,
    slot: u8,
    /// The parameter's place.
    place: usize,
}

impl Files {
    /// Checks that every tensor of a run with these parameters and so many hooks is there, and that each slot has a place.
    /// `path` is that of the file of slots.
    fn check(&self, params: &[Param], hooks: usize, path: &Path) -> Result<Vec<SavedSlot>> {
        for param in params {
            self.weights.expect(&param.name, param.len())?;
            self.optimizer.expect(&format!("{FIRST}{}", param.name), param.len())?;
            self.optimizer.expect(&format!("{SECOND}{}", param.name), param.len())?;
        }
        let slots = self.slots.tensors().into_iter().map(|(key, entries)| {
            let found = slot_key(&key).and_then(|(hook, slot, name)| {
                let place = params.iter().position(|param| param.name == name && param.len() == entries)?;
                (hook < hooks).then_some((hook, slot, place))
            });
            match found {
                Some((hook, slot, place)) => Ok(SavedSlot { key, hook, slot, place }),
                None => Err(Error::checkpoint(path, format!("holds \"{key}\", which this run has no place for"))),
            }
        });
        slots.collect()
    }
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
