//! Every option does something, and refuses what makes no sense.

use std::collections::BTreeSet;

use orbit_hook::{ErrorKind, Space, Vector::*};
use serde_json::Value;

use crate::toy::{build, run, space};

/// For every option of every built-in: two configs that differ in it alone.
const PAIRS: [(&str, &str, [&str; 2]); 42] = [
    ("orbit", "metric", ["max_drift = 0.2", "max_drift = 0.2, metric = \"l2\""]),
    ("orbit", "max_drift", ["max_drift = 0.1", "max_drift = 0.3"]),
    ("orbit", "factor", ["max_drift = 0.1", "max_drift = 0.1, factor = 0.9"]),
    ("orbit", "max_halvings", ["max_drift = 0.1", "max_drift = 0.1, max_halvings = 0"]),
    ("soup", "every_steps", ["every_steps = 3", "every_steps = 5"]),
    ("soup", "weight", ["every_steps = 3", "every_steps = 3, weight = 0.1"]),
    ("soup", "at_end", ["every_steps = 3", "every_steps = 3, at_end = false"]),
    ("interpolate", "alpha", ["alpha = 0.5", "alpha = 0.6"]),
    ("ema", "decay", ["decay = 0.5", "decay = 0.6"]),
    ("ball", "radius", ["radius = 0.4", "radius = 0.5"]),
    ("ball", "per_parameter", ["radius = 0.4", "radius = 0.4, per_parameter = true"]),
    ("l2_sp", "strength", ["strength = 1.0", "strength = 2.0"]),
    ("l2_sp", "new_strength", ["strength = 1.0", "strength = 1.0, new_strength = 0.5"]),
    ("decay", "strength", ["strength = 1.0", "strength = 2.0"]),
    ("kl", "strength", ["strength = 1.0", "strength = 2.0"]),
    ("kl", "temperature", ["strength = 1.0", "strength = 1.0, temperature = 2.0"]),
    ("kl", "at", ["strength = 1.0", "strength = 1.0, at = \"all\""]),
    ("lwf", "strength", ["strength = 1.0", "strength = 2.0"]),
    ("lwf", "temperature", ["temperature = 1.0", "temperature = 2.0"]),
    ("ewc", "strength", ["strength = 1.0", "strength = 2.0"]),
    ("ewc", "decay", ["strength = 1.0", "strength = 1.0, decay = 0.5"]),
    ("ewc", "importance", ["strength = 1.0", "strength = 1.0, importance = \"importance\""]),
    ("mas", "strength", ["strength = 1.0", "strength = 2.0"]),
    ("mas", "mix", ["strength = 1.0", "strength = 1.0, mix = 0.9"]),
    ("si", "strength", ["strength = 0.1", "strength = 0.2"]),
    ("si", "damping", ["strength = 0.1", "strength = 0.1, damping = 0.1"]),
    ("o_lora", "strength", ["strength = 0.1", "strength = 0.2"]),
    ("o_lora", "l2", ["strength = 0.1", "strength = 0.1, l2 = 0.1"]),
    ("freeze", "layers", ["layers = 0", "layers = 1"]),
    ("freeze", "embeddings", ["layers = 1", "layers = 1, embeddings = false"]),
    ("freeze", "from_stage", ["layers = 1", "layers = 1, from_stage = 3"]),
    ("half", "seed", ["seed = 1", "seed = 9"]),
    (
        "instruction_vector",
        "vectors",
        [
            "vectors = [\"tests/vector.safetensors\"], kl_dead_zone = 0.0",
            "vectors = [\"tests/vector.safetensors\", \"tests/one-head.safetensors\", \"tests/vector.safetensors\"], kl_dead_zone = 0.0",
        ],
    ),
    (
        "instruction_vector",
        "scale",
        [
            "vectors = [\"tests/vector.safetensors\"], kl_dead_zone = 0.0",
            "vectors = [\"tests/vector.safetensors\"], scale = 2.0, kl_dead_zone = 0.0",
        ],
    ),
    (
        "instruction_vector",
        "prompt_kl",
        [
            "vectors = [\"tests/vector.safetensors\"], kl_dead_zone = 0.0",
            "vectors = [\"tests/vector.safetensors\"], prompt_kl = 1.0, kl_dead_zone = 0.0",
        ],
    ),
    (
        "instruction_vector",
        "kl",
        [
            "vectors = [\"tests/vector.safetensors\"], kl_dead_zone = 0.0",
            "vectors = [\"tests/vector.safetensors\"], kl = 1.0, kl_dead_zone = 0.0",
        ],
    ),
    (
        "instruction_vector",
        "positions",
        [
            "vectors = [\"tests/vector.safetensors\"], kl_dead_zone = 0.0",
            "vectors = [\"tests/vector.safetensors\"], positions = \"answer\", kl_dead_zone = 0.0",
        ],
    ),
    (
        "instruction_vector",
        "temperature",
        [
            "vectors = [\"tests/vector.safetensors\"], kl_dead_zone = 0.0",
            "vectors = [\"tests/vector.safetensors\"], temperature = 1.0, kl_dead_zone = 0.0",
        ],
    ),
    (
        "instruction_vector",
        "direction",
        [
            "vectors = [\"tests/vector.safetensors\"], kl_dead_zone = 0.0",
            "vectors = [\"tests/vector.safetensors\"], direction = \"forward\", kl_dead_zone = 0.0",
        ],
    ),
    (
        "instruction_vector",
        "kl_dead_zone",
        [
            "vectors = [\"tests/vector.safetensors\"], kl_dead_zone = 0.0",
            "vectors = [\"tests/vector.safetensors\"], kl_dead_zone = 1e9",
        ],
    ),
    (
        "instruction_vector",
        "consistency",
        [
            "vectors = [\"tests/vector.safetensors\"], kl_dead_zone = 0.0",
            "vectors = [\"tests/vector.safetensors\"], consistency = 2.0, kl_dead_zone = 0.0",
        ],
    ),
    (
        "instruction_vector",
        "consistency_dead_zone",
        [
            "vectors = [\"tests/vector.safetensors\"], kl_dead_zone = 0.0",
            "vectors = [\"tests/vector.safetensors\"], consistency_dead_zone = 1e9, kl_dead_zone = 0.0",
        ],
    ),
];

#[test]
fn every_option_changes_something() {
    for (name, option, configs) in PAIRS {
        let [a, b] = configs.map(|options| run(vec![build(&format!("{name} = {{ {options} }}"))]).unwrap());
        assert!(a.space.weights() != b.space.weights() || a.terms != b.terms, "{name}.{option} is dead");
    }
}

/// Options that the toy, in which every site is the logits, cannot show: the end-to-end tests do.
const UNSEEN: [(&str, &str); 2] = [("instruction_vector", "intervention"), ("instruction_vector", "site")];

/// The options are read off the JSON schema, so a new one cannot be forgotten above.
#[test]
fn every_option_is_tried() {
    let schema = serde_json::to_value(schemars::schema_for!(orbit_regularizers::HookEntry)).unwrap();
    let variants = schema["$defs"]["Use"]["oneOf"].as_array().unwrap();
    let variants = variants.iter().map(|variant| variant["properties"].as_object().unwrap().iter().next().unwrap());
    // A plugin is loaded, which the end-to-end tests do.
    let options = variants.filter(|(name, _)| *name != "plugin").flat_map(|(name, reference)| {
        let reference = reference["$ref"].as_str().unwrap().trim_start_matches('#');
        let properties = schema.pointer(reference).unwrap()["properties"].as_object().unwrap();
        properties.keys().map(|option| (name.clone(), option.clone())).collect::<Vec<_>>()
    });
    let tried = PAIRS.iter().map(|(name, option, _)| (*name, *option)).chain(UNSEEN);
    let tried: BTreeSet<_> = tried.map(|(name, option)| (name.to_owned(), option.to_owned())).collect();
    assert_eq!(options.collect::<BTreeSet<_>>(), tried);
}

#[test]
fn every_option_has_a_description() {
    let schema = serde_json::to_value(schemars::schema_for!(orbit_regularizers::HookEntry)).unwrap();
    let described =
        |object: &Value| object["properties"].as_object().unwrap().values().all(|p| p["description"].is_string());
    assert!(described(&schema));
    let defs = schema["$defs"].as_object().unwrap().values();
    assert!(defs.filter(|def| def["properties"].is_object()).all(described));
    let orbit = schema["$defs"]["Orbit"]["description"].as_str().unwrap();
    assert!(orbit.starts_with("ORBIT (arXiv 2605.12419)"));
}

fn refusal(config: &str) -> String {
    let mut space = space(&[1.0], &[]);
    let error = build(config).attach(&mut space).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Config, "{config}");
    error.to_string()
}

#[test]
fn options_out_of_range_are_refused() {
    let refusals = [
        ("orbit = { max_drift = -1.0 }", "max_drift must be above 0, got -1"),
        ("orbit = { max_drift = nan }", "max_drift must be above 0, got NaN"),
        ("orbit = { max_drift = inf }", "max_drift must be above 0, got inf"),
        ("orbit = { max_drift = 25.0 }", "max_drift is a share of signs with metric flips: at most 1, got 25"),
        ("orbit = { max_drift = 0.1, factor = 0.0 }", "factor must be above 0, got 0"),
        ("orbit = { max_drift = 0.1, factor = 1.5 }", "factor must be from 0 to 1, got 1.5"),
        ("soup = { every_steps = 1, weight = nan }", "weight must be from 0 to 1, got NaN"),
        ("interpolate = { alpha = 1.1 }", "alpha must be from 0 to 1, got 1.1"),
        ("ema = { decay = -0.1 }", "decay must be from 0 to 1, got -0.1"),
        ("ball = { radius = 0.0 }", "radius must be above 0, got 0"),
        ("l2_sp = { strength = -1.0 }", "strength must be 0 or above, got -1"),
        ("l2_sp = { strength = 1.0, new_strength = nan }", "new_strength must be 0 or above, got NaN"),
        ("decay = { strength = inf }", "strength must be 0 or above, got inf"),
        ("kl = { strength = nan }", "strength must be 0 or above, got NaN"),
        ("kl = { strength = 1.0, temperature = 0.0 }", "temperature must be above 0, got 0"),
        ("lwf = { strength = -1.0 }", "strength must be 0 or above, got -1"),
        ("lwf = { temperature = 0.0 }", "temperature must be above 0, got 0"),
        ("ewc = { strength = -1.0 }", "strength must be 0 or above, got -1"),
        ("ewc = { strength = 1.0, decay = 1.5 }", "decay must be from 0 to 1, got 1.5"),
        ("mas = { strength = inf }", "strength must be 0 or above, got inf"),
        ("mas = { strength = 1.0, mix = -0.1 }", "mix must be from 0 to 1, got -0.1"),
        ("si = { strength = nan }", "strength must be 0 or above, got NaN"),
        ("si = { strength = 1.0, damping = 0.0 }", "damping must be above 0, got 0"),
        ("o_lora = { strength = -1.0 }", "strength must be 0 or above, got -1"),
        ("o_lora = { l2 = nan }", "l2 must be 0 or above, got NaN"),
        ("o_lora = {}", "o_lora needs LoRA factors: no parameter's name ends in .lora.a"),
        ("freeze = { layers = 2 }", "no parameter is selected by layers = 2 and embeddings = true"),
        ("instruction_vector = { vectors = [] }", "vectors: give a file for all stages, or one for each"),
        (
            "instruction_vector = { vectors = [\"tests/vector.safetensors\"], kl = -1.0 }",
            "kl must be 0 or above, got -1",
        ),
        (
            "instruction_vector = { vectors = [\"tests/vector.safetensors\"], temperature = 0.0 }",
            "temperature must be above 0, got 0",
        ),
        (
            "instruction_vector = { vectors = [\"tests/vector.safetensors\"], site = \"layer.1\" }",
            "site: there is no site \"layer.1\"; sites are logits, layers.L.heads, layers.L.heads.H, layers.L.attn_out, \
             layers.L.out, counted from 0",
        ),
        ("half = {}", "half needs matrices in layers, and no parameter's name is of one"),
    ];
    for (config, message) in refusals {
        assert_eq!(refusal(config), message, "{config}");
    }
}

#[test]
fn the_limits_themselves_are_fine() {
    for config in ["soup = { every_steps = 1, weight = 1.0 }", "interpolate = { alpha = 0.0 }", "ema = { decay = 1.0 }"]
    {
        let mut run = run(vec![build(config)]).unwrap();
        assert_eq!(run.space.distance(Weights, Origin).unwrap(), 0.0, "{config} ends on the origin");
    }
}
