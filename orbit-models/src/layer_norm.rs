//! Layer normalisation with its weight and bias.

use burn::module::{Module, Param};
use burn::tensor::{Device, Tensor, TensorData};
use orbit_core::kernel::layer_norm;

use crate::linear::Source;

/// [`layer_norm`] with its weight and bias.
#[derive(Module, Debug)]
pub(crate) struct LayerNorm {
    weight: Param<Tensor<1>>,
    bias: Param<Tensor<1>>,
    epsilon: f32,
}

impl LayerNorm {
    pub(crate) fn new(source: &mut Source<'_>, name: &str, size: usize, epsilon: f64, device: &Device) -> Self {
        let mut vector = |part: &str| {
            let data = TensorData::new(source(&format!("{name}.{part}"), &[size]), [size]);
            Param::from_tensor(Tensor::from_data(data, device))
        };
        Self { weight: vector("weight"), bias: vector("bias"), epsilon: epsilon as f32 }
    }

    pub(crate) fn forward(&self, x_btd: Tensor<3>) -> Tensor<3> {
        layer_norm(x_btd, self.weight.val(), self.bias.val(), self.epsilon)
    }
}
