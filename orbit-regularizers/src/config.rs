use std::num::NonZeroU64;

use orbit_hook::{Hook, Result};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::{
    Ball, Decay, Ema, Ewc, Freeze, Half, InstructionVector, Interpolate, Kl, L2Sp, Lwf, Mas, OLora, Orbit, Si, Soup,
};

/// One entry of the list of hooks. The list's order is the order in which hooks act, in every phase.
#[derive(Clone, Debug, PartialEq, Deserialize, Serialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct HookEntry {
    /// A pattern over parameter names, such as `layers.*`: the hook sees the parameters that match. Default: all of them.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub only: Option<String>,
    /// The hook acts on every step whose number is a multiple of this. Default: 1.
    #[serde(default = "default_every")]
    pub every: NonZeroU64,
    /// Which hook, with its options.
    pub r#use: Use,
}

fn default_every() -> NonZeroU64 {
    NonZeroU64::MIN
}

/// A hook by name, with its options.
#[derive(Clone, Debug, PartialEq, Deserialize, Serialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum Use {
    /// Merges with the origin until the drift is small enough.
    Orbit(Orbit),
    /// Merges with the origin every k steps.
    Soup(Soup),
    /// Merges with the origin once, at the end.
    Interpolate(Interpolate),
    /// Ends on a running average of the weights.
    Ema(Ema),
    /// Projects onto a ball around the origin.
    Ball(Ball),
    /// Pulls towards the origin through the gradient.
    L2Sp(L2Sp),
    /// Pulls towards zero.
    Decay(Decay),
    /// Keeps the output distribution near the original's.
    Kl(Kl),
    /// Keeps the output distribution near that of the model before the task, on the task's inputs.
    Lwf(Lwf),
    /// Pulls towards the last stage's weights, by Fisher information.
    Ewc(Ewc),
    /// Pulls towards the last stage's weights, by the sensitivity of the outputs.
    Mas(Mas),
    /// Pulls towards the last stage's weights, by what each entry did for the loss.
    Si(Si),
    /// Keeps each stage's adapter orthogonal to the earlier ones.
    OLora(OLora),
    /// Keeps the heads that carry a skill, and the output near what they say.
    InstructionVector(InstructionVector),
    /// Holds the bottom layers after the first stage.
    Freeze(Freeze),
    /// Holds half of the matrices, drawn anew in each stage.
    Half(Half),
    /// A hook from a library of its own.
    #[cfg(feature = "plugin")]
    Plugin(crate::plugin::Plugin),
}

impl Use {
    /// The files that it reads, as its options name them; a plugin's are in its own config.
    pub fn files(&mut self) -> impl Iterator<Item = &mut String> {
        let (one, many) = match self {
            Self::Ewc(ewc) => (ewc.importance.as_mut(), [].as_mut_slice()),
            Self::InstructionVector(guidance) => (None, guidance.vectors.as_mut_slice()),
            _ => (None, [].as_mut_slice()),
        };
        one.into_iter().chain(many)
    }

    /// The hook, with nothing done yet. Its options are checked when it is attached.
    ///
    /// # Errors
    /// For a plugin that cannot be loaded from its path, taken as it stands, or does not take its config.
    pub fn build(&self) -> Result<Box<dyn Hook>> {
        Ok(match self {
            Self::Orbit(orbit) => Box::new(orbit.clone()),
            Self::Soup(soup) => Box::new(soup.clone()),
            Self::Interpolate(interpolate) => Box::new(interpolate.clone()),
            Self::Ema(ema) => Box::new(ema.clone()),
            Self::Ball(ball) => Box::new(ball.clone()),
            Self::L2Sp(l2_sp) => Box::new(l2_sp.clone()),
            Self::Decay(decay) => Box::new(decay.clone()),
            Self::Kl(kl) => Box::new(kl.clone()),
            Self::Lwf(lwf) => Box::new(lwf.clone()),
            Self::Ewc(ewc) => Box::new(ewc.clone()),
            Self::Mas(mas) => Box::new(mas.clone()),
            Self::Si(si) => Box::new(si.clone()),
            Self::OLora(o_lora) => Box::new(o_lora.clone()),
            Self::InstructionVector(guidance) => Box::new(guidance.clone()),
            Self::Freeze(freeze) => Box::new(freeze.clone()),
            Self::Half(half) => Box::new(half.clone()),
            #[cfg(feature = "plugin")]
            Self::Plugin(plugin) => {
                let hook = plugin.hook(&crate::plugin::Search::default());
                hook.map_err(|error| orbit_hook::Error::config(error.to_string()))?
            }
        })
    }
}
