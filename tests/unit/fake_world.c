/* tests/unit/fake_world.c - a world for the manager whose clock the test turns.
 */
#include "fake_world.h"
#include "base/fs.h"
#include "base/mem.h"
#include <assert.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <unistd.h>

#define COMMIT "0123456789abcdef0123456789abcdef01234567"

/* ---- clock ---- */

static uint64_t now_ns(void *ctx)
{
    return ((struct fake *)ctx)->now_ns;
}

static uint64_t wall_ms(void *ctx)
{
    return 1700000000000 + ((struct fake *)ctx)->now_ns / 1000000;
}

static uint64_t random_(void *ctx)
{
    return ((struct fake *)ctx)->random;
}

static void timer_clear(void *ctx, struct loop_timer *t)
{
    struct fake *f = ctx;
    if (t->place == 0)
        return;
    f->timers[t->place] = f->timers[f->n_timers--];
    f->timers[t->place]->place = t->place;
    t->place = 0;
}

static void timer_set(void *ctx, struct loop_timer *t, uint64_t at_ns)
{
    struct fake *f = ctx;
    timer_clear(f, t);
    assert(f->n_timers + 1 < (int)ARRAY_LEN(f->timers));
    t->at_ns = at_ns;
    t->place = ++f->n_timers;
    f->timers[t->place] = t;
}

static struct loop_timer *next_timer(struct fake *f)
{
    struct loop_timer *best = NULL;
    for (int i = 1; i <= f->n_timers; i++)
        if (!best || f->timers[i]->at_ns < best->at_ns)
            best = f->timers[i];
    return best;
}

/* ---- what may take long ---- */

static struct fake_call *call(struct fake *f, void (*fn)(struct fake_call *))
{
    struct fake_call *c = mem_new(struct fake_call);
    c->fn = fn;
    *f->last_call = c;
    f->last_call = &c->next;
    return c;
}

static void noted(struct fake *f, const char *what, const char *a,
                  const char *b)
{
    size_t n = strlen(f->log);
    snprintf(f->log + n, sizeof(f->log) - n, "%s %s %s;", what, a, b ? b : "-");
}

static struct fake_call *call_with(void *ctx, void (*fn)(struct fake_call *),
                                   const char *a, const char *b, void *done_ctx)
{
    struct fake_call *c = call(ctx, fn);
    c->f = ctx;
    snprintf(c->a, sizeof(c->a), "%s", a);
    snprintf(c->b, sizeof(c->b), "%s", b ? b : "");
    c->ctx = done_ctx;
    return c;
}

static void start_back(struct fake_call *c)
{
    struct fake *f = c->f;
    struct cache_found found[FAKE_MODELS_MAX] = {0};
    struct world_start start = {f->content, found, (size_t)f->n_cache};
    struct err none = {0};
    for (int i = 0; i < f->n_cache; i++) {
        snprintf(found[i].id, sizeof(found[i].id), "%s", f->cache[i].id);
        snprintf(found[i].commit, sizeof(found[i].commit), "%s",
                 f->cache[i].commit);
        snprintf(found[i].revision, sizeof(found[i].revision), "%s",
                 f->cache[i].revision);
    }
    c->start(c->ctx, &start, &none);
    store_content_fini(&f->content);
}

static void start(void *ctx, world_start_fn *done, void *done_ctx)
{
    struct fake_call *c = call_with(ctx, start_back, "", "", done_ctx);
    c->start = done;
}

static struct cache_files files_of(const struct fake_model *m)
{
    struct cache_files files = {mem_zero(2, sizeof(*files.v)), 2};
    static const char *const names[] = {"config.json", "model.safetensors"};
    for (int i = 0; i < 2; i++) {
        files.v[i].name = mem_strdup(names[i]);
        files.v[i].fd = open("/dev/null", O_RDONLY | O_CLOEXEC);
        files.v[i].size = 1000;
        files.v[i].inode = m->inode + (uint64_t)i;
    }
    return files;
}

static void files_back(struct fake_call *c)
{
    struct fake *f = c->f;
    struct cache_files files = {0};
    struct err err = {0};
    bool found = c->a[0] == '/';
    static const struct fake_model folder = {"", "", "", 77, false};
    if (found)
        files = files_of(&folder);
    for (int i = 0; i < f->n_cache && !found; i++)
        if (!strcmp(f->cache[i].id, c->a) &&
            !strcmp(f->cache[i].commit, c->b)) {
            files = files_of(&f->cache[i]);
            found = true;
        }
    if (!found)
        err_set(&err, E_MODEL_NOT_FOUND, "no snapshot of %s", c->a);
    c->files(c->ctx, found ? &files : NULL, &err);
    cache_files_fini(&files);
}

static void open_files(void *ctx, const struct world_place *place,
                       world_files_fn *done, void *done_ctx)
{
    struct fake_call *c =
        call_with(ctx, files_back, *place->dir ? place->dir : place->id,
                  place->commit, done_ctx);
    c->files = done;
}

static void done_back(struct fake_call *c)
{
    struct err err;
    if (c->f->store_fails)
        c->done(c->ctx, err_set(&err, E_DISK_FULL, "the disk is full"), &err);
    else
        c->done(c->ctx, 0, NULL);
}

static void store_call(void *ctx, const char *what, const char *a,
                       const char *b, world_done_fn *done, void *done_ctx)
{
    struct fake_call *c = call_with(ctx, done_back, a, b, done_ctx);
    noted(ctx, what, a, b);
    c->done = done;
}

static void put_model(void *ctx, const struct store_model *m,
                      world_done_fn *done, void *done_ctx)
{
    struct fake *f = ctx;
    store_model_fini(&f->stored);
    store_model_copy(&f->stored, m);
    store_call(ctx, "put", m->id, m->revision, done, done_ctx);
}

static void drop_model(void *ctx, const char *id, const char *revision,
                       world_done_fn *done, void *done_ctx)
{
    store_call(ctx, "drop", id, revision, done, done_ctx);
}

static void put_alias(void *ctx, const char *alias, const char *target,
                      world_done_fn *done, void *done_ctx)
{
    store_call(ctx, "alias", alias, target, done, done_ctx);
}

/* ---- what the Transformers backend needs ---- */

static const char *backend(void *ctx, const char *name)
{
    struct fake *f = ctx;
    return strcmp(name, "transformers") ? NULL : f->backend;
}

static int folder(void *ctx, const struct world_place *place, char *out,
                  char *out_root, struct err *err)
{
    (void)ctx, (void)err;
    if (*place->dir) {
        snprintf(out, FS_PATH_MAX, "%s", place->dir);
        snprintf(out_root, FS_PATH_MAX, "%s", place->dir);
        return 0;
    }
    snprintf(out_root, FS_PATH_MAX, "/cache/%s", place->id);
    snprintf(out, FS_PATH_MAX, "/cache/%s/snapshots/%s", place->id,
             place->commit);
    return 0;
}

static void note_launch(struct world_child *c,
                        const struct world_launch *launch)
{
    size_t n = (size_t)snprintf(c->launch, sizeof(c->launch), "%s %s",
                                launch->backend, launch->device);
    for (const char *const *p = launch->read; *p && n < sizeof(c->launch); p++)
        n += (size_t)snprintf(c->launch + n, sizeof(c->launch) - n, " %s", *p);
}

/* ---- children ---- */

static struct world_child *spawn(void *ctx, enum world_program program,
                                 const struct world_launch *launch,
                                 const struct world_ears *ears, void *ears_ctx,
                                 int *ret_pid, struct err *err)
{
    struct fake *f = ctx;
    assert((program == WORLD_TRANSFORMERS) == (launch != NULL));
    if (f->refuses_spawn) {
        err_set(err, E_INTERNAL, "no process");
        return NULL;
    }
    assert(f->n_children < FAKE_CHILDREN_MAX);
    struct world_child *c = mem_new(struct world_child);
    c->f = f;
    c->program = program;
    c->ears = ears;
    c->ctx = ears_ctx;
    c->alive = true;
    c->deaf = program == WORLD_INSPECTOR ? f->deaf_inspectors
              : program == WORLD_FETCHER ? f->deaf_fetchers
                                         : f->deaf_workers;
    if (launch)
        note_launch(c, launch);
    c->out.max = 4 << 20;
    f->children[f->n_children++] = c;
    *ret_pid = 1000 + f->n_children;
    return c;
}

static struct buf *begin(struct world_child *c, enum frame_type type,
                         uint64_t job)
{
    buf_reset(&c->out);
    frame_begin(&c->out, type, job, 0);
    return &c->out;
}

/* Decodes what lies in out as one frame. */
static struct fake_sent decode(struct world_child *c)
{
    static struct wire_node nodes[WIRE_NODES_MAX];
    struct frame_header h;
    struct err err;
    assert(frame_header_read(c->out.p, &h, &err) == 0);
    int n = frame_body_read((enum frame_type)h.type,
                            str_n(c->out.p + FRAME_HEADER, h.length), nodes,
                            WIRE_NODES_MAX, &err);
    if (n < 0)
        fprintf(stderr, "%s\n", err.msg);
    assert(n >= 0);
    return (struct fake_sent){(enum frame_type)h.type, h.job, wire_dup(nodes),
                              0};
}

static int send_(struct world_child *c, const int *fds, int n_fds)
{
    int r = frame_end(&c->out, 0);
    for (int i = 0; i < n_fds; i++)
        close(fds[i]);
    if (r < 0 || !c->alive)
        return r;
    assert(c->n_sent < FAKE_SENT_MAX);
    c->sent[c->n_sent] = decode(c);
    c->sent[c->n_sent++].n_fds = n_fds;
    return 0;
}

static void signal_(struct world_child *c, int signal)
{
    c->signal = signal;
}

void fake_exit(struct world_child *c, int code, int signal)
{
    struct world_exit how = {code, signal, ""};
    assert(c->alive);
    c->alive = false;
    snprintf(how.text, sizeof(how.text),
             signal ? "killed by signal %d" : "exit %d",
             signal ? signal : code);
    c->ears->gone(c->ctx, &how);
}

struct wire_map fake_begin(struct world_child *c, enum frame_type type,
                           uint64_t job)
{
    return wire_map_open(begin(c, type, job));
}

bool fake_say(struct world_child *c, struct wire_map *m)
{
    wire_map_close(m);
    assert(frame_end(&c->out, 0) == 0);
    struct fake_sent s = decode(c);
    uint32_t bytes = (uint32_t)(c->out.len - FRAME_HEADER);
    struct frame f = {s.type, s.job, s.body, NULL, 0, bytes};
    struct err err = {0};
    int r = c->ears->frame(c->ctx, &f, &err);
    free(s.body);
    if (r < 0)
        c->ears->broken(c->ctx, &err);
    return r >= 0;
}

static void say_hello(struct world_child *c)
{
    static const char *const kinds[] = {"native", "inspect", "fetch",
                                        "transformers"};
    struct wire_map m = fake_begin(c, FRAME_HELLO, 0);
    wire_kuint(&m, "version", FRAME_VERSION);
    wire_kz(&m, "build", "test");
    wire_kz(&m, "kind", kinds[c->program]);
    c->greeted = true;
    fake_say(c, &m);
}

static void put_tasks(struct wire_map *m)
{
    wire_kz(m, "task", "feature-extraction");
    wire_key(m, "tasks");
    wire_put_array(m->out, 2);
    wire_put_text(m->out, str_of("feature-extraction"));
    wire_put_text(m->out, str_of("fill-mask"));
}

static void put_unsupported(struct fake *f, struct wire_map *m)
{
    wire_key(m, "unsupported");
    wire_put_array(m->out, f->unsupported ? 1 : 0);
    if (!f->unsupported)
        return;
    struct wire_map u = wire_map_open(m->out);
    wire_kz(&u, "what", f->unsupported);
    wire_kz(&u, "why", "no table has it");
    wire_map_close(&u);
}

static bool was_told(const struct world_child *c, const char *model)
{
    const struct fake_sent *load = fake_got(c, FRAME_LOAD, 0);
    return load && str_is(wire_text(load->body, "model"), model);
}

static uint64_t weights_for(const struct world_child *c)
{
    const struct fake *f = c->f;
    for (int i = 0; i < f->n_sized; i++)
        if (was_told(c, f->sized[i].id))
            return f->sized[i].weights;
    return f->weights;
}

static void say_plan(struct world_child *c)
{
    struct wire_map m = fake_begin(c, FRAME_PLAN, 0);
    wire_kz(&m, "architecture", "BertModel");
    wire_kz(&m, "model_type", "bert");
    put_tasks(&m);
    wire_kuint(&m, "tensors", 3);
    wire_kuint(&m, "parameters", c->f->parameters);
    wire_key(&m, "bytes");
    wire_put_map(m.out, 1);
    wire_put_text(m.out, str_of("F32"));
    wire_put_uint(m.out, c->f->tensor_bytes);
    wire_kuint(&m, "context", 512);
    put_unsupported(c->f, &m);
    wire_kuint(&m, "weights", weights_for(c));
    wire_key(&m, "runtime");
    wire_put_array(m.out, 1);
    wire_put_array(m.out, 2);
    wire_put_uint(m.out, 512);
    wire_put_uint(m.out, 1 << 20);
    fake_say(c, &m);
}

bool fake_ready(struct world_child *c)
{
    struct wire_map m = fake_begin(c, FRAME_READY, 0);
    put_tasks(&m);
    wire_kuint(&m, "dim", 384);
    wire_kuint(&m, "max_tokens", 512);
    wire_kuint(&m, "memory", 12345);
    wire_kz(&m, "dtype", "f32");
    wire_kz(&m, "isa", "avx2");
    if (!fake_say(c, &m))
        return false;
    m = fake_begin(c, FRAME_CREDIT, 0);
    wire_kuint(&m, "jobs", c->f->credit_jobs);
    wire_kuint(&m, "bytes", 1 << 20);
    return fake_say(c, &m);
}

static void put_into_cache(struct fake *f, struct str id)
{
    for (int i = 0; i < f->n_cache; i++)
        if (str_is(id, f->cache[i].id) && !strcmp(f->cache[i].commit, COMMIT))
            return;
    assert(f->n_cache < FAKE_MODELS_MAX);
    f->cache[f->n_cache++] =
        (struct fake_model){mem_strndup(id), "main", COMMIT, 100, true};
}

static void say_fetched(struct world_child *c, const struct fake_sent *job)
{
    struct fake *f = c->f;
    struct str task = wire_text(job->body, "task");
    if (f->fetch_error) {
        fake_error(c, job->job, f->fetch_error, "the hub says no");
        return;
    }
    if (str_is(task, "pull"))
        put_into_cache(f, wire_text(wire_get(job->body, "params"), "repo"));
    struct wire_map m = fake_begin(c, FRAME_DONE, job->job);
    wire_key(&m, "result");
    struct wire_map r = wire_map_open(m.out);
    wire_kz(&r, "commit", COMMIT);
    wire_kuint(&r, "wrong", (uint64_t)f->wrong);
    wire_map_close(&r);
    fake_say(c, &m);
}

bool fake_answer_item(struct world_child *c, uint64_t job, uint64_t item)
{
    static const float v[2] = {0.6f, 0.8f};
    struct part p = {PART_TENSOR,        {0}, {0}, str_of("f32"), 1, {2},
                     str_n(v, sizeof(v))};
    struct item parts = {1, &p};
    struct wire_map m = fake_begin(c, FRAME_DONE, job);
    wire_kuint(&m, "item", item);
    wire_key(&m, "parts");
    parts_put(m.out, &parts, false, 0);
    wire_key(&m, "usage");
    struct wire_map u = wire_map_open(m.out);
    wire_kuint(&u, "tokens", 7);
    wire_kuint(&u, "generated", 3);
    wire_map_close(&u);
    return fake_say(c, &m);
}

bool fake_chunk(struct world_child *c, uint64_t job, uint64_t item,
                const char *text)
{
    struct part p = {.kind = PART_TEXT, .data = str_of(text)};
    struct item parts = {1, &p};
    struct wire_map m = fake_begin(c, FRAME_CHUNK, job);
    wire_kuint(&m, "item", item);
    wire_key(&m, "parts");
    parts_put(m.out, &parts, false, 0);
    return fake_say(c, &m);
}

static void give_credit(struct world_child *c)
{
    struct wire_map m = fake_begin(c, FRAME_CREDIT, 0);
    wire_kuint(&m, "jobs", 1);
    wire_kuint(&m, "bytes", 1000);
    fake_say(c, &m);
}

bool fake_answer(struct world_child *c, uint64_t job)
{
    const struct fake_sent *s = NULL;
    for (int i = 0; i < c->n_sent; i++)
        if (c->sent[i].type == FRAME_JOB && c->sent[i].job == job)
            s = &c->sent[i];
    assert(s);
    uint32_t n = wire_get(s->body, "items")->count;
    for (uint32_t i = 0; i < n; i++)
        if (!fake_answer_item(c, job, i))
            return false;
    give_credit(c);
    return true;
}

bool fake_error(struct world_child *c, uint64_t job, const char *code,
                const char *text)
{
    struct wire_map m = fake_begin(c, FRAME_ERROR, job);
    wire_kz(&m, "code", code);
    wire_kz(&m, "text", text);
    return fake_say(c, &m);
}

bool fake_pong(struct world_child *c, uint64_t counter)
{
    struct wire_map m = fake_begin(c, FRAME_PONG, 0);
    wire_kuint(&m, "time_ns", 1);
    wire_key(&m, "threads");
    wire_put_array(m.out, 1);
    wire_put_uint(m.out, counter);
    return fake_say(c, &m);
}

const struct fake_sent *fake_got(const struct world_child *c,
                                 enum frame_type type, int nth)
{
    for (int i = 0; i < c->n_sent; i++)
        if (c->sent[i].type == type && nth-- == 0)
            return &c->sent[i];
    return NULL;
}

void fake_forget_pings(struct world_child *c)
{
    int kept = 0;
    assert(c->n_seen == c->n_sent);
    for (int i = 0; i < c->n_sent; i++) {
        if (c->sent[i].type == FRAME_PING)
            free(c->sent[i].body);
        else
            c->sent[kept++] = c->sent[i];
    }
    c->n_sent = c->n_seen = kept;
}

int fake_count(const struct world_child *c, enum frame_type type)
{
    int n = 0;
    while (fake_got(c, type, n))
        n++;
    return n;
}

/* What a well-behaved child does about a frame. */
static void react(struct world_child *c, const struct fake_sent *s)
{
    if (s->type == FRAME_HELLO && !c->greeted)
        say_hello(c);
    else if (s->type == FRAME_LOAD && c->program == WORLD_INSPECTOR)
        say_plan(c);
    else if (s->type == FRAME_LOAD)
        fake_ready(c);
    else if (s->type == FRAME_JOB && c->program == WORLD_FETCHER)
        say_fetched(c, s);
    else if (s->type == FRAME_CANCEL && c->program == WORLD_FETCHER)
        fake_error(c, s->job, "cancelled", "cancelled");
    else if (s->type == FRAME_DRAIN && !c->stubborn)
        fake_exit(c, 0, 0);
}

static bool child_step(struct world_child *c)
{
    if (!c->alive)
        return false;
    if (c->signal == SIGKILL) {
        fake_exit(c, 0, SIGKILL);
        return true;
    }
    if (c->deaf || c->n_seen == c->n_sent)
        return false;
    react(c, &c->sent[c->n_seen++]);
    return true;
}

static bool step(struct fake *f)
{
    struct loop_timer *t = next_timer(f);
    struct fake_call *c = f->calls;
    if (t && t->at_ns <= f->now_ns) {
        timer_clear(f, t);
        t->fn(t);
        return true;
    }
    if (c) {
        f->calls = c->next;
        if (!f->calls)
            f->last_call = &f->calls;
        c->fn(c);
        free(c);
        return true;
    }
    for (int i = 0; i < f->n_children; i++)
        if (child_step(f->children[i]))
            return true;
    return false;
}

void fake_settle(struct fake *f)
{
    int n = 0;
    while (step(f))
        assert(n++ < 100000);
}

void fake_turn(struct fake *f, uint64_t ms)
{
    uint64_t end = f->now_ns + ms * 1000000;
    fake_settle(f);
    for (;;) {
        struct loop_timer *t = next_timer(f);
        if (!t || t->at_ns > end)
            break;
        f->now_ns = t->at_ns;
        fake_settle(f);
    }
    f->now_ns = end;
}

/* ---- */

struct world_child *fake_last(struct fake *f, enum world_program program)
{
    for (int i = f->n_children - 1; i >= 0; i--)
        if (f->children[i]->program == program && f->children[i]->alive)
            return f->children[i];
    return NULL;
}

struct world_child *fake_serving(struct fake *f, const char *model)
{
    for (int i = f->n_children - 1; i >= 0; i--)
        if (f->children[i]->alive &&
            f->children[i]->program != WORLD_INSPECTOR &&
            was_told(f->children[i], model))
            return f->children[i];
    return NULL;
}

int fake_alive(const struct fake *f, enum world_program program)
{
    int n = 0;
    for (int i = 0; i < f->n_children; i++)
        n += f->children[i]->program == program && f->children[i]->alive;
    return n;
}

int fake_spawned(const struct fake *f, enum world_program program)
{
    int n = 0;
    for (int i = 0; i < f->n_children; i++)
        n += f->children[i]->program == program;
    return n;
}

struct fake *fake_new(void)
{
    struct fake *f = mem_new(struct fake);
    f->w = (struct manager_world){
        .ctx = f,
        .now_ns = now_ns,
        .wall_ms = wall_ms,
        .random = random_,
        .timer_set = timer_set,
        .timer_clear = timer_clear,
        .spawn = spawn,
        .backend = backend,
        .folder = folder,
        .begin = begin,
        .send = send_,
        .signal = signal_,
        .start = start,
        .open_files = open_files,
        .put_model = put_model,
        .drop_model = drop_model,
        .put_alias = put_alias,
    };
    f->now_ns = 1000000000;
    f->last_call = &f->calls;
    f->weights = 10 << 20;
    f->parameters = 4;
    f->tensor_bytes = 16;
    f->credit_jobs = 100;
    return f;
}

void fake_free(struct fake *f)
{
    assert(!f->calls);
    for (int i = 0; i < f->n_children; i++) {
        struct world_child *c = f->children[i];
        assert(!c->alive);
        for (int k = 0; k < c->n_sent; k++)
            free(c->sent[k].body);
        buf_fini(&c->out);
        free(c);
    }
    for (int i = 0; i < f->n_cache; i++)
        if (f->cache[i].owned)
            free((char *)(uintptr_t)f->cache[i].id);
    store_content_fini(&f->content);
    store_model_fini(&f->stored);
    free(f);
}

void fake_forget(struct world_child *c)
{
    for (int i = 0; i < c->n_sent; i++)
        free(c->sent[i].body);
    c->n_sent = c->n_seen = 0;
}
