//! [`Space`] over burn tensors.

use std::collections::BTreeMap;

use burn::tensor::Tensor;
use orbit_hook::{
    Error, ErrorKind, Param, ParamKind, Phases, Result, Space, Vector, Whole, check_entries, check_factor,
};

use crate::arithmetic::{Reduce, Update, like, read, reduce, update};
use crate::parameters::Trained;
use crate::tensor_file::TensorFile;

/// The vectors every hook shares.
#[derive(Debug)]
pub(crate) struct Vectors {
    pub(crate) trained: Trained,
    pub(crate) weights: Vec<Tensor<1>>,
    /// The weights at the start, for parameters that have an origin.
    pub(crate) origin: Vec<Option<Tensor<1>>>,
    pub(crate) gradients: Option<Vec<Tensor<1>>>,
    /// What hooks asked to have estimated, while they finish.
    pub(crate) estimates: BTreeMap<&'static str, Vec<Tensor<1>>>,
}

impl Vectors {
    /// Makes `weights` the origin of every parameter that was loaded with the model.
    pub(crate) fn new(trained: Trained, weights: Vec<Tensor<1>>) -> Self {
        let mut vectors = Self { trained, weights, origin: Vec::new(), gradients: None, estimates: BTreeMap::new() };
        vectors.set_origin();
        vectors
    }

    /// Makes the weights as they are the origin. It is memory of its own: the weights change in place.
    pub(crate) fn set_origin(&mut self) {
        let pairs = self.trained.params.iter().zip(&self.weights);
        let copied =
            pairs.map(|(param, weights)| (param.kind == ParamKind::Base).then(|| weights.clone().mul_scalar(1.0)));
        self.origin = copied.collect();
    }
}

/// Vectors of one hook's own, by number; one entry a parameter, made when first used.
pub(crate) type Slots = BTreeMap<u8, Vec<Option<Tensor<1>>>>;

/// What one hook sees of the parameters in one call.
pub(crate) struct BurnSpace<'a> {
    pub(crate) vectors: &'a mut Vectors,
    pub(crate) slots: &'a mut Slots,
    /// The parameters that this hook covers, and where each stands among all.
    pub(crate) params: &'a [Param],
    pub(crate) covered: &'a [usize],
    /// The phase that is running; none while attaching.
    pub(crate) phase: Phases,
    /// The phases that this hook names.
    pub(crate) named: Phases,
    pub(crate) log: &'a mut Vec<(String, f64)>,
    /// Set when the hook writes weights or gradients.
    pub(crate) acted: bool,
}

impl BurnSpace<'_> {
    /// The parameters, by their place among all, that an operation on these vectors covers.
    fn reach(&self, vectors: &[Vector]) -> Result<Vec<usize>> {
        let with_origin = vectors.iter().any(|v| v.whole() == Whole::Origin);
        let named = vectors.iter().find_map(|v| v.param());
        if vectors.iter().any(|v| v.param() != named) {
            return Err(Error::new(ErrorKind::Unsupported, "an operation names parts of different parameters"));
        }
        let Some(index) = named else {
            let covered = self.covered.iter().copied();
            return Ok(covered.filter(|&i| !with_origin || self.vectors.origin[i].is_some()).collect());
        };
        let Some(&place) = self.covered.get(index) else {
            let count = self.covered.len();
            return Err(Error::new(ErrorKind::Unknown, format!("there is no parameter {index}, only {count}")));
        };
        if with_origin && self.vectors.origin[place].is_none() {
            let name = &self.vectors.trained.params[place].name;
            return Err(Error::new(ErrorKind::Unknown, format!("parameter {name} is new and has no origin")));
        }
        Ok(vec![place])
    }

    /// Makes sure that a vector exists, and is writable if it is to be written.
    fn check(&mut self, vector: Vector, write: bool) -> Result<()> {
        let refuse = |what: &str| Err(Error::new(ErrorKind::Phase, format!("{what} in {}", phase_name(self.phase))));
        match vector.whole() {
            Whole::Origin if write => refuse("Origin is never writable, also"),
            Whole::Weights if write && !self.phase.intersects(Phases::WEIGHTS | Phases::FINISH) => {
                refuse("Weights is read-only")
            }
            Whole::Gradients if self.vectors.gradients.is_none() => refuse("there are no Gradients"),
            Whole::Slot(slot) => {
                let count = self.vectors.trained.params.len();
                self.slots.entry(slot).or_insert_with(|| vec![None; count]);
                Ok(())
            }
            _ => Ok(()),
        }
    }

    fn tensor(&mut self, vector: Vector, place: usize) -> Tensor<1> {
        match vector.whole() {
            Whole::Gradients => {
                if let Some(gradients) = &self.vectors.gradients {
                    return gradients[place].clone();
                }
            }
            Whole::Origin => {
                if let Some(origin) = &self.vectors.origin[place] {
                    return origin.clone();
                }
            }
            Whole::Weights => {}
            Whole::Slot(slot) => {
                let zeros = || self.vectors.weights[place].zeros_like();
                return self.slots.get(&slot).and_then(|slot| slot[place].clone()).unwrap_or_else(zeros);
            }
        }
        self.vectors.weights[place].clone()
    }

    /// Takes a tensor out to be changed in place, and puts it back.
    fn change(&mut self, vector: Vector, place: usize, change: impl FnOnce(&mut Tensor<1>)) {
        let hollow = Tensor::empty([0], &self.vectors.weights[place].device());
        let stored = match vector.whole() {
            Whole::Gradients => self.vectors.gradients.as_mut().map(|gradients| &mut gradients[place]),
            Whole::Weights => Some(&mut self.vectors.weights[place]),
            Whole::Origin => None,
            Whole::Slot(slot) => {
                let zeros = self.vectors.weights[place].zeros_like();
                self.slots.get_mut(&slot).map(|slot| slot[place].get_or_insert(zeros))
            }
        };
        let Some(stored) = stored else { return };
        let mut tensor = std::mem::replace(stored, hollow);
        change(&mut tensor);
        *stored = tensor;
        self.acted |= matches!(vector.whole(), Whole::Weights | Whole::Gradients);
    }

    fn reduced(&mut self, kind: Reduce, a: Vector, b: Vector) -> Result<(f64, usize)> {
        self.check(a, false)?;
        self.check(b, false)?;
        let reach = self.reach(&[a, b])?;
        let pairs: Vec<_> = reach.into_iter().map(|place| (self.tensor(a, place), self.tensor(b, place))).collect();
        let entries = pairs.iter().map(|(a, _)| a.dims()[0]).sum();
        Ok((reduce(kind, &pairs.iter().map(|(a, b)| (a, b)).collect::<Vec<_>>()), entries))
    }

    fn read_estimate(&mut self, slot: Vector, phase: Phases, name: &str) -> Result<()> {
        let there = self.named.contains(phase) && self.vectors.estimates.contains_key(name);
        if !there {
            let message =
                format!("there is no estimate \"{name}\" here: a hook whose phases ask for it has it in finish");
            return Err(Error::new(ErrorKind::Phase, message));
        }
        for place in self.reach(&[slot])? {
            let estimate = self.vectors.estimates[name][place].clone();
            self.change(slot, place, |tensor| *tensor = estimate.mul_scalar(1.0));
        }
        Ok(())
    }

    fn updated(&mut self, kind: Update, dst: Vector, x: Option<Vector>, y: Option<Vector>) -> Result<()> {
        self.check(dst, true)?;
        let sources = [x, y];
        for source in sources.iter().flatten() {
            self.check(*source, false)?;
        }
        let named: Vec<Vector> = [Some(dst), x, y].into_iter().flatten().collect();
        for place in self.reach(&named)? {
            let [x, y] = sources.map(|source| source.map(|source| self.tensor(source, place)));
            self.change(dst, place, |dst| update(kind, dst, x.as_ref(), y.as_ref()));
        }
        Ok(())
    }
}

impl Space for BurnSpace<'_> {
    fn params(&self) -> &[Param] {
        self.params
    }

    fn dot(&mut self, a: Vector, b: Vector) -> Result<f64> {
        Ok(self.reduced(Reduce::Dot, a, b)?.0)
    }

    fn distance(&mut self, a: Vector, b: Vector) -> Result<f64> {
        Ok(self.reduced(Reduce::SquaredDistance, a, b)?.0.sqrt())
    }

    fn flips(&mut self, a: Vector, b: Vector) -> Result<f64> {
        let (flips, entries) = self.reduced(Reduce::Flips, a, b)?;
        Ok(flips / entries.max(1) as f64)
    }

    fn copy(&mut self, dst: Vector, src: Vector) -> Result<()> {
        self.updated(Update::Copy, dst, Some(src), None)
    }

    fn scale(&mut self, dst: Vector, by: f32) -> Result<()> {
        check_factor("the factor of scale", by.into())?;
        self.updated(Update::Scale(by), dst, None, None)
    }

    fn lerp(&mut self, dst: Vector, src: Vector, t: f32) -> Result<()> {
        check_factor("the share of lerp", t.into())?;
        self.updated(Update::Lerp(t), dst, Some(src), None)
    }

    fn fma(&mut self, dst: Vector, a: f32, x: Vector, y: Option<Vector>) -> Result<()> {
        check_factor("the factor of fma", a.into())?;
        let kind = if y.is_some() { Update::AddProduct(a) } else { Update::Add(a) };
        self.updated(kind, dst, Some(x), y)
    }

    fn read(&mut self, slot: Vector, file: &str) -> Result<()> {
        if !matches!(slot.whole(), Whole::Slot(_)) {
            return Err(Error::new(ErrorKind::Unsupported, "a file can be read into a slot only"));
        }
        self.check(slot, true)?;
        if let Some((phase, name)) = Phases::ESTIMATES.into_iter().find(|(_, name)| *name == file) {
            return self.read_estimate(slot, phase, name);
        }
        let failed = |error: crate::Error| Error::failed(error.to_string());
        let mut tensors = TensorFile::open(file.as_ref()).map_err(failed)?;
        for place in self.reach(&[slot])? {
            let param = &self.vectors.trained.params[place];
            if !tensors.has(&param.name, param.len()) {
                let Param { name, shape, .. } = param;
                return Err(Error::failed(format!("{file} has no tensor \"{name}\" of shape {shape:?}")));
            }
            let entries = tensors.read(&param.name).map_err(failed)?;
            if let Some(value) = entries.iter().find(|entry| !entry.is_finite()) {
                return Err(Error::failed(format!("{file}: \"{}\" has an entry that is {value}", param.name)));
            }
            self.change(slot, place, |tensor| *tensor = like(tensor, entries));
        }
        Ok(())
    }

    fn visit(&mut self, v: Vector, f: &mut dyn FnMut(&Param, &mut [f32])) -> Result<()> {
        self.check(v, false)?;
        let writable = self.check(v, true).is_ok();
        for place in self.reach(&[v])? {
            let mut entries = read(self.tensor(v, place));
            let before = entries.clone();
            f(&self.vectors.trained.params[place], &mut entries);
            // By bits: a zero may have changed its sign.
            let same = entries.iter().zip(&before).all(|(now, before)| now.to_bits() == before.to_bits());
            if writable && !same {
                check_entries(&self.vectors.trained.params[place], &before, &entries)?;
                self.change(v, place, |tensor| *tensor = like(tensor, entries));
            }
        }
        Ok(())
    }

    fn log(&mut self, key: &str, value: f64) {
        self.log.push((key.into(), value));
    }
}

pub(crate) fn phase_name(phase: Phases) -> &'static str {
    phase.names().next().unwrap_or("attach")
}
