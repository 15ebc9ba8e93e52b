/* cli/cmd_embed.c - berth embed: texts to vectors, in batches, in order. */
#include "base/jsonw.h"
#include "cli/client.h"
#include "cli/lines.h"
#include "cli/members.h"
#include "cli/table.h"
#include "cli/vectors.h"
#include <errno.h>
#include <stdio.h>

enum { BATCH = 64, BATCH_BYTES = 1 << 20, BODY_MAX = 64 << 20 };

/* What has been read and not yet asked. */
struct batch {
    struct buf body;
    struct jsonw w;
    size_t n;      /* texts in it */
    size_t before; /* texts of the batches before it */
    bool table;
};

static void batch_begin(struct batch *b, const struct invocation *in)
{
    b->before += b->n;
    b->n = 0;
    buf_reset(&b->body);
    b->w = jsonw_to(&b->body);
    jsonw_object(&b->w);
    jsonw_kz(&b->w, "model", in->args[0]);
    jsonw_kz(&b->w, "encoding_format", "float");
    if (in->option[OPTION_TRUNCATE])
        jsonw_kbool(&b->w, "truncate", true);
    jsonw_key(&b->w, "input");
    jsonw_array(&b->w);
}

static void print_table(const struct batch *b, struct json data)
{
    static const char *const heads[] = {">TEXT", ">DIM", ">NORM", "VECTOR",
                                        NULL};
    struct table t;
    struct buf brief = BUF_MAX(4096);
    size_t i = b->before;
    table_init(&t, heads);
    for (struct json_iter it = json_iter(data); json_next(&it);) {
        struct json v = json_get(it.value, "embedding");
        buf_reset(&brief);
        vector_brief(&brief, v);
        table_cellf(&t, "%zu", ++i);
        table_cellf(&t, "%zu", json_count(v));
        table_cellf(&t, "%.4f", vector_norm(v));
        table_cell(&t, buf_str(&brief));
    }
    table_print(&t, stdout, terminal_width(stdout));
    buf_fini(&brief);
    table_fini(&t);
}

static void print_lines(struct json data)
{
    struct buf line = BUF_MAX(BODY_MAX);
    for (struct json_iter it = json_iter(data); json_next(&it);) {
        buf_reset(&line);
        vector_json(&line, json_get(it.value, "embedding"));
        printf("%.*s\n", STR_FMT(buf_str(&line)));
    }
    buf_fini(&line);
}

static int check_answer(const struct batch *b, struct json data,
                        struct err *err)
{
    if (json_count(data) == b->n)
        return 0;
    return err_set(err, E_INTERNAL,
                   "the daemon answered %zu texts with %zu vectors", b->n,
                   json_count(data));
}

static int batch_ask(struct batch *b, struct client *c, struct err *err)
{
    struct reply reply;
    jsonw_end_array(&b->w);
    jsonw_end_object(&b->w);
    if (b->body.failed)
        return err_set(err, E_TOO_LARGE, "a text is larger than %d bytes",
                       BODY_MAX);
    int r = client_post(c, "/v1/embeddings", &b->body, &reply, err);
    if (r == 0) {
        struct json data = json_get(json_root(reply.doc), "data");
        r = check_answer(b, data, err);
        if (r == 0 && reply.truncated)
            fprintf(stderr,
                    "berth: note: a text among %zu to %zu was too long "
                    "and was cut\n",
                    b->before + 1, b->before + b->n);
        if (r == 0 && b->table)
            print_table(b, data);
        else if (r == 0)
            print_lines(data);
        fflush(stdout);
    }
    reply_fini(&reply);
    return r;
}

static int embed_lines(struct client *c, const struct invocation *in,
                       struct lines *lines, struct batch *b, struct err *err)
{
    int r;
    struct str text;
    batch_begin(b, in);
    while ((r = lines_next(lines, &text, err)) > 0) {
        jsonw_str(&b->w, text);
        b->n++;
        if (b->n < BATCH && b->body.len < BATCH_BYTES &&
            !lines_interactive(lines))
            continue;
        r = batch_ask(b, c, err);
        if (r < 0)
            return r;
        batch_begin(b, in);
    }
    return r == 0 && b->n ? batch_ask(b, c, err) : r;
}

int cmd_embed(const struct invocation *in, struct err *err)
{
    const char *format = in->option[OPTION_FORMAT];
    struct client *c = NULL;
    struct lines *lines = NULL;
    struct batch b = {.body = BUF_MAX(BODY_MAX)};
    if (format && strcmp(format, "json") != 0 && strcmp(format, "table") != 0)
        return err_set(err, CLI_E_USAGE,
                       "--format is json or table, not '%s'; see berth help "
                       "embed",
                       format);
    b.table = format && !strcmp(format, "table");
    int r = client_open(&c, in, err);
    if (r == 0)
        r = lines_open(&lines, in, 1, err);
    if (r == 0)
        r = embed_lines(c, in, lines, &b, err);
    buf_fini(&b.body);
    lines_close(lines);
    client_close(c);
    return r;
}
