/* Lesson 5: a regularizer in C.
 *
 * The ball of lesson 1, against `orbit_hook.h` alone: a table of functions, and one symbol that gives its address. The
 * arithmetic is the host's; this file decides. Build it with
 *
 *     cc -std=c99 -O2 -shared -fPIC -I ../orbit-hook/include l2_ball_c.c -o libl2_ball_c.so
 */

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "orbit_hook.h"

/* What `create` makes and `destroy` frees: the host passes it back without looking into it. */
struct OrbitInstance {
    double radius;
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

/* The configuration is JSON. One that has a single number needs no library: `{"radius":0.3}`, with any blanks. */
static int read_radius(OrbitBytes config, double *radius) {
    char copy[128];
    int end = 0;
    if (config.len >= sizeof copy) return 0;
    memcpy(copy, config.lent, config.len);
    copy[config.len] = 0;
    /* `%n` is reached, and so `end` set, only when all before it has matched. */
    return sscanf(copy, " { \"radius\" : %lf } %n", radius, &end) == 1 && end > 0 && copy[end] == 0;
}

static OrbitStatus create(OrbitBytes config, OrbitInstance **made, const OrbitAnswer *error) {
    double radius;
    if (!read_radius(config, &radius)) {
        return fail(error, ORBIT_CONFIG, "the config has one key, `radius`, and it is a number");
    }
    if (!(radius > 0 && isfinite(radius))) return fail(error, ORBIT_CONFIG, "radius must be above 0");
    OrbitInstance *instance = malloc(sizeof *instance);
    if (instance == NULL) return fail(error, ORBIT_FAILED, "there is no memory");
    instance->radius = radius;
    *made = instance;
    return ORBIT_OK;
}

static void destroy(OrbitInstance *instance) {
    free(instance);
}

static uint32_t phases(const OrbitInstance *instance) {
    (void)instance;
    return ORBIT_WEIGHTS_PHASE;
}

/* What the host says of a call of its own goes on to the host as it is: hence the same `error`. */
static OrbitStatus weights(OrbitInstance *instance, const OrbitStep *step, const OrbitSpace *space,
                           const OrbitAnswer *error) {
    (void)step;
    double drift;
    OrbitStatus status = space->distance(space, whole(ORBIT_WEIGHTS), whole(ORBIT_ORIGIN), &drift, error);
    if (status == ORBIT_OK && drift > instance->radius) {
        float pull = (float)(1.0 - instance->radius / drift);
        status = space->lerp(space, whole(ORBIT_WEIGHTS), whole(ORBIT_ORIGIN), pull, error);
    }
    if (status == ORBIT_OK) status = space->log(space, text("drift"), drift, error);
    return status;
}

static void schema(const OrbitAnswer *answer) {
    answer->give(answer->context,
                 text("{\"type\":\"object\",\"required\":[\"radius\"],\"additionalProperties\":false,\"properties\":"
                      "{\"radius\":{\"type\":\"number\",\"exclusiveMinimum\":0,"
                      "\"description\":\"The largest distance from the original weights.\"}}}"));
}

/* Functions that are left out are null: this hook attaches, taps, adds and saves nothing. */
static OrbitPlugin plugin = {
    .size = sizeof(OrbitPlugin),
    .version = ORBIT_VERSION,
    .schema = schema,
    .create = create,
    .destroy = destroy,
    .phases = phases,
    .weights = weights,
};

#ifdef _WIN32
__declspec(dllexport)
#endif
const OrbitPlugin *orbit_hook_entry(void) {
    plugin.id = text("l2-ball-c");
    plugin.release = text("0.1.0");
    return &plugin;
}
