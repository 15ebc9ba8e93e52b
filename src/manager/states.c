/* manager/states.c - the three tables of allowed moves. */
#include "manager/states.h"
#include <assert.h>
#include <stddef.h>

enum { STATES_MAX = 7 };

#define TO(state) (1u << (state))

static const unsigned model_moves[MODEL_STATES] = {
    [MODEL_ABSENT] = TO(MODEL_PULLING) | TO(MODEL_VERIFYING),
    [MODEL_PULLING] = TO(MODEL_VERIFYING) | TO(MODEL_ABSENT) | TO(MODEL_FAILED),
    [MODEL_VERIFYING] = TO(MODEL_REGISTERED) | TO(MODEL_FAILED),
    /* verifying again: its files are not as they were recorded */
    [MODEL_REGISTERED] =
        TO(MODEL_VERIFYING) | TO(MODEL_REMOVING) | TO(MODEL_FAILED),
    [MODEL_REMOVING] = TO(MODEL_ABSENT) | TO(MODEL_FAILED),
    [MODEL_FAILED] = TO(MODEL_PULLING) | TO(MODEL_VERIFYING) |
                     TO(MODEL_REMOVING) | TO(MODEL_ABSENT),
};

static const unsigned instance_moves[INSTANCE_STATES] = {
    [INSTANCE_STARTING] = TO(INSTANCE_LOADING) | TO(INSTANCE_GONE),
    [INSTANCE_LOADING] = TO(INSTANCE_READY) | TO(INSTANCE_GONE),
    [INSTANCE_READY] = TO(INSTANCE_DRAINING) | TO(INSTANCE_GONE),
    [INSTANCE_DRAINING] = TO(INSTANCE_GONE),
    [INSTANCE_GONE] = 0,
};

static const unsigned deployment_moves[DEPLOYMENT_STATES] = {
    [DEPLOYMENT_IDLE] = TO(DEPLOYMENT_LOADING),
    [DEPLOYMENT_LOADING] = TO(DEPLOYMENT_READY) | TO(DEPLOYMENT_FAILED) |
                           TO(DEPLOYMENT_BACK_OFF) | TO(DEPLOYMENT_IDLE),
    [DEPLOYMENT_READY] = TO(DEPLOYMENT_DRAINING) | TO(DEPLOYMENT_BACK_OFF),
    [DEPLOYMENT_DRAINING] = TO(DEPLOYMENT_IDLE),
    [DEPLOYMENT_FAILED] = TO(DEPLOYMENT_LOADING) | TO(DEPLOYMENT_IDLE),
    [DEPLOYMENT_BACK_OFF] = TO(DEPLOYMENT_LOADING) | TO(DEPLOYMENT_CRASH_LOOP) |
                            TO(DEPLOYMENT_IDLE),
    [DEPLOYMENT_CRASH_LOOP] = TO(DEPLOYMENT_LOADING) | TO(DEPLOYMENT_IDLE),
};

static const struct {
    const char *name;
    int n;
    const unsigned *moves; /* [n] masks of the states that may follow */
    const char *states[STATES_MAX];
} tables[] = {
    [STATE_MODEL] = {"model",
                     MODEL_STATES,
                     model_moves,
                     {"absent", "pulling", "verifying", "registered",
                      "removing", "failed"}},
    [STATE_INSTANCE] = {"instance",
                        INSTANCE_STATES,
                        instance_moves,
                        {"starting", "loading", "ready", "draining", "gone"}},
    [STATE_DEPLOYMENT] = {"deployment",
                          DEPLOYMENT_STATES,
                          deployment_moves,
                          {"idle", "loading", "ready", "draining", "failed",
                           "back_off", "crash_loop"}},
};

const char *state_object_name(enum state_object object)
{
    return tables[object].name;
}

const char *state_name(enum state_object object, int state)
{
    assert(state >= 0 && state < tables[object].n);
    return tables[object].states[state];
}

bool state_may(enum state_object object, int from, int to)
{
    assert(from >= 0 && from < tables[object].n);
    assert(to >= 0 && to < tables[object].n);
    return tables[object].moves[from] & TO(to);
}
