//! Adapters on a model, and in its weights.

use burn::module::{Module, ModuleMapper, Param, Reparameterization, Reparameterizer};
use burn::tensor::{Device, Tensor, TensorData};

use super::Adapter;
use crate::tokens::NEW_TOKENS;
use crate::weights::Array;

/// The factors of one weight's adapter.
#[derive(Module, Debug)]
pub struct Lora {
    /// A, `[rank, in]`.
    pub(crate) a: Param<Tensor<2>>,
    /// B, `[out, rank]`.
    pub(crate) b: Param<Tensor<2>>,
    /// s.
    pub(crate) scale: f64,
    pub(crate) dropout: f64,
    /// Tells its dropout from that of other weights.
    pub(crate) seed: u64,
}

impl Reparameterization for Lora {
    const NAME: &'static str = "lora";

    /// Forms the product, which a linear layer never does in a forward pass.
    fn apply<const D: usize>(&self, base: Tensor<D>) -> Tensor<D> {
        let update = self.b.val().matmul(self.a.val()).mul_scalar(self.scale);
        let shape: [usize; D] = base.dims();
        base + update.reshape(shape)
    }
}

/// Several adapters of one weight, of which every row chooses one. The weight itself has none.
#[derive(Module, Debug)]
pub struct Bank {
    /// By the adapter's number; none where an adapter leaves this weight alone.
    pub(crate) adapters: Vec<Option<Lora>>,
}

impl Reparameterization for Bank {
    const NAME: &'static str = "adapters";

    /// The weight alone: what is added depends on the row.
    fn apply<const D: usize>(&self, base: Tensor<D>) -> Tensor<D> {
        base
    }
}

/// Puts an adapter on a model and freezes all else but the rows of new tokens.
pub(crate) fn attach<M: Module>(model: M, adapter: &Adapter) -> M {
    model.apply_reparameterization(One(adapter))
}

/// Puts several adapters on a model, side by side, and freezes the model.
pub(crate) fn attach_bank<M: Module>(model: M, adapters: &[Adapter]) -> M {
    model.apply_reparameterization(Many(adapters))
}

/// Adds `times` the adapter to the weights: 1 merges it, −1 takes it out again, to the rounding of the weights.
pub(crate) fn merge<M: Module>(model: M, adapter: &Adapter, times: f64) -> M {
    struct Add<'a>(&'a Adapter, f64, Vec<String>);
    impl ModuleMapper for Add<'_> {
        fn enter_module(&mut self, name: &str, _: &str) {
            self.2.push(name.into());
        }
        fn exit_module(&mut self, _: &str, _: &str) {
            self.2.pop();
        }
        fn map_float<const D: usize>(&mut self, param: Param<Tensor<D>>) -> Param<Tensor<D>> {
            let path = self.2.join(".");
            let Some(factors) = self.0.factors_of(&path) else { return param };
            let [a, b] = factors.each_ref().map(|array| tensor(array, &param.base().device()));
            let update = b.matmul(a).mul_scalar(self.0.config.scale() * self.1);
            param.map(|weight| {
                let shape: [usize; D] = weight.dims();
                weight + update.reshape(shape)
            })
        }
    }
    model.map(&mut Add(adapter, times, Vec::new()))
}

struct One<'a>(&'a Adapter);

impl Reparameterizer for One<'_> {
    type Reparam = Lora;

    fn reparameterize<const D: usize>(
        &mut self,
        path: &str,
        param: Param<Tensor<D>>,
    ) -> (Param<Tensor<D>>, Option<Lora>) {
        let lora = lora(self.0, path, &param.base().device());
        (if path.starts_with(NEW_TOKENS) { param } else { param.set_require_grad(false) }, lora)
    }
}

struct Many<'a>(&'a [Adapter]);

impl Reparameterizer for Many<'_> {
    type Reparam = Bank;

    fn reparameterize<const D: usize>(
        &mut self,
        path: &str,
        param: Param<Tensor<D>>,
    ) -> (Param<Tensor<D>>, Option<Bank>) {
        let device = param.base().device();
        let adapters: Vec<_> = self.0.iter().map(|adapter| lora(adapter, path, &device)).collect();
        let bank = adapters.iter().any(Option::is_some).then_some(Bank { adapters });
        (param.set_require_grad(false), bank)
    }
}

impl Adapter {
    /// A and B of the weight with this name.
    fn factors_of(&self, weight: &str) -> Option<&[Array; 2]> {
        self.factors.get(weight.strip_suffix(".weight")?)
    }
}

fn lora(adapter: &Adapter, path: &str, device: &Device) -> Option<Lora> {
    let [a, b] = adapter.factors_of(path)?.each_ref().map(|array| Param::from_tensor(tensor(array, device)));
    let layer = path.strip_suffix(".weight");
    let place = adapter.factors.keys().position(|name| Some(name.as_str()) == layer).unwrap_or(0);
    // Far apart, so that no two weights draw the same numbers.
    let seed = (place as u64 + 1) << 40;
    Some(Lora { a, b, scale: adapter.config.scale(), dropout: adapter.config.dropout, seed })
}

fn tensor(array: &Array, device: &Device) -> Tensor<2> {
    Tensor::from_data(TensorData::new(array.data.clone(), [array.shape[0], array.shape[1]]), device)
}
