use std::ops::{BitOr, BitOrAssign};

use crate::{ForwardPlan, Pass, Result, Space, State};

/// Something that shapes training. Implement the phases you name.
///
/// The crate's page shows where each phase stands in the training step. All methods but the first two do nothing by default.
///
/// A run may go through several stages, such as a sequence of tasks, one after the other. One hook lives through all of them:
/// every stage begins with [`Hook::attach`] and ends with [`Hook::finish`], and the hook's fields and slots are kept from one
/// stage to the next. What belongs to one stage alone is reset in `attach`.
pub trait Hook: Send {
    /// The name in the config, in logs and in errors.
    fn name(&self) -> &str;

    /// The phases this hook acts in. Asked once, before `attach`, and cached: a phase not named here is never called.
    fn phases(&self) -> Phases;

    /// Before step 1 of every stage. Checks options against the parameters, fills slots. Called always.
    ///
    /// Weights == Origin, unless the run keeps the original weights of the base model as the origin over all stages: then that
    /// holds in the first stage only. In a run that is resumed, in whichever stage, a fresh hook is attached once, and then its
    /// slots and what it saved are put back: what `attach` did to either is overwritten.
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

    /// After the last step of every stage. Weights are writable, and the estimates that [`Hook::phases`] asks for can be read.
    fn finish(&mut self, space: &mut dyn Space) -> Result<()> {
        let _ = space;
        Ok(())
    }

    /// Puts what must survive a restart into `state`. Slots are saved by the host.
    fn save(&self, state: &mut State) -> Result<()> {
        let _ = state;
        Ok(())
    }

    /// Takes back what [`Hook::save`] put, in whichever stage that was. Called after `attach`, in a hook made from the same
    /// config.
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
    /// This step's number within its stage; the first of every stage is 1.
    pub number: u64,
    /// How many steps the stage will take.
    pub total: u64,
    /// The learning rate of this step.
    pub learning_rate: f64,
}

/// The estimate that [`Phases::FISHER`] asks for, as [`Space::read`] knows it.
pub const FISHER: &str = "fisher";

/// The estimate that [`Phases::SENSITIVITY`] asks for, as [`Space::read`] knows it.
pub const SENSITIVITY: &str = "sensitivity";

/// A set of phases, and of estimates that a hook asks for.
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
    /// Asks the host for the diagonal of the empirical Fisher information: after the last step of every stage and before any
    /// hook's [`Hook::finish`], the mean over training examples of (∂/∂θ log p(y|x))², with the gold answer y, the gradient
    /// taken for each example on its own and not for a batch. `finish` has it by [`Space::read`] under [`FISHER`].
    pub const FISHER: Self = Self(1 << 5);
    /// Asks the host for the sensitivity of the outputs (memory aware synapses, arXiv 1711.09601), when and how
    /// [`Phases::FISHER`] does: the mean over training examples of |∂/∂θ ‖f(x)‖²|, with the logits f at the positions of the
    /// answer and the squared norm averaged over them. `finish` has it by [`Space::read`] under [`SENSITIVITY`].
    pub const SENSITIVITY: Self = Self(1 << 6);
    /// Every phase in which a hook is called, with its name, in the order in which they happen.
    pub const ALL: [(Self, &'static str); 5] = [
        (Self::FORWARD, "forward"),
        (Self::LOSS, "loss"),
        (Self::GRADIENTS, "gradients"),
        (Self::WEIGHTS, "weights"),
        (Self::FINISH, "finish"),
    ];
    /// Every estimate that a hook may ask for, with its name. No method of a hook belongs to them alone: they cost the host some
    /// forward and backward passes at the end of a stage.
    pub const ESTIMATES: [(Self, &'static str); 2] = [(Self::FISHER, FISHER), (Self::SENSITIVITY, SENSITIVITY)];

    /// The set as a number: 1 for the first of [`Phases::ALL`] and then of [`Phases::ESTIMATES`], 2 for the second, 4 for the
    /// third, and so on, in sum.
    pub fn bits(self) -> u32 {
        self.0
    }

    /// The set that is this number; none if it names a phase that does not exist.
    pub fn from_bits(bits: u32) -> Option<Self> {
        let all = Self::named().fold(0, |all, (phase, _)| all | phase.0);
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

    /// The names of the phases in this set, and of the estimates after them.
    pub fn names(self) -> impl Iterator<Item = &'static str> {
        Self::named().filter(move |(phase, _)| self.contains(*phase)).map(|(_, name)| name)
    }

    fn named() -> impl Iterator<Item = (Self, &'static str)> {
        Self::ALL.into_iter().chain(Self::ESTIMATES)
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
