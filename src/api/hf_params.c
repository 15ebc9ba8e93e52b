/* api/hf_params.c - the parameters of a request as the encoded map of a job.
 *
 * They are passed on as they are: the inference server knows which there are,
 * and refuses the others by name.
 */
#include "api/hf_task.h"
#include "ipc/task.h"

enum { PARAMS_MAX = 64 };

/* Members of a map, before their number is known. */
struct members {
    struct buf out;
    struct str keys[PARAMS_MAX];
    size_t n;
};

static bool has_key(const struct members *m, struct str key)
{
    for (size_t i = 0; i < m->n; i++)
        if (str_eq(m->keys[i], key))
            return true;
    return false;
}

static int put_param(struct members *m, struct str key, struct json v,
                     struct err *err)
{
    if (json_type(v) == JSON_NULL)
        return 0;
    if (m->n == PARAMS_MAX)
        return err_set(err, E_INVALID_REQUEST,
                       "at most %d parameters are taken", PARAMS_MAX);
    if (has_key(m, key)) /* beside "inputs" and below "parameters" */
        return err_set(err, E_INVALID_REQUEST,
                       "the parameter '%.*s' is there twice", STR_FMT(key));
    m->keys[m->n++] = key;
    wire_put_text(&m->out, key);
    if (json_wire(&m->out, v, err) < 0)
        return err_prefix(err, "the parameter '%.*s'", STR_FMT(key));
    return 0;
}

/* Of feature extraction: those that stand beside "inputs". */
static int root_params(struct members *m, struct json body, struct err *err)
{
    static const char *const known[] = {"normalize", "prompt_name", "truncate",
                                        "truncation_direction", "dimensions"};
    int r = 0;
    for (size_t i = 0; r == 0 && i < ARRAY_LEN(known); i++) {
        struct json v = json_get(body, known[i]);
        if (json_type(v) != JSON_NONE)
            r = put_param(m, str_of(known[i]), v, err);
    }
    struct str format;
    if (r == 0 && json_to_str(json_get(body, "encoding_format"), &format) &&
        !str_is(format, "float"))
        return err_set(err, E_UNSUPPORTED_OPTION,
                       "'encoding_format' can only be 'float' here; "
                       "/v1/embeddings knows base64");
    return r;
}

/* What the client names here stands elsewhere in a job. */
static bool is_elsewhere(const struct hf_task *task, struct str key)
{
    if (!strcmp(task->name, "table-question-answering"))
        return str_is(key, "model");
    return !strcmp(task->name, "document-question-answering") &&
           str_is(key, "word_boxes");
}

static int member_params(const struct hf_task *task, struct members *m,
                         struct json p, struct err *err)
{
    int r = 0;
    for (struct json_iter it = json_iter(p); r == 0 && json_next(&it);)
        if (!is_elsewhere(task, it.key))
            r = put_param(m, it.key, it.value, err);
    return r;
}

/* Of text-to-audio: all of them are generate()'s, beside each other or in one
 * of the maps that clients know. */
static int sound_params(struct members *m, struct json p, struct err *err)
{
    struct members inner = {.out = BUF_MAX(MANAGER_PARAMS_MAX)};
    int r = 0;
    for (struct json_iter it = json_iter(p); r == 0 && json_next(&it);) {
        bool map = str_is(it.key, "generate_parameters") ||
                   str_is(it.key, "generation_parameters");
        if (!map)
            r = put_param(&inner, it.key, it.value, err);
        for (struct json_iter in = json_iter(it.value);
             map && r == 0 && json_next(&in);)
            r = put_param(&inner, in.key, in.value, err);
    }
    if (inner.n) {
        wire_put_text(&m->out, str_of("generate_parameters"));
        wire_put_map(&m->out, inner.n);
        buf_add(&m->out, inner.out.p, inner.out.len);
        m->n++;
    }
    m->out.failed |= inner.out.failed;
    buf_fini(&inner.out);
    return r;
}

static int collect(const struct hf_task *task, struct json body,
                   struct members *m, struct err *err)
{
    struct json p = json_get(body, "parameters");
    enum json_type t = json_type(p);
    if (t != JSON_NONE && t != JSON_NULL && t != JSON_OBJECT)
        return err_set(err, E_INVALID_REQUEST,
                       "'parameters' is %s, it should be an object",
                       json_type_name(t));
    if (task->answer == HF_SOUND)
        return sound_params(m, p, err);
    bool vectors = !strcmp(task->name, TASK_FEATURE_EXTRACTION);
    int r = vectors ? root_params(m, body, err) : 0;
    if (r == 0)
        r = member_params(task, m, p, err);
    if (r == 0 && vectors &&
        !has_key(m, str_of("truncate"))) { /* as its pipeline does */
        wire_put_text(&m->out, str_of("truncate"));
        wire_put_bool(&m->out, true);
        m->n++;
    }
    return r;
}

int hf_params(const struct hf_task *task, struct json body, struct buf *out,
              struct err *err)
{
    struct members m = {.out = BUF_MAX(MANAGER_PARAMS_MAX)};
    int r = collect(task, body, &m, err);
    wire_put_map(out, m.n);
    buf_add(out, m.out.p, m.out.len);
    bool failed = out->failed || m.out.failed;
    buf_fini(&m.out);
    if (r == 0 && failed)
        return err_set(err, E_TOO_LARGE,
                       "the parameters are too long, or hold text that is not "
                       "UTF-8");
    return r;
}
