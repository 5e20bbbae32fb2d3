/* my-plugin: pulls the weights back towards where they started.
 *
 * A regularizer is linear algebra on a few named vectors. This one is a single call of it, `lerp` in `weights`; everything else
 * here is what any plugin has: options, phases, something to remember. Change that call first, and see what
 * `orbit plugin check .` says.
 *
 * - The arithmetic is done by the host, where the tensors are: `OrbitSpace` has the vectors, and its functions take the space
 *   itself first. Weights can be written in `weights` and `finish`, gradients in `gradients`, slots always.
 * - A term in the loss is added in `loss`, through an `OrbitPass`.
 * - What is lent, such as `config`, is yours until the function returns: copy what you keep.
 * - A function that fails returns a status other than ORBIT_OK and has given a sentence to `error`.
 *
 * `orbit_hook.h` has it all, with its rules at the top.
 */

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "orbit_hook.h"

/* What `create` makes and `destroy` frees: the host passes it back without looking into it. */
struct OrbitInstance {
    double strength;
    uint64_t steps;
};

static OrbitBytes text(const char *zero_ended) {
    OrbitBytes bytes = {(const uint8_t *)zero_ended, strlen(zero_ended)};
    return bytes;
}

static OrbitStatus fail(const OrbitAnswer *error, OrbitStatus status, const char *message) {
    error->give(error->context, text(message));
    return status;
}

static OrbitVector whole(uint32_t which) {
    OrbitVector vector = {which, 0, ORBIT_WHOLE};
    return vector;
}

/* The options are a JSON object. One with a single number needs no library: `{"strength":0.1}`, with any blanks. */
static int read_strength(OrbitBytes config, double *strength) {
    char copy[128];
    int end = 0;
    if (config.len >= sizeof copy) return 0;
    memcpy(copy, config.lent, config.len);
    copy[config.len] = 0;
    /* `%n` is reached, and so `end` set, only when all before it has matched. */
    return sscanf(copy, " { \"strength\" : %lf } %n", strength, &end) == 1 && end > 0 && copy[end] == 0;
}

static OrbitStatus create(OrbitBytes config, OrbitInstance **made, const OrbitAnswer *error) {
    double strength;
    if (!read_strength(config, &strength)) {
        return fail(error, ORBIT_CONFIG, "the config has one key, `strength`, and it is a number");
    }
    if (!(strength >= 0 && strength <= 1)) return fail(error, ORBIT_CONFIG, "strength must be 0 to 1");
    OrbitInstance *instance = calloc(1, sizeof *instance);
    if (instance == NULL) return fail(error, ORBIT_FAILED, "there is no memory");
    instance->strength = strength;
    *made = instance;
    return ORBIT_OK;
}

static void destroy(OrbitInstance *instance) {
    free(instance);
}

/* A sum of phases: the host calls no other. */
static uint32_t phases(const OrbitInstance *instance) {
    (void)instance;
    return ORBIT_WEIGHTS_PHASE;
}

/* After each update of the optimizer. What the host says of a call of its own goes on to the host as it is: hence the same
 * `error`. The pull grows to its full strength over four steps. */
static OrbitStatus weights(OrbitInstance *instance, const OrbitStep *step, const OrbitSpace *space,
                           const OrbitAnswer *error) {
    (void)step;
    if (instance->steps < 4) instance->steps++;
    float pull = (float)(instance->strength * (double)instance->steps / 4.0);
    OrbitStatus status = space->lerp(space, whole(ORBIT_WEIGHTS), whole(ORBIT_ORIGIN), pull, error);
    if (status == ORBIT_OK) status = space->log(space, text("pull"), pull, error);
    return status;
}

/* What must survive a restart, so that a resumed run gives the same bits. Slots are saved by the host. */
static OrbitStatus save(const OrbitInstance *instance, const OrbitAnswer *state, const OrbitAnswer *error) {
    (void)error;
    OrbitBytes bytes = {(const uint8_t *)&instance->steps, sizeof instance->steps};
    state->give(state->context, bytes);
    return ORBIT_OK;
}

/* A saved state may be damaged: look at its length before you read it. */
static OrbitStatus load(OrbitInstance *instance, OrbitBytes state, const OrbitAnswer *error) {
    if (state.len != sizeof instance->steps) return fail(error, ORBIT_STATE, "the saved state has another length");
    memcpy(&instance->steps, state.lent, sizeof instance->steps);
    return ORBIT_OK;
}

/* With a schema, a mistake in a run file is reported at its line. */
static void schema(const OrbitAnswer *answer) {
    answer->give(answer->context,
                 text("{\"type\":\"object\",\"required\":[\"strength\"],\"additionalProperties\":false,\"properties\":"
                      "{\"strength\":{\"type\":\"number\",\"minimum\":0,\"maximum\":1,"
                      "\"description\":\"The share of the way back at each step.\"}}}"));
}

/* Functions that are left out are null: this hook attaches, taps and adds nothing. */
static OrbitPlugin plugin = {
    .size = sizeof(OrbitPlugin),
    .version = ORBIT_VERSION,
    .schema = schema,
    .create = create,
    .destroy = destroy,
    .phases = phases,
    .weights = weights,
    .save = save,
    .load = load,
};

/* The one symbol that the host looks up. */
#ifdef _WIN32
__declspec(dllexport)
#endif
const OrbitPlugin *orbit_hook_entry(void) {
    plugin.id = text("my-plugin");
    plugin.release = text("0.1.0");
    return &plugin;
}
