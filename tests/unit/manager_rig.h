/* tests/unit/manager_rig.h - a manager in a fake world, and what was answered.
 */
#ifndef MANAGER_RIG_H
#define MANAGER_RIG_H
#include "fake_world.h"

#define RIG_MODEL   "org/model"
#define RIG_COMMIT  "00000000000000000000000000000000000000aa"
#define RIG_TEST(f) cmocka_unit_test_setup_teardown(f, rig_setup, rig_teardown)

enum { RIG_QUEUE_JOBS = 4, RIG_QUEUE_BYTES = 4000, RIG_MEMORY = 100 << 20 };

/* What an operation answered. */
struct outcome {
    int n, code;
    struct err err;
};
struct rig {
    struct fake *f;
    struct manager *m;
    struct manager_config config;
    struct err err;
    struct outcome asked[32]; /* of rig_ask() */
    int n_asked;
};

void rig_outcome(void *ctx, int code, const struct err *err);

/* What a job was answered. */
struct asked {
    uint64_t id;
    int items, failed, done;
    struct err err;
    uint64_t tokens, generated;
    bool streams;                  /* it wants chunks */
    int chunks;                    /* that were told, */
    uint64_t bytes;                /* of so many bytes in all */
    char text[256];                /* their texts */
    size_t last_item;              /* of the last one */
    void (*also)(struct asked *a); /* at each item, chunk, failure; or NULL */
    void *ctx;
};

/* Set-up and tear-down of a cmocka test. The fake cache holds nothing; the
 * tear-down drains, lets everything end and frees. */
int rig_setup(void **state);
int rig_teardown(void **state);
/* Begins anew with another configuration or world (before: change them). */
struct rig *rig_new(void);
void rig_start(struct rig *r);
void rig_end(struct rig *r);
/* A model that the store knows; before rig_start(). */
void rig_know(struct rig *r, const char *id, uint64_t inode);

/* A job of n texts for RIG_MODEL; asserts that it was accepted, settles. */
void rig_submit(struct rig *r, struct asked *a, size_t n);
/* The same with everything; returns what manager_submit did. */
int rig_try(struct rig *r, struct asked *a, const struct manager_job *like,
            size_t n, size_t text_bytes);
/* Loads RIG_MODEL, asserts that it went well; the worker. */
struct world_child *rig_load(struct rig *r);
/* Asks for another one to be loaded and settles; how that ended, if it did. */
struct outcome *rig_ask(struct rig *r, const char *name,
                        const struct manager_wish *wish);
/* The state of RIG_MODEL's deployment or of the model. */
const char *rig_state(struct rig *r);
const char *rig_model_state(struct rig *r);
const char *rig_state_of(struct rig *r, const char *name);
uint64_t rig_reserved(struct rig *r);

#endif
