//! Weights in several files and the index that says which tensor is in which.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::io;
use std::path::Path;

use serde::{Deserialize, Serialize};

use super::{Array, Dtype, WEIGHTS_FILE, Weights, write_some};
use crate::atomic;
use crate::error::{Error, Result};

/// The file that says which tensor is in which shard.
pub(super) const INDEX_FILE: &str = "model.safetensors.index.json";

#[derive(Serialize, Deserialize)]
struct Index {
    #[serde(skip_deserializing)]
    metadata: Metadata,
    weight_map: BTreeMap<String, String>,
}

#[derive(Default, Serialize)]
struct Metadata {
    /// Bytes of all tensors together.
    total_size: u64,
}

pub(super) fn read(dir: &Path) -> Result<Weights> {
    let index_path = dir.join(INDEX_FILE);
    let index: Index = atomic::read_json(&index_path)?;
    let mut all = Weights::default();
    for shard in index.weight_map.values().collect::<BTreeSet<_>>() {
        if !is_in_the_folder(shard) {
            let reason = format!("shard {shard:?} is not the name of a safetensors file in this folder");
            return Err(Error::io(index_path, io::Error::new(io::ErrorKind::InvalidData, reason)));
        }
        let path = dir.join(shard);
        for (name, array) in Weights::read_file(&path)?.tensors {
            if index.weight_map.get(&name) != Some(shard) {
                let reason = match index.weight_map.get(&name) {
                    Some(other) => format!("is in this shard and, by the index, in {other}"),
                    None => format!("is in this shard but not in {INDEX_FILE}"),
                };
                return Err(Error::tensor(path, name, reason));
            }
            all.tensors.insert(name, array);
        }
    }
    match index.weight_map.iter().find(|(name, _)| !all.tensors.contains_key(*name)) {
        Some((name, shard)) => {
            Err(Error::tensor(index_path, name, format!("is not in {shard}, where the index puts it")))
        }
        None => Ok(all),
    }
}

/// Whether what an index calls a shard is, on every system, the name of a file beside the index: it has no folder, drive
/// or NUL in it. A link of that name is followed: the cache of Hugging Face consists of links, and an index makes none.
fn is_in_the_folder(name: &str) -> bool {
    name.ends_with(".safetensors") && !name.starts_with('.') && !name.contains(['/', '\\', ':', '\0'])
}

pub(super) fn write(weights: &Weights, dir: &Path, dtype: Dtype, max_shard_bytes: Option<u64>) -> Result<()> {
    let shards = split(weights, dtype, max_shard_bytes.unwrap_or(u64::MAX));
    if shards.len() <= 1 {
        weights.write_file(dir.join(WEIGHTS_FILE), dtype)?;
        return remove_others(dir, &BTreeSet::from([WEIGHTS_FILE.to_owned()]));
    }
    let mut weight_map = BTreeMap::new();
    let count = shards.len();
    for (i, shard) in shards.iter().enumerate() {
        let file = format!("model-{:05}-of-{count:05}.safetensors", i + 1);
        write_some(shard.iter().copied(), &dir.join(&file), dtype)?;
        weight_map.extend(shard.iter().map(|(name, _)| ((*name).clone(), file.clone())));
    }
    let mut kept: BTreeSet<String> = weight_map.values().cloned().collect();
    kept.insert(INDEX_FILE.to_owned());
    let metadata = Metadata { total_size: bytes(weights.tensors.values(), dtype) };
    atomic::write_json(&dir.join(INDEX_FILE), &Index { metadata, weight_map })?;
    remove_others(dir, &kept)
}

/// The arrays in order, cut wherever the next one would take a shard over `max_bytes`.
fn split(weights: &Weights, dtype: Dtype, max_bytes: u64) -> Vec<Vec<(&String, &Array)>> {
    let mut shards: Vec<Vec<(&String, &Array)>> = Vec::new();
    let mut room = 0;
    for entry in &weights.tensors {
        let size = bytes([entry.1], dtype);
        match shards.last_mut() {
            Some(shard) if size <= room => shard.push(entry),
            _ => {
                shards.push(vec![entry]);
                room = max_bytes;
            }
        }
        room = room.saturating_sub(size);
    }
    shards
}

fn bytes<'a>(arrays: impl IntoIterator<Item = &'a Array>, dtype: Dtype) -> u64 {
    arrays.into_iter().map(|array| (array.data.len() * dtype.size()) as u64).sum()
}

/// Removes the weight files in `dir` that an earlier write left and a reader could take for current.
fn remove_others(dir: &Path, kept: &BTreeSet<String>) -> Result<()> {
    for entry in fs::read_dir(dir).map_err(|e| Error::io(dir, e))? {
        let entry = entry.map_err(|e| Error::io(dir, e))?;
        let name = entry.file_name().to_string_lossy().into_owned();
        let shard = name.starts_with("model-") && name.ends_with(".safetensors");
        if (shard || name == WEIGHTS_FILE || name == INDEX_FILE) && !kept.contains(&name) {
            fs::remove_file(entry.path()).map_err(|e| Error::io(entry.path(), e))?;
        }
    }
    Ok(())
}
