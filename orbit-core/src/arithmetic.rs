//! Arithmetic on lists of flat tensors.
//!
//! On flex a list is walked in one parallel pass over the buffers, at the speed of memory; anywhere else it is burn's own
//! operations, with one read from the device a call. Both give entrywise results of the same formula.

use burn::tensor::{Tensor, TensorData};

/// A reduction of two vectors to one number, summed over entries.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Reduce {
    /// Σ a·b.
    Dot,
    /// Σ (a − b)².
    SquaredDistance,
    /// The number of entries whose signs differ.
    Flips,
}

/// An entrywise change of a vector by up to two others.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) enum Update {
    /// dst ← by · dst.
    Scale(f32),
    /// dst ← x.
    Copy,
    /// dst ← dst + t (x − dst); by 0 nothing changes, by 1 a copy, to the bit.
    Lerp(f32),
    /// dst ← dst + a · x.
    Add(f32),
    /// dst ← dst + a · x · y.
    AddProduct(f32),
}

/// Reduces pairs of tensors of equal length.
pub(crate) fn reduce(kind: Reduce, pairs: &[(&Tensor<1>, &Tensor<1>)]) -> f64 {
    #[cfg(feature = "flex")]
    if let Some(sum) = on_flex::reduce(kind, pairs) {
        return sum;
    }
    let parts: Vec<Tensor<1>> = pairs
        .iter()
        .map(|&(a, b)| {
            let (a, b) = (a.clone(), b.clone());
            match kind {
                Reduce::Dot => (a * b).sum(),
                Reduce::SquaredDistance => (a - b).square().sum(),
                Reduce::Flips => a.sign().not_equal(b.sign()).int().sum().float(),
            }
        })
        .collect();
    if parts.is_empty() { 0.0 } else { read(Tensor::cat(parts, 0)).into_iter().map(f64::from).sum() }
}

/// Changes `dst` in place. `x` and `y` are tensors of its length, where `kind` names them.
pub(crate) fn update(kind: Update, dst: &mut Tensor<1>, x: Option<&Tensor<1>>, y: Option<&Tensor<1>>) {
    let kind = match kind {
        Update::Lerp(0.0) => return,
        Update::Lerp(1.0) => Update::Copy,
        other => other,
    };
    #[cfg(feature = "flex")]
    if on_flex::update(kind, dst, x, y) {
        return;
    }
    let old = std::mem::replace(dst, Tensor::empty([0], &dst.device()));
    let x = || x.cloned().unwrap_or_else(|| old.zeros_like());
    *dst = match kind {
        Update::Scale(by) => old.mul_scalar(by),
        Update::Copy => x(),
        Update::Lerp(t) => old.clone() + (x() - old).mul_scalar(t),
        Update::Add(a) => old.clone() + x().mul_scalar(a),
        Update::AddProduct(a) => old.clone() + x().mul_scalar(a) * y.cloned().unwrap_or_else(|| old.zeros_like()),
    };
}

/// The entries of a tensor on the host. One read from the device.
pub(crate) fn read(tensor: Tensor<1>) -> Vec<f32> {
    tensor.into_data().convert::<f32>().try_into_vec().unwrap_or_default()
}

/// A tensor of the given entries on the device of another.
pub(crate) fn like(tensor: &Tensor<1>, entries: Vec<f32>) -> Tensor<1> {
    let length = entries.len();
    Tensor::from_data(TensorData::new(entries, [length]), &tensor.device())
}

#[cfg(feature = "flex")]
pub(crate) mod on_flex {
    use burn::backend::{Flex, tensor::FloatTensor};
    use burn::tensor::Tensor;
    use rayon::prelude::*;

    use super::{Reduce, Update};
    use crate::kernel::lanes::{sum2, vectorised};

    /// Entries a task sums in single precision before it is added up in double: few enough for seven digits.
    const ENTRIES_A_TASK: usize = 1 << 14;

    type Flat = FloatTensor<Flex>;

    /// The buffer of a tensor, if it is one of flex.
    pub(crate) fn buffer(tensor: &Tensor<1>) -> Option<Flat> {
        let flat = tensor.clone().try_into_primitive::<Flex>().ok()?;
        flat.as_slice::<f32>().is_some().then_some(flat)
    }

    /// Runs `change` on the buffer of a tensor in place; false if it is not one of flex. Copies first if it is shared.
    pub(crate) fn with_buffer(tensor: &mut Tensor<1>, change: impl FnOnce(&mut [f32])) -> bool {
        if buffer(tensor).is_none() {
            return false;
        }
        let owned = std::mem::replace(tensor, Tensor::empty([0], &tensor.device()));
        let Ok(flat) = owned.try_into_primitive::<Flex>() else { return false };
        let mut flat = if flat.layout().is_dense_unique_storage() { flat } else { flat.to_contiguous() };
        change(flat.storage_mut::<f32>());
        *tensor = Tensor::from_primitive::<Flex>(flat);
        true
    }

    pub(super) fn reduce(kind: Reduce, pairs: &[(&Tensor<1>, &Tensor<1>)]) -> Option<f64> {
        let buffers: Vec<(Flat, Flat)> =
            pairs.iter().map(|(a, b)| Some((buffer(a)?, buffer(b)?))).collect::<Option<_>>()?;
        let tasks: Vec<(&[f32], &[f32])> = buffers
            .iter()
            .filter_map(|(a, b)| Some((a.as_slice::<f32>()?, b.as_slice::<f32>()?)))
            .flat_map(|(a, b)| a.chunks(ENTRIES_A_TASK).zip(b.chunks(ENTRIES_A_TASK)))
            .collect();
        // Collected, then summed in order: the same bits for any number of threads.
        let sums: Vec<f32> = tasks.par_iter().map(|(a, b)| vectorised!(reduce_task(kind, a, b))).collect();
        Some(sums.into_iter().map(f64::from).sum())
    }

    #[inline(always)]
    fn reduce_task(kind: Reduce, a: &[f32], b: &[f32]) -> f32 {
        match kind {
            Reduce::Dot => sum2(a, b, |a, b| a * b),
            Reduce::SquaredDistance => sum2(a, b, |a, b| (a - b) * (a - b)),
            Reduce::Flips => flips(a, b) as f32,
        }
    }

    /// Entries whose signs differ. No branch, and integer lanes, so that it compiles to wide comparisons.
    #[inline(always)]
    fn flips(a: &[f32], b: &[f32]) -> u32 {
        const LANES: usize = 16;
        let differ = |a: f32, b: f32| u32::from((a > 0.0) != (b > 0.0)) | u32::from((a < 0.0) != (b < 0.0));
        let (wide_a, rest_a) = a.as_chunks::<LANES>();
        let (wide_b, rest_b) = b.as_chunks::<LANES>();
        let mut lanes = [0_u32; LANES];
        for (a, b) in wide_a.iter().zip(wide_b) {
            for i in 0..LANES {
                lanes[i] += differ(a[i], b[i]);
            }
        }
        lanes.iter().sum::<u32>() + rest_a.iter().zip(rest_b).map(|(&a, &b)| differ(a, b)).sum::<u32>()
    }

    pub(super) fn update(kind: Update, dst: &mut Tensor<1>, x: Option<&Tensor<1>>, y: Option<&Tensor<1>>) -> bool {
        let (x, y) = (x.and_then(buffer), y.and_then(buffer));
        with_buffer(dst, |dst| {
            let (x, y) = (entries(&x), entries(&y));
            dst.par_chunks_mut(ENTRIES_A_TASK).enumerate().for_each(|(task, dst)| {
                let part =
                    |v: &[f32]| (task * ENTRIES_A_TASK).min(v.len())..(task * ENTRIES_A_TASK + dst.len()).min(v.len());
                let (x, y) = (&x[part(x)], &y[part(y)]);
                vectorised!(update_task(kind, dst, x, y));
            });
        })
    }

    fn entries(flat: &Option<Flat>) -> &[f32] {
        flat.as_ref().and_then(|flat| flat.as_slice::<f32>()).unwrap_or(&[])
    }

    #[inline(always)]
    fn update_task(kind: Update, dst: &mut [f32], x: &[f32], y: &[f32]) {
        match kind {
            Update::Scale(by) => dst.iter_mut().for_each(|d| *d *= by),
            Update::Copy => dst.copy_from_slice(x),
            Update::Lerp(t) => dst.iter_mut().zip(x).for_each(|(d, x)| *d += t * (x - *d)),
            Update::Add(a) => dst.iter_mut().zip(x).for_each(|(d, x)| *d += a * x),
            Update::AddProduct(a) => dst.iter_mut().zip(x).zip(y).for_each(|((d, x), y)| *d += a * x * y),
        }
    }
}
