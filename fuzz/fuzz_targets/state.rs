//! A plugin's saved state is read or refused, straight and through the tables; what was read says the same when written again.

#![no_main]

use libfuzzer_sys::fuzz_target;
use orbit_hook::abi::{ForeignHook, plugin, table::Plugin};
use orbit_hook::{Entry, Hook, Phases, Result, State};

/// Takes back whatever it is given.
#[derive(serde::Deserialize, schemars::JsonSchema)]
struct Keeper {
    #[serde(skip)]
    kept: State,
}

impl Hook for Keeper {
    fn name(&self) -> &str {
        "keeper"
    }
    fn phases(&self) -> Phases {
        Phases::NONE
    }
    fn save(&self, state: &mut State) -> Result<()> {
        state.clone_from(&self.kept);
        Ok(())
    }
    fn load(&mut self, state: &State) -> Result<()> {
        self.kept = state.clone();
        Ok(())
    }
}

static KEEPER: Plugin = plugin::<Keeper>("keeper", "1.0.0");

fuzz_target!(|bytes: &[u8]| {
    let read = State::from_bytes(bytes);
    let mut hook = ForeignHook::create(&KEEPER, "{}").expect("an empty configuration");
    let mut given = State::new();
    given.put("plugin", Entry::Bytes(bytes.to_vec()));
    assert_eq!(hook.load(&given).is_ok(), read.is_ok());
    if let Ok(state) = read {
        let again = state.to_bytes();
        let mut saved = State::new();
        hook.save(&mut saved).expect("what was loaded can be saved");
        assert_eq!(saved.get("plugin"), Some(&Entry::Bytes(again.clone())));
        assert_eq!(State::from_bytes(&again).expect("what was written can be read").to_bytes(), again);
    }
});
