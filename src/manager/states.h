/* manager/states.h - the three tables of allowed moves.
 *
 * A model@revision is files, an instance is one process, a deployment is a
 * wish. Whatever is not in a table is a bug and aborts.
 */
#ifndef MANAGER_STATES_H
#define MANAGER_STATES_H
#include <stdbool.h>

enum model_state {
    MODEL_ABSENT,
    MODEL_PULLING,
    MODEL_VERIFYING,
    MODEL_REGISTERED,
    MODEL_REMOVING,
    MODEL_FAILED,
    MODEL_STATES
};
enum instance_state {
    INSTANCE_STARTING, /* spawned; it has not said HELLO */
    INSTANCE_LOADING,
    INSTANCE_READY,
    INSTANCE_DRAINING,
    INSTANCE_GONE, /* reaped */
    INSTANCE_STATES
};
enum deployment_state {
    DEPLOYMENT_IDLE,
    DEPLOYMENT_LOADING,
    DEPLOYMENT_READY,
    DEPLOYMENT_DRAINING,
    DEPLOYMENT_FAILED,     /* refused: only being asked again helps */
    DEPLOYMENT_BACK_OFF,   /* its last instance died: a pause */
    DEPLOYMENT_CRASH_LOOP, /* too often: a longer one, and no new jobs */
    DEPLOYMENT_STATES
};

enum state_object { STATE_MODEL, STATE_INSTANCE, STATE_DEPLOYMENT };

const char *state_object_name(enum state_object object); /* "model" */
const char *state_name(enum state_object object, int state);
bool state_may(enum state_object object, int from, int to);

#endif
