use std::path::Path;

use orbit_hook::{
    Edit, Entry, Error, ErrorKind, ForwardPlan, Hook, Pass, Phases, Positions, Reference, Result, Site, Space, State,
    Step, Value,
};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::{At, range};

/// Training that is guided by an instruction vector (function vector), as in arXiv 2502.11019 and its authors' code. With T the
/// last token of each prompt, z the logits, ref the origin, and ref + v the origin with the vector added at `site` and T, the loss
/// gains
///
/// ```text
/// prompt_kl · [k₁ > kl_dead_zone] k₁              k₁ = KL(z ‖ ref + v) at T, softened by τ, mean over examples
/// + kl · [k₂ > kl_dead_zone] k₂                   k₂ = the same summed over an example's positions
/// + consistency · Σ_h [m_h > dead_zone] m_h       m_h = mean over T of (what head h finds − what ref's does)²
/// ```
///
/// over the heads of the vector's file. The defaults are those of their scripts: no factor τ², the direction that is expensive
/// where the model in training says what the reference would not, dead zones within which a term is nothing. Our choice:
/// padding does not count. [`intervention`](Self::intervention) is our reconstruction of the progressive intervention of
/// arXiv 2406.12227, whose schedule is not published: it adds the vector to the model in training too, less and less, so that
/// training has to take over what it does.
///
/// The origin is the model at the start of the stage, or of the run if it keeps that. Costs a forward pass of it with the vector,
/// one without for `consistency`, which share the layers below the vector in a decoder, and the logits of both models at the
/// positions that count.
#[derive(Clone, Debug, PartialEq, Deserialize, Serialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct InstructionVector {
    /// Files of `orbit iv extract`: one for all stages, or one for each.
    pub vectors: Vec<String>,
    /// Where the vector is added. Default: `layers.9.attn_out`, the authors' for models of 32 layers.
    #[serde(default = "default_site")]
    pub site: String,
    /// What the vector is multiplied by. Default: 1.
    #[serde(default = "one")]
    pub scale: f64,
    /// The weight of the divergence at the prompt's end, the authors' α₁, 0 or above. Default: 20.
    #[serde(default = "default_prompt_kl")]
    pub prompt_kl: f64,
    /// The weight of the divergence over an example, the authors' α₂, 0 or above. Default: 0.1.
    #[serde(default = "tenth")]
    pub kl: f64,
    /// The positions that the divergence over an example is over. Default: all.
    #[serde(default = "everywhere")]
    pub positions: At,
    /// τ, above 0. Default: 2.
    #[serde(default = "default_temperature")]
    pub temperature: f64,
    /// Which way the divergence is taken. Default: reverse.
    #[serde(default)]
    pub direction: Direction,
    /// A divergence up to here costs nothing. Default: 0.1.
    #[serde(default = "tenth")]
    pub kl_dead_zone: f64,
    /// The weight of the heads' consistency, 0 or above. Default: 1.
    #[serde(default = "one")]
    pub consistency: f64,
    /// A head's squared difference up to here costs nothing. Default: 0.01.
    #[serde(default = "hundredth")]
    pub consistency_dead_zone: f64,
    /// How the vector that is added to the model in training fades over a stage. Default: none is added.
    #[serde(default)]
    pub intervention: Intervention,
    /// What the heads are, and how many stages have begun: state, saved with the run, not an option.
    #[serde(skip)]
    pub progress: Progress,
}

/// Which way a divergence is taken.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize, Serialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Direction {
    /// KL(model in training ‖ reference), as the authors' code has it.
    #[default]
    Reverse,
    /// KL(reference ‖ model in training), as in distillation.
    Forward,
}

/// How the coefficient of an added vector goes from 1 to 0.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize, Serialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Intervention {
    /// There is none.
    #[default]
    None,
    /// In equal steps.
    Linear,
    /// As half a cosine wave.
    Cosine,
    /// It stays at 1.
    Constant,
}

/// Where a run is.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Progress {
    /// Stages that have begun.
    begun: u64,
    /// The heads of each file.
    heads: Vec<Vec<Site>>,
}

fn default_site() -> String {
    Site::AttnOut(9).to_string()
}

fn one() -> f64 {
    1.0
}

fn tenth() -> f64 {
    0.1
}

fn hundredth() -> f64 {
    0.01
}

fn default_prompt_kl() -> f64 {
    20.0
}

fn default_temperature() -> f64 {
    2.0
}

fn everywhere() -> At {
    At::All
}

/// The vector's name in its file.
const VECTOR: &str = "vector";

/// What is read of the file's metadata.
#[derive(Deserialize)]
struct About {
    heads: Vec<Head>,
}

#[derive(Deserialize)]
struct Head {
    layer: usize,
    head: usize,
}

impl InstructionVector {
    /// The authors' defaults, with one vector for all stages or one for each.
    pub fn new(vectors: impl IntoIterator<Item = impl Into<String>>) -> Self {
        Self {
            vectors: vectors.into_iter().map(Into::into).collect(),
            site: default_site(),
            scale: 1.0,
            prompt_kl: default_prompt_kl(),
            kl: tenth(),
            positions: At::All,
            temperature: default_temperature(),
            direction: Direction::default(),
            kl_dead_zone: tenth(),
            consistency: 1.0,
            consistency_dead_zone: hundredth(),
            intervention: Intervention::default(),
            progress: Progress::default(),
        }
    }

    /// The place among the files of the stage that runs.
    fn current(&self) -> usize {
        if self.vectors.len() == 1 { 0 } else { self.progress.begun.saturating_sub(1) as usize }
    }

    fn heads(&self) -> &[Site] {
        self.progress.heads.get(self.current()).map_or(&[], Vec::as_slice)
    }

    /// The vector at its site, times a coefficient.
    fn edit(&self, coefficient: f64) -> Result<Edit> {
        let file = self.vectors[self.current()].clone();
        let scale = (self.scale * coefficient) as f32;
        Ok(Edit { site: self.site.parse()?, at: Positions::PromptEnd, file, name: VECTOR.into(), scale })
    }

    /// The divergence at some positions without the factor τ², and its rows.
    fn divergence(&self, pass: &mut dyn Pass, guide: Reference, at: Positions) -> Result<(Value, usize)> {
        let (logits, guided) = (pass.logits()?, pass.of(guide, Site::Logits)?);
        let (logits, guided) = (pass.select(logits, at)?, pass.select(guided, at)?);
        let (p, q) = match self.direction {
            Direction::Reverse => (logits, guided),
            Direction::Forward => (guided, logits),
        };
        Ok((pass.kl(p, q, self.temperature as f32)?, pass.rows(logits)?))
    }

    fn guide(&self, pass: &mut dyn Pass) -> Result<()> {
        let reference = pass.reference(&ForwardPlan { taps: Vec::new(), edits: vec![self.edit(1.0)?] })?;
        let square = self.temperature * self.temperature;
        let (end, examples) = self.divergence(pass, reference, Positions::PromptEnd)?;
        gated(pass, "prompt_kl", end, (self.prompt_kl, square.recip(), self.kl_dead_zone))?;
        if self.kl > 0.0 {
            let at = self.positions.positions();
            let (all, rows) = self.divergence(pass, reference, at)?;
            let per_example = rows as f64 / examples.max(1) as f64;
            gated(pass, "kl", all, (self.kl, per_example / square, self.kl_dead_zone))?;
        }
        Ok(())
    }

    fn keep_heads(&self, pass: &mut dyn Pass) -> Result<()> {
        // The layers before the vector are those of the pass with it, which goes on from here.
        let before = self.site.parse::<Site>()?.layer().and_then(|layer| layer.checked_sub(1)).map(Site::Out);
        let taps = self.heads().iter().copied().chain(before).collect();
        let reference = pass.reference(&ForwardPlan { taps, edits: Vec::new() })?;
        for &head in self.heads() {
            let (now, then) = (pass.tapped(head)?, pass.of(reference, head)?);
            let now = pass.select(now, Positions::PromptEnd)?;
            let then = pass.select(then, Positions::PromptEnd)?;
            let term = pass.mse(now, then)?;
            gated(pass, "consistency", term, (self.consistency, 1.0, self.consistency_dead_zone))?;
        }
        Ok(())
    }
}

/// Adds weight · times · value to the loss, if times · value is above the dead zone.
fn gated(pass: &mut dyn Pass, name: &str, value: Value, (weight, times, dead_zone): (f64, f64, f64)) -> Result<()> {
    let size = pass.scalar(value)? * times;
    // A value that is not a number goes on, for the host to find.
    if weight > 0.0 && (size > dead_zone || size.is_nan()) {
        pass.add_loss(name, weight * times, value)?;
    }
    Ok(())
}

/// The heads that a vector is the sum of.
fn read(file: &str) -> Result<Vec<Site>> {
    // Not an error of the config, which is checked where its paths do not lead yet.
    let failed = |reason: String| Error::failed(format!("{file}: {reason}"));
    let bytes = std::fs::read(Path::new(file)).map_err(|e| failed(e.to_string()))?;
    let metadata = safetensors::SafeTensors::read_metadata(&bytes).map_err(|e| failed(e.to_string()))?.1;
    let about = metadata.metadata().as_ref().and_then(|about| about.get("orbit"));
    let about = about.ok_or_else(|| failed("it is no file of `orbit iv extract`".into()))?;
    let About { heads } = serde_json::from_str(about).map_err(|e| failed(e.to_string()))?;
    if heads.is_empty() {
        return Err(failed("no head is chosen in it".into()));
    }
    Ok(heads.into_iter().map(|Head { layer, head }| Site::Head(layer, head)).collect())
}

impl Intervention {
    /// From 1 in the first step to 0 in the last.
    fn coefficient(self, step: &Step) -> f64 {
        let gone = step.number.saturating_sub(1) as f64 / step.total.saturating_sub(1).max(1) as f64;
        match self {
            Self::None => 0.0,
            Self::Linear => 1.0 - gone,
            Self::Cosine => (1.0 + (std::f64::consts::PI * gone).cos()) / 2.0,
            Self::Constant => 1.0,
        }
    }
}

impl Hook for InstructionVector {
    fn name(&self) -> &str {
        "instruction_vector"
    }

    fn phases(&self) -> Phases {
        Phases::FORWARD | Phases::LOSS
    }

    fn attach(&mut self, _: &mut dyn Space) -> Result<()> {
        for (option, value) in [("prompt_kl", self.prompt_kl), ("kl", self.kl), ("kl_dead_zone", self.kl_dead_zone)] {
            range::at_least_zero(option, value)?;
        }
        range::at_least_zero("consistency", self.consistency)?;
        range::at_least_zero("consistency_dead_zone", self.consistency_dead_zone)?;
        range::above_zero("temperature", self.temperature)?;
        if !self.scale.is_finite() {
            return Err(Error::config(format!("scale must be finite, got {}", self.scale)));
        }
        self.site.parse::<Site>().map_err(|e| Error::config(format!("site: {e}")))?;
        if self.progress.heads.is_empty() {
            self.progress.heads = self.vectors.iter().map(|file| read(file)).collect::<Result<_>>()?;
        }
        self.progress.begun += 1;
        match self.progress.heads.len() {
            0 => Err(Error::config("vectors: give a file for all stages, or one for each".to_owned())),
            1 => Ok(()),
            files if files as u64 >= self.progress.begun => Ok(()),
            files => Err(Error::config(format!(
                "vectors: stage {} has none of the {files} files: give one for all stages, or one for each",
                self.progress.begun
            ))),
        }
    }

    fn forward(&mut self, step: &Step, plan: &mut ForwardPlan) -> Result<()> {
        if self.consistency > 0.0 {
            plan.taps.extend(self.heads());
        }
        let coefficient = self.intervention.coefficient(step);
        if coefficient > 0.0 {
            plan.edits.push(self.edit(coefficient)?);
        }
        Ok(())
    }

    fn loss(&mut self, _: &Step, pass: &mut dyn Pass) -> Result<()> {
        if self.consistency > 0.0 {
            self.keep_heads(pass)?;
        }
        if self.prompt_kl > 0.0 || self.kl > 0.0 { self.guide(pass) } else { Ok(()) }
    }

    fn save(&self, state: &mut State) -> Result<()> {
        state.put("begun", Entry::Count(self.progress.begun));
        Ok(())
    }

    fn load(&mut self, state: &State) -> Result<()> {
        let (begun, files) = (state.count("begun")?, self.vectors.len());
        if files > 1 && begun > files as u64 {
            let reason = format!("saved state says that stage {begun} has begun, and there are vectors for {files}");
            return Err(Error::new(ErrorKind::State, reason));
        }
        self.progress.begun = begun;
        Ok(())
    }
}
