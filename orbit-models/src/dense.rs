//! A plain linear layer of small networks, which carry no adapters.

use burn::module::{Module, Param};
use burn::tensor::{Device, Tensor, TensorData};
use rand::RngExt;
use rand_chacha::ChaCha8Rng;

use crate::weights::Array;

/// y = x Wᵀ + b.
#[derive(Module, Debug)]
pub(crate) struct Dense {
    /// `[out, in]`.
    pub(crate) weight: Param<Tensor<2>>,
    /// `[out]`.
    pub(crate) bias: Param<Tensor<1>>,
}

impl Dense {
    /// Fresh weights as PyTorch's `nn.Linear` has them: uniform within ±1/√in.
    pub(crate) fn new(rng: &mut ChaCha8Rng, out: usize, input: usize, device: &Device) -> Self {
        let bound = (input as f32).sqrt().recip();
        let mut draw = |count: usize| (0..count).map(|_| rng.random_range(-bound..bound)).collect::<Vec<f32>>();
        let weight = Array { data: draw(out * input), shape: vec![out, input] };
        Self::of(weight, Array { data: draw(out), shape: vec![out] }, device)
    }

    pub(crate) fn of(weight: Array, bias: Array, device: &Device) -> Self {
        let shape = [weight.shape[0], weight.shape[1]];
        Self {
            weight: Param::from_tensor(Tensor::from_data(TensorData::new(weight.data, shape), device)),
            bias: Param::from_tensor(Tensor::from_data(TensorData::new(bias.data, [shape[0]]), device)),
        }
    }

    /// `[n, in]` → `[n, out]`.
    pub(crate) fn forward(&self, x: Tensor<2>) -> Tensor<2> {
        x.matmul(self.weight.val().transpose()) + self.bias.val().unsqueeze()
    }

    /// The weights, under the names that follow `name` in PyTorch.
    pub(crate) fn arrays(&self, name: &str) -> [(String, Array); 2] {
        let weight = self.weight.val();
        let shape = weight.dims().to_vec();
        let data = weight.into_data().try_into_vec().unwrap_or_default();
        let bias: Vec<f32> = self.bias.val().into_data().try_into_vec().unwrap_or_default();
        let bias = Array { shape: vec![bias.len()], data: bias };
        [(format!("{name}.weight"), Array { shape, data }), (format!("{name}.bias"), bias)]
    }
}
