/* api/hf_task.c - the table of the tasks, and their answers. */
#include "api/hf_task.h"

/* ---- one result --------------------------------------------------------- */

/* One list for each mask in a text; of a text with one, that list. */
static void put_masks(const struct infer *x, struct jsonw *w,
                      const struct wire_node *result)
{
    const struct wire_node *first = wire_first(result);
    (void)x;
    bool only = result->kind == WIRE_ARRAY && result->count == 1 &&
                first->kind == WIRE_ARRAY;
    wire_json(w, only ? first : result);
}

/* The best answer alone, unless several were asked for. */
static void put_answers(const struct infer *x, struct jsonw *w,
                        const struct wire_node *result)
{
    bool only = !x->several && result->kind == WIRE_ARRAY && result->count >= 1;
    wire_json(w, only ? wire_first(result) : result);
}

static void put_generated(const struct infer *x, struct jsonw *w,
                          const struct wire_node *result)
{
    (void)x;
    jsonw_object(w);
    jsonw_kstr(w, "generated_text", wire_text(result, "text"));
    jsonw_end_object(w);
}

/* ---- the table ---------------------------------------------------------- */

const struct hf_task hf_tasks[] = {
#define HF_TASK(name, read, answer, put) {name, read, answer, put},
#include "api/hf_tasks.def"
#undef HF_TASK
};
const size_t hf_n_tasks = ARRAY_LEN(hf_tasks);

static const char *const other_names[][2] = {
    {"text-to-speech", "text-to-audio"},
    {"sentiment-analysis", "text-classification"},
    {"ner", "token-classification"},
};

const struct hf_task *hf_task_find(struct str name)
{
    for (size_t i = 0; i < ARRAY_LEN(other_names); i++)
        if (str_is(name, other_names[i][0]))
            name = str_of(other_names[i][1]);
    for (size_t i = 0; i < hf_n_tasks; i++)
        if (str_is(name, hf_tasks[i].name))
            return &hf_tasks[i];
    return NULL;
}

/* ---- all results -------------------------------------------------------- */

static void write_one(struct infer *x, size_t at, struct buf *out)
{
    const struct infer_item *item = &x->items[at];
    if (at > 0)
        buf_putc(out, ',');
    if (item->v)
        infer_rows(x, item, out);
    else
        buf_add(out, item->json.p, item->json.len);
}

static void write_list(struct infer *x, size_t at, struct buf *out)
{
    if (at > 0 && at <= x->n)
        write_one(x, at - 1, out);
    else if (!x->single)
        infer_open(out, at == 0 ? 0 : x->n, x->n);
}

static void write_always(struct infer *x, size_t at, struct buf *out)
{
    if (at > 0 && at <= x->n)
        write_one(x, at - 1, out);
    else
        infer_open(out, at == 0 ? 0 : x->n, x->n);
}

static void write_scores(struct infer *x, size_t at, struct buf *out)
{
    if (at == 0 || at > x->n) {
        buf_putc(out, at == 0 ? '[' : ']');
        return;
    }
    const struct infer_item *item = &x->items[at - 1];
    for (size_t i = 0; i < item->rows * item->dim; i++) {
        char text[32];
        if (at > 1 || i > 0)
            buf_putc(out, ',');
        buf_add(out, text, json_print_float(text, item->v[i]));
    }
}

static void write_sound(struct infer *x, size_t at, struct buf *out)
{
    (void)at;
    buf_add(out, x->items[0].json.p, x->items[0].json.len);
}

void hf_write(const struct hf_task *task, struct infer_job *job)
{
    job->put = task->put;
    switch (task->answer) {
    case HF_LIST:
        job->write = write_list;
        break;
    case HF_ALWAYS:
        job->write = write_always;
        break;
    case HF_SCORES:
        job->write = write_scores;
        break;
    case HF_SOUND:
        job->write = write_sound;
        job->pieces = 1;
        job->type = "audio/wav";
        job->bytes = true;
        break;
    }
}
