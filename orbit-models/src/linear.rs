//! A linear layer, which may carry low-rank adapters.

use burn::module::{Module, Param};
use burn::tensor::{Device, Tensor, TensorData};
use orbit_core::Input;
use orbit_core::kernel::{add_bias, dropout, linear, low_rank};

use crate::lora::{Bank, Lora};

/// Gives a weight's entries by its name and shape: a checkpoint, or a random generator.
pub(crate) type Source<'s> = dyn FnMut(&str, &[usize]) -> Vec<f32> + 's;

/// y = x Wᵀ + b, and what adapters add to it. Most models have no bias.
#[derive(Module, Debug)]
pub(crate) struct Linear {
    /// `[out, in]`.
    pub(crate) weight: Param<Tensor<2>>,
    /// `[out]`.
    pub(crate) bias: Option<Param<Tensor<1>>>,
}

impl Linear {
    pub(crate) fn new(source: &mut Source<'_>, name: &str, out: usize, input: usize, device: &Device) -> Self {
        let shape = [out, input];
        let data = TensorData::new(source(&format!("{name}.weight"), &shape), shape);
        Self { weight: Param::from_tensor(Tensor::from_data(data, device)), bias: None }
    }

    pub(crate) fn with_bias(source: &mut Source<'_>, name: &str, out: usize, input: usize, device: &Device) -> Self {
        let layer = Self::new(source, name, out, input, device);
        let data = TensorData::new(source(&format!("{name}.bias"), &[out]), [out]);
        Self { bias: Some(Param::from_tensor(Tensor::from_data(data, device))), ..layer }
    }

    /// Keeps the first rows of the weight: of a table of tokens those that have a token.
    pub(crate) fn keep_rows(&mut self, rows: usize) {
        let weight = self.weight.val();
        if rows < weight.dims()[0] {
            self.weight = Param::from_tensor(weight.narrow(0, 0, rows));
        }
    }

    /// `[B, T, in]` → `[B, T, out]`. `input` says which adapter a row goes through, and seeds dropout.
    pub(crate) fn forward(&self, x_bti: Tensor<3>, input: &Input) -> Tensor<3> {
        let [b, t, d] = x_bti.dims();
        let x = x_bti.reshape([b * t, d]);
        let mut y = linear(x.clone(), self.weight.base());
        if let Some(bias) = &self.bias {
            y = add_bias(y, bias.val());
        }
        if let Some(lora) = self.weight.reparameterization::<Lora>() {
            let seed = input.noise.filter(|_| lora.dropout > 0.0);
            let x = seed.map_or(x.clone(), |seed| dropout(x, lora.dropout, seed ^ lora.seed));
            y = lora.add_to(y, x);
        } else if let Some(bank) = self.weight.reparameterization::<Bank>() {
            y = routed(bank, y, x, t, &input.adapters);
        }
        let [_, out] = y.dims();
        y.reshape([b, t, out])
    }
}

/// Sends each run of neighbouring rows with the same adapter through it.
fn routed(bank: &Bank, y: Tensor<2>, x: Tensor<2>, width: usize, adapters: &[Option<usize>]) -> Tensor<2> {
    if adapters.iter().all(Option::is_none) {
        return y;
    }
    let mut start = 0;
    let parts = adapters.chunk_by(|a, b| a == b).map(|run| {
        let (from, rows) = (start * width, run.len() * width);
        start += run.len();
        let part = y.clone().narrow(0, from, rows);
        match run[0].and_then(|adapter| bank.adapters.get(adapter)?.as_ref()) {
            Some(lora) => lora.add_to(part, x.clone().narrow(0, from, rows)),
            None => part,
        }
    });
    Tensor::cat(parts.collect(), 0)
}

impl Lora {
    /// z + s · (x Aᵀ) Bᵀ.
    fn add_to(&self, z: Tensor<2>, x: Tensor<2>) -> Tensor<2> {
        low_rank(z, x, self.a.val(), self.b.val(), self.scale as f32)
    }
}
