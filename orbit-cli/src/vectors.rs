//! The instruction vectors that a run's hooks name, checked before anything is measured or trained.

use anyhow::{Context, Result};
use burn::tensor::Device;
use orbit_models::LanguageModel;
use orbit_models::instruction_vector::InstructionVector;
use orbit_regularizers::{HookEntry, Use};

/// Whether the vectors are of these weights, and the model has the site. What a plugin reads is the plugin's own.
pub(crate) fn check(hooks: &[HookEntry], model: &LanguageModel, device: &Device) -> Result<()> {
    let mut digest = None;
    for (position, entry) in (1..).zip(hooks) {
        let Use::InstructionVector(guidance) = &entry.r#use else { continue };
        let named = || format!("hook {position} \"instruction_vector\"");
        let site = guidance.site.parse().with_context(named)?;
        for file in &guidance.vectors {
            let vector = InstructionVector::load(file).with_context(named)?;
            vector.check(digest.get_or_insert_with(|| model.base_digest())).with_context(named)?;
            model.clone().steered(vector.changes(Some(site), 1.0, device)).with_context(named)?;
        }
    }
    Ok(())
}
