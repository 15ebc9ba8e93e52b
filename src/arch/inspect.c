/* arch/inspect.c - what a snapshot holds, from headers alone. */
#include "arch/inspect.h"
#include "arch/modules.h"
#include "arch/recipe.h"
#include <assert.h>
#include <stdio.h>

static_assert((int)PROBLEMS_MAX == (int)INSPECT_UNSUPPORTED_MAX,
              "one list, two names");
static_assert(DTYPE_COUNT <= 16, "inspection.bytes has a place for each type");

static void count_tensors(const struct tensors *t, struct inspection *ret)
{
    uint64_t bytes[DTYPE_COUNT] = {0};
    ret->n_tensors = (uint32_t)t->n;
    for (size_t i = 0; i < t->n; i++) {
        ret->n_parameters += t->all[i].elements;
        bytes[t->all[i].dtype] += t->all[i].bytes;
    }
    for (int d = 0; d < DTYPE_COUNT; d++) {
        if (!bytes[d])
            continue;
        size_t at = ret->n_bytes++;
        snprintf(ret->bytes[at].dtype, sizeof(ret->bytes[at].dtype), "%s",
                 dtype_name((enum dtype)d));
        ret->bytes[at].bytes = bytes[d];
    }
}

static void copy_problems(const struct problems *p, struct inspection *ret)
{
    for (size_t i = 0; i < p->n; i++) {
        static_assert(sizeof(ret->unsupported[0].what) == PROBLEM_WHAT &&
                          sizeof(ret->unsupported[0].why) == PROBLEM_WHY,
                      "same sizes");
        memcpy(ret->unsupported[i].what, p->all[i].what, PROBLEM_WHAT);
        memcpy(ret->unsupported[i].why, p->all[i].why, PROBLEM_WHY);
    }
    ret->n_unsupported = p->n;
}

static void list_tasks(bool sentence, bool masked, struct inspection *ret)
{
    size_t n = 0;
    if (masked && !sentence)
        ret->tasks[n++] = "fill-mask";
    ret->tasks[n++] = "feature-extraction";
    if (!masked || sentence)
        ret->tasks[n++] = "sentence-similarity";
}

/* Entry i: with 2^i compute threads, each with its own working memory. */
static void list_memory(const struct plan *p, struct inspection *ret)
{
    ret->weight_bytes = p->weights * sizeof(float);
    for (size_t i = 0; i < INSPECT_RUNTIME_MAX; i++) {
        uint64_t threads = (uint64_t)1 << i;
        ret->runtime[i].tokens = (uint32_t)(threads * p->rows);
        ret->runtime[i].bytes = threads * plan_work(p) * sizeof(float);
    }
    ret->n_runtime = INSPECT_RUNTIME_MAX;
}

static int count_labels(const struct config *c, struct inspection *ret,
                        struct err *err)
{
    int64_t n = (int64_t)json_count(config_get(c, "id2label"));
    int r = config_int(c, "num_labels|_num_labels", false, 0, 1 << 20, &n, err);
    if (r == 0)
        ret->n_labels = (uint32_t)n;
    return r;
}

static int describe(const struct recipe *r, const struct snapshot *s,
                    struct inspection *ret, struct err *err)
{
    const struct plan *p = &r->plan;
    struct modules m;
    int e = modules_read(&m, s, (int64_t)p->hidden, err);
    if (e == 0)
        e = count_labels(&r->config, ret, err);
    if (e < 0 || p->n_ops == 0)
        return e;
    ret->vocab = (uint32_t)p->vocab;
    ret->dim = (uint32_t)m.dim;
    ret->context = (uint32_t)p->positions;
    if (m.max_seq_length && m.max_seq_length < (int64_t)p->positions)
        ret->context = (uint32_t)m.max_seq_length;
    list_tasks(m.present, r->masked, ret);
    list_memory(p, ret);
    return 0;
}

int arch_inspect(const struct snapshot *s, struct inspection *ret,
                 struct err *err)
{
    struct recipe r;
    struct inspection in = {0};
    int e = recipe_open(&r, s, !snapshot_find(s, "modules.json"), err);
    if (e < 0)
        return e;
    memcpy(in.architecture, r.architecture, sizeof(in.architecture));
    memcpy(in.model_type, r.model_type, sizeof(in.model_type));
    modules_licence(s, in.licence, sizeof(in.licence));
    count_tensors(&r.tensors, &in);
    copy_problems(&r.problems, &in);
    e = describe(&r, s, &in, err);
    recipe_fini(&r);
    if (e == 0)
        *ret = in;
    return e;
}
