use std::ops::{BitOr, BitOrAssign};

use crate::{ForwardPlan, Pass, Result, Space, State};

/// Something that shapes training. Implement the phases you name.
///
/// The crate's page shows where each phase stands in the training step. All methods but the first two do nothing by default.
pub trait Hook: Send {
    /// The name in the config, in logs and in errors.
    fn name(&self) -> &str;

    /// The phases this hook acts in. Asked once, before `attach`, and cached: a phase not named here is never called.
    fn phases(&self) -> Phases;

    /// Before step 1, when Weights == Origin. Checks options against the parameters, fills slots. Called always.
    fn attach(&mut self, space: &mut dyn Space) -> Result<()> {
        let _ = space;
        Ok(())
    }

    /// Before the forward pass of a step: which activations to keep for [`Hook::loss`].
    fn forward(&mut self, step: &Step, plan: &mut ForwardPlan) -> Result<()> {
        let _ = (step, plan);
        Ok(())
    }

    /// With the forward pass done, once per micro-batch: add differentiable terms to the loss.
    fn loss(&mut self, step: &Step, pass: &mut dyn Pass) -> Result<()> {
        let _ = (step, pass);
        Ok(())
    }

    /// After backward, before the update. Gradients are those of the mean loss over the whole batch, not yet clipped.
    fn gradients(&mut self, step: &Step, space: &mut dyn Space) -> Result<()> {
        let _ = (step, space);
        Ok(())
    }

    /// After the update.
    fn weights(&mut self, step: &Step, space: &mut dyn Space) -> Result<()> {
        let _ = (step, space);
        Ok(())
    }

    /// After the last step. Weights are writable.
    fn finish(&mut self, space: &mut dyn Space) -> Result<()> {
        let _ = space;
        Ok(())
    }

    /// Puts what must survive a restart into `state`. Slots are saved by the host.
    fn save(&self, state: &mut State) -> Result<()> {
        let _ = state;
        Ok(())
    }

    /// Takes back what [`Hook::save`] put. Called after `attach`, in a hook made from the same config.
    fn load(&mut self, state: &State) -> Result<()> {
        let _ = state;
        Ok(())
    }
}

impl<H: Hook + ?Sized> Hook for Box<H> {
    fn name(&self) -> &str {
        (**self).name()
    }
    fn phases(&self) -> Phases {
        (**self).phases()
    }
    fn attach(&mut self, space: &mut dyn Space) -> Result<()> {
        (**self).attach(space)
    }
    fn forward(&mut self, step: &Step, plan: &mut ForwardPlan) -> Result<()> {
        (**self).forward(step, plan)
    }
    fn loss(&mut self, step: &Step, pass: &mut dyn Pass) -> Result<()> {
        (**self).loss(step, pass)
    }
    fn gradients(&mut self, step: &Step, space: &mut dyn Space) -> Result<()> {
        (**self).gradients(step, space)
    }
    fn weights(&mut self, step: &Step, space: &mut dyn Space) -> Result<()> {
        (**self).weights(step, space)
    }
    fn finish(&mut self, space: &mut dyn Space) -> Result<()> {
        (**self).finish(space)
    }
    fn save(&self, state: &mut State) -> Result<()> {
        (**self).save(state)
    }
    fn load(&mut self, state: &State) -> Result<()> {
        (**self).load(state)
    }
}

/// Where training is when a hook is called.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Step {
    /// This step's number; the first is 1.
    pub number: u64,
    /// How many steps the run will take.
    pub total: u64,
    /// The learning rate of this step.
    pub learning_rate: f64,
}

/// A set of phases.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Phases(u32);

impl Phases {
    /// No phase.
    pub const NONE: Self = Self(0);
    /// [`Hook::forward`].
    pub const FORWARD: Self = Self(1);
    /// [`Hook::loss`].
    pub const LOSS: Self = Self(1 << 1);
    /// [`Hook::gradients`].
    pub const GRADIENTS: Self = Self(1 << 2);
    /// [`Hook::weights`].
    pub const WEIGHTS: Self = Self(1 << 3);
    /// [`Hook::finish`].
    pub const FINISH: Self = Self(1 << 4);
    /// Every phase with its name, in the order in which they happen.
    pub const ALL: [(Self, &'static str); 5] = [
        (Self::FORWARD, "forward"),
        (Self::LOSS, "loss"),
        (Self::GRADIENTS, "gradients"),
        (Self::WEIGHTS, "weights"),
        (Self::FINISH, "finish"),
    ];

    /// The set as a number: 1 for the first of [`Phases::ALL`], 2 for the second, 4 for the third, and so on, in sum.
    pub fn bits(self) -> u32 {
        self.0
    }

    /// The set that is this number; none if it names a phase that does not exist.
    pub fn from_bits(bits: u32) -> Option<Self> {
        let all = Self::ALL.into_iter().fold(0, |all, (phase, _)| all | phase.0);
        (bits & !all == 0).then_some(Self(bits))
    }

    /// Whether every phase of `other` is in this set.
    pub fn contains(self, other: Self) -> bool {
        self.0 & other.0 == other.0
    }

    /// Whether any phase of `other` is in this set.
    pub fn intersects(self, other: Self) -> bool {
        self.0 & other.0 != 0
    }

    /// The names of the phases in this set.
    pub fn names(self) -> impl Iterator<Item = &'static str> {
        Self::ALL.into_iter().filter(move |(phase, _)| self.contains(*phase)).map(|(_, name)| name)
    }
}

impl BitOr for Phases {
    type Output = Self;
    fn bitor(self, other: Self) -> Self {
        Self(self.0 | other.0)
    }
}

impl BitOrAssign for Phases {
    fn bitor_assign(&mut self, other: Self) {
        self.0 |= other.0;
    }
}
