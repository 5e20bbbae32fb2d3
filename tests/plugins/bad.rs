//! Plugins in C with something wrong about them.

use std::fs;
use std::path::{Path, PathBuf};

use super::compile;

const SOURCE: &str = r#"
#define _DEFAULT_SOURCE
#include <math.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include "orbit_hook.h"

struct OrbitInstance { uint64_t steps; };

static inline OrbitBytes text(const char *zero_ended) {
    OrbitBytes bytes = {(const uint8_t *)zero_ended, strlen(zero_ended)};
    return bytes;
}
static inline OrbitVector whole(uint32_t which) {
    OrbitVector vector = {which, 0, ORBIT_WHOLE};
    return vector;
}
static inline OrbitStatus fail(const OrbitAnswer *error, const char *message) {
    error->give(error->context, text(message));
    return ORBIT_FAILED;
}
static OrbitStatus create(OrbitBytes config, OrbitInstance **made, const OrbitAnswer *error) {
    (void)config; (void)error;
    @CREATE@
    *made = calloc(1, sizeof **made);
    return ORBIT_OK;
}
static void destroy(OrbitInstance *instance) { free(instance); }
static uint32_t phases(const OrbitInstance *instance) { (void)instance; return @PHASES@; }
static OrbitStatus weights(OrbitInstance *instance, const OrbitStep *step, const OrbitSpace *space, const OrbitAnswer *error) {
    (void)step; (void)space; (void)error; (void)instance;
    @WEIGHTS@
    return ORBIT_OK;
}
static OrbitStatus gradients(OrbitInstance *instance, const OrbitStep *step, const OrbitSpace *space, const OrbitAnswer *error) {
    (void)step; (void)space; (void)error; (void)instance;
    @GRADIENTS@
    return ORBIT_OK;
}
static OrbitStatus save(const OrbitInstance *instance, const OrbitAnswer *state, const OrbitAnswer *error) {
    (void)instance; (void)state; (void)error;
    @SAVE@
    return ORBIT_OK;
}
static OrbitStatus load(OrbitInstance *instance, OrbitBytes state, const OrbitAnswer *error) {
    (void)instance; (void)state; (void)error;
    @LOAD@
    return ORBIT_OK;
}
static OrbitPlugin plugin = {
    .size = @SIZE@, .version = @VERSION@, .create = create, .destroy = destroy, .phases = phases,
    .weights = weights, .gradients = gradients, .save = save, .load = load,
};
@MORE@
const OrbitPlugin *@ENTRY@(void);
const OrbitPlugin *@ENTRY@(void) {
    plugin.id = text("@NAME@");
    plugin.release = text("0.1.0");
    return &plugin;
}
"#;

/// A plugin, by the C of its parts. It does nothing, and does it right, but for what is said.
#[derive(Clone, Copy)]
pub(super) struct Bad<'a> {
    pub(super) name: &'a str,
    pub(super) create: &'a str,
    pub(super) phases: &'a str,
    pub(super) weights: &'a str,
    pub(super) gradients: &'a str,
    pub(super) save: &'a str,
    pub(super) load: &'a str,
    pub(super) size: &'a str,
    pub(super) version: &'a str,
    pub(super) entry: &'a str,
    pub(super) more: &'a str,
}

impl<'a> Bad<'a> {
    pub(super) const fn new(name: &'a str) -> Self {
        Self {
            name,
            create: "",
            phases: "ORBIT_WEIGHTS_PHASE",
            weights: "",
            gradients: "",
            save: "",
            load: "",
            size: "sizeof(OrbitPlugin)",
            version: "ORBIT_VERSION",
            entry: "orbit_hook_entry",
            more: "",
        }
    }

    /// One that counts its steps and does not save them.
    pub(super) const fn forgetting(name: &'a str) -> Self {
        let weights = "instance->steps++; return space->log(space, text(\"n\"), (double)instance->steps, error);";
        Self { weights, ..Self::new(name) }
    }

    /// One that counts its steps, and does it right.
    pub(super) const fn counting(name: &'a str) -> Self {
        Self {
            save: "OrbitBytes bytes = {(const uint8_t *)&instance->steps, 8}; state->give(state->context, bytes);",
            load: "if (state.len != 8) return fail(error, \"8 bytes\");\n memcpy(&instance->steps, state.lent, 8);",
            ..Self::forgetting(name)
        }
    }

    /// The library, in `dir`.
    pub(super) fn build(&self, dir: &Path) -> PathBuf {
        let parts = [
            ("CREATE", self.create),
            ("PHASES", self.phases),
            ("WEIGHTS", self.weights),
            ("GRADIENTS", self.gradients),
            ("SAVE", self.save),
            ("LOAD", self.load),
            ("SIZE", self.size),
            ("VERSION", self.version),
            ("ENTRY", self.entry),
            ("MORE", self.more),
            ("NAME", self.name),
        ];
        let text = parts.iter().fold(SOURCE.to_owned(), |text, (part, c)| text.replace(&format!("@{part}@"), c));
        let (source, out) = (dir.join(format!("{}.c", self.name)), dir.join(format!("{}.so", self.name)));
        fs::write(&source, text).unwrap();
        compile(&source, &out);
        out
    }
}
