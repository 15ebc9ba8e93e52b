/* api/transcriptions.c - OpenAI's /v1/audio/transcriptions: sound to text.
 *
 * A form with a file. Fields that OpenAI has for its own models only are
 * ignored, as everywhere; what would change the text and cannot be done is
 * refused. What a model does not tell (probabilities, the tokens of a segment)
 * is null.
 */
#include "api/infer.h"
#include "api/multipart.h"
#include "base/utf8.h"
#include "ipc/task.h"
#include <stdlib.h>

enum format {
    FORMAT_JSON,
    FORMAT_TEXT,
    FORMAT_VERBOSE,
    FORMAT_SRT,
    FORMAT_VTT
};
static const char *const formats[] = {"json", "text", "verbose_json", "srt",
                                      "vtt"};

enum { PARAMS_BYTES = 4096, ARENA_BYTES = 4096, LANGUAGE_MAX = 64 };

/* ---- answers ------------------------------------------------------------ */

/* One chunk of the result. Its end may be missing when the sound ends in it. */
struct span {
    struct str text;
    double from, to;
};

static double second(const struct wire_node *n, double other)
{
    if (!n || (n->kind != WIRE_FLOAT && n->kind != WIRE_UINT))
        return other;
    double v = n->kind == WIRE_FLOAT ? n->f : (double)n->u;
    return v >= 0 ? v : other; /* not so of a NaN */
}

static struct span span_of(const struct wire_node *chunk, double before)
{
    const struct wire_node *pair = wire_get(chunk, "timestamp");
    const struct wire_node *from =
        pair && pair->kind == WIRE_ARRAY ? wire_first(pair) : NULL;
    struct span s = {.text = wire_text(chunk, "text")};
    s.from = second(from, before);
    s.to = second(from ? wire_next(pair, from) : NULL, s.from);
    return s;
}

/* The next chunk; false after the last. */
static bool next_span(const struct wire_node *list,
                      const struct wire_node **chunk, struct span *s)
{
    *chunk = *chunk ? wire_next(list, *chunk) : wire_first(list);
    if (!*chunk)
        return false;
    *s = span_of(*chunk, s->to);
    return true;
}

static const struct wire_node *chunks_of(const struct wire_node *result)
{
    const struct wire_node *list = wire_get(result, "chunks");
    return list && list->kind == WIRE_ARRAY && list->count ? list : NULL;
}

static void put_json(const struct infer *x, struct jsonw *w,
                     const struct wire_node *result)
{
    (void)x;
    jsonw_object(w);
    jsonw_kstr(w, "text", wire_text(result, "text"));
    jsonw_end_object(w);
}

static void put_text(const struct infer *x, struct jsonw *w,
                     const struct wire_node *result)
{
    (void)x;
    struct str text = wire_text(result, "text");
    buf_add(w->out, text.p, text.n);
    buf_putc(w->out, '\n');
}

static void put_words(struct jsonw *w, const struct wire_node *list)
{
    const struct wire_node *chunk = NULL;
    struct span s = {0};
    jsonw_key(w, "words");
    jsonw_array(w);
    while (next_span(list, &chunk, &s)) {
        jsonw_object(w);
        jsonw_kstr(w, "word", s.text);
        jsonw_kdouble(w, "start", s.from);
        jsonw_kdouble(w, "end", s.to);
        jsonw_end_object(w);
    }
    jsonw_end_array(w);
}

static void put_segments(struct jsonw *w, const struct wire_node *list)
{
    static const char *const unknown[] = {"tokens", "temperature",
                                          "avg_logprob", "compression_ratio",
                                          "no_speech_prob"};
    const struct wire_node *chunk = NULL;
    struct span s = {0};
    int64_t id = 0;
    jsonw_key(w, "segments");
    jsonw_array(w);
    while (next_span(list, &chunk, &s)) {
        jsonw_object(w);
        jsonw_kint(w, "id", id++);
        jsonw_kint(w, "seek", 0);
        jsonw_kdouble(w, "start", s.from);
        jsonw_kdouble(w, "end", s.to);
        jsonw_kstr(w, "text", s.text);
        for (size_t i = 0; i < ARRAY_LEN(unknown); i++)
            jsonw_kz(w, unknown[i], NULL);
        jsonw_end_object(w);
    }
    jsonw_end_array(w);
}

/* duration: where the last chunk ends. */
static double duration(const struct wire_node *list)
{
    const struct wire_node *chunk = NULL;
    struct span s = {0};
    while (list && next_span(list, &chunk, &s))
        ;
    return s.to;
}

static void put_verbose(const struct infer *x, struct jsonw *w,
                        const struct wire_node *result)
{
    const struct wire_node *list = chunks_of(result);
    jsonw_object(w);
    jsonw_kz(w, "task", "transcribe");
    jsonw_kz(w, "language", x->label);
    jsonw_kdouble(w, "duration", duration(list));
    jsonw_kstr(w, "text", wire_text(result, "text"));
    if (list && x->several)
        put_words(w, list);
    else if (list)
        put_segments(w, list);
    jsonw_end_object(w);
}

/* "00:01:02,500" */
static void put_time(struct buf *out, double seconds, char point)
{
    const double most = 359999.999; /* of two digits of hours */
    unsigned ms = (unsigned)((seconds < most ? seconds : most) * 1000 + 0.5);
    buf_addf(out, "%02u:%02u:%02u%c%03u", ms / 3600000, ms / 60000 % 60,
             ms / 1000 % 60, point, ms % 1000);
}

static void put_cues(struct buf *out, const struct wire_node *result, bool vtt)
{
    const struct wire_node *list = chunks_of(result), *chunk = NULL;
    struct span s = {0};
    for (unsigned n = 1; list && next_span(list, &chunk, &s); n++) {
        while (s.text.n && s.text.p[0] == ' ')
            s.text = str_n(s.text.p + 1, s.text.n - 1);
        if (!vtt)
            buf_addf(out, "%u\n", n);
        put_time(out, s.from, vtt ? '.' : ',');
        buf_puts(out, " --> ");
        put_time(out, s.to, vtt ? '.' : ',');
        buf_putc(out, '\n');
        buf_add(out, s.text.p, s.text.n);
        buf_puts(out, "\n\n");
    }
}

static void put_srt(const struct infer *x, struct jsonw *w,
                    const struct wire_node *result)
{
    (void)x;
    put_cues(w->out, result, false);
}

static void put_vtt(const struct infer *x, struct jsonw *w,
                    const struct wire_node *result)
{
    (void)x;
    buf_puts(w->out, "WEBVTT\n\n");
    put_cues(w->out, result, true);
}

static void write_result(struct infer *x, size_t at, struct buf *out)
{
    (void)at;
    buf_add(out, x->items[0].json.p, x->items[0].json.len);
}

/* ---- requests ----------------------------------------------------------- */

struct transcription {
    struct multipart form;
    struct arena arena;
    struct buf params;
    char model[MANAGER_NAME_MAX], language[LANGUAGE_MAX];
    enum format format;
    bool words;
    struct infer_job job;
};

/* 1: a field into a terminated string, 0: it is not there or empty. */
static int field_z(const struct transcription *t, const char *name, char *out,
                   size_t size, struct err *err)
{
    const struct multipart_part *p = multipart_find(&t->form, name);
    out[0] = 0;
    if (!p || p->data.n == 0)
        return 0;
    if (!str_to_z(p->data, out, size) || !utf8_valid(p->data))
        return err_set(err, E_INVALID_REQUEST,
                       "'%s' is longer than %zu bytes or no text", name,
                       size - 1);
    return 1;
}

static int read_format(struct transcription *t, struct err *err)
{
    char name[32];
    int r = field_z(t, "response_format", name, sizeof(name), err);
    if (r <= 0)
        return r;
    for (size_t i = 0; i < ARRAY_LEN(formats); i++)
        if (!strcmp(name, formats[i])) {
            t->format = (enum format)i;
            return 0;
        }
    return err_set(err, E_INVALID_REQUEST,
                   "'response_format' is '%s', it should be json, text, "
                   "verbose_json, srt or vtt",
                   name);
}

static int read_granularity(struct transcription *t, struct err *err)
{
    static const char name[] = "timestamp_granularities[]";
    bool segments = false;
    for (size_t i = 0; i < t->form.n; i++) {
        const struct multipart_part *p = &t->form.parts[i];
        if (!str_is(p->name, name))
            continue;
        t->words |= str_is(p->data, "word");
        segments |= str_is(p->data, "segment");
        if (!str_is(p->data, "word") && !str_is(p->data, "segment"))
            return err_set(err, E_INVALID_REQUEST,
                           "'timestamp_granularities' should hold 'word' or "
                           "'segment'");
    }
    if (t->words && segments)
        return err_set(err, E_UNSUPPORTED_OPTION,
                       "'timestamp_granularities' can be 'word' or 'segment' "
                       "here, not both at once");
    if (t->words && t->format != FORMAT_VERBOSE)
        return err_set(err, E_INVALID_REQUEST,
                       "'timestamp_granularities' wants the response_format "
                       "verbose_json");
    return 0;
}

static int put_temperature(const struct transcription *t, struct wire_map *m,
                           struct err *err)
{
    char text[32], *end;
    int r = field_z(t, "temperature", text, sizeof(text), err);
    if (r <= 0)
        return r;
    double v = strtod(text, &end);
    if (*end || !(v >= 0 && v <= 1))
        return err_set(err, E_INVALID_REQUEST,
                       "'temperature' should be a number from 0 to 1");
    if (v == 0)
        return 0;
    wire_key(m, "generation_parameters");
    struct wire_map inner = wire_map_open(m->out);
    wire_kbool(&inner, "do_sample", true);
    wire_kfloat(&inner, "temperature", v);
    wire_map_close(&inner);
    return 0;
}

static int put_params(struct transcription *t, struct err *err)
{
    struct wire_map m = wire_map_open(&t->params);
    int r = put_temperature(t, &m, err);
    if (t->language[0])
        wire_kz(&m, "language", t->language);
    if (t->words)
        wire_kz(&m, "return_timestamps", "word");
    else if (t->format >= FORMAT_VERBOSE)
        wire_kbool(&m, "return_timestamps", true);
    wire_map_close(&m);
    t->job.params = buf_str(&t->params);
    return r;
}

static int read_file(struct transcription *t, struct err *err)
{
    const struct multipart_part *p = multipart_find(&t->form, "file");
    if (!p || p->data.n == 0)
        return err_set(err, E_INVALID_REQUEST, "'file' is missing or empty");
    t->job.in.single = true;
    int r = inputs_new(&t->job.in, 1, &t->arena, "file", err);
    if (r == 0)
        r = inputs_parts(&t->job.in.items[0], 1, &t->arena, err);
    if (r < 0)
        return r;
    struct part part = {.kind = PART_BYTES, .data = p->data};
    guard_is_bytes(p->type, &part.media);
    t->job.in.items[0].parts[0] = part;
    return 0;
}

static int read_model(const struct call *c, struct transcription *t,
                      struct err *err)
{
    t->job.model = t->model;
    if (c->name.n) {
        str_to_z(c->name, t->model, sizeof(t->model));
        return 0;
    }
    int r = field_z(t, "model", t->model, sizeof(t->model), err);
    if (r != 0)
        return r < 0 ? r : 0;
    const char *name = api_model(c, t->model, sizeof(t->model), err);
    if (!name)
        return -err->code;
    str_to_z(str_of(name), t->model, sizeof(t->model));
    return 0;
}

static int read_form(const struct call *c, struct transcription *t,
                     struct err *err)
{
    const struct multipart_part *prompt;
    int r = multipart_read(&t->form, http_header(c->r, "content-type"),
                           http_view(c->r)->body, err);
    if (r == 0)
        r = read_model(c, t, err);
    if (r == 0)
        r = read_file(t, err);
    if (r == 0)
        r = read_format(t, err);
    if (r == 0)
        r = read_granularity(t, err);
    if (r == 0)
        r = field_z(t, "language", t->language, sizeof(t->language), err);
    if (r < 0)
        return r;
    prompt = multipart_find(&t->form, "prompt");
    if (prompt && prompt->data.n)
        return err_set(err, E_UNSUPPORTED_OPTION,
                       "'prompt' is not supported: the model would not see it");
    return put_params(t, err);
}

void transcriptions_run(const struct call *c)
{
    static void (*const put[])(const struct infer *, struct jsonw *,
                               const struct wire_node *) = {
        put_json, put_text, put_verbose, put_srt, put_vtt};
    struct err err;
    struct transcription t = {.arena = ARENA_MAX(ARENA_BYTES),
                              .params = BUF_MAX(PARAMS_BYTES)};
    t.job.task = TASK_SPEECH_RECOGNITION;
    t.job.pieces = 1;
    t.job.write = write_result;
    int r = read_form(c, &t, &err);
    if (r == 0) {
        t.job.put = put[t.format];
        t.job.label = t.language;
        t.job.several = t.words;
        if (t.format != FORMAT_JSON && t.format != FORMAT_VERBOSE)
            t.job.type = "text/plain; charset=utf-8";
        infer_submit(c, PROTO_OPENAI, &t.job);
    } else {
        api_fail(c->api, c->r, PROTO_OPENAI, &err, NULL);
    }
    buf_fini(&t.params);
    arena_fini(&t.arena);
}
