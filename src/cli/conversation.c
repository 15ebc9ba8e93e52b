/* cli/conversation.c - asks /v1/chat/completions or /v1/completions, streamed.
 */
#include "cli/conversation.h"
#include "base/jsonw.h"
#include "cli/event_stream.h"
#include "cli/human.h"
#include "cli/members.h"
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>

enum { TALK_MAX = 16 << 20, EVENT_DEPTH = 32, TOKENS_MOST = 1 << 20 };

struct conversation {
    struct client *client;
    const struct invocation *in;
    bool chat;
    struct buf messages; /* JSON objects with ',' between: what was said */
    struct buf answer;   /* the one that is coming in */
    long max_tokens, seed;
    double temperature;
};

/* ---- options ------------------------------------------------------------ */

static int number_option(const struct invocation *in, enum option_id id,
                         long least, long most, long *ret, struct err *err)
{
    const char *text = in->option[id];
    char *end = NULL;
    *ret = -1;
    if (!text)
        return 0;
    errno = 0;
    *ret = strtol(text, &end, 10);
    if (end != text && !*end && !errno && *ret >= least && *ret <= most)
        return 0;
    return err_set(err, CLI_E_USAGE, "--%s takes a number from %ld to %ld",
                   options[id].name, least, most);
}

static int read_options(struct conversation *x, struct err *err)
{
    const char *text = x->in->option[OPTION_TEMPERATURE];
    char *end = NULL;
    int r = number_option(x->in, OPTION_MAX_TOKENS, 1, TOKENS_MOST,
                          &x->max_tokens, err);
    if (r == 0)
        r = number_option(x->in, OPTION_SEED, 0, INT32_MAX, &x->seed, err);
    x->temperature = text ? strtod(text, &end) : -1;
    if (r == 0 && text &&
        (end == text || *end || !(x->temperature >= 0 && x->temperature <= 2)))
        r = err_set(err, CLI_E_USAGE,
                    "--temperature takes a number from 0 to 2");
    return r;
}

/* ---- what is asked ------------------------------------------------------ */

static void add_message(struct conversation *x, const char *role,
                        struct str text)
{
    struct jsonw w = jsonw_to(&x->messages);
    if (x->messages.len)
        buf_putc(&x->messages, ',');
    jsonw_object(&w);
    jsonw_kz(&w, "role", role);
    jsonw_kstr(&w, "content", text);
    jsonw_end_object(&w);
}

static void write_body(const struct conversation *x, struct str text,
                       struct buf *body)
{
    struct jsonw w = jsonw_to(body);
    jsonw_object(&w);
    jsonw_kz(&w, "model", x->in->args[0]);
    if (x->chat) {
        struct buf list = BUF_MAX(TALK_MAX);
        buf_addf(&list, "[%.*s]", STR_FMT(buf_str(&x->messages)));
        jsonw_key(&w, "messages");
        jsonw_raw(&w, buf_str(&list));
        buf_fini(&list);
    } else {
        jsonw_kstr(&w, "prompt", text);
    }
    if (x->max_tokens > 0)
        jsonw_kint(&w, "max_tokens", x->max_tokens);
    if (x->temperature >= 0)
        jsonw_kdouble(&w, "temperature", x->temperature);
    if (x->seed >= 0)
        jsonw_kint(&w, "seed", x->seed);
    jsonw_kbool(&w, "stream", !x->in->option[OPTION_JSON]);
    jsonw_end_object(&w);
}

/* ---- what comes back ---------------------------------------------------- */

static struct json first_choice(struct json reply)
{
    struct json_iter it = json_iter(json_get(reply, "choices"));
    return json_next(&it) ? it.value : (struct json){0};
}

static int print_delta(struct conversation *x, struct str delta,
                       struct err *err)
{
    struct buf clean = BUF_MAX(TALK_MAX);
    buf_add(&x->answer, delta.p, delta.n);
    human_clean_lines(&clean, delta);
    fwrite(clean.p, 1, clean.len, stdout);
    buf_fini(&clean);
    return fflush(stdout) ? err_set(err, errno, "cannot write the output: %s",
                                    strerror(errno))
                          : 0;
}

static int on_event(void *ctx, struct str name, struct str data,
                    struct err *err)
{
    struct conversation *x = ctx;
    (void)name;
    if (str_is(data, "[DONE]"))
        return 0;
    struct json_doc *doc = json_parse(data, EVENT_MAX, EVENT_DEPTH, err);
    if (!doc)
        return -err->code;
    struct json root = json_root(doc), error = json_get(root, "error");
    struct json choice = first_choice(root);
    int r = 0;
    if (json_type(error) != JSON_NONE)
        r = err_set(err, E_INTERNAL, "%.*s",
                    STR_FMT(field_str(error, "message")));
    else if (x->chat)
        r = print_delta(x, field_str(json_get(choice, "delta"), "content"),
                        err);
    else
        r = print_delta(x, field_str(choice, "text"), err);
    json_free(doc);
    return r;
}

static int on_bytes(void *ctx, struct str bytes, struct err *err)
{
    return event_stream_feed(ctx, bytes, err);
}

/* The whole answer at once, as JSON. */
static int print_json(struct conversation *x, const struct reply *reply)
{
    struct json choice = first_choice(json_root(reply->doc));
    struct str text = x->chat
                          ? field_str(json_get(choice, "message"), "content")
                          : field_str(choice, "text");
    buf_add(&x->answer, text.p, text.n);
    printf("%.*s\n", STR_FMT(buf_str(&reply->body)));
    fflush(stdout);
    return 0;
}

static int ask(struct conversation *x, struct str text, struct err *err)
{
    struct buf body = BUF_MAX(TALK_MAX);
    struct event_stream events;
    struct reply reply = {0};
    write_body(x, text, &body);
    event_stream_init(&events, on_event, x);
    struct request request = {
        .method = "POST",
        .path = x->chat ? "/v1/chat/completions" : "/v1/completions",
        .body = buf_str(&body),
        .stream_type = "text/event-stream",
        .data = on_bytes,
        .ctx = &events,
        .interruptible = true,
    };
    int r = body.failed ? err_set(err, E_TOO_LARGE,
                                  "the conversation is too long: begin anew")
                        : client_call(x->client, &request, &reply, err);
    if (r == 0 && !reply.streamed)
        r = print_json(x, &reply);
    event_stream_fini(&events);
    reply_fini(&reply);
    buf_fini(&body);
    return r;
}

/* ---- turns -------------------------------------------------------------- */

static void begin(struct conversation *x)
{
    const char *system = x->in->option[OPTION_SYSTEM];
    buf_reset(&x->messages);
    if (system && x->chat)
        add_message(x, "system", str_of(system));
}

/* Somebody who sits there goes on after an error, or after Ctrl-C, which keeps
 * what had come. */
static int turn(struct conversation *x, struct lines *lines, struct str text,
                struct err *err)
{
    bool live = lines_interactive(lines);
    size_t before = x->messages.len;
    buf_reset(&x->answer);
    if (x->chat)
        add_message(x, "user", text);
    int r = ask(x, text, err);
    if (!x->in->option[OPTION_JSON] && (r == 0 || x->answer.len))
        putchar('\n');
    fflush(stdout);
    bool kept = r == 0 || (r == -E_CANCELLED && x->answer.len);
    if (x->chat && kept)
        add_message(x, "assistant", buf_str(&x->answer));
    else
        x->messages.len = before;
    if (r < 0 && live && r != -ECONNREFUSED) {
        if (r != -E_CANCELLED)
            fprintf(stderr, "berth: %s\n", err->msg);
        r = 0;
    }
    return r;
}

static int talk(struct conversation *x, struct lines *lines, struct err *err)
{
    struct str text;
    int r;
    if (lines_interactive(lines))
        fputs(x->chat ? "/clear forgets what was said, /bye or Ctrl-D ends\n"
                      : "/bye or Ctrl-D ends\n",
              stderr);
    begin(x);
    while ((r = lines_next(lines, &text, err)) > 0) {
        bool live = lines_interactive(lines);
        if (live && str_is(text, "/bye"))
            return 0;
        if (live && str_is(text, "/clear")) {
            begin(x);
            continue;
        }
        r = turn(x, lines, text, err);
        if (r < 0)
            return r;
    }
    return r;
}

int conversation_run(struct client *c, const struct invocation *in,
                     struct lines *lines, bool chat, struct err *err)
{
    struct conversation x = {
        .client = c,
        .in = in,
        .chat = chat,
        .messages = BUF_MAX(TALK_MAX),
        .answer = BUF_MAX(TALK_MAX),
    };
    int r = read_options(&x, err);
    if (r == 0)
        r = talk(&x, lines, err);
    buf_fini(&x.messages);
    buf_fini(&x.answer);
    return r;
}
