use std::collections::BTreeMap;
use std::num::NonZeroU64;

use expect_test::expect;
use orbit_regularizers::{At, Ewc, Freeze, Half, HookEntry, Kl, Lwf, Mas, Metric, OLora, Orbit, Si, Use};

use crate::toy::{BUILT_INS, build, parse};

fn error(text: &str) -> String {
    toml::from_str::<HookEntry>(text).unwrap_err().to_string()
}

#[test]
fn an_entry_with_everything() {
    let text = r#"
        only = "layers.*"
        every = 10
        use.orbit = { metric = "l2", max_drift = 3, factor = 0.25, max_halvings = 4 }
    "#;
    let entry: HookEntry = toml::from_str(text).unwrap();
    assert_eq!((entry.only.as_deref(), entry.every.get()), (Some("layers.*"), 10));
    let expected = Orbit { factor: 0.25, max_halvings: 4, ..Orbit::new(Metric::L2, 3.0) };
    assert_eq!(entry.r#use, Use::Orbit(expected));
}

#[test]
fn defaults_are_the_documented_ones() {
    let entry: HookEntry = toml::from_str("use.kl = { strength = 1.0 }").unwrap();
    assert_eq!((entry.only, entry.every.get()), (None, 1));
    assert_eq!(entry.r#use, Use::Kl(Kl { strength: 1.0, temperature: 1.0, at: At::Answer }));
    assert_eq!(parse("orbit = { max_drift = 0.1 }").unwrap(), Use::Orbit(Orbit::new(Metric::Flips, 0.1)));
    assert_eq!(parse("lwf = {}").unwrap(), Use::Lwf(Lwf { strength: 1.0, temperature: 2.0 }));
    let ewc = Ewc { strength: 400.0, decay: 1.0, importance: None, estimates: 0 };
    assert_eq!(parse("ewc = { strength = 400 }").unwrap(), Use::Ewc(ewc));
    assert_eq!(parse("mas = { strength = 1 }").unwrap(), Use::Mas(Mas { strength: 1.0, mix: 0.5, estimates: 0 }));
    assert_eq!(parse("si = { strength = 1 }").unwrap(), Use::Si(Si { strength: 1.0, damping: 1e-7, stages: 0 }));
    let o_lora = OLora { strength: 0.5, l2: 0.0, old: BTreeMap::new() };
    assert_eq!(parse("o_lora = {}").unwrap(), Use::OLora(o_lora));
    let from_stage = NonZeroU64::new(2).unwrap();
    let freeze = Freeze { layers: 3, embeddings: true, from_stage, stage: 0 };
    assert_eq!(parse("freeze = { layers = 3 }").unwrap(), Use::Freeze(freeze));
    assert_eq!(parse("half = {}").unwrap(), Use::Half(Half { seed: 0, stage: 0 }));
}

#[test]
fn the_name_of_a_hook_is_its_key() {
    for config in BUILT_INS {
        assert_eq!(build(config).name(), config.split(" =").next().unwrap());
    }
}

#[test]
fn what_is_written_reads_back() {
    for config in BUILT_INS {
        let entry = HookEntry { only: None, every: NonZeroU64::MIN, r#use: parse(config).unwrap() };
        assert_eq!(toml::from_str::<HookEntry>(&toml::to_string(&entry).unwrap()).unwrap(), entry);
    }
}

#[test]
fn a_wrong_key_is_named_beside_the_right_ones() {
    expect![[r#"
        TOML parse error at line 1, column 15
          |
        1 | use.orbit = { max_drif = 0.1 }
          |               ^^^^^^^^
        unknown field `max_drif`, expected one of `metric`, `max_drift`, `factor`, `max_halvings`
    "#]]
    .assert_eq(&error("use.orbit = { max_drif = 0.1 }"));
    expect![[r#"
        TOML parse error at line 1, column 5
          |
        1 | use.orbti = { max_drift = 0.1 }
          |     ^^^^^
        unknown variant `orbti`, expected one of `orbit`, `soup`, `interpolate`, `ema`, `ball`, `l2_sp`, `decay`, `kl`, `lwf`, `ewc`, `mas`, `si`, `o_lora`, `instruction_vector`, `freeze`, `half`, `plugin`
    "#]]
    .assert_eq(&error("use.orbti = { max_drift = 0.1 }"));
    expect![[r#"
        TOML parse error at line 1, column 1
          |
        1 | evry = 2
          | ^^^^
        unknown field `evry`, expected one of `only`, `every`, `use`
    "#]]
    .assert_eq(&error("evry = 2\nuse.ema = { decay = 0.5 }"));
}

#[test]
fn what_is_missing_or_impossible_is_said() {
    expect![[r#"
        TOML parse error at line 1, column 13
          |
        1 | use.orbit = { metric = "l2" }
          |             ^^^^^^^^^^^^^^^^^
        missing field `max_drift`
    "#]]
    .assert_eq(&error("use.orbit = { metric = \"l2\" }"));
    expect![[r#"
        TOML parse error at line 1, column 24
          |
        1 | use.orbit = { metric = "cosine", max_drift = 0.1 }
          |                        ^^^^^^^^
        unknown variant `cosine`, expected `flips` or `l2`
    "#]]
    .assert_eq(&error("use.orbit = { metric = \"cosine\", max_drift = 0.1 }"));
    expect![[r#"
        TOML parse error at line 1, column 9
          |
        1 | every = 0
          |         ^
        invalid value: integer `0`, expected a nonzero u64
    "#]]
    .assert_eq(&error("every = 0\nuse.ema = { decay = 0.5 }"));
    expect![[r#"
        TOML parse error at line 1, column 28
          |
        1 | use.soup = { every_steps = 0 }
          |                            ^
        invalid value: integer `0`, expected a nonzero u64
    "#]]
    .assert_eq(&error("use.soup = { every_steps = 0 }"));
    expect![[r#"
        TOML parse error at line 1, column 7
          |
        1 | use = {}
          |       ^^
        wanted exactly 1 element, found 0 elements
    "#]]
    .assert_eq(&error("use = {}"));
}
