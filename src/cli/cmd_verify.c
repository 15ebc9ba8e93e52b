/* cli/cmd_verify.c - berth verify: one model, served by both backends, asked
 * the same; or (--files) its files, hashed again.
 *
 * NAME#native and NAME#transformers are served beside whatever is deployed, and
 * are gone again afterwards.
 */
#include "base/clock.h"
#include "base/fs.h"
#include "base/jsonw.h"
#include "base/mem.h"
#include "cli/ask.h"
#include "cli/compare.h"
#include "cli/human.h"
#include "cli/lines.h"
#include "cli/members.h"
#include "cli/verify_texts.h"
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

enum { BODY_MAX = 64 << 20, TEXTS_MAX = 4096, NATIVE = 0, TRANSFORMERS = 1 };

/* Absolute, on numbers of about 1: what two right f32 implementations may
 * differ by (design: parity on normalised vectors). Scores pass through a
 * softmax over the vocabulary and differ less. */
static const double BOUND_F32 = 5e-6;

static const char *const backends[] = {"native", "transformers"};

struct verify {
    const struct invocation *in;
    struct client *client;
    const char *name;
    char served[2][512]; /* NAME#BACKEND */
    struct reply model[2];
    bool loaded[2];
    struct str task;
    char **texts;
    size_t n;
    struct comparison_sums sums;
};

/* ---- the texts ---------------------------------------------------------- */

static void add_text(struct verify *v, struct str text, struct str mask)
{
    static const char place[] = "{mask}";
    struct buf out = BUF_MAX(BODY_MAX);
    const char *at = memmem(text.p, text.n, place, sizeof(place) - 1);
    size_t before = at ? (size_t)(at - text.p) : text.n;
    buf_add(&out, text.p, before);
    if (at) {
        size_t after = before + sizeof(place) - 1;
        buf_add(&out, mask.p, mask.n);
        buf_add(&out, text.p + after, text.n - after);
    }
    buf_putc(&out, 0);
    v->texts[v->n++] = mem_strdup(out.p);
    buf_fini(&out);
}

static int given_texts(struct verify *v, struct str mask, struct err *err)
{
    struct lines *lines;
    struct str text;
    int r = lines_open(&lines, v->in, 1, err);
    while (r >= 0 && (r = lines_next(lines, &text, err)) > 0) {
        if (v->n == TEXTS_MAX) {
            r = err_set(err, E_TOO_LARGE, "at most %d texts are compared",
                        TEXTS_MAX);
            break;
        }
        add_text(v, text, mask);
    }
    lines_close(lines);
    if (r == 0 && v->n == 0)
        r = err_set(err, CLI_E_USAGE, "there is no text to compare");
    return r;
}

/* The mask of the model's own tokenizer; without one, a word. */
static struct str mask_of(const struct verify *v)
{
    struct json_iter it =
        json_iter(json_get(json_root(v->model[NATIVE].doc), "instances"));
    struct str mask = {0};
    if (json_next(&it))
        mask = field_str(json_get(it.value, "extra"), "mask_token");
    return mask.n ? mask : str_of("something");
}

static int read_texts(struct verify *v, struct err *err)
{
    struct str mask = mask_of(v);
    v->texts = mem_zero(TEXTS_MAX, sizeof(*v->texts));
    if (v->in->n_args > 1 || v->in->option[OPTION_STDIN])
        return given_texts(v, mask, err);
    for (size_t i = 0; verify_texts[i]; i++)
        add_text(v, str_of(verify_texts[i]), mask);
    return 0;
}

/* What is going on, for somebody who waits at a terminal. */
static void tell(const char *what, const char *name)
{
    if (isatty(STDERR_FILENO))
        fprintf(stderr, "berth: %s %s\n", what, name);
}

/* ---- asking ------------------------------------------------------------- */

/* POST /models/NAME#BACKEND/pipeline/TASK */
static int ask(struct verify *v, int backend, const char *task, size_t from,
               size_t n, struct reply *ret, struct err *err)
{
    struct buf path = BUF_MAX(4096), body = BUF_MAX(BODY_MAX);
    struct jsonw w = jsonw_to(&body);
    *ret = (struct reply){0};
    buf_puts(&path, "/models/");
    client_escape(&path, str_of(v->served[backend]));
    buf_addf(&path, "/pipeline/%s", task);
    buf_putc(&path, 0);
    jsonw_object(&w);
    jsonw_key(&w, "inputs");
    if (n > 1)
        jsonw_array(&w);
    for (size_t i = 0; i < n; i++)
        jsonw_z(&w, v->texts[from + i]);
    if (n > 1)
        jsonw_end_array(&w);
    if (!strcmp(task, "feature-extraction"))
        jsonw_kbool(&w, "truncate", true);
    jsonw_end_object(&w);
    int r = path.failed || body.failed
                ? err_set(err, E_TOO_LARGE, "the texts are too large")
                : client_post(v->client, path.p, &body, ret, err);
    buf_fini(&path);
    buf_fini(&body);
    return r;
}

static void compare_replies(struct verify *v, const struct reply reply[2],
                            bool ids)
{
    struct json a = json_root(reply[NATIVE].doc);
    struct json b = json_root(reply[TRANSFORMERS].doc);
    if (ids)
        compare_ids(&v->sums, json_get(a, "ids"), json_get(b, "ids"));
    else
        compare_answers(&v->sums, a, b);
}

/* One text at a time: each is a question of its own, and none is padded. */
static int compare_task(struct verify *v, const char *task, bool ids,
                        struct err *err)
{
    int r = 0;
    for (size_t i = 0; i < v->n && r == 0; i++) {
        struct reply reply[2] = {0};
        for (int b = NATIVE; b <= TRANSFORMERS && r == 0; b++)
            r = ask(v, b, task, i, 1, &reply[b], err);
        if (r == 0)
            compare_replies(v, reply, ids);
        reply_fini(&reply[NATIVE]);
        reply_fini(&reply[TRANSFORMERS]);
    }
    return r;
}

static int load(struct verify *v, int backend, struct err *err)
{
    struct buf body = BUF_MAX(65536);
    tell("loading", v->served[backend]);
    ask_model_body(&body, v->served[backend]);
    int r =
        client_post(v->client, "/berth/load", &body, &v->model[backend], err);
    v->loaded[backend] = r == 0;
    buf_fini(&body);
    return r;
}

/* What was loaded for the comparison goes again; the first error counts. */
static void unload(struct verify *v)
{
    for (int b = NATIVE; b <= TRANSFORMERS; b++) {
        struct buf body = BUF_MAX(65536);
        struct reply reply = {0};
        struct err ignored;
        ask_model_body(&body, v->served[b]);
        if (v->loaded[b] && client_post(v->client, "/berth/unload", &body,
                                        &reply, &ignored) < 0)
            fprintf(stderr, "berth: note: %s\n", ignored.msg);
        reply_fini(&reply);
        buf_fini(&body);
    }
}

static int compare(struct verify *v, struct err *err)
{
    int r = load(v, NATIVE, err);
    if (r == 0)
        r = load(v, TRANSFORMERS, err);
    if (r < 0)
        return r;
    const char *wish = v->in->option[OPTION_TASK];
    v->task = wish ? str_of(wish)
                   : field_str(json_root(v->model[NATIVE].doc), "task");
    r = read_texts(v, err);
    char task[64];
    if (r == 0 && !str_to_z(v->task, task, sizeof(task)))
        r = err_set(err, E_INVALID_REQUEST, "no task has such a long name");
    if (r == 0 && !strcmp(task, "sentence-similarity"))
        snprintf(task, sizeof(task), "feature-extraction");
    tell("comparing both on", task);
    if (r == 0)
        r = compare_task(v, "tokenize", true, err);
    return r < 0 ? r : compare_task(v, task, false, err);
}

/* ---- the certificate ---------------------------------------------------- */

static bool agree(const struct verify *v)
{
    const struct comparison_sums *s = &v->sums;
    return !s->other_shape && s->numbers > 0 && s->ids_alike == s->ids &&
           s->top_alike == s->tops && s->largest <= BOUND_F32;
}

static void write_server(struct jsonw *w, const struct verify *v, int b)
{
    struct json model = json_root(v->model[b].doc);
    struct json_iter it = json_iter(json_get(model, "instances"));
    jsonw_key(w, backends[b]);
    jsonw_object(w);
    if (json_next(&it)) {
        struct json versions =
            json_get(json_get(it.value, "extra"), "versions");
        jsonw_kstr(w, "dtype", field_str(it.value, "dtype"));
        jsonw_kstr(w, "device", field_str(it.value, "device"));
        jsonw_kstr(w, "level", field_str(it.value, "level"));
        if (json_type(versions) == JSON_OBJECT) {
            jsonw_key(w, "versions");
            write_flat(w, versions);
        }
    }
    jsonw_end_object(w);
}

static void write_certificate(const struct verify *v, struct buf *out)
{
    const struct comparison_sums *s = &v->sums;
    struct json model = json_root(v->model[NATIVE].doc);
    struct jsonw w = jsonw_to(out);
    jsonw_object(&w);
    jsonw_kz(&w, "model", v->name);
    jsonw_kstr(&w, "commit", field_str(model, "commit"));
    jsonw_kstr(&w, "architecture", field_str(model, "architecture"));
    jsonw_kstr(&w, "task", v->task);
    jsonw_kz(&w, "berth", BERTH_VERSION);
    jsonw_kuint(&w, "time_ms", clock_wall_ms());
    write_server(&w, v, NATIVE);
    write_server(&w, v, TRANSFORMERS);
    jsonw_kuint(&w, "texts", v->n);
    jsonw_kuint(&w, "identical_ids", s->ids_alike);
    jsonw_kuint(&w, "numbers", s->numbers);
    jsonw_kdouble(&w, "largest_difference", s->largest);
    jsonw_kdouble(&w, "bound", BOUND_F32);
    if (s->cosine <= 1.5)
        jsonw_kdouble(&w, "least_cosine", s->cosine);
    if (s->tops) {
        jsonw_kuint(&w, "lists", s->tops);
        jsonw_kuint(&w, "same_first", s->top_alike);
    }
    jsonw_kbool(&w, "agree", agree(v));
    jsonw_end_object(&w);
    buf_putc(out, '\n');
}

static void print_summary(const struct verify *v)
{
    const struct comparison_sums *s = &v->sums;
    printf("%s, %.*s, %zu texts, native against transformers\n", v->name,
           STR_FMT(v->task), v->n);
    printf("  identical ids       %zu of %zu\n", s->ids_alike, s->ids);
    printf("  largest difference  %.2e over %zu numbers (bound %.0e)\n",
           s->largest, s->numbers, BOUND_F32);
    if (s->cosine <= 1.5)
        printf("  least cosine        %.9f\n", s->cosine);
    if (s->tops)
        printf("  same first answer   %zu of %zu\n", s->top_alike, s->tops);
    if (s->other_shape)
        puts("  answers of different shapes");
    puts(agree(v) ? "they agree" : "they do not agree");
}

static int finish(const struct verify *v, struct err *err)
{
    struct buf certificate = BUF_MAX(1 << 20);
    const char *file = v->in->option[OPTION_OUTPUT];
    write_certificate(v, &certificate);
    if (v->in->option[OPTION_JSON])
        printf("%.*s", STR_FMT(buf_str(&certificate)));
    else
        print_summary(v);
    int r = 0;
    if (file)
        r = fs_write_atomic(file, buf_str(&certificate), 0644, err);
    else if (!v->in->option[OPTION_JSON])
        printf("certificate: %.*s", STR_FMT(buf_str(&certificate)));
    if (r == 0 && file)
        fprintf(stderr, "berth: the certificate is in %s\n", file);
    buf_fini(&certificate);
    if (r == 0 && !agree(v))
        r = err_set(err, E_INTERNAL,
                    "the native answers are not those of Transformers: please "
                    "report it, and load %s with --backend transformers",
                    v->name);
    return r;
}

/* ---- the command -------------------------------------------------------- */

static void print_files(const struct invocation *in, struct json answer)
{
    (void)in;
    printf("%.*s: every file is what it was recorded as\n",
           STR_FMT(field_str(answer, "name")));
}

static int verify_files(const struct invocation *in, struct err *err)
{
    struct buf body = BUF_MAX(65536);
    ask_model_body(&body, in->args[0]);
    int r = ask_post(in, "/berth/verify", &body, print_files, err);
    buf_fini(&body);
    return r;
}

static void verify_fini(struct verify *v)
{
    for (size_t i = 0; i < v->n; i++)
        free(v->texts[i]);
    free(v->texts);
    reply_fini(&v->model[NATIVE]);
    reply_fini(&v->model[TRANSFORMERS]);
    client_close(v->client);
}

int cmd_verify(const struct invocation *in, struct err *err)
{
    struct verify v = {.in = in, .name = in->args[0]};
    if (in->option[OPTION_FILES])
        return verify_files(in, err);
    for (int b = NATIVE; b <= TRANSFORMERS; b++)
        if (snprintf(v.served[b], sizeof(v.served[b]), "%s#%s", v.name,
                     backends[b]) >= (int)sizeof(v.served[b]))
            return err_set(err, E2BIG, "the name of the model is too long");
    compare_init(&v.sums);
    int r = client_open(&v.client, in, err);
    if (r == 0) {
        r = compare(&v, err);
        unload(&v);
    }
    if (r == 0)
        r = finish(&v, err);
    verify_fini(&v);
    return r;
}
