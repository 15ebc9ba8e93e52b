/* cli/cmd_run.c - berth run: a model's own task on texts.
 *
 * The model says what its task is; the texts go to its address of the Hugging
 * Face Inference protocol. One row of `tasks` per task that has a print of its
 * own; the answer of any other is shown as JSON.
 */
#include "base/jsonw.h"
#include "base/mem.h"
#include "cli/ask.h"
#include "cli/conversation.h"
#include "cli/lines.h"
#include "cli/members.h"
#include "cli/table.h"
#include "cli/vectors.h"
#include <errno.h>
#include <stdio.h>

enum { BODY_MAX = 64 << 20, SENTENCES = 32, TOP_MOST = 1000, NEST_MOST = 8 };

struct run {
    const struct invocation *in;
    struct client *client;
    struct lines *lines;
    const char *name;
    struct reply model; /* GET /berth/models/NAME, or what loading it said */
    struct str task;    /* in model, or an argument */
    long top;           /* fill-mask; 0 = the daemon's choice */
};
typedef int task_fn(struct run *run, struct err *err);

/* ---- one question ------------------------------------------------------- */

/* The model's own task has the model's address, another one its own. */
static int post(struct run *run, const struct buf *body, struct reply *ret,
                struct err *err)
{
    struct buf path = BUF_MAX(4096);
    *ret = (struct reply){0};
    buf_puts(&path, "/models/");
    client_escape(&path, str_of(run->name));
    if (!str_eq(field_str(json_root(run->model.doc), "task"), run->task)) {
        buf_puts(&path, "/pipeline/");
        client_escape(&path, run->task);
    }
    buf_putc(&path, 0);
    int r = path.failed || body->failed
                ? err_set(err, E_TOO_LARGE, "the request is too large")
                : client_post(run->client, path.p, body, ret, err);
    buf_fini(&path);
    if (r == 0 && ret->truncated)
        fputs("berth: note: the text was too long and was cut\n", stderr);
    return r;
}

/* The daemon wraps the answer to one text in lists, or not, as the protocol has
 * it: down to the list whose first element is no list. */
static struct json unwrap(struct json v)
{
    for (int depth = 0; depth < NEST_MOST && json_count(v) == 1; depth++) {
        struct json_iter it = json_iter(v);
        if (!json_next(&it) || json_type(it.value) != JSON_ARRAY)
            break;
        v = it.value;
    }
    return v;
}

/* {"inputs": text, "parameters": {"top_k": n}} to the model, for each text. */
static int each_text(struct run *run,
                     void (*print)(const struct run *run, struct json answer),
                     struct err *err)
{
    int r;
    struct str text;
    while ((r = lines_next(run->lines, &text, err)) > 0) {
        struct reply reply;
        struct buf body = BUF_MAX(BODY_MAX);
        struct jsonw w = jsonw_to(&body);
        jsonw_object(&w);
        jsonw_kstr(&w, "inputs", text);
        if (run->top) {
            jsonw_key(&w, "parameters");
            jsonw_object(&w);
            jsonw_kint(&w, "top_k", run->top);
            jsonw_end_object(&w);
        }
        jsonw_end_object(&w);
        r = post(run, &body, &reply, err);
        if (r == 0 && (run->in->option[OPTION_JSON] || !print))
            printf("%.*s\n", STR_FMT(buf_str(&reply.body)));
        else if (r == 0)
            print(run, json_root(reply.doc));
        fflush(stdout);
        reply_fini(&reply);
        buf_fini(&body);
        if (r < 0)
            break;
    }
    return r;
}

/* ---- feature-extraction ------------------------------------------------- */

static void print_features(const struct run *run, struct json answer)
{
    (void)run;
    struct buf line = BUF_MAX(4096);
    struct json v = unwrap(answer);
    struct json_iter it = json_iter(v);
    if (json_next(&it) && json_type(it.value) == JSON_ARRAY) {
        buf_addf(&line, "%zu tokens x %zu, the first: ", json_count(v),
                 json_count(it.value));
        vector_brief(&line, it.value);
    } else {
        buf_addf(&line, "%zu numbers, norm %.4f: ", json_count(v),
                 vector_norm(v));
        vector_brief(&line, v);
    }
    print_line(buf_str(&line));
    buf_fini(&line);
}

static int features(struct run *run, struct err *err)
{
    return each_text(run, print_features, err);
}

/* ---- fill-mask ---------------------------------------------------------- */

static void print_mask(struct json tokens)
{
    static const char *const heads[] = {"TOKEN", ">SCORE", "SEQUENCE", NULL};
    struct table t;
    table_init(&t, heads);
    for (struct json_iter it = json_iter(tokens); json_next(&it);) {
        double score = 0;
        json_to_double(json_get(it.value, "score"), &score);
        table_cell(&t, field_str(it.value, "token_str"));
        table_cellf(&t, "%.4f", score);
        table_cell(&t, field_str(it.value, "sequence"));
    }
    table_print(&t, stdout, terminal_width(stdout));
    table_fini(&t);
}

/* A text with several masks has a list for each. */
static void print_tokens(const struct run *run, struct json answer)
{
    (void)run;
    struct json list = unwrap(answer);
    struct json_iter it = json_iter(list);
    if (!json_next(&it) || json_type(it.value) != JSON_ARRAY) {
        print_mask(list);
        return;
    }
    do
        print_mask(it.value);
    while (json_next(&it));
}

static int masks(struct run *run, struct err *err)
{
    return each_text(run, print_tokens, err);
}

/* ---- sentence-similarity ------------------------------------------------ */

/* A source, and the sentences that wait to be compared with it. */
struct comparison {
    struct buf source;
    struct buf sentences; /* NUL after each */
    size_t n;
};

static void comparison_body(const struct comparison *c, struct buf *body)
{
    struct jsonw w = jsonw_to(body);
    const char *p = c->sentences.p;
    jsonw_object(&w);
    jsonw_key(&w, "inputs");
    jsonw_object(&w);
    jsonw_kstr(&w, "source_sentence", buf_str(&c->source));
    jsonw_key(&w, "sentences");
    jsonw_array(&w);
    for (size_t i = 0; i < c->n; i++, p += strlen(p) + 1)
        jsonw_z(&w, p);
    jsonw_end_array(&w);
    jsonw_end_object(&w);
    jsonw_end_object(&w);
}

static void print_scores(const struct comparison *c, struct json answer)
{
    static const char *const heads[] = {">SCORE", "TEXT", NULL};
    const char *p = c->sentences.p;
    struct table t;
    size_t i = 0;
    table_init(&t, heads);
    for (struct json_iter it = json_iter(answer); i < c->n && json_next(&it);
         i++, p += strlen(p) + 1) {
        double score = 0;
        json_to_double(it.value, &score);
        table_cellf(&t, "%.4f", score);
        table_text(&t, p);
    }
    table_print(&t, stdout, terminal_width(stdout));
    table_fini(&t);
}

static int compare(struct run *run, struct comparison *c, struct err *err)
{
    struct reply reply;
    struct buf body = BUF_MAX(BODY_MAX);
    comparison_body(c, &body);
    int r = post(run, &body, &reply, err);
    if (r == 0 && run->in->option[OPTION_JSON])
        printf("%.*s\n", STR_FMT(buf_str(&reply.body)));
    else if (r == 0)
        print_scores(c, json_root(reply.doc));
    fflush(stdout);
    reply_fini(&reply);
    buf_fini(&body);
    buf_reset(&c->sentences);
    c->n = 0;
    return r;
}

/* Reads the source and its sentences; asks whenever enough have come. */
static int compare_lines(struct run *run, struct comparison *c, struct err *err)
{
    struct str text;
    size_t asked = 0;
    int r = lines_next(run->lines, &text, err);
    if (r > 0)
        buf_add(&c->source, text.p, text.n);
    while (r > 0 && (r = lines_next(run->lines, &text, err)) > 0) {
        buf_add(&c->sentences, text.p, text.n);
        buf_putc(&c->sentences, 0);
        c->n++;
        asked++;
        if (c->n < SENTENCES && !lines_interactive(run->lines))
            continue;
        int failed = compare(run, c, err);
        if (failed < 0)
            return failed;
    }
    if (r == 0 && !asked)
        return err_set(err, E_INVALID_REQUEST,
                       "sentence-similarity compares the first text with each "
                       "further one: give two or more");
    return r == 0 && c->n ? compare(run, c, err) : r;
}

static int similarity(struct run *run, struct err *err)
{
    struct comparison c = {.source = BUF_MAX(BODY_MAX),
                           .sentences = BUF_MAX(BODY_MAX)};
    int r = compare_lines(run, &c, err);
    buf_fini(&c.source);
    buf_fini(&c.sentences);
    return r;
}

/* ---- generation --------------------------------------------------------- */

static bool offers(struct json model, struct str task);

/* A model that chats is talked to, unless its own task was asked for by name.
 */
static int generate(struct run *run, struct err *err)
{
    bool chat = str_is(run->task, "chat") ||
                (!run->in->option[OPTION_TASK] &&
                 offers(json_root(run->model.doc), str_of("chat")));
    return conversation_run(run->client, run->in, run->lines, chat, err);
}

/* ---- which task --------------------------------------------------------- */

static const struct {
    const char *name;
    task_fn *fn;
} tasks[] = {
    {"chat", generate},
    {"feature-extraction", features},
    {"fill-mask", masks},
    {"sentence-similarity", similarity},
    {"text-generation", generate},
};

static bool offers(struct json model, struct str task)
{
    struct str s;
    for (struct json_iter it = json_iter(json_get(model, "tasks"));
         json_next(&it);)
        if (json_to_str(it.value, &s) && str_eq(s, task))
            return true;
    return false;
}

/* What has never been looked into does not know its task: load it then. */
static int learn_task(struct run *run, struct err *err)
{
    int r = ask_model(run->client, run->name, &run->model, err);
    if (r == 0 && !field_str(json_root(run->model.doc), "task").n) {
        struct buf body = BUF_MAX(65536);
        ask_model_body(&body, run->name);
        reply_fini(&run->model);
        r = client_post(run->client, "/berth/load", &body, &run->model, err);
        buf_fini(&body);
    }
    return r;
}

static int choose_task(struct run *run, struct err *err)
{
    const char *wish = run->in->option[OPTION_TASK];
    struct json model = json_root(run->model.doc);
    struct buf list = BUF_MAX(4096);
    run->task = wish ? str_of(wish) : field_str(model, "task");
    /* One text has nothing to be compared with. */
    if (!wish && str_is(run->task, "sentence-similarity") &&
        run->in->n_args == 2 && offers(model, str_of("feature-extraction")))
        run->task = str_of("feature-extraction");
    if (!wish || offers(model, run->task))
        return 0;
    field_list(&list, model, "tasks");
    int r = err_set(err, E_UNSUPPORTED_TASK, "%s does not do %s; it does %.*s",
                    run->name, wish, STR_FMT(buf_str(&list)));
    buf_fini(&list);
    return r;
}

static int parse_top(struct run *run, struct err *err)
{
    const char *top = run->in->option[OPTION_TOP];
    char *end = NULL;
    if (!top)
        return 0;
    run->top = strtol(top, &end, 10);
    if (end != top && !*end && run->top >= 1 && run->top <= TOP_MOST)
        return 0;
    return err_set(err, CLI_E_USAGE, "--top takes a number from 1 to %d",
                   TOP_MOST);
}

static int run_task(struct run *run, struct err *err)
{
    int r = learn_task(run, err);
    if (r == 0)
        r = choose_task(run, err);
    if (r == 0)
        r = lines_open(&run->lines, run->in, 1, err);
    if (r < 0)
        return r;
    for (size_t i = 0; i < ARRAY_LEN(tasks); i++)
        if (str_is(run->task, tasks[i].name))
            return tasks[i].fn(run, err);
    return each_text(run, NULL, err);
}

int cmd_run(const struct invocation *in, struct err *err)
{
    struct run run = {.in = in, .name = in->args[0]};
    int r = parse_top(&run, err);
    if (r == 0)
        r = client_open(&run.client, in, err);
    if (r == 0)
        r = run_task(&run, err);
    reply_fini(&run.model);
    lines_close(run.lines);
    client_close(run.client);
    return r;
}
