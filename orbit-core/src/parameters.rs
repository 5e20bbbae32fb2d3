//! A model's parameters as flat vectors, taken out and put back without a copy.

use burn::module::{Module, ModuleMapper, ModuleVisitor, Param as ModuleParam};
use burn::tensor::{Gradients, Tensor};
use orbit_hook::Param;

use crate::Model;

/// Name, shape and kind of every parameter, in the module's own order. A tied parameter is one.
pub fn parameters<M: Model>(model: &M) -> Vec<Param> {
    struct Names<'m, M>(&'m M, Vec<String>, Vec<Param>);
    impl<M: Model> ModuleVisitor for Names<'_, M> {
        fn enter_module(&mut self, name: &str, container: &str) {
            // A model that is one of several kinds has the names of its kind: the variant leaves no trace in them.
            let name = if container.starts_with("Enum:") { "" } else { name };
            self.1.push(name.into());
        }
        fn exit_module(&mut self, _: &str, _: &str) {
            self.1.pop();
        }
        fn visit_float<const D: usize>(&mut self, param: &ModuleParam<Tensor<D>>) {
            let path: Vec<&str> = self.1.iter().map(String::as_str).filter(|name| !name.is_empty()).collect();
            let name = path.join(".");
            let kind = self.0.kind(&name);
            self.2.push(Param { name, shape: param.lazy_shape().to_vec(), kind });
        }
    }
    let mut names = Names(model, Vec::new(), Vec::new());
    model.visit(&mut names);
    names.2
}

/// The parameters' entries on the host, in the order of [`parameters`]. Copies them.
pub fn host_weights<M: Module>(model: &M) -> Vec<Vec<f32>> {
    every_weight(model).into_iter().map(crate::arithmetic::read).collect()
}

/// Every parameter, without autodiff. The tensors share the model's memory.
fn every_weight<M: Module>(model: &M) -> Vec<Tensor<1>> {
    struct Collect(Vec<Tensor<1>>);
    impl ModuleVisitor for Collect {
        fn visit_float<const D: usize>(&mut self, param: &ModuleParam<Tensor<D>>) {
            let value = param.base();
            self.0.push(flatten(if value.device().is_autodiff() { value.inner() } else { value }));
        }
    }
    let mut collect = Collect(Vec::new());
    model.visit(&mut collect);
    collect.0
}

/// The parameters of a model that training changes: what hooks see, and what [`Fit`](crate::Fit) takes out of the model and
/// puts back.
#[derive(Debug)]
pub(crate) struct Trained {
    /// Name, shape and kind of each, in the module's own order.
    pub(crate) params: Vec<Param>,
    /// Of every parameter of the module, whether it is one of them.
    chosen: Vec<bool>,
}

impl Trained {
    pub(crate) fn of<M: Model>(model: &M) -> Self {
        let params = parameters(model);
        let chosen: Vec<bool> = params.iter().map(|param| model.trains(&param.name)).collect();
        let params = params.into_iter().zip(&chosen).filter_map(|(param, &chosen)| chosen.then_some(param)).collect();
        Self { params, chosen }
    }

    /// The parameters themselves, without autodiff. The tensors share the model's memory.
    pub(crate) fn weights<M: Module>(&self, model: &M) -> Vec<Tensor<1>> {
        every_weight(model)
            .into_iter()
            .zip(&self.chosen)
            .filter_map(|(tensor, &chosen)| chosen.then_some(tensor))
            .collect()
    }

    /// Takes the parameters out of a model, which keeps its shape but must not run until [`put`](Self::put) has filled it. The
    /// vectors own their memory alone, so that arithmetic happens in place.
    pub(crate) fn take<M: Module>(&self, model: M) -> (M, Vec<Tensor<1>>) {
        struct Take<'c>(std::slice::Iter<'c, bool>, Vec<Tensor<1>>);
        impl ModuleMapper for Take<'_> {
            fn map_float<const D: usize>(&mut self, param: ModuleParam<Tensor<D>>) -> ModuleParam<Tensor<D>> {
                let (id, tensor, mapper) = param.consume();
                if self.0.next() == Some(&false) {
                    // Frozen: a constant of the graph.
                    let tensor = if tensor.device().is_autodiff() { tensor.inner() } else { tensor };
                    return ModuleParam::from_mapped_value(id, Tensor::from_inner(tensor), mapper);
                }
                let hollow = Tensor::<D>::empty([0; D], &tensor.device());
                self.1.push(flatten(tensor.inner()));
                ModuleParam::from_mapped_value(id, hollow, mapper)
            }
        }
        let mut take = Take(self.chosen.iter(), Vec::new());
        let model = model.map(&mut take);
        (model, take.1)
    }

    /// Puts parameters into a model. With `leaves`, they are leaves of the autodiff graph; without, the model has no autodiff.
    pub(crate) fn put<M: Module>(&self, model: M, weights: Vec<Tensor<1>>, leaves: bool) -> M {
        struct Put<'p> {
            chosen: std::slice::Iter<'p, bool>,
            params: std::slice::Iter<'p, Param>,
            weights: std::vec::IntoIter<Tensor<1>>,
            leaves: bool,
        }
        impl ModuleMapper for Put<'_> {
            fn map_float<const D: usize>(&mut self, param: ModuleParam<Tensor<D>>) -> ModuleParam<Tensor<D>> {
                if self.chosen.next() == Some(&false) {
                    return param;
                }
                let (id, old, mapper) = param.consume();
                let (Some(tensor), Some(Param { shape, .. })) = (self.weights.next(), self.params.next()) else {
                    unreachable!("a module's parameters do not change in number");
                };
                drop(old);
                let shape: [usize; D] = std::array::from_fn(|axis| shape[axis]);
                let tensor = tensor.reshape(shape);
                let tensor = if self.leaves { Tensor::from_inner(tensor).require_grad() } else { tensor };
                ModuleParam::from_mapped_value(id, tensor, mapper)
            }
        }
        let (chosen, params) = (self.chosen.iter(), self.params.iter());
        model.map(&mut Put { chosen, params, weights: weights.into_iter(), leaves })
    }

    /// Takes every parameter's gradient out of the result of a backward pass; zeros where the loss did not reach.
    pub(crate) fn gradients<M: Module>(&self, model: &M, grads: &mut Gradients) -> Vec<Tensor<1>> {
        struct Collect<'g>(std::slice::Iter<'g, bool>, &'g mut Gradients, Vec<Tensor<1>>);
        impl ModuleVisitor for Collect<'_> {
            fn visit_float<const D: usize>(&mut self, param: &ModuleParam<Tensor<D>>) {
                if self.0.next() == Some(&false) {
                    return;
                }
                let value = param.base();
                let gradient = value.grad_remove(self.1).unwrap_or_else(|| value.inner().zeros_like());
                self.2.push(flatten(gradient));
            }
        }
        let mut collect = Collect(self.chosen.iter(), grads, Vec::new());
        model.visit(&mut collect);
        collect.2
    }
}

fn flatten<const D: usize>(tensor: Tensor<D>) -> Tensor<1> {
    let entries = tensor.shape().num_elements();
    tensor.reshape([entries])
}
