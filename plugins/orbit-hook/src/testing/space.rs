use std::collections::BTreeMap;

use crate::{Error, ErrorKind, Param, ParamKind, Phases, Result, Space, Vector, Whole, check_entries, check_factor};

/// One list of entries per parameter, in the order of the parameters.
type Entries = Vec<Vec<f32>>;

/// A [`Space`] in plain memory: the reference that faster ones are compared with.
///
/// Entrywise results are computed in single precision as the formulas stand, sums in double precision. Sources are read
/// before the destination is written, so a vector may be both. [`Space::lerp`] by 0 changes nothing and by 1 is a copy, both
/// to the bit. All vectors of one call must be whole, or all must be parts for the same parameter.
///
/// ```
/// use orbit_hook::{Param, ParamKind, Phases, Space, Vector::*, testing::HostSpace};
///
/// let params = vec![Param { name: "w".into(), shape: vec![2], kind: ParamKind::Base }];
/// let mut space = HostSpace::new(params, vec![vec![0.0, 0.0]])?;
/// space.set_weights(vec![vec![3.0, 4.0]])?;
/// assert_eq!(space.distance(Weights, Origin)?, 5.0);
/// assert!(space.scale(Weights, 2.0).is_err(), "weights are read-only until their phase begins");
/// space.begin(Phases::WEIGHTS);
/// space.scale(Weights, 2.0)?;
/// assert_eq!(space.weights(), [[6.0, 8.0]]);
/// # Ok::<(), orbit_hook::Error>(())
/// ```
#[derive(Clone, Debug)]
pub struct HostSpace {
    params: Vec<Param>,
    phase: Phases,
    hook: usize,
    weights: Entries,
    gradients: Entries,
    /// The weights at the start, of new parameters too; [`HostSpace::covered`] keeps those out of reach.
    origin: Entries,
    slots: BTreeMap<(usize, u8), Entries>,
    files: BTreeMap<String, Entries>,
    estimates: BTreeMap<&'static str, Entries>,
    logged: Vec<(String, f64)>,
}

impl HostSpace {
    /// A space in the `attach` phase, whose origin is `weights`.
    ///
    /// An error of kind [`ErrorKind::Failed`] if `weights` does not have one list per parameter with as many entries as its
    /// shape says.
    pub fn new(params: Vec<Param>, weights: Vec<Vec<f32>>) -> Result<Self> {
        fits(&params, &weights)?;
        Ok(Self {
            phase: Phases::NONE,
            hook: 0,
            gradients: zeros(&params),
            origin: weights.clone(),
            slots: BTreeMap::new(),
            files: BTreeMap::new(),
            estimates: BTreeMap::new(),
            logged: Vec::new(),
            params,
            weights,
        })
    }

    /// Enters a phase: [`Phases::NONE`] for `attach`, else `GRADIENTS`, `WEIGHTS` or `FINISH`. It decides what may be
    /// written, and whether gradients exist.
    pub fn begin(&mut self, phase: Phases) {
        self.phase = phase;
    }

    /// Shows the slots of hook number `hook` from now on. At first, those of hook 0.
    pub fn serve(&mut self, hook: usize) {
        self.hook = hook;
    }

    /// The weights, one list per parameter.
    pub fn weights(&self) -> &[Vec<f32>] {
        &self.weights
    }

    /// Replaces the weights, as an optimizer does. An error if the lengths do not fit.
    pub fn set_weights(&mut self, weights: Vec<Vec<f32>>) -> Result<()> {
        fits(&self.params, &weights)?;
        self.weights = weights;
        Ok(())
    }

    /// The gradients last set, with what hooks did to them; zeros at first.
    pub fn gradients(&self) -> &[Vec<f32>] {
        &self.gradients
    }

    /// Replaces the gradients, as a backward pass does. An error if the lengths do not fit.
    pub fn set_gradients(&mut self, gradients: Vec<Vec<f32>>) -> Result<()> {
        fits(&self.params, &gradients)?;
        self.gradients = gradients;
        Ok(())
    }

    /// The weights at the start, of new parameters too.
    pub fn start(&self) -> &[Vec<f32>] {
        &self.origin
    }

    /// Puts a file where [`Space::read`] finds it. An error if the lengths do not fit.
    pub fn insert_file(&mut self, name: &str, entries: Vec<Vec<f32>>) -> Result<()> {
        fits(&self.params, &entries)?;
        self.files.insert(name.to_owned(), entries);
        Ok(())
    }

    /// Puts an estimate where [`Space::read`] finds it in the phase finish: [`Phases::FISHER`] or [`Phases::SENSITIVITY`]. An
    /// error if it is no estimate, or if the lengths do not fit.
    pub fn insert_estimate(&mut self, estimate: Phases, entries: Vec<Vec<f32>>) -> Result<()> {
        fits(&self.params, &entries)?;
        let Some((_, name)) = Phases::ESTIMATES.into_iter().find(|(known, _)| *known == estimate) else {
            return Err(Error::new(ErrorKind::Unknown, format!("{estimate:?} is not an estimate")));
        };
        self.estimates.insert(name, entries);
        Ok(())
    }

    /// Makes the weights the origin, as at the start of a stage, and enters the `attach` phase. Estimates of the stage before
    /// are gone.
    pub fn begin_stage(&mut self) {
        self.origin.clone_from(&self.weights);
        self.estimates.clear();
        self.begin(Phases::NONE);
    }

    /// What hooks logged, in order.
    pub fn logged(&self) -> &[(String, f64)] {
        &self.logged
    }

    /// The last number logged under `key`.
    pub fn last(&self, key: &str) -> Option<f64> {
        self.logged.iter().rev().find(|(name, _)| name == key).map(|(_, value)| *value)
    }

    /// Forgets all estimates.
    pub(super) fn clear_estimates(&mut self) {
        self.estimates.clear();
    }

    /// The space as it was before the first step of the stage, with the same files.
    pub(super) fn restarted(&self) -> Result<Self> {
        let mut fresh = Self::new(self.params.clone(), self.origin.clone())?;
        fresh.files.clone_from(&self.files);
        Ok(fresh)
    }

    /// Takes over what a checkpoint of `other` would hold, and its log so that whole runs can be compared.
    pub(super) fn restore(&mut self, other: &Self) {
        self.weights.clone_from(&other.weights);
        self.slots.clone_from(&other.slots);
        self.logged.clone_from(&other.logged);
    }

    /// Everything a hook can change, as bits, so that a NaN equals itself.
    pub(super) fn bits(&self) -> Vec<u64> {
        let vectors = [&self.weights, &self.gradients].into_iter().chain(self.slots.values());
        let entries = vectors.flatten().flatten().map(|entry| u64::from(entry.to_bits()));
        entries.chain(self.logged.iter().map(|(_, value)| value.to_bits())).collect()
    }

    /// Which parameters an operation on these vectors covers.
    fn covered(&self, vectors: &[Vector]) -> Result<Vec<usize>> {
        let from_origin = vectors.iter().any(|v| v.whole() == Whole::Origin);
        let has = |param: &Param| !from_origin || param.kind == ParamKind::Base;
        let part = vectors.first().and_then(|v| v.param());
        if vectors.iter().any(|v| v.param() != part) {
            return Err(Error::new(ErrorKind::Unsupported, "the vectors of one call must cover the same parameters"));
        }
        let Some(index) = part else {
            return Ok((0..self.params.len()).filter(|i| has(&self.params[*i])).collect());
        };
        match self.params.get(index) {
            Some(param) if has(param) => Ok(vec![index]),
            Some(param) => {
                let message = format!("{} is new in this run and has no origin", param.name);
                Err(Error::new(ErrorKind::Unknown, message))
            }
            None => {
                let message = format!("no parameter {index}: this space has {}", self.params.len());
                Err(Error::new(ErrorKind::Unknown, message))
            }
        }
    }

    fn readable(&self, v: Vector) -> Result<()> {
        if v.whole() == Whole::Gradients && self.phase != Phases::GRADIENTS {
            return Err(Error::new(ErrorKind::Phase, "gradients exist only in the phase gradients"));
        }
        Ok(())
    }

    fn writable(&self, v: Vector) -> Result<()> {
        let refusal = match v.whole() {
            Whole::Origin => "the origin can never be written",
            Whole::Weights if !self.phase.intersects(Phases::WEIGHTS | Phases::FINISH) => {
                "weights can be written only in the phases weights and finish"
            }
            _ => return self.readable(v),
        };
        Err(Error::new(ErrorKind::Phase, refusal))
    }

    /// What [`Space::read`] finds under a name.
    fn stored(&self, name: &str) -> Result<&Entries> {
        if Phases::ESTIMATES.iter().any(|(_, known)| *known == name) {
            let there = self.estimates.get(name).filter(|_| self.phase == Phases::FINISH);
            let message = format!(
                "there is no estimate \"{name}\" here: hooks whose phases ask for it have it in the phase finish, and in a test \
                 insert_estimate puts it there"
            );
            return there.ok_or_else(|| Error::new(ErrorKind::Phase, message));
        }
        let message = format!("HostSpace has no file \"{name}\": insert_file puts one there");
        self.files.get(name).ok_or_else(|| Error::new(ErrorKind::Unsupported, message))
    }

    /// The storage behind a vector; a slot comes into being here.
    fn entries(&mut self, v: Vector) -> &mut Entries {
        match v.whole() {
            Whole::Weights => &mut self.weights,
            Whole::Gradients => &mut self.gradients,
            Whole::Origin => &mut self.origin,
            Whole::Slot(n) => self.slots.entry((self.hook, n)).or_insert_with(|| zeros(&self.params)),
        }
    }

    /// The sum of `f` over pairs of entries, and how many there are.
    fn sum(&mut self, a: Vector, b: Vector, f: impl Fn(f64, f64) -> f64) -> Result<(f64, usize)> {
        self.readable(a)?;
        self.readable(b)?;
        let (mut sum, mut count) = (0.0, 0);
        for i in self.covered(&[a, b])? {
            let a = self.entries(a)[i].clone();
            let b = &self.entries(b)[i];
            count += b.len();
            sum += a.iter().zip(b).map(|(&a, &b)| f(a.into(), b.into())).sum::<f64>();
        }
        Ok((sum, count))
    }

    /// dst ← f(dst, x, y), entrywise.
    fn write(&mut self, dst: Vector, x: Vector, y: Vector, f: impl Fn(f32, f32, f32) -> f32) -> Result<()> {
        self.writable(dst)?;
        self.readable(x)?;
        self.readable(y)?;
        for i in self.covered(&[dst, x, y])? {
            let (x, y) = (self.entries(x)[i].clone(), self.entries(y)[i].clone());
            for ((dst, x), y) in self.entries(dst)[i].iter_mut().zip(x).zip(y) {
                *dst = f(*dst, x, y);
            }
        }
        Ok(())
    }
}

impl Space for HostSpace {
    fn params(&self) -> &[Param] {
        &self.params
    }

    fn dot(&mut self, a: Vector, b: Vector) -> Result<f64> {
        Ok(self.sum(a, b, |a, b| a * b)?.0)
    }

    fn distance(&mut self, a: Vector, b: Vector) -> Result<f64> {
        Ok(self.sum(a, b, |a, b| (a - b) * (a - b))?.0.sqrt())
    }

    fn flips(&mut self, a: Vector, b: Vector) -> Result<f64> {
        let sign = |x: f64| i8::from(x > 0.0) - i8::from(x < 0.0);
        let (flips, count) = self.sum(a, b, |a, b| f64::from(u8::from(sign(a) != sign(b))))?;
        Ok(flips / count.max(1) as f64)
    }

    fn copy(&mut self, dst: Vector, src: Vector) -> Result<()> {
        self.write(dst, src, src, |_, src, _| src)
    }

    fn scale(&mut self, dst: Vector, by: f32) -> Result<()> {
        check_factor("the factor of scale", by.into())?;
        self.write(dst, dst, dst, |dst, _, _| by * dst)
    }

    fn lerp(&mut self, dst: Vector, src: Vector, t: f32) -> Result<()> {
        check_factor("the share of lerp", t.into())?;
        self.write(dst, src, src, |dst, src, _| match t {
            0.0 => dst,
            1.0 => src,
            _ => dst + t * (src - dst),
        })
    }

    fn fma(&mut self, dst: Vector, a: f32, x: Vector, y: Option<Vector>) -> Result<()> {
        check_factor("the factor of fma", a.into())?;
        match y {
            None => self.write(dst, x, x, |dst, x, _| dst + a * x),
            Some(y) => self.write(dst, x, y, |dst, x, y| dst + a * x * y),
        }
    }

    fn read(&mut self, slot: Vector, file: &str) -> Result<()> {
        if !matches!(slot.whole(), Whole::Slot(_)) {
            return Err(Error::new(ErrorKind::Unsupported, "a file can be read into a slot only"));
        }
        let entries = self.stored(file)?.clone();
        for i in self.covered(&[slot])? {
            self.entries(slot)[i].clone_from(&entries[i]);
        }
        Ok(())
    }

    fn visit(&mut self, v: Vector, f: &mut dyn FnMut(&Param, &mut [f32])) -> Result<()> {
        self.readable(v)?;
        let keep = self.writable(v).is_ok();
        for i in self.covered(&[v])? {
            let before = self.entries(v)[i].clone();
            let mut entries = before.clone();
            f(&self.params[i], &mut entries);
            if keep {
                check_entries(&self.params[i], &before, &entries)?;
                self.entries(v)[i] = entries;
            }
        }
        Ok(())
    }

    fn log(&mut self, key: &str, value: f64) {
        self.logged.push((key.to_owned(), value));
    }
}

fn zeros(params: &[Param]) -> Entries {
    params.iter().map(|param| vec![0.0; param.len()]).collect()
}

fn fits(params: &[Param], entries: &[Vec<f32>]) -> Result<()> {
    if params.len() != entries.len() {
        return Err(Error::failed(format!("{} lists of entries for {} parameters", entries.len(), params.len())));
    }
    match params.iter().zip(entries).find(|(param, entries)| param.len() != entries.len()) {
        None => Ok(()),
        Some((Param { name, shape, .. }, entries)) => {
            Err(Error::failed(format!("{name} has shape {shape:?}, which does not hold {} entries", entries.len())))
        }
    }
}
