//! What crosses the boundary, byte for byte. `orbit_hook.h` is generated from this file alone.
//!
//! Rules, for both sides:
//!
//! - Every table begins with its size in bytes and the version of this interface. Tables only grow at their end, and what a
//!   size does not cover is not there. The two fields never move.
//! - What is lent is named so. A `Bytes` is valid until the call that it is an argument of returns; the tables that the
//!   host gives to a call, until that call returns. Whoever wants to keep what was lent copies it.
//! - Nothing that one side has allocated is freed by the other. An answer whose length the caller cannot know is given to an
//!   `Answer`, which copies it. The one thing that outlives a call, the plugin's instance, is freed by the plugin.
//! - A call that fails returns a status other than `OK`, and has given one sentence of UTF-8 to its `error`. `error` is never
//!   null. Outputs are written only when the status is `OK`.
//! - Nothing unwinds across the boundary, neither a Rust panic nor a C++ exception.
//! - The host calls one instance from one thread at a time, which need not always be the same. Different instances may be
//!   called at once.

use std::ffi::c_void;

/// The version of this interface that this file describes.
pub const VERSION: u32 = 1;

/// The oldest version that a host of this version still reads.
pub const OLDEST_VERSION: u32 = 1;

/// How a call went; one of the constants that follow.
pub type Status = u32;
/// It did what was asked.
pub const OK: Status = 0;
/// A vector was written in a phase in which it is read-only, or read when it does not exist; a table was used after its call.
pub const PHASE: Status = 1;
/// A parameter, slot or handle that the host does not have.
pub const UNKNOWN: Status = 2;
/// An option is out of range, or a configuration cannot be read.
pub const CONFIG: Status = 3;
/// The host or the model cannot do what was asked.
pub const UNSUPPORTED: Status = 4;
/// Saved state does not fit the hook that loads it.
pub const STATE: Status = 5;
/// Anything else that the hook or the host reports.
pub const FAILED: Status = 6;
/// The code called has panicked. The instance must not be called again, but for `destroy`.
pub const PANICKED: Status = 7;

/// Bytes that are lent for the time of a call. As text they are UTF-8, without a zero at the end.
#[repr(C)]
#[derive(Clone, Copy, Debug)]
pub struct Bytes {
    /// The first byte; may be null or dangling when `len` is 0.
    pub lent: *const u8,
    /// How many there are.
    pub len: usize,
}

/// Takes an answer: `give(context, answer)` copies it. Giving a second time replaces the first.
#[repr(C)]
#[derive(Clone, Copy, Debug)]
pub struct Answer {
    /// To be passed on to `give`.
    pub context: *mut c_void,
    /// Copies the bytes.
    pub give: unsafe extern "C" fn(context: *mut c_void, answer: Bytes),
}

/// A vector over the parameters, or one parameter's part of it.
#[repr(C)]
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Vector {
    /// `WEIGHTS`, `GRADIENTS`, `ORIGIN` or `SLOT`.
    pub which: u32,
    /// The slot's number, 0 to 255; 0 for the others.
    pub slot: u32,
    /// The parameter's place in `params`, or `WHOLE`.
    pub param: u64,
}

/// The weights being trained. Writable in `weights` and `finish`.
pub const WEIGHTS: u32 = 0;
/// The gradient of this step's loss. Exists, and is writable, in `gradients` only.
pub const GRADIENTS: u32 = 1;
/// The weights at the start of the stage, or of the whole run if it keeps those of the base model. Never writable.
pub const ORIGIN: u32 = 2;
/// A vector of the hook's own, zero at first, kept from one stage to the next, saved with the run. Always writable.
pub const SLOT: u32 = 3;
/// All parameters.
pub const WHOLE: u64 = u64::MAX;

/// One parameter.
#[repr(C)]
#[derive(Clone, Copy, Debug)]
pub struct Param {
    /// Dotted name, as in the checkpoint.
    pub name: Bytes,
    /// Extents, outermost first; lent as `name` is.
    pub shape_lent: *const usize,
    /// How many extents.
    pub rank: usize,
    /// 0 when it was loaded with the model, 1 when it is new in this run and has no origin.
    pub is_new: u32,
}

/// Where training is.
#[repr(C)]
#[derive(Clone, Copy, Debug)]
pub struct Step {
    /// Bytes in this table.
    pub size: u32,
    /// The interface's version.
    pub version: u32,
    /// This step's number within its stage; the first of every stage is 1.
    pub number: u64,
    /// How many steps the stage will take.
    pub total: u64,
    /// The learning rate of this step.
    pub learning_rate: f64,
}

/// What a visitor is called with: its own context, the parameter, and the entries on the host, to be changed in place.
pub type Visitor = unsafe extern "C" fn(context: *mut c_void, param: *const Param, entries_lent: *mut f32, len: usize);

/// The parameters, and the arithmetic a hook may do on them. Every function takes the table itself first.
///
/// A whole vector covers every parameter that the hook sees. An operation that names `ORIGIN` covers only those that have
/// one. Each is one pass over the vectors it names; those that give a number read the device once.
#[repr(C)]
#[derive(Debug)]
pub struct Space {
    /// Bytes in this table.
    pub size: u32,
    /// The interface's version.
    pub version: u32,
    /// The host's; null once the call has returned.
    pub context: *mut c_void,
    /// The parameters that the hook sees, in an order that is fixed for the run. Gives how many, and the first.
    pub params: unsafe extern "C" fn(
        space: *const Space,
        params_lent: *mut *const Param,
        count: *mut usize,
        error: *const Answer,
    ) -> Status,
    /// The sum of a · b.
    pub dot: unsafe extern "C" fn(
        space: *const Space,
        a: Vector,
        b: Vector,
        value: *mut f64,
        error: *const Answer,
    ) -> Status,
    /// The L2 norm of a − b.
    pub distance: unsafe extern "C" fn(
        space: *const Space,
        a: Vector,
        b: Vector,
        value: *mut f64,
        error: *const Answer,
    ) -> Status,
    /// The share of entries whose signs differ; zero has a sign of its own.
    pub flips: unsafe extern "C" fn(
        space: *const Space,
        a: Vector,
        b: Vector,
        value: *mut f64,
        error: *const Answer,
    ) -> Status,
    /// dst ← src.
    pub copy: unsafe extern "C" fn(space: *const Space, dst: Vector, src: Vector, error: *const Answer) -> Status,
    /// dst ← by · dst.
    pub scale: unsafe extern "C" fn(space: *const Space, dst: Vector, by: f32, error: *const Answer) -> Status,
    /// dst ← dst + t · (src − dst).
    pub lerp:
        unsafe extern "C" fn(space: *const Space, dst: Vector, src: Vector, t: f32, error: *const Answer) -> Status,
    /// dst ← dst + a · x, or dst + a · x ∘ y when `y` is not null.
    pub fma: unsafe extern "C" fn(
        space: *const Space,
        dst: Vector,
        a: f32,
        x: Vector,
        y: *const Vector,
        error: *const Answer,
    ) -> Status,
    /// Fills a slot from a safetensors file with a tensor for every covered parameter by its name; or, in `finish`, from the
    /// host's estimate `fisher` or `sensitivity`, if the hook's phases ask for it.
    pub read: unsafe extern "C" fn(space: *const Space, slot: Vector, file: Bytes, error: *const Answer) -> Status,
    /// Calls `visitor` with every covered parameter's entries on the host, and takes back what it wrote if the vector is
    /// writable. The visitor must not use the space.
    pub visit: unsafe extern "C" fn(
        space: *const Space,
        v: Vector,
        visitor: Visitor,
        visitor_context: *mut c_void,
        error: *const Answer,
    ) -> Status,
    /// Reports a number under the hook's name in this step's line of the metrics.
    pub log: unsafe extern "C" fn(space: *const Space, key: Bytes, value: f64, error: *const Answer) -> Status,
}

/// All positions that are not padding.
pub const POSITIONS_ALL: u32 = 0;
/// The positions whose next token is part of the answer.
pub const POSITIONS_ANSWER: u32 = 1;
/// The last token of each prompt.
pub const POSITIONS_PROMPT_END: u32 = 2;

/// A stored vector that is added to an activation.
#[repr(C)]
#[derive(Clone, Copy, Debug)]
pub struct Edit {
    /// Where.
    pub site: Bytes,
    /// At which positions: one of the constants above.
    pub positions: u32,
    /// What the vector is multiplied by.
    pub scale: f32,
    /// The safetensors file that holds it, and its name there.
    pub file: Bytes,
    /// The vector's name in the file.
    pub name: Bytes,
}

/// One forward pass, and the differentiable arithmetic a hook may do on it. Every function takes the table itself first.
///
/// Values and references are handles. They carry the generation of their pass: one kept from an earlier pass is refused.
/// A site is named by text, with layers and heads counted from 0: `logits`, `layers.L.heads` for what the attention's heads found,
/// `layers.L.heads.H` for one of them, `layers.L.attn_out` for the attention's output, `layers.L.out` for the residual stream
/// behind the layer.
#[repr(C)]
#[derive(Debug)]
pub struct Pass {
    /// Bytes in this table.
    pub size: u32,
    /// The interface's version.
    pub version: u32,
    /// The host's; null once the call has returned.
    pub context: *mut c_void,
    /// The model's logits.
    pub logits: unsafe extern "C" fn(pass: *const Pass, value: *mut u64, error: *const Answer) -> Status,
    /// A forward pass of the frozen original over the same batch, keeping `count` sites beside the logits.
    pub reference: unsafe extern "C" fn(
        pass: *const Pass,
        sites_lent: *const Bytes,
        count: usize,
        reference: *mut u64,
        error: *const Answer,
    ) -> Status,
    /// What the reference pass produced at a site.
    pub of: unsafe extern "C" fn(
        pass: *const Pass,
        reference: u64,
        site: Bytes,
        value: *mut u64,
        error: *const Answer,
    ) -> Status,
    /// The rows of `v` at some positions: one of the constants.
    pub select: unsafe extern "C" fn(
        pass: *const Pass,
        v: u64,
        positions: u32,
        value: *mut u64,
        error: *const Answer,
    ) -> Status,
    /// Mean over rows of KL(softmax(p/τ) ‖ softmax(q/τ)) · τ², in nats.
    pub kl: unsafe extern "C" fn(
        pass: *const Pass,
        p: u64,
        q: u64,
        temperature: f32,
        value: *mut u64,
        error: *const Answer,
    ) -> Status,
    /// Mean of the squared differences.
    pub mse: unsafe extern "C" fn(pass: *const Pass, a: u64, b: u64, value: *mut u64, error: *const Answer) -> Status,
    /// A value of one entry as a number. Waits for the device.
    pub scalar: unsafe extern "C" fn(pass: *const Pass, v: u64, value: *mut f64, error: *const Answer) -> Status,
    /// Adds weight · term to this pass's loss.
    pub add_loss:
        unsafe extern "C" fn(pass: *const Pass, name: Bytes, weight: f64, term: u64, error: *const Answer) -> Status,
    /// Reports a number under the hook's name in this step's line of the metrics.
    pub log: unsafe extern "C" fn(pass: *const Pass, key: Bytes, value: f64, error: *const Answer) -> Status,
    /// What the model produced at a site that the plan of this step keeps.
    pub tapped: unsafe extern "C" fn(pass: *const Pass, site: Bytes, value: *mut u64, error: *const Answer) -> Status,
    /// How many rows `v` has.
    pub rows: unsafe extern "C" fn(pass: *const Pass, v: u64, count: *mut usize, error: *const Answer) -> Status,
    /// As `reference`, with `edit_count` vectors added on the way.
    pub edited_reference: unsafe extern "C" fn(
        pass: *const Pass,
        sites_lent: *const Bytes,
        count: usize,
        edits_lent: *const Edit,
        edit_count: usize,
        reference: *mut u64,
        error: *const Answer,
    ) -> Status,
}

/// What a forward pass is asked to keep, and to change.
#[repr(C)]
#[derive(Debug)]
pub struct Plan {
    /// Bytes in this table.
    pub size: u32,
    /// The interface's version.
    pub version: u32,
    /// The host's; null once the call has returned.
    pub context: *mut c_void,
    /// Keeps the activation at a site.
    pub tap: unsafe extern "C" fn(plan: *const Plan, site: Bytes, error: *const Answer) -> Status,
    /// Adds a vector to an activation.
    pub add: unsafe extern "C" fn(plan: *const Plan, edit: *const Edit, error: *const Answer) -> Status,
}

/// `Plugin::forward` is to be called.
pub const FORWARD_PHASE: u32 = 1;
/// `Plugin::loss` is to be called.
pub const LOSS_PHASE: u32 = 2;
/// `Plugin::gradients` is to be called.
pub const GRADIENTS_PHASE: u32 = 4;
/// `Plugin::weights` is to be called.
pub const WEIGHTS_PHASE: u32 = 8;
/// `Plugin::finish` is to be called.
pub const FINISH_PHASE: u32 = 16;
/// `Space::read` is to have the diagonal of the empirical Fisher information in `finish`, under the name `fisher`.
pub const FISHER_PHASE: u32 = 32;
/// `Space::read` is to have the sensitivity of the outputs in `finish`, under the name `sensitivity`.
pub const SENSITIVITY_PHASE: u32 = 64;

/// A hook that the plugin has made. Only the plugin knows what is in it.
#[derive(Debug)]
pub struct Instance {
    _only_behind_pointers: [u8; 0],
}

/// What a plugin is: `orbit_hook_entry` gives the address of one of these, which stays valid for ever.
///
/// Functions that may be null do nothing then.
#[repr(C)]
#[derive(Debug)]
pub struct Plugin {
    /// Bytes in this table.
    pub size: u32,
    /// The interface's version that the plugin was built for.
    pub version: u32,
    /// What the plugin is called; never changes.
    pub id: Bytes,
    /// The plugin's own version; never changes.
    pub release: Bytes,
    /// Gives the JSON schema of the configuration. May be null: none.
    pub schema: Option<unsafe extern "C" fn(answer: *const Answer)>,
    /// Makes a hook from its configuration, a JSON object. The plugin owns the instance; the host gives it to `destroy` once.
    pub create:
        unsafe extern "C" fn(config: Bytes, instance_plugin_owned: *mut *mut Instance, error: *const Answer) -> Status,
    /// Frees an instance.
    pub destroy: unsafe extern "C" fn(instance_plugin_owned: *mut Instance),
    /// The phases in which the hook acts and the estimates it asks for, as a sum of the constants; the host never calls another
    /// phase. Asked once.
    pub phases: unsafe extern "C" fn(instance: *const Instance) -> u32,
    /// Before step 1 of every stage: one instance goes through all stages of a run, and keeps its slots. The weights are the
    /// origin, unless the run keeps the weights of the base model as the origin of all stages. May be null.
    pub attach:
        Option<unsafe extern "C" fn(instance: *mut Instance, space: *const Space, error: *const Answer) -> Status>,
    /// Before a forward pass. May be null.
    pub forward: Option<
        unsafe extern "C" fn(
            instance: *mut Instance,
            step: *const Step,
            plan: *const Plan,
            error: *const Answer,
        ) -> Status,
    >,
    /// With a forward pass done. May be null.
    pub loss: Option<
        unsafe extern "C" fn(
            instance: *mut Instance,
            step: *const Step,
            pass: *const Pass,
            error: *const Answer,
        ) -> Status,
    >,
    /// After backward, before the update. May be null.
    pub gradients: Option<
        unsafe extern "C" fn(
            instance: *mut Instance,
            step: *const Step,
            space: *const Space,
            error: *const Answer,
        ) -> Status,
    >,
    /// After the update. May be null.
    pub weights: Option<
        unsafe extern "C" fn(
            instance: *mut Instance,
            step: *const Step,
            space: *const Space,
            error: *const Answer,
        ) -> Status,
    >,
    /// After the last step of every stage. May be null.
    pub finish:
        Option<unsafe extern "C" fn(instance: *mut Instance, space: *const Space, error: *const Answer) -> Status>,
    /// Gives what must survive a restart, in a form of the plugin's own. May be null: nothing.
    pub save:
        Option<unsafe extern "C" fn(instance: *const Instance, state: *const Answer, error: *const Answer) -> Status>,
    /// Takes back what `save` gave, in an instance made of the same configuration and attached. Null when `save` is, and only then.
    pub load: Option<unsafe extern "C" fn(instance: *mut Instance, state: Bytes, error: *const Answer) -> Status>,
}

/// What a plugin library exports under the name `orbit_hook_entry`.
pub type Entry = unsafe extern "C" fn() -> *const Plugin;
