//! An instruction vector, and the file that holds it.

use std::collections::{BTreeMap, HashMap};
use std::path::Path;

use burn::tensor::{Device, Tensor, TensorData};
use orbit_core::hook::{Positions, Site};
use orbit_core::{At, Change, Model};
use safetensors::tensor::{Dtype, SafeTensors, TensorView};
use serde::{Deserialize, Serialize};

use super::{Effect, HeadMeans};
use crate::{Error, LanguageModel, Result, atomic};

/// The vector's name in its file. What a layer's heads contribute of it is under the name of the site, `layers.L.attn_out`.
const VECTOR: &str = "vector";
const EFFECTS: &str = "effects";
const MEANS: &str = "means";
/// The key of [`About`] in the file's metadata.
const ABOUT: &str = "orbit";
const FORMAT: u32 = 1;

/// What a few heads add to the residual stream where a prompt shows a skill.
#[derive(Clone, Debug, PartialEq)]
pub struct InstructionVector {
    /// Where it is from.
    pub about: About,
    /// Σ over the chosen heads.
    pub vector: Vec<f32>,
    /// The same sum for the heads of each layer: the distributed form, in which each is added in its own layer.
    pub layers: BTreeMap<usize, Vec<f32>>,
    /// The effect of every head, `[layers][heads]`.
    pub effects: Vec<Vec<f64>>,
    /// What the heads have found, of which the vector is made.
    pub means: HeadMeans,
}

/// Where a vector is from: the metadata of its file.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct About {
    /// Of the file.
    pub format: u32,
    /// The task's name.
    pub task: String,
    /// The digest of the model's weights.
    pub model: String,
    /// What heads were chosen by.
    pub effect: Effect,
    /// The digest of the prompts, and how many the means and the effects are over.
    pub prompts: String,
    /// Prompts that the means are over.
    pub averaged: usize,
    /// Prompts that the effects are over.
    pub patched: usize,
    /// The chosen heads, the largest effect first.
    pub heads: Vec<ChosenHead>,
}

/// A head that is part of a vector.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct ChosenHead {
    /// From 0.
    pub layer: usize,
    /// From 0.
    pub head: usize,
    /// Its effect, signed.
    pub effect: f64,
}

/// The `count` heads of largest effect, the largest first. Effects are signed: a head that speaks against the answer is not chosen
/// before one that does nothing.
pub fn strongest(effects: &[Vec<f64>], count: usize) -> Vec<ChosenHead> {
    let heads = effects.iter().enumerate().flat_map(|(layer, heads)| {
        heads.iter().enumerate().map(move |(head, &effect)| ChosenHead { layer, head, effect })
    });
    let mut heads: Vec<ChosenHead> = heads.collect();
    heads.sort_by(|a, b| b.effect.total_cmp(&a.effect));
    heads.truncate(count);
    heads
}

/// What the chosen heads of each layer add to the residual stream.
fn contributions(model: &LanguageModel, means: &HeadMeans, heads: &[ChosenHead]) -> Result<BTreeMap<usize, Vec<f32>>> {
    if heads.is_empty() {
        return Err(Error::vector("no head is chosen: a vector is the sum of what one or more contribute"));
    }
    // Means and heads may be those of a file.
    let sites = model.sites();
    let fits = |mean: &[f32]| mean.len() == sites.heads * sites.head_width && means.head_width == sites.head_width;
    let mut found: BTreeMap<usize, Vec<f32>> = BTreeMap::new();
    for ChosenHead { layer, head, .. } in heads {
        let there = *layer < sites.layers && *head < sites.heads;
        let Some(mean) = means.layers.get(*layer).filter(|mean| there && fits(mean.as_slice())) else {
            return Err(Error::vector(format!("the model has no {}", Site::Head(*layer, *head))));
        };
        let into = found.entry(*layer).or_insert_with(|| vec![0.0; mean.len()]);
        let part = head * means.head_width..(head + 1) * means.head_width;
        into[part.clone()].copy_from_slice(&mean[part]);
    }
    Ok(found.into_iter().map(|(layer, found)| (layer, model.contribution(layer, found))).collect())
}

/// The vector that heads make: the sum of what each adds to the residual stream of `model`, whose output projections may have
/// changed since the heads were chosen.
///
/// # Errors
/// Without heads, or for one that the means do not have.
pub fn vector_of(model: &LanguageModel, means: &HeadMeans, heads: &[ChosenHead]) -> Result<Vec<f32>> {
    Ok(sum(&contributions(model, means, heads)?))
}

fn sum(layers: &BTreeMap<usize, Vec<f32>>) -> Vec<f32> {
    let width = layers.values().next().map_or(0, Vec::len);
    (0..width).map(|at| layers.values().map(|layer| layer[at]).sum()).collect()
}

impl InstructionVector {
    /// The vector of the heads that `about` names.
    ///
    /// # Errors
    /// Without heads, or for one that the means do not have.
    pub fn of(model: &LanguageModel, means: HeadMeans, effects: Vec<Vec<f64>>, about: About) -> Result<Self> {
        let layers = contributions(model, &means, &about.heads)?;
        Ok(Self { about, vector: sum(&layers), layers, effects, means })
    }

    /// As this one, of other heads: what it is compared with.
    ///
    /// # Errors
    /// As [`InstructionVector::of`].
    pub fn of_other_heads(&self, model: &LanguageModel, heads: Vec<ChosenHead>) -> Result<Self> {
        Self::of(model, self.means.clone(), self.effects.clone(), About { heads, ..self.about.clone() })
    }

    /// What is to be added to activations: the whole vector at `site`, or, without one, each layer's part in its own layer.
    pub fn changes(&self, site: Option<Site>, scale: f32, device: &Device) -> Vec<Change> {
        let change = |(site, vector): (Site, &Vec<f32>)| {
            let entries: Vec<f32> = vector.iter().map(|x| scale * x).collect();
            let vector = Tensor::from_data(TensorData::new(entries, [vector.len()]), device);
            Change { site, at: At::Positions(Positions::PromptEnd), keep: 1.0, vector }
        };
        match site {
            Some(site) => vec![change((site, &self.vector))],
            None => self.layers.iter().map(|(&layer, part)| change((Site::AttnOut(layer), part))).collect(),
        }
    }

    /// Writes the file beside its place, syncs and renames it.
    ///
    /// # Errors
    /// When the system refuses.
    pub fn save(&self, path: impl AsRef<Path>) -> Result<()> {
        let path = path.as_ref();
        let bytes = |entries: &[f32]| entries.iter().flat_map(|x| x.to_le_bytes()).collect::<Vec<u8>>();
        let effects: Vec<f32> = self.effects.iter().flatten().map(|&effect| effect as f32).collect();
        let shape = vec![self.effects.len(), self.effects.first().map_or(0, Vec::len)];
        let layers =
            self.layers.iter().map(|(&layer, part)| (Site::AttnOut(layer).to_string(), vec![part.len()], bytes(part)));
        let whole = (VECTOR.to_owned(), vec![self.vector.len()], bytes(&self.vector));
        let found = self.means.layers.concat();
        let found = (
            MEANS.to_owned(),
            vec![self.means.layers.len(), found.len() / self.means.layers.len().max(1)],
            bytes(&found),
        );
        let tensors: Vec<_> = layers.chain([whole, found, (EFFECTS.to_owned(), shape, bytes(&effects))]).collect();
        let views = tensors.iter().map(|(name, shape, bytes)| {
            Ok((name, TensorView::new(Dtype::F32, shape.clone(), bytes).map_err(|e| Error::safetensors(path, e))?))
        });
        let about = serde_json::to_string(&self.about).map_err(|e| Error::json(path, e))?;
        let metadata = HashMap::from([(ABOUT.to_owned(), about)]);
        let views: Vec<_> = views.collect::<Result<_>>()?;
        let file = safetensors::serialize(views, Some(metadata)).map_err(|e| Error::safetensors(path, e))?;
        atomic::write_file(path, &file)
    }

    /// Reads what [`InstructionVector::save`] wrote.
    ///
    /// # Errors
    /// When the file is not there, or not one of an instruction vector.
    pub fn load(path: impl AsRef<Path>) -> Result<Self> {
        let path = path.as_ref();
        let bytes = atomic::read(path)?;
        let (_, metadata) = SafeTensors::read_metadata(&bytes).map_err(|e| Error::safetensors(path, e))?;
        let about = metadata.metadata().as_ref().and_then(|about| about.get(ABOUT));
        let not_one = || Error::vector(format!("{}: it is no file of `orbit iv extract`", path.display()));
        let about: About = serde_json::from_str(about.ok_or_else(not_one)?).map_err(|e| Error::json(path, e))?;
        if about.format > FORMAT {
            let message =
                format!("{}: its format is {}, this build reads up to {FORMAT}", path.display(), about.format);
            return Err(Error::vector(message));
        }
        let file = SafeTensors::deserialize(&bytes).map_err(|e| Error::safetensors(path, e))?;
        let entries = |name: &str| {
            let view = file.tensor(name).map_err(|e| Error::safetensors(path, e))?;
            if view.dtype() != Dtype::F32 {
                return Err(Error::tensor(path, name, format!("is {:?}, only F32 is read", view.dtype())));
            }
            let (entries, _) = view.data().as_chunks::<4>();
            Ok((view.shape().to_vec(), entries.iter().map(|x| f32::from_le_bytes(*x)).collect::<Vec<f32>>()))
        };
        let (shape, effects) = entries(EFFECTS)?;
        let heads = shape.last().copied().unwrap_or(1).max(1);
        let (shape, found) = entries(MEANS)?;
        let width = shape.last().copied().unwrap_or(1).max(1);
        let means = HeadMeans { layers: found.chunks(width).map(<[f32]>::to_vec).collect(), head_width: width / heads };
        let vector = entries(VECTOR)?.1;
        let layers: std::collections::BTreeSet<usize> = about.heads.iter().map(|head| head.layer).collect();
        let layer = |layer: usize| {
            let name = Site::AttnOut(layer).to_string();
            let part = entries(&name)?.1;
            if part.len() != vector.len() {
                let reason = format!("has {} entries, and the vector {}", part.len(), vector.len());
                return Err(Error::tensor(path, name, reason));
            }
            Ok((layer, part))
        };
        Ok(Self {
            layers: layers.into_iter().map(layer).collect::<Result<_>>()?,
            vector,
            effects: effects.chunks(heads).map(|row| row.iter().map(|&x| f64::from(x)).collect()).collect(),
            means,
            about,
        })
    }

    /// Checks that it is of a model with these weights.
    ///
    /// # Errors
    /// When it is not.
    pub fn check(&self, digest: &str) -> Result<()> {
        if self.about.model == digest {
            return Ok(());
        }
        let short = |digest: &str| digest.chars().take(12).collect::<String>();
        let (theirs, ours) = (short(&self.about.model), short(digest));
        Err(Error::vector(format!(
            "the vector is of the weights {theirs}, and the model's are {ours}: extract it anew"
        )))
    }
}
