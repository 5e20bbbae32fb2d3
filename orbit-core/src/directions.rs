//! Stored activation vectors that hooks name by file and name.

use std::collections::BTreeMap;
use std::path::Path;

use burn::tensor::{Device, Tensor, TensorData};
use orbit_hook::{Edit, Error, ErrorKind, ForwardPlan, Result, check_factor};

use crate::tensor_file::TensorFile;
use crate::trace::{At, Change, Sites, Trace};

/// Vectors by file and name, each read once.
#[derive(Default)]
pub(crate) struct Directions(BTreeMap<(String, String), Tensor<1>>);

impl Directions {
    /// A trace that does what a plan says, checked against the model's sites.
    pub(crate) fn trace(&mut self, plan: &ForwardPlan, sites: &Sites, device: &Device) -> Result<Trace> {
        let changes = plan.edits.iter().map(|edit| self.change(edit, device)).collect::<Result<_>>()?;
        let trace = Trace::new(plan.taps.clone(), changes);
        trace.check(sites).map_err(|e| Error::new(ErrorKind::Unknown, e.to_string()))?;
        Ok(trace)
    }

    fn change(&mut self, edit: &Edit, device: &Device) -> Result<Change> {
        check_factor("the scale of an edit", edit.scale.into())?;
        let key = (edit.file.clone(), edit.name.clone());
        let vector = match self.0.get(&key) {
            Some(vector) => vector.clone(),
            None => {
                let vector = read(edit, device)?;
                self.0.insert(key, vector.clone());
                vector
            }
        };
        Ok(Change { site: edit.site, at: At::Positions(edit.at), keep: 1.0, vector: vector.mul_scalar(edit.scale) })
    }
}

fn read(Edit { file, name, .. }: &Edit, device: &Device) -> Result<Tensor<1>> {
    let unknown = |message: String| Error::new(ErrorKind::Unknown, message);
    let failed = |error: crate::Error| unknown(error.to_string());
    let mut vectors = TensorFile::open(Path::new(file)).map_err(failed)?;
    let names: Vec<String> = vectors.tensors().into_iter().map(|(name, _)| name).collect();
    if !names.contains(name) {
        return Err(unknown(format!("{file} has no vector \"{name}\", it has {}", names.join(", "))));
    }
    let entries = vectors.read(name).map_err(failed)?;
    if let Some(value) = entries.iter().find(|entry| !entry.is_finite()) {
        return Err(Error::failed(format!("{file}: the vector \"{name}\" has an entry that is {value}")));
    }
    let length = entries.len();
    Ok(Tensor::from_data(TensorData::new(entries, [length]), device))
}
