//! What a forward pass keeps of its activations, and what it changes.

use burn::tensor::{Tensor, TensorData};
use orbit_hook::{Positions, Site};

use crate::{Error, Result};

/// The layers and heads that a model's sites are counted by.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Sites {
    /// Layers; of an encoder-decoder those of the encoder.
    pub layers: usize,
    /// Heads of a layer's attention.
    pub heads: usize,
    /// Entries of a head.
    pub head_width: usize,
    /// Entries of the residual stream.
    pub width: usize,
}

impl Sites {
    /// The entries at a site.
    ///
    /// # Errors
    /// When the model does not have it; the message says which it has.
    pub fn width_of(&self, site: Site) -> Result<usize> {
        let there = site.layer().is_some_and(|layer| layer < self.layers);
        match site {
            Site::Heads(_) if there => Ok(self.heads * self.head_width),
            Site::Head(_, head) if there && head < self.heads => Ok(self.head_width),
            Site::AttnOut(_) | Site::Out(_) if there => Ok(self.width),
            _ => Err(Error::Input(format!("the model has no site {site}{}", self.listed()))),
        }
    }

    fn listed(&self) -> String {
        match (self.layers.checked_sub(1), self.heads.checked_sub(1)) {
            (Some(layer), Some(head)) => format!(
                "; it has layers.0 to layers.{layer}, and in each heads, heads.0 to heads.{head}, attn_out and out"
            ),
            _ => String::from(" nor any other"),
        }
    }
}

/// A change of an activation: x ← keep · x + vector, at some tokens.
#[derive(Clone, Debug)]
pub struct Change {
    /// Where.
    pub site: Site,
    /// At which tokens.
    pub at: At,
    /// What is left of the activation: 1 adds the vector, 0 puts it in its place.
    pub keep: f32,
    /// As wide as the site.
    pub vector: Tensor<1>,
}

/// The tokens that a change is for.
#[derive(Clone, Debug)]
pub enum At {
    /// Those of every row.
    Positions(Positions),
    /// The end of one row's prompt.
    PromptEnd(usize),
    /// By their places in the flattened input.
    Tokens(Vec<u32>),
}

/// What one forward pass keeps of its activations, and what it changes. A model shows it every activation that has a
/// [`Site`] and goes on with what it gets back; where nothing is asked, that is the very tensor it has shown.
#[derive(Debug, Default)]
pub struct Trace {
    wanted: Vec<Site>,
    changes: Vec<Change>,
    kept: Vec<(Site, Tensor<3>)>,
    sites: Sites,
    layer: usize,
    rows: usize,
    width: usize,
    /// By row.
    ends: Vec<Option<u32>>,
}

impl Trace {
    /// Keeps the activations at `wanted`, and makes the changes in order.
    pub fn new(wanted: Vec<Site>, changes: Vec<Change>) -> Self {
        Self { wanted, changes, ..Self::default() }
    }

    /// Whether sites and vectors are such as the model has.
    ///
    /// # Errors
    /// For a site that the model does not have, or a vector that is not as wide as its site.
    pub fn check(&self, sites: &Sites) -> Result<()> {
        self.wanted
            .iter()
            .filter(|site| **site != Site::Logits)
            .try_for_each(|site| sites.width_of(*site).map(drop))?;
        self.changes.iter().try_for_each(|change| {
            let (width, [given]) = (sites.width_of(change.site)?, change.vector.dims());
            match width == given {
                true => Ok(()),
                false => Err(Error::Input(format!(
                    "a vector of {given} entries cannot go to {}, which has {width}: it is of another model or site",
                    change.site
                ))),
            }
        })
    }

    /// For the model: changes of its own, which come before those asked for.
    pub fn after(&mut self, changes: &[Change]) {
        self.changes.splice(0..0, changes.iter().cloned());
    }

    /// For the model: what follows are rows of `width` tokens, whose prompts end with the given columns, if they do.
    pub fn begin(&mut self, sites: Sites, rows: usize, width: usize, ends: impl Iterator<Item = Option<usize>>) {
        (self.sites, self.rows, self.width, self.layer) = (sites, rows, width, 0);
        let place = |(row, end): (usize, Option<usize>)| end.map(|column| (row * width + column) as u32);
        self.ends = ends.enumerate().map(place).collect();
    }

    /// For the model: the next activations are of this layer.
    pub fn layer(&mut self, layer: usize) {
        self.layer = layer;
    }

    /// For the model: what its heads have found, `[rows, width, heads · head width]`.
    pub fn heads(&mut self, x: Tensor<3>) -> Tensor<3> {
        self.see(Site::Heads(self.layer), x)
    }

    /// For the model: what the attention adds to the residual stream.
    pub fn attn_out(&mut self, x: Tensor<3>) -> Tensor<3> {
        self.see(Site::AttnOut(self.layer), x)
    }

    /// For the model: the residual stream behind the layer.
    pub fn out(&mut self, x: Tensor<3>) -> Tensor<3> {
        self.see(Site::Out(self.layer), x)
    }

    /// The activation at a site that was wanted, `[rows, width, entries]`, after the changes.
    pub fn kept(&self, site: Site) -> Option<Tensor<3>> {
        let whole = whole(site);
        let (_, x) = self.kept.iter().find(|(kept, _)| *kept == whole)?;
        Some(match site {
            Site::Head(_, head) => x.clone().narrow(2, head * self.sites.head_width, self.sites.head_width),
            _ => x.clone(),
        })
    }

    /// Where prompts end, as places in the flattened rows.
    pub fn ends(&self) -> Vec<u32> {
        self.ends.iter().flatten().copied().collect()
    }

    /// The rows and columns that it was shown.
    pub fn grid(&self) -> [usize; 2] {
        [self.rows, self.width]
    }

    fn see(&mut self, site: Site, mut x: Tensor<3>) -> Tensor<3> {
        for change in self.changes.iter().filter(|change| whole(change.site) == site) {
            x = self.changed(x, change);
        }
        if self.wanted.iter().any(|wanted| whole(*wanted) == site) {
            self.kept.push((site, x.clone()));
        }
        x
    }

    fn changed(&self, x: Tensor<3>, change: &Change) -> Tensor<3> {
        let [rows, width, entries] = x.dims();
        let device = x.device();
        let mut tokens = vec![0.0; rows * width];
        match &change.at {
            At::Positions(Positions::All) => tokens.fill(1.0),
            At::Positions(Positions::PromptEnd) => self.ends().iter().for_each(|&at| tokens[at as usize] = 1.0),
            At::PromptEnd(row) => self.ends.get(*row).into_iter().flatten().for_each(|&at| tokens[at as usize] = 1.0),
            At::Positions(Positions::Answer) => self.ends().iter().for_each(|&end| {
                let row_end = (end as usize / width + 1) * width;
                tokens[end as usize..row_end].fill(1.0);
            }),
            At::Tokens(places) => places.iter().for_each(|&at| tokens[at as usize] = 1.0),
        }
        let tokens: Tensor<3> = Tensor::from_data(TensorData::new(tokens, [rows, width, 1]), &device);
        let [part] = change.vector.dims();
        let first = if let Site::Head(_, head) = change.site { head * part } else { 0 };
        let tracked = device.is_autodiff() && !change.vector.device().is_autodiff();
        let vector = change.vector.clone();
        let vector = if tracked { Tensor::from_inner(vector) } else { vector }.reshape([1, 1, part]);
        let padded = match part == entries {
            true => vector,
            false => Tensor::zeros([1, 1, entries], &device).slice_assign([0..1, 0..1, first..first + part], vector),
        };
        let added = tokens.clone() * padded;
        if change.keep == 1.0 {
            return x + added;
        }
        let mut lost = vec![0.0; entries];
        lost[first..first + part].fill(1.0 - change.keep);
        let lost: Tensor<3> = Tensor::from_data(TensorData::new(lost, [1, 1, entries]), &device);
        x.clone() - x * (tokens * lost) + added
    }
}

/// The site whose activation a model shows: all heads together.
fn whole(site: Site) -> Site {
    match site {
        Site::Head(layer, _) => Site::Heads(layer),
        other => other,
    }
}
