/* The interface between orbit and plugins. Generated from plugins/orbit-hook/src/abi/table.rs: do not edit.
 *
 * A plugin is a library that exports
 *
 *     const OrbitPlugin *orbit_hook_entry(void);
 *
 * `orbit plugin new NAME --lang c` writes one that works; `orbit plugin check` says whether one does.
 */

#ifndef ORBIT_HOOK_H
#define ORBIT_HOOK_H

#include <stddef.h>
#include <stdint.h>

/*
 * What crosses the boundary, byte for byte. `orbit_hook.h` is generated from this file alone.
 *
 * Rules, for both sides:
 *
 * - Every table begins with its size in bytes and the version of this interface. Tables only grow at their end, and what a
 *   size does not cover is not there. The two fields never move.
 * - What is lent is named so. A `Bytes` is valid until the call that it is an argument of returns; the tables that the
 *   host gives to a call, until that call returns. Whoever wants to keep what was lent copies it.
 * - Nothing that one side has allocated is freed by the other. An answer whose length the caller cannot know is given to an
 *   `Answer`, which copies it. The one thing that outlives a call, the plugin's instance, is freed by the plugin.
 * - A call that fails returns a status other than `OK`, and has given one sentence of UTF-8 to its `error`. `error` is never
 *   null. Outputs are written only when the status is `OK`.
 * - Nothing unwinds across the boundary, neither a Rust panic nor a C++ exception.
 * - The host calls one instance from one thread at a time, which need not always be the same. Different instances may be
 *   called at once.
 */


// The version of this interface that this file describes.
#define ORBIT_VERSION 1

// The oldest version that a host of this version still reads.
#define ORBIT_OLDEST_VERSION 1

// The weights being trained. Writable in `weights` and `finish`.
#define ORBIT_WEIGHTS 0

// The gradient of this step's loss. Exists, and is writable, in `gradients` only.
#define ORBIT_GRADIENTS 1

// The weights at the start of the stage, or of the whole run if it keeps those of the base model. Never writable.
#define ORBIT_ORIGIN 2

// A vector of the hook's own, zero at first, kept from one stage to the next, saved with the run. Always writable.
#define ORBIT_SLOT 3

// All parameters.
#define ORBIT_WHOLE UINT64_MAX

// All positions that are not padding.
#define ORBIT_POSITIONS_ALL 0

// The positions whose next token is part of the answer.
#define ORBIT_POSITIONS_ANSWER 1

// The last token of each prompt.
#define ORBIT_POSITIONS_PROMPT_END 2

// `Plugin::forward` is to be called.
#define ORBIT_FORWARD_PHASE 1

// `Plugin::loss` is to be called.
#define ORBIT_LOSS_PHASE 2

// `Plugin::gradients` is to be called.
#define ORBIT_GRADIENTS_PHASE 4

// `Plugin::weights` is to be called.
#define ORBIT_WEIGHTS_PHASE 8

// `Plugin::finish` is to be called.
#define ORBIT_FINISH_PHASE 16

// `Space::read` is to have the diagonal of the empirical Fisher information in `finish`, under the name `fisher`.
#define ORBIT_FISHER_PHASE 32

// `Space::read` is to have the sensitivity of the outputs in `finish`, under the name `sensitivity`.
#define ORBIT_SENSITIVITY_PHASE 64

// A hook that the plugin has made. Only the plugin knows what is in it.
typedef struct OrbitInstance OrbitInstance;

// How a call went; one of the constants that follow.
typedef uint32_t OrbitStatus;

// Bytes that are lent for the time of a call. As text they are UTF-8, without a zero at the end.
typedef struct OrbitBytes {
  // The first byte; may be null or dangling when `len` is 0.
  const uint8_t *lent;
  // How many there are.
  size_t len;
} OrbitBytes;

// Takes an answer: `give(context, answer)` copies it. Giving a second time replaces the first.
typedef struct OrbitAnswer {
  // To be passed on to `give`.
  void *context;
  // Copies the bytes.
  void (*give)(void *context, struct OrbitBytes answer);
} OrbitAnswer;

// A stored vector that is added to an activation.
typedef struct OrbitEdit {
  // Where.
  struct OrbitBytes site;
  // At which positions: one of the constants above.
  uint32_t positions;
  // What the vector is multiplied by.
  float scale;
  // The safetensors file that holds it, and its name there.
  struct OrbitBytes file;
  // The vector's name in the file.
  struct OrbitBytes name;
} OrbitEdit;

// One parameter.
typedef struct OrbitParam {
  // Dotted name, as in the checkpoint.
  struct OrbitBytes name;
  // Extents, outermost first; lent as `name` is.
  const size_t *shape_lent;
  // How many extents.
  size_t rank;
  // 0 when it was loaded with the model, 1 when it is new in this run and has no origin.
  uint32_t is_new;
} OrbitParam;

// A vector over the parameters, or one parameter's part of it.
typedef struct OrbitVector {
  // `WEIGHTS`, `GRADIENTS`, `ORIGIN` or `SLOT`.
  uint32_t which;
  // The slot's number, 0 to 255; 0 for the others.
  uint32_t slot;
  // The parameter's place in `params`, or `WHOLE`.
  uint64_t param;
} OrbitVector;

// What a visitor is called with: its own context, the parameter, and the entries on the host, to be changed in place.
typedef void (*OrbitVisitor)(void *context, const struct OrbitParam *param, float *entries_lent, size_t len);

// The parameters, and the arithmetic a hook may do on them. Every function takes the table itself first.
//
// A whole vector covers every parameter that the hook sees. An operation that names `ORIGIN` covers only those that have
// one. Each is one pass over the vectors it names; those that give a number read the device once.
typedef struct OrbitSpace {
  // Bytes in this table.
  uint32_t size;
  // The interface's version.
  uint32_t version;
  // The host's; null once the call has returned.
  void *context;
  // The parameters that the hook sees, in an order that is fixed for the run. Gives how many, and the first.
  OrbitStatus (*params)(const struct OrbitSpace *space,
                        const struct OrbitParam **params_lent,
                        size_t *count,
                        const struct OrbitAnswer *error);
  // The sum of a · b.
  OrbitStatus (*dot)(const struct OrbitSpace *space,
                     struct OrbitVector a,
                     struct OrbitVector b,
                     double *value,
                     const struct OrbitAnswer *error);
  // The L2 norm of a − b.
  OrbitStatus (*distance)(const struct OrbitSpace *space,
                          struct OrbitVector a,
                          struct OrbitVector b,
                          double *value,
                          const struct OrbitAnswer *error);
  // The share of entries whose signs differ; zero has a sign of its own.
  OrbitStatus (*flips)(const struct OrbitSpace *space,
                       struct OrbitVector a,
                       struct OrbitVector b,
                       double *value,
                       const struct OrbitAnswer *error);
  // dst ← src.
  OrbitStatus (*copy)(const struct OrbitSpace *space,
                      struct OrbitVector dst,
                      struct OrbitVector src,
                      const struct OrbitAnswer *error);
  // dst ← by · dst.
  OrbitStatus (*scale)(const struct OrbitSpace *space,
                       struct OrbitVector dst,
                       float by,
                       const struct OrbitAnswer *error);
  // dst ← dst + t · (src − dst).
  OrbitStatus (*lerp)(const struct OrbitSpace *space,
                      struct OrbitVector dst,
                      struct OrbitVector src,
                      float t,
                      const struct OrbitAnswer *error);
  // dst ← dst + a · x, or dst + a · x ∘ y when `y` is not null.
  OrbitStatus (*fma)(const struct OrbitSpace *space,
                     struct OrbitVector dst,
                     float a,
                     struct OrbitVector x,
                     const struct OrbitVector *y,
                     const struct OrbitAnswer *error);
  // Fills a slot from a safetensors file with a tensor for every covered parameter by its name; or, in `finish`, from the
  // host's estimate `fisher` or `sensitivity`, if the hook's phases ask for it.
  OrbitStatus (*read)(const struct OrbitSpace *space,
                      struct OrbitVector slot,
                      struct OrbitBytes file,
                      const struct OrbitAnswer *error);
  // Calls `visitor` with every covered parameter's entries on the host, and takes back what it wrote if the vector is
  // writable. The visitor must not use the space.
  OrbitStatus (*visit)(const struct OrbitSpace *space,
                       struct OrbitVector v,
                       OrbitVisitor visitor,
                       void *visitor_context,
                       const struct OrbitAnswer *error);
  // Reports a number under the hook's name in this step's line of the metrics.
  OrbitStatus (*log)(const struct OrbitSpace *space,
                     struct OrbitBytes key,
                     double value,
                     const struct OrbitAnswer *error);
} OrbitSpace;

// Where training is.
typedef struct OrbitStep {
  // Bytes in this table.
  uint32_t size;
  // The interface's version.
  uint32_t version;
  // This step's number within its stage; the first of every stage is 1.
  uint64_t number;
  // How many steps the stage will take.
  uint64_t total;
  // The learning rate of this step.
  double learning_rate;
} OrbitStep;

// What a forward pass is asked to keep, and to change.
typedef struct OrbitPlan {
  // Bytes in this table.
  uint32_t size;
  // The interface's version.
  uint32_t version;
  // The host's; null once the call has returned.
  void *context;
  // Keeps the activation at a site.
  OrbitStatus (*tap)(const struct OrbitPlan *plan, struct OrbitBytes site, const struct OrbitAnswer *error);
  // Adds a vector to an activation.
  OrbitStatus (*add)(const struct OrbitPlan *plan,
                     const struct OrbitEdit *edit,
                     const struct OrbitAnswer *error);
} OrbitPlan;

// One forward pass, and the differentiable arithmetic a hook may do on it. Every function takes the table itself first.
//
// Values and references are handles. They carry the generation of their pass: one kept from an earlier pass is refused.
// A site is named by text, with layers and heads counted from 0: `logits`, `layers.L.heads` for what the attention's heads found,
// `layers.L.heads.H` for one of them, `layers.L.attn_out` for the attention's output, `layers.L.out` for the residual stream
// behind the layer.
typedef struct OrbitPass {
  // Bytes in this table.
  uint32_t size;
  // The interface's version.
  uint32_t version;
  // The host's; null once the call has returned.
  void *context;
  // The model's logits.
  OrbitStatus (*logits)(const struct OrbitPass *pass, uint64_t *value, const struct OrbitAnswer *error);
  // A forward pass of the frozen original over the same batch, keeping `count` sites beside the logits.
  OrbitStatus (*reference)(const struct OrbitPass *pass,
                           const struct OrbitBytes *sites_lent,
                           size_t count,
                           uint64_t *reference,
                           const struct OrbitAnswer *error);
  // What the reference pass produced at a site.
  OrbitStatus (*of)(const struct OrbitPass *pass,
                    uint64_t reference,
                    struct OrbitBytes site,
                    uint64_t *value,
                    const struct OrbitAnswer *error);
  // The rows of `v` at some positions: one of the constants.
  OrbitStatus (*select)(const struct OrbitPass *pass,
                        uint64_t v,
                        uint32_t positions,
                        uint64_t *value,
                        const struct OrbitAnswer *error);
  // Mean over rows of KL(softmax(p/τ) ‖ softmax(q/τ)) · τ², in nats.
  OrbitStatus (*kl)(const struct OrbitPass *pass,
                    uint64_t p,
                    uint64_t q,
                    float temperature,
                    uint64_t *value,
                    const struct OrbitAnswer *error);
  // Mean of the squared differences.
  OrbitStatus (*mse)(const struct OrbitPass *pass,
                     uint64_t a,
                     uint64_t b,
                     uint64_t *value,
                     const struct OrbitAnswer *error);
  // A value of one entry as a number. Waits for the device.
  OrbitStatus (*scalar)(const struct OrbitPass *pass,
                        uint64_t v,
                        double *value,
                        const struct OrbitAnswer *error);
  // Adds weight · term to this pass's loss.
  OrbitStatus (*add_loss)(const struct OrbitPass *pass,
                          struct OrbitBytes name,
                          double weight,
                          uint64_t term,
                          const struct OrbitAnswer *error);
  // Reports a number under the hook's name in this step's line of the metrics.
  OrbitStatus (*log)(const struct OrbitPass *pass,
                     struct OrbitBytes key,
                     double value,
                     const struct OrbitAnswer *error);
  // What the model produced at a site that the plan of this step keeps.
  OrbitStatus (*tapped)(const struct OrbitPass *pass,
                        struct OrbitBytes site,
                        uint64_t *value,
                        const struct OrbitAnswer *error);
  // How many rows `v` has.
  OrbitStatus (*rows)(const struct OrbitPass *pass, uint64_t v, size_t *count, const struct OrbitAnswer *error);
  // As `reference`, with `edit_count` vectors added on the way.
  OrbitStatus (*edited_reference)(const struct OrbitPass *pass,
                                  const struct OrbitBytes *sites_lent,
                                  size_t count,
                                  const struct OrbitEdit *edits_lent,
                                  size_t edit_count,
                                  uint64_t *reference,
                                  const struct OrbitAnswer *error);
} OrbitPass;

// What a plugin is: `orbit_hook_entry` gives the address of one of these, which stays valid for ever.
//
// Functions that may be null do nothing then.
typedef struct OrbitPlugin {
  // Bytes in this table.
  uint32_t size;
  // The interface's version that the plugin was built for.
  uint32_t version;
  // What the plugin is called; never changes.
  struct OrbitBytes id;
  // The plugin's own version; never changes.
  struct OrbitBytes release;
  // Gives the JSON schema of the configuration. May be null: none.
  void (*schema)(const struct OrbitAnswer *answer);
  // Makes a hook from its configuration, a JSON object. The plugin owns the instance; the host gives it to `destroy` once.
  OrbitStatus (*create)(struct OrbitBytes config,
                        struct OrbitInstance **instance_plugin_owned,
                        const struct OrbitAnswer *error);
  // Frees an instance.
  void (*destroy)(struct OrbitInstance *instance_plugin_owned);
  // The phases in which the hook acts and the estimates it asks for, as a sum of the constants; the host never calls another
  // phase. Asked once.
  uint32_t (*phases)(const struct OrbitInstance *instance);
  // Before step 1 of every stage: one instance goes through all stages of a run, and keeps its slots. The weights are the
  // origin, unless the run keeps the weights of the base model as the origin of all stages. May be null.
  OrbitStatus (*attach)(struct OrbitInstance *instance,
                        const struct OrbitSpace *space,
                        const struct OrbitAnswer *error);
  // Before a forward pass. May be null.
  OrbitStatus (*forward)(struct OrbitInstance *instance,
                         const struct OrbitStep *step,
                         const struct OrbitPlan *plan,
                         const struct OrbitAnswer *error);
  // With a forward pass done. May be null.
  OrbitStatus (*loss)(struct OrbitInstance *instance,
                      const struct OrbitStep *step,
                      const struct OrbitPass *pass,
                      const struct OrbitAnswer *error);
  // After backward, before the update. May be null.
  OrbitStatus (*gradients)(struct OrbitInstance *instance,
                           const struct OrbitStep *step,
                           const struct OrbitSpace *space,
                           const struct OrbitAnswer *error);
  // After the update. May be null.
  OrbitStatus (*weights)(struct OrbitInstance *instance,
                         const struct OrbitStep *step,
                         const struct OrbitSpace *space,
                         const struct OrbitAnswer *error);
  // After the last step of every stage. May be null.
  OrbitStatus (*finish)(struct OrbitInstance *instance,
                        const struct OrbitSpace *space,
                        const struct OrbitAnswer *error);
  // Gives what must survive a restart, in a form of the plugin's own. May be null: nothing.
  OrbitStatus (*save)(const struct OrbitInstance *instance,
                      const struct OrbitAnswer *state,
                      const struct OrbitAnswer *error);
  // Takes back what `save` gave, in an instance made of the same configuration and attached. Null when `save` is, and only then.
  OrbitStatus (*load)(struct OrbitInstance *instance, struct OrbitBytes state, const struct OrbitAnswer *error);
} OrbitPlugin;

// What a plugin library exports under the name `orbit_hook_entry`.
typedef const struct OrbitPlugin *(*OrbitEntry)(void);

// It did what was asked.
#define ORBIT_OK 0

// A vector was written in a phase in which it is read-only, or read when it does not exist; a table was used after its call.
#define ORBIT_PHASE 1

// A parameter, slot or handle that the host does not have.
#define ORBIT_UNKNOWN 2

// An option is out of range, or a configuration cannot be read.
#define ORBIT_CONFIG 3

// The host or the model cannot do what was asked.
#define ORBIT_UNSUPPORTED 4

// Saved state does not fit the hook that loads it.
#define ORBIT_STATE 5

// Anything else that the hook or the host reports.
#define ORBIT_FAILED 6

// The code called has panicked. The instance must not be called again, but for `destroy`.
#define ORBIT_PANICKED 7

#endif  /* ORBIT_HOOK_H */
