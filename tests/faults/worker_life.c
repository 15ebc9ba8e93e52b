/* tests/faults/worker_life.c - a worker's whole life, said in frames.
 *
 *     worker_life serve | fill | leave | inspect | refuse   PROGRAM
 * [ARGUMENT...]
 *
 * Starts the program (a worker, or valgrind with one) with its end of a
 * socketpair as descriptor 3 and plays the daemon: greets it, gives it a tiny
 * model, asks it everything that it does and much that it refuses, cancels,
 * drains, and exits with its status. No answer is compared here but in how many
 * they are: numbers are the business of tests/api.
 */
#include "base/clock.h"
#include "base/fs.h"
#include "base/mem.h"
#include "ipc/channel.h"
#include "ipc/job.h"
#include "ipc/task.h"
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

enum { WAIT_MS = 120000, VOCAB = 100, FILES_MAX = 16 };

struct life {
    struct channel *channel;
    pid_t pid;
    int seen[FRAME_TYPE_END]; /* frames of each type */
    char code[64];            /* of the last ERROR */
    char model[FS_PATH_MAX];  /* folder of config.json and model.safetensors */
    bool over;
    uint64_t last_job;
    uint64_t deadline_ns; /* of the jobs that are asked; 0 = none */
    int fds[FILES_MAX];
    struct {
        const char *name;
        uint64_t size;
    } files[FILES_MAX];
    int n_files;
};

static void die(const struct life *l, const char *what)
{
    fprintf(stderr, "worker_life: %s (last error: %s)\n", what, l->code);
    if (l->pid > 0)
        kill(l->pid, SIGKILL);
    exit(1);
}

static int on_frame(void *ctx, struct frame *f, struct err *err)
{
    struct life *l = ctx;
    (void)err;
    l->seen[f->type]++;
    struct str text = wire_text(f->body, "text");
    if (f->type == FRAME_ERROR)
        str_to_z(wire_text(f->body, "code"), l->code, sizeof(l->code));
    if (f->type == FRAME_ERROR || f->type == FRAME_LOG)
        printf("  %s: %.*s\n", frame_type_name((int)f->type), STR_FMT(text));
    if (f->type == FRAME_DONE) {
        struct arena a = ARENA_MAX(1 << 22);
        struct part_map map = {0};
        struct item item;
        if (parts_read(f, &a, &map, &item, err) < 0)
            die(l, "a DONE with bad parts");
        part_map_fini(&map);
        arena_fini(&a);
    }
    return 0;
}

/* Until n frames of a type have come since the start. */
static void wait_for(struct life *l, enum frame_type type, int n)
{
    struct err err;
    while (l->seen[type] < n) {
        short events = POLLIN;
        if (channel_wants_write(l->channel))
            events |= POLLOUT;
        struct pollfd p = {channel_fd(l->channel), events, 0};
        if (poll(&p, 1, WAIT_MS) <= 0)
            die(l, "the worker does not answer");
        if (p.revents & POLLOUT && channel_flush(l->channel) < 0)
            die(l, "the worker does not listen");
        int r = p.revents & POLLIN ? channel_read(l->channel, &err) : 1;
        l->over = r <= 0;
        if (r < 0 || (r == 0 && l->seen[type] < n))
            die(l, r < 0 ? err.msg : frame_type_name((int)type));
    }
}

static void wait_end(struct life *l)
{
    struct err err;
    int r = !l->over;
    while (r > 0) {
        struct pollfd p = {channel_fd(l->channel), POLLIN, 0};
        if (poll(&p, 1, WAIT_MS) <= 0)
            die(l, "the worker does not end");
        r = channel_read(l->channel, &err);
    }
    if (r < 0 && err.code != ECONNRESET)
        die(l, err.msg);
}

static struct wire_map begin(struct life *l, enum frame_type type, uint64_t job)
{
    return wire_map_open(channel_begin(l->channel, type, job));
}

static void end(struct life *l, struct wire_map *m, const int *fds, int n)
{
    wire_map_close(m);
    if (channel_send(l->channel, fds, n) < 0)
        die(l, "cannot send");
}

static void empty(struct life *l, enum frame_type type, uint64_t job)
{
    struct wire_map m = begin(l, type, job);
    if (type == FRAME_PING)
        wire_kuint(&m, "time_ns", 1);
    end(l, &m, NULL, 0);
}

static void hello(struct life *l)
{
    struct wire_map m = begin(l, FRAME_HELLO, 0);
    wire_kuint(&m, "version", FRAME_VERSION);
    wire_kz(&m, "build", "test");
    wire_kz(&m, "kind", "daemon");
    wire_kuint(&m, "threads", 2);
    wire_kz(&m, "isa", "avx2");
    wire_kbool(&m, "degraded", true);
    end(l, &m, NULL, 0);
    wait_for(l, FRAME_HELLO, 1);
    wait_for(l, FRAME_STATUS, 1);
}

/* ---- the model ---- */

static void add_file(struct life *l, const char *name, int fd, uint64_t size)
{
    if (fd < 0 || l->n_files == FILES_MAX)
        die(l, name);
    l->fds[l->n_files] = fd;
    l->files[l->n_files].name = name;
    l->files[l->n_files++].size = size;
}

static bool has_file(const struct life *l, const char *name)
{
    for (int i = 0; i < l->n_files; i++)
        if (!strcmp(l->files[i].name, name))
            return true;
    return false;
}

static void add_text(struct life *l, const char *name, const char *text)
{
    int fd = memfd_create(name, MFD_CLOEXEC);
    if (fd < 0 || fs_write_all(fd, text, strlen(text)) < 0)
        die(l, name);
    add_file(l, name, fd, strlen(text));
}

static void add_real(struct life *l, const char *name)
{
    char path[FS_PATH_MAX];
    struct stat st;
    int fd = fs_join(path, l->model, name) < 0 ? -1 : open(path, O_RDONLY);
    if (fd < 0 || fstat(fd, &st))
        die(l, path);
    add_file(l, name, fd, (uint64_t)st.st_size);
}

/* Special tokens, then letters as words and as ends of words, then fillers. */
static void add_vocabulary(struct life *l)
{
    struct buf b = BUF_MAX(1 << 16);
    int n = 5;
    buf_puts(&b, "[PAD]\n[UNK]\n[CLS]\n[SEP]\n[MASK]\n");
    for (char c = 'a'; c <= 'z'; c++, n += 2)
        buf_addf(&b, "%c\n##%c\n", c, c);
    for (; n < VOCAB; n++)
        buf_addf(&b, "word%d\n", n);
    buf_putc(&b, 0);
    add_text(l, "vocab.txt", b.p);
    buf_fini(&b);
}

static void add_modules(struct life *l)
{
    add_text(l, "modules.json",
             "[{\"type\": \"sentence_transformers.models.Transformer\", "
             "\"path\": \"\"}, {\"type\": \"sentence_transformers.models."
             "Pooling\", \"path\": \"1_Pooling\"}, {\"type\": "
             "\"sentence_transformers.models.Normalize\", \"path\": \"2_N\"}]");
    add_text(l, "1_Pooling/config.json",
             "{\"embedding_dimension\": 32, \"pooling_mode\": [\"mean\", "
             "\"cls\", \"max\", \"lasttoken\", \"weightedmean\"]}");
    add_text(l, "sentence_bert_config.json", "{\"max_seq_length\": 30}");
    if (!has_file(l, "config_sentence_transformers.json"))
        add_text(l, "config_sentence_transformers.json",
                 "{\"prompts\": {\"query\": \"q \", \"other\": \"oo \"}}");
}

/* config: in place of the model's; modules: as a sentence-transformer. */
static void load(struct life *l, const char *config, bool modules)
{
    if (config)
        add_text(l, "config.json", config);
    else
        add_real(l, "config.json");
    add_real(l, "model.safetensors");
    add_vocabulary(l);
    add_text(
        l, "tokenizer_config.json",
        "{\"tokenizer_class\": \"BertTokenizer\", \"do_lower_case\": true}");
    if (modules)
        add_modules(l);
    struct wire_map m = begin(l, FRAME_LOAD, 0);
    wire_kz(&m, "model", "tiny");
    wire_kz(&m, "revision", "main");
    wire_kz(&m, "dtype", "exact");
    wire_kz(&m, "device", "cpu");
    wire_key(&m, "files");
    wire_put_array(m.out, (size_t)l->n_files);
    for (int i = 0; i < l->n_files; i++) {
        struct wire_map file = wire_map_open(m.out);
        wire_kz(&file, "name", l->files[i].name);
        wire_kuint(&file, "size", l->files[i].size);
        wire_kuint(&file, "fd", (uint64_t)i);
        wire_map_close(&file);
    }
    end(l, &m, l->fds, l->n_files);
}

/* ---- jobs ---- */

static struct part text_part(const char *text, const char *role)
{
    return (struct part){
        .kind = PART_TEXT, .data = str_of(text), .role = str_of(role)};
}

/* params: written by the caller's function, or NULL. */
static void ask(struct life *l, const char *task, const struct item *items,
                size_t n, void (*params)(struct wire_map *m))
{
    struct err err;
    int fd = -1;
    if (parts_seal(items, n, &fd, &err) < 0)
        die(l, err.msg);
    struct wire_map m = begin(l, FRAME_JOB, ++l->last_job);
    wire_kz(&m, "task", task);
    if (l->deadline_ns)
        wire_kuint(&m, "deadline_ns", l->deadline_ns);
    if (params) {
        wire_key(&m, "params");
        struct wire_map p = wire_map_open(m.out);
        params(&p);
        wire_map_close(&p);
    }
    wire_key(&m, "items");
    items_put(m.out, items, n, fd >= 0);
    if (fd >= 0)
        wire_kuint(&m, "data", items_bytes(items, n));
    end(l, &m, &fd, fd >= 0);
}

/* Asks n times the same text; expects so many DONEs and ERRORs, and the job's
 * credit back. */
static void ask_text(struct life *l, const char *task, const char *text,
                     size_t n, void (*params)(struct wire_map *m), int done,
                     int errors)
{
    struct part part = text_part(text, "");
    struct item *items = mem_zero(n, sizeof(*items));
    for (size_t i = 0; i < n; i++)
        items[i] = (struct item){1, &part};
    done += l->seen[FRAME_DONE];
    errors += l->seen[FRAME_ERROR];
    int credit = l->seen[FRAME_CREDIT] + 1;
    ask(l, task, items, n, params);
    wait_for(l, FRAME_CREDIT, credit);
    if (l->seen[FRAME_DONE] != done || l->seen[FRAME_ERROR] != errors)
        die(l, "other answers than expected");
    free(items);
}

static void truncate_it(struct wire_map *m)
{
    wire_kbool(m, "truncate", true);
}

static void truncate_left(struct wire_map *m)
{
    wire_kbool(m, "truncate", true);
    wire_kz(m, "truncation_direction", "left");
    wire_kz(m, "prompt_name", "other");
    wire_kbool(m, "normalize", true);
}

static void not_pooled(struct wire_map *m)
{
    wire_kbool(m, "pooled", false);
    wire_kbool(m, "truncate", true);
}

static void targets(struct wire_map *m)
{
    wire_kuint(m, "top_k", 7);
    wire_key(m, "targets");
    wire_put_array(m->out, 4);
    wire_put_text(m->out, str_of("a"));
    wire_put_text(m->out, str_of("word70"));
    wire_put_text(m->out, str_of("bcd"));
    wire_put_text(m->out, str_of(""));
}

static void unknown(struct wire_map *m)
{
    wire_key(m, "nested");
    wire_put_map(m->out, 1);
    wire_put_text(m->out, str_of("list"));
    wire_put_array(m->out, 3);
    wire_put_float(m->out, 0.5);
    wire_put_null(m->out);
    wire_put_int(m->out, -5);
}

static void dimensions(struct wire_map *m)
{
    wire_kuint(m, "dimensions", 8);
}

static char *long_text(size_t words)
{
    char *s = mem_zero(1, words * 2 + 1);
    for (size_t i = 0; i < words; i++)
        memcpy(s + 2 * i, "a ", 2);
    return s;
}

static void embeddings(struct life *l)
{
    char *text = long_text(100), *book = long_text(50000);
    ask_text(l, "feature-extraction", "a b c", 40, NULL, 40, 0);
    ask_text(l, "feature-extraction", "", 1, NULL, 1, 0);
    ask_text(l, "feature-extraction", text, 2, NULL, 0, 2);
    ask_text(l, "feature-extraction", text, 2, truncate_it, 2, 0);
    ask_text(l, "feature-extraction", text, 2, truncate_left, 2, 0);
    ask_text(l, "feature-extraction", text, 20, not_pooled, 20, 0);
    ask_text(l, "feature-extraction", book, 2, truncate_it, 2, 0);
    ask_text(l, "feature-extraction", "a", 1, unknown, 0, 1);
    ask_text(l, "feature-extraction", "a", 1, dimensions, 0, 1);
    free(book);
    free(text);
}

static void token_ids(struct life *l)
{
    static const uint32_t good[] = {2, 7, 8, 3}, bad[] = {2, 99999, 3};
    struct part parts[] = {
        {.kind = PART_TOKENS, .data = str_n(good, sizeof(good))},
        {.kind = PART_TOKENS, .data = str_n(bad, sizeof(bad))},
        {.kind = PART_TOKENS, .data = str_of("")},
        {.kind = PART_BYTES,
         .data = str_of("x"),
         .media = str_of("image/png")}};
    struct item items[ARRAY_LEN(parts) + 1] = {0}; /* the last has no part */
    int done = l->seen[FRAME_DONE], credit = l->seen[FRAME_CREDIT];
    for (size_t i = 0; i < ARRAY_LEN(parts); i++)
        items[i] = (struct item){1, &parts[i]};
    ask(l, "feature-extraction", items, ARRAY_LEN(items), NULL);
    wait_for(l, FRAME_CREDIT, credit + 1);
    wait_for(l, FRAME_DONE, done + 1);
}

static void similarity(struct life *l)
{
    struct part parts[40];
    struct item item = {ARRAY_LEN(parts), parts};
    int done = l->seen[FRAME_DONE], credit = l->seen[FRAME_CREDIT];
    for (size_t i = 0; i < ARRAY_LEN(parts); i++)
        parts[i] = text_part("a b", i ? "sentence" : "source");
    ask(l, "sentence-similarity", &item, 1, NULL);
    wait_for(l, FRAME_CREDIT, credit + 1);
    if (l->seen[FRAME_DONE] != done + 1)
        die(l, "no similarity");
    ask_text(l, "sentence-similarity", "alone", 1, NULL, 0, 1);
}

/* Items of many sequences, whose time is up at any moment of their life: each
 * is answered once. */
static void deadlines(struct life *l)
{
    enum { ITEMS = 8, TRIES = 40, STEP_NS = 100000 };
    struct part parts[TASK_PAIRS_MAX];
    struct item items[ITEMS];
    for (size_t i = 0; i < ARRAY_LEN(parts); i++)
        parts[i] = text_part("a b c d e f g h i j k l m n o p q r s t",
                             i ? "sentence" : "source");
    for (size_t i = 0; i < ITEMS; i++)
        items[i] = (struct item){ARRAY_LEN(parts), parts};
    /* One CREDIT at READY and one for each job that has ended: all have. */
    wait_for(l, FRAME_CREDIT, 1 + (int)l->last_job);
    for (int i = 1; i <= TRIES; i++) {
        int before = l->seen[FRAME_DONE] + l->seen[FRAME_ERROR];
        int credit = l->seen[FRAME_CREDIT], pong = l->seen[FRAME_PONG];
        l->deadline_ns = clock_now_ns() + (uint64_t)i * STEP_NS;
        ask(l, "sentence-similarity", items, ITEMS, NULL);
        wait_for(l, FRAME_CREDIT, credit + 1);
        empty(l, FRAME_PING, 0);
        wait_for(l, FRAME_PONG, pong + 1);
        if (l->seen[FRAME_DONE] + l->seen[FRAME_ERROR] != before + ITEMS)
            die(l, "an item past its deadline is not answered once");
    }
    l->deadline_ns = 0;
}

static void masks(struct life *l)
{
    ask_text(l, "fill-mask", "a [MASK] b", 3, NULL, 3, 0);
    ask_text(l, "fill-mask", "[MASK] a [MASK]", 2, targets, 2, 0);
    ask_text(l, "fill-mask", "nothing", 1, NULL, 0, 1);
    ask_text(l, "no-such-task", "a", 1, NULL, 0, 1);
}

/* A job that waits for the client's room, is cancelled, and leaves others be.
 */
static void stalled_and_cancelled(struct life *l)
{
    struct part part = text_part("a b c d e f g", "");
    struct item items[2000];
    int errors = l->seen[FRAME_ERROR], done = l->seen[FRAME_DONE];
    for (size_t i = 0; i < ARRAY_LEN(items); i++)
        items[i] = (struct item){1, &part};
    ask(l, "feature-extraction", items, ARRAY_LEN(items), NULL);
    struct wire_map m = begin(l, FRAME_CREDIT, l->last_job);
    wire_kuint(&m, "bytes", 1000);
    end(l, &m, NULL, 0);
    wait_for(l, FRAME_DONE, done + 1);
    empty(l, FRAME_CANCEL, l->last_job);
    empty(l, FRAME_CANCEL, 123456);
    while (l->seen[FRAME_ERROR] - errors + l->seen[FRAME_DONE] - done <
           (int)ARRAY_LEN(items))
        wait_for(l, FRAME_ERROR, l->seen[FRAME_ERROR] + 1);
}

static void serve(struct life *l)
{
    hello(l);
    empty(l, FRAME_PING, 0);
    load(l, NULL, true);
    wait_for(l, FRAME_READY, 1);
    wait_for(l, FRAME_CREDIT, 1);
    wait_for(l, FRAME_PONG, 1);
    embeddings(l);
    token_ids(l);
    similarity(l);
    empty(l, FRAME_PING, 0);
    wait_for(l, FRAME_PONG, 2);
    stalled_and_cancelled(l);
    deadlines(l);
    int done = l->seen[FRAME_DONE];
    struct part part = text_part("the last", "");
    struct item item = {1, &part};
    ask(l, "feature-extraction", &item, 1, NULL);
    empty(l, FRAME_DRAIN, 0);
    wait_for(l, FRAME_DONE, done + 1);
    wait_end(l);
}

/* The same files as a masked language model. */
static void fill(struct life *l)
{
    hello(l);
    load(l, NULL, false);
    wait_for(l, FRAME_READY, 1);
    wait_for(l, FRAME_CREDIT, 1);
    masks(l);
    ask_text(l, "feature-extraction", "a b", 3, NULL, 3, 0);
    empty(l, FRAME_DRAIN, 0);
    wait_end(l);
}

/* The daemon is gone while the worker is busy with the second item; the first
 * has run by then, and nothing wakes the worker for it any more. */
static void leave(struct life *l)
{
    char *book = long_text(1000000);
    struct part parts[] = {text_part("a", ""), text_part(book, "")};
    struct item items[] = {{1, &parts[0]}, {1, &parts[1]}};
    hello(l);
    load(l, NULL, true);
    wait_for(l, FRAME_CREDIT, 1);
    ask(l, "feature-extraction", items, ARRAY_LEN(items), NULL);
    empty(l, FRAME_PING, 0);
    wait_for(l, FRAME_PONG, 1);
    free(book);
}

static void inspect(struct life *l)
{
    hello(l);
    load(l, NULL, true);
    wait_for(l, FRAME_PLAN, 1);
    wait_end(l);
}

/* A model that it cannot serve: said, and the end with status 1. */
static void refuse(struct life *l)
{
    hello(l);
    load(l, "{\"architectures\": [\"NoModel\"], \"model_type\": \"nothing\"}",
         true);
    wait_for(l, FRAME_ERROR, 1);
    wait_end(l);
}

/* What it would say of itself does not fit into a frame: said, and the end. */
static void boast(struct life *l)
{
    struct buf b = BUF_MAX(1 << 20);
    buf_puts(&b, "{\"prompts\": {\"");
    while (b.len < FRAME_BODY_MAX)
        buf_puts(&b, "endless ");
    buf_puts(&b, "\": \"x\"}}");
    buf_putc(&b, 0);
    hello(l);
    add_text(l, "config_sentence_transformers.json", b.p);
    load(l, NULL, true);
    wait_for(l, FRAME_ERROR, 1);
    if (strcmp(l->code, "damaged_file"))
        die(l, "another error than expected");
    wait_end(l);
    buf_fini(&b);
}

static void start(struct life *l, char **argv)
{
    int pair[2];
    if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, pair))
        die(l, "no socketpair");
    fflush(stdout);
    l->pid = fork();
    if (l->pid == 0) {
        if (pair[1] == 3 ? fcntl(3, F_SETFD, 0) : dup2(pair[1], 3) < 0)
            _exit(126);
        execv(argv[0], argv);
        _exit(127);
    }
    close(pair[1]);
    l->channel = channel_open(pair[0], on_frame, l);
}

static int status_of(struct life *l)
{
    int status = 0;
    channel_close(l->channel);
    while (waitpid(l->pid, &status, 0) < 0 && errno == EINTR)
        ;
    if (WIFSIGNALED(status))
        printf("died of signal %d\n", WTERMSIG(status));
    return WIFEXITED(status) ? WEXITSTATUS(status) : 125;
}

int main(int argc, char **argv)
{
    static struct life l;
    const char *tests = getenv("BERTH_TESTS");
    if (argc < 3 || !tests || fs_join(l.model, tests, "golden/bert") < 0)
        return 2;
    signal(SIGPIPE, SIG_IGN);
    start(&l, argv + 2);
    static const struct {
        const char *name;
        void (*live)(struct life *l);
        int status;
    } lives[] = {{"serve", serve, 0},   {"fill", fill, 0},
                 {"leave", leave, 0},   {"inspect", inspect, 0},
                 {"refuse", refuse, 1}, {"boast", boast, 1}};
    int want = -1;
    for (size_t i = 0; i < ARRAY_LEN(lives); i++) {
        if (strcmp(argv[1], lives[i].name))
            continue;
        lives[i].live(&l);
        want = lives[i].status;
    }
    int status = status_of(&l);
    printf("%s: exit status %d, %d done, %d errors\n", argv[1], status,
           l.seen[FRAME_DONE], l.seen[FRAME_ERROR]);
    return status == want ? 0 : 1;
}
