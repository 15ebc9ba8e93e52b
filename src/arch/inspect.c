/* arch/inspect.c - what a snapshot holds, from headers alone. */
#include "arch/inspect.h"
#include "arch/card.h"
#include "arch/class_tasks.h"
#include "arch/modules.h"
#include "arch/recipe.h"
#include <assert.h>
#include <stdio.h>

static_assert((int)PROBLEMS_MAX == (int)INSPECT_UNSUPPORTED_MAX,
              "one list, two names");
static_assert(DTYPE_COUNT <= 24, "inspection.bytes has a place for each type");

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

static void list_native_tasks(bool sentence, bool masked,
                              struct inspection *ret)
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

/* ---- what the native engine computes ------------------------------------ */

static void describe_native(const struct recipe *r, const struct modules *m,
                            struct inspection *ret)
{
    const struct plan *p = &r->plan;
    ret->vocab = (uint32_t)p->vocab;
    ret->dim = (uint32_t)m->dim;
    ret->context = (uint32_t)p->positions;
    list_native_tasks(m->present, r->masked, ret);
    list_memory(p, ret);
}

/* ---- everything else ---------------------------------------------------- */

/* The keys that families have for the same thing, and how much is believed. */
static const char vocab_keys[] = "vocab_size|n_vocab|n_words|n_token";
static const char dim_keys[] =
    "hidden_size|d_model|n_embd|dim|embed_dim|hidden_dim|emb_dim|"
    "projection_dim";
static const char context_keys[] =
    "max_position_embeddings|n_positions|max_target_positions|n_ctx|"
    "max_sequence_length|max_seq_len|seq_length|max_source_positions";
enum { COUNT_SANE = 1 << 30 };

/* A whole number of the model's text part: of config.json itself, or of the
 * map within it that some families have. 0: it names none that makes sense,
 * which only the native engine would mind. */
static uint32_t text_number(const struct config *c, const char *keys)
{
    int64_t n = 0;
    struct json v = config_get(c, keys);
    if (json_to_int(v, 1, COUNT_SANE, &n))
        return (uint32_t)n;
    struct config inner = {
        .root = config_get(c, "text_config|llm_config|decoder"),
        .file = c->file,
    };
    json_to_int(config_get(&inner, keys), 1, COUNT_SANE, &n);
    return (uint32_t)n;
}

/* Newer models have it as a file; in tokenizer_config.json it is a text, or a
 * list of named ones. */
static int has_chat_template(const struct snapshot *s, bool *ret,
                             struct err *err)
{
    struct config c;
    *ret = snapshot_find(s, "chat_template.jinja") ||
           snapshot_find(s, "chat_template.json");
    if (*ret)
        return 0;
    int r = config_open(&c, s, "tokenizer_config.json", true, err);
    if (r < 0)
        return r;
    *ret = json_type(config_get(&c, "chat_template")) != JSON_NONE;
    config_fini(&c);
    return 0;
}

static void list_class_tasks(const struct recipe *r, const struct modules *m,
                             unsigned facts, struct inspection *ret)
{
    static_assert((int)CLASS_TASKS_MAX <= (int)INSPECT_TASKS_MAX,
                  "a class's tasks fit");
    if (m->present)
        list_native_tasks(true, false, ret);
    else
        class_tasks(r->architecture, facts, ret->pipeline_tag, ret->tasks);
}

static int describe_other(struct recipe *r, const struct snapshot *s,
                          const struct modules *m, struct inspection *ret,
                          struct err *err)
{
    const struct config *c = &r->config;
    unsigned facts = class_facts(c);
    bool chat;
    int e = has_chat_template(s, &chat, err);
    if (e < 0)
        return e;
    list_class_tasks(r, m, facts | (chat ? CLASS_CHAT : 0), ret);
    if (!ret->tasks[0])
        problem_add(&r->problems, "task", "berth has no task for the class %s",
                    r->architecture[0] ? r->architecture : r->model_type);
    ret->vocab = text_number(c, vocab_keys);
    ret->context = text_number(c, context_keys);
    if (ret->tasks[0] && (!strcmp(ret->tasks[0], "feature-extraction") ||
                          !strcmp(ret->tasks[0], "image-feature-extraction")))
        ret->dim = m->dim ? (uint32_t)m->dim : text_number(c, dim_keys);
    return 0;
}

static int describe(struct recipe *r, const struct snapshot *s,
                    struct inspection *ret, struct err *err)
{
    struct modules m;
    bool native = r->plan.n_ops > 0;
    int e = modules_read(&m, s,
                         native ? (int64_t)r->plan.hidden
                                : text_number(&r->config, dim_keys),
                         err);
    if (e == 0)
        e = count_labels(&r->config, ret, err);
    if (e < 0)
        return e;
    if (native)
        describe_native(r, &m, ret);
    else
        e = describe_other(r, s, &m, ret, err);
    if (m.max_seq_length &&
        (!ret->context || m.max_seq_length < (int64_t)ret->context))
        ret->context = (uint32_t)m.max_seq_length;
    return e;
}

static void read_card(const struct snapshot *s, struct inspection *ret)
{
    struct card card;
    static_assert(sizeof(ret->licence) == CARD_TEXT &&
                      sizeof(ret->pipeline_tag) == CARD_TEXT,
                  "same sizes");
    card_read(&card, s);
    memcpy(ret->licence, card.licence, CARD_TEXT);
    memcpy(ret->pipeline_tag, card.pipeline_tag, CARD_TEXT);
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
    in.pickles = r.pickles;
    in.auto_map = json_type(config_get(&r.config, "auto_map")) != JSON_NONE;
    read_card(s, &in);
    count_tensors(&r.tensors, &in);
    e = describe(&r, s, &in, err);
    copy_problems(&r.problems, &in);
    recipe_fini(&r);
    if (e == 0)
        *ret = in;
    return e;
}
