/* manager/wanted.h - what is wanted of a deployment, beside that it be there:
 * by the configuration, then by whoever asks (struct manager_wish).
 */
#ifndef MANAGER_WANTED_H
#define MANAGER_WANTED_H
#include "manager/manager.h"

enum {
    WANTED_PRIORITY = 5, /* when nothing is said */
    WANTED_PRIORITY_MAX = 9,
    WANTED_CUDA_MAX = 8,                 /* cuda:0 to cuda:7 */
    WANTED_KEEP_ALIVE_MAX = 366 * 86400, /* seconds */
};

enum backend { BACKEND_AUTO, BACKEND_NATIVE, BACKEND_TRANSFORMERS };
const char *backend_name(enum backend b);

struct wanted {
    enum backend backend;
    char dtype[8];        /* "exact", "auto", "f32", "bf16", "f16" */
    char device[16];      /* "cpu", "cuda", "cuda:N", "xla", "auto" */
    char task[64];        /* the default one; "" = the model's own */
    int64_t keep_alive_s; /* -1: for ever */
    int priority;
    bool pin;
};

/* One value each, checked: E_INVALID_REQUEST says which there are. out may be
 * NULL. */
int wanted_backend(const char *text, enum backend *out,
                   struct err *err) MUST_CHECK;
/* Also float32, bfloat16, float16; out gets the short name. */
int wanted_dtype(const char *text, char out[8], struct err *err) MUST_CHECK;
int wanted_device(const char *text, struct err *err) MUST_CHECK;
int wanted_task(const char *text, struct err *err) MUST_CHECK;
/* "300", "10m", "2h", "-1": seconds. */
int wanted_keep_alive(const char *text, int64_t *out,
                      struct err *err) MUST_CHECK;

/* declared may be NULL. Both have been checked (wanted_declared). */
void wanted_init(struct wanted *w, const struct manager_config *config,
                 const struct manager_model_config *declared);
int wanted_declared(const struct manager_model_config *declared,
                    struct err *err) MUST_CHECK;
/* w as the wish would have it. E_CONFLICT where the configuration says
 * otherwise, or loaded and it would have to be loaded anew. */
int wanted_wish(struct wanted *w, const struct manager_wish *wish,
                const struct manager_model_config *declared, const char *loaded,
                struct err *err) MUST_CHECK;

#endif
