/* manager/choice.c - which kind of inference server serves a model, and why.
 *
 * The inspector's PLAN is the native engine's own word on what it can not do;
 * the Transformers library takes everything else that can be loaded without
 * running code of the repository. It may still refuse: then the load says so.
 */
#include "manager/choice.h"
#include "manager/core.h"
#include <stdio.h>

/* Of a process that serves by the Transformers library. Measured with torch
 * 2.13 for the CPU and transformers 5.24: an interpreter that waits has 344 MiB
 * of RSS, 257 of them its own; with all-MiniLM-L6-v2 (87 MiB of weights) loaded
 * and asked, 421. What is shared is counted, too: the first one has nobody to
 * share with. */
static const uint64_t TRANSFORMERS_BASE = UINT64_C(352) << 20;
/* Activations of one batch, the tokenizer, what the allocator keeps. */
static const uint64_t TRANSFORMERS_WORK = UINT64_C(128) << 20;

uint64_t choice_standby_bytes(void)
{
    return TRANSFORMERS_BASE;
}

int choice_device(const char *device)
{
    if (!strncmp(device, "cuda", 4))
        return BUDGET_CUDA + (device[4] ? device[5] - '0' : 0);
    return strcmp(device, "xla") ? BUDGET_HOST : BUDGET_XLA;
}

/* ---- what the native engine says ---- */

/* Its first reason against the model, as a sentence; false: it has none. */
static bool plan_objects(const struct plan *p, char *out)
{
    const struct wire_node *first =
        wire_first(wire_get(p->body, "unsupported"));
    if (!first)
        return false;
    struct str what = wire_text(first, "what"), why = wire_text(first, "why");
    if (what.n && why.n && memmem(why.p, why.n, what.p, what.n))
        what.n = 0;
    snprintf(out, CHOICE_REASON_MAX, "%.*s%s%.*s", (int)what.n,
             what.n ? what.p : "", what.n ? ": " : "", STR_FMT(why));
    return true;
}

/* Its reason against what is wanted beside the model. */
static bool want_objects(const struct wanted *want, char *out)
{
    static const char *const dtypes[] = {"exact", "auto", "f32"};
    bool computes = false;
    for (size_t i = 0; i < ARRAY_LEN(dtypes); i++)
        computes |= !strcmp(want->dtype, dtypes[i]);
    if (!computes)
        snprintf(out, CHOICE_REASON_MAX,
                 "the native engine computes in f32, not in %s", want->dtype);
    else if (strcmp(want->device, "cpu") && strcmp(want->device, "auto"))
        snprintf(out, CHOICE_REASON_MAX,
                 "the native engine runs on the device cpu, not on %s",
                 want->device);
    else
        return false;
    return true;
}

static int refuse_native(const struct plan *plan, const char *name,
                         const char *why, struct err *err)
{
    int r = plan_supported(plan, name, err);
    return r < 0 ? r : err_set(err, E_UNSUPPORTED_OPTION, "%s: %s", name, why);
}

/* ---- what Transformers takes ---- */

static uint64_t weight_bytes(const struct wanted *want, const struct plan *plan)
{
    if (!strcmp(want->dtype, "auto"))
        return plan->tensor_bytes;
    return plan->parameters *
           (want->dtype[0] == 'e' || !strcmp(want->dtype, "f32") ? 4 : 2);
}

static struct budget_vector transformers_need(const struct wanted *want,
                                              const struct plan *plan)
{
    struct budget_vector need = {{0}};
    need.bytes[BUDGET_HOST] = TRANSFORMERS_BASE;
    need.bytes[choice_device(want->device)] +=
        weight_bytes(want, plan) + TRANSFORMERS_WORK;
    return need;
}

static void choose(struct choice *c, enum backend backend, const char *why,
                   const struct budget_vector *need)
{
    c->backend = backend;
    c->need = *need;
    snprintf(c->reason, sizeof(c->reason), "%s: %.*s", backend_name(backend),
             (int)sizeof(c->reason) - 16, why);
}

static int not_installed(struct choice *c, const struct wanted *want,
                         const char *name, const char *why, struct err *err)
{
    snprintf(c->reason, sizeof(c->reason), "%.*s", (int)sizeof(c->reason) - 1,
             why);
    if (want->backend == BACKEND_TRANSFORMERS)
        return err_set(err, E_UNSUPPORTED_ARCHITECTURE,
                       "%s is to be served by the Transformers backend, which "
                       "is not installed: berth backend install transformers",
                       name);
    return err_set(err, E_UNSUPPORTED_ARCHITECTURE,
                   "%s cannot be served by the native engine: %s. The "
                   "Transformers backend is there for that, but is not "
                   "installed: berth backend install transformers",
                   name, why);
}

int choice_make(struct manager *m, const struct wanted *want,
                const struct plan *plan, const char *name, struct choice *ret,
                struct err *err)
{
    const struct manager_world *w = m->w;
    const struct budget_vector native = {{plan->need_bytes}},
                               other = transformers_need(want, plan);
    bool asked = want->backend != BACKEND_AUTO;
    char why[CHOICE_REASON_MAX] = "";
    bool objects = plan_objects(plan, why) || want_objects(want, why);
    *ret = (struct choice){.reason = ""};
    if (want->backend != BACKEND_TRANSFORMERS && !objects) {
        choose(ret, BACKEND_NATIVE,
               asked ? "asked for" : "everything in it is supported", &native);
        return 0;
    }
    if (want->backend == BACKEND_NATIVE) {
        snprintf(ret->reason, sizeof(ret->reason), "%s", why);
        return refuse_native(plan, name, why, err);
    }
    if (!w->backend(w->ctx, "transformers"))
        return not_installed(ret, want, name,
                             asked ? "transformers is not installed" : why,
                             err);
    choose(ret, BACKEND_TRANSFORMERS, asked ? "asked for" : why, &other);
    return 0;
}
