use std::collections::BTreeMap;

use orbit_hook::{Entry, Error, Hook, Param, Phases, Result, Space, State, Step};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::random::Random;
use crate::{held, names};

/// Half fine-tuning (arXiv 2404.18466): in every stage, a fresh draw holds half of each layer's matrices as they are, to the bit.
///
/// Half of a layer's attention matrices are held, and half of its feed-forward ones; half of an odd number is rounded up in a
/// random half of the layers and down in the others: of three matrices, two or one. Our choices, where the paper's own were not
/// to be had: a draw per stage; norms, biases and whatever is in no layer are trained; LoRA factors go with their matrix.
/// Gradients of what is held become zero before they are clipped. Put it last: a hook after it in the list may still move what is
/// held. The draw depends on `seed`, the stage and the parameters alone.
///
/// Costs memory for one more copy of what is held, over the stages of every matrix, and two passes over what is held a step; the
/// backward pass computes its gradients all the same.
#[derive(Clone, Debug, Default, PartialEq, Deserialize, Serialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Half {
    /// What the draws depend on beside the stage. Default: 0.
    #[serde(default)]
    pub seed: u64,
    /// Which stage it is: state, saved with the run, not an option.
    #[serde(skip)]
    pub stage: u64,
}

/// The matrices of one kind in one layer: to each name, where its parameters stand.
type Matrices<'p> = BTreeMap<&'p str, Vec<usize>>;

impl Half {
    /// Half fine-tuning with the draws of a seed.
    pub fn new(seed: u64) -> Self {
        Self { seed, stage: 0 }
    }

    /// Where the parameters stand that this stage holds, in order.
    fn held(&self, space: &dyn Space) -> Vec<usize> {
        let mut random = Random::new([self.seed, self.stage]);
        let mut held: Vec<usize> =
            kinds(space.params()).into_values().flat_map(|layers| draw(layers, &mut random)).collect();
        held.sort_unstable();
        held
    }
}

/// The layers' matrices, those of attention apart from the others.
fn kinds(params: &[Param]) -> BTreeMap<bool, BTreeMap<(&str, usize), Matrices<'_>>> {
    let mut kinds: BTreeMap<bool, BTreeMap<_, Matrices<'_>>> = BTreeMap::new();
    for (at, param) in params.iter().enumerate().filter(|(_, param)| param.shape.len() == 2) {
        let Some((stack, layer, rest)) = names::layer(&param.name) else { continue };
        // T5's table of biases by distance is an embedding.
        if rest.contains("relative_attention_bias") {
            continue;
        }
        let matrix = rest.split(".lora.").next().unwrap_or(rest);
        let attends = ["attn", "Attention", "attention"].iter().any(|part| matrix.contains(part));
        kinds.entry(attends).or_default().entry((stack, layer)).or_default().entry(matrix).or_default().push(at);
    }
    kinds
}

/// Draws half of each layer's matrices, of one kind.
fn draw(layers: BTreeMap<(&str, usize), Matrices<'_>>, random: &mut Random) -> Vec<usize> {
    let odd = layers.values().filter(|matrices| matrices.len() % 2 == 1).count();
    // Of the layers with an odd number, half draw one more.
    let mut more: Vec<usize> = (0..odd).map(|at| usize::from(at < odd / 2)).collect();
    random.shuffle(&mut more);
    let mut drawn = Vec::new();
    for matrices in layers.into_values() {
        let count = matrices.len();
        let extra = if count % 2 == 1 { more.pop().unwrap_or(0) } else { 0 };
        let mut matrices: Vec<Vec<usize>> = matrices.into_values().collect();
        random.shuffle(&mut matrices);
        drawn.extend(matrices.into_iter().take(count / 2 + extra).flatten());
    }
    drawn
}

impl Hook for Half {
    fn name(&self) -> &str {
        "half"
    }

    fn phases(&self) -> Phases {
        Phases::GRADIENTS | Phases::WEIGHTS
    }

    fn attach(&mut self, space: &mut dyn Space) -> Result<()> {
        if kinds(space.params()).is_empty() {
            return Err(Error::config("half needs matrices in layers, and no parameter's name is of one"));
        }
        self.stage += 1;
        let held = self.held(space);
        held::keep(space, &held)
    }

    fn gradients(&mut self, _: &Step, space: &mut dyn Space) -> Result<()> {
        let held = self.held(space);
        held::still(space, &held)
    }

    fn weights(&mut self, _: &Step, space: &mut dyn Space) -> Result<()> {
        let held = self.held(space);
        held::put_back(space, &held)
    }

    fn save(&self, state: &mut State) -> Result<()> {
        state.put("stage", Entry::Count(self.stage));
        Ok(())
    }

    fn load(&mut self, state: &State) -> Result<()> {
        self.stage = state.count("stage")?;
        Ok(())
    }
}
