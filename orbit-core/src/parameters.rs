//! A model's parameters as flat vectors, taken out and put back without a copy.

use burn::module::{Module, ModuleMapper, ModuleVisitor, Param as ModuleParam};
use burn::tensor::{Gradients, Tensor};
use orbit_hook::Param;

use crate::Model;

/// Name, shape and kind of every parameter, in the module's own order. A tied parameter is one.
pub fn parameters<M: Model>(model: &M) -> Vec<Param> {
    struct Names<'m, M>(&'m M, Vec<String>, Vec<Param>);
    impl<M: Model> ModuleVisitor for Names<'_, M> {
        fn enter_module(&mut self, name: &str, _: &str) {
            self.1.push(name.into());
        }
        fn exit_module(&mut self, _: &str, _: &str) {
            self.1.pop();
        }
        fn visit_float<const D: usize>(&mut self, param: &ModuleParam<Tensor<D>>) {
            let name = self.1.join(".");
            let kind = self.0.kind(&name);
            self.2.push(Param { name, shape: param.lazy_shape().to_vec(), kind });
        }
    }
    let mut names = Names(model, Vec::new(), Vec::new());
    model.visit(&mut names);
    names.2
}

/// The parameters themselves, without autodiff. The tensors share the model's memory.
pub(crate) fn weights<M: Module>(model: &M) -> Vec<Tensor<1>> {
    struct Collect(Vec<Tensor<1>>);
    impl ModuleVisitor for Collect {
        fn visit_float<const D: usize>(&mut self, param: &ModuleParam<Tensor<D>>) {
            let value = param.val();
            self.0.push(flatten(if value.device().is_autodiff() { value.inner() } else { value }));
        }
    }
    let mut collect = Collect(Vec::new());
    model.visit(&mut collect);
    collect.0
}

/// The parameters' entries on the host, in the order of [`parameters`]. Copies them.
pub fn host_weights<M: Module>(model: &M) -> Vec<Vec<f32>> {
    weights(model).into_iter().map(crate::arithmetic::read).collect()
}

/// Takes the parameters out of a model, which keeps its shape but must not run until [`put`] has filled it. The vectors own
/// their memory alone, so that arithmetic happens in place.
pub(crate) fn take<M: Module>(model: M) -> (M, Vec<Tensor<1>>) {
    struct Take(Vec<Tensor<1>>);
    impl ModuleMapper for Take {
        fn map_float<const D: usize>(&mut self, param: ModuleParam<Tensor<D>>) -> ModuleParam<Tensor<D>> {
            let (id, tensor, mapper) = param.consume();
            let hollow = Tensor::<D>::empty([0; D], &tensor.device());
            self.0.push(flatten(tensor.inner()));
            ModuleParam::from_mapped_value(id, hollow, mapper)
        }
    }
    let mut take = Take(Vec::new());
    let model = model.map(&mut take);
    (model, take.0)
}

/// Puts parameters into a model, in the order of [`parameters`]. With `trained`, they are leaves of the autodiff graph.
pub(crate) fn put<M: Module>(model: M, weights: Vec<Tensor<1>>, params: &[Param], trained: bool) -> M {
    struct Put<'p>(std::vec::IntoIter<Tensor<1>>, std::slice::Iter<'p, Param>, bool);
    impl ModuleMapper for Put<'_> {
        fn map_float<const D: usize>(&mut self, param: ModuleParam<Tensor<D>>) -> ModuleParam<Tensor<D>> {
            let (id, old, mapper) = param.consume();
            let (Some(tensor), Some(Param { shape, .. })) = (self.0.next(), self.1.next()) else {
                unreachable!("a module's parameters do not change in number");
            };
            drop(old);
            let shape: [usize; D] = std::array::from_fn(|axis| shape[axis]);
            let tensor = tensor.reshape(shape);
            let tensor = if self.2 { Tensor::from_inner(tensor).require_grad() } else { tensor };
            ModuleParam::from_mapped_value(id, tensor, mapper)
        }
    }
    model.map(&mut Put(weights.into_iter(), params.iter(), trained))
}

/// Takes every parameter's gradient out of the result of a backward pass; zeros where the loss did not reach.
pub(crate) fn gradients<M: Module>(model: &M, grads: &mut Gradients) -> Vec<Tensor<1>> {
    struct Collect<'g>(&'g mut Gradients, Vec<Tensor<1>>);
    impl ModuleVisitor for Collect<'_> {
        fn visit_float<const D: usize>(&mut self, param: &ModuleParam<Tensor<D>>) {
            let value = param.val();
            let gradient = value.grad_remove(self.0).unwrap_or_else(|| value.inner().zeros_like());
            self.1.push(flatten(gradient));
        }
    }
    let mut collect = Collect(grads, Vec::new());
    model.visit(&mut collect);
    collect.1
}

fn flatten<const D: usize>(tensor: Tensor<D>) -> Tensor<1> {
    let entries = tensor.shape().num_elements();
    tensor.reshape([entries])
}
