/* pipeline/pipeline.c - opens what a model needs: tokenizer, modules, engine.
 */
#include "pipeline/pipeline.h"
#include "arch/inspect.h"
#include "base/mem.h"
#include "pipeline/task_table.h"

enum {
    SLOTS_PER_THREAD = 64,
    TOKENS_PER_THREAD = 1024,
    BYTES_PER_THREAD = 4 << 20,
    TOKENIZER_BYTES_MAX = 256 << 20,
};

/* The tokenizer's files, in the order of struct tokenizer_files. */
static int read_tokenizer(struct tokenizer **ret, const struct snapshot *s,
                          struct err *err)
{
    static const char *const names[] = {
        "tokenizer.json", "tokenizer_config.json", "special_tokens_map.json",
        "added_tokens.json", "vocab.txt"};
    struct buf text[ARRAY_LEN(names)];
    int r = 0;
    for (size_t i = 0; i < ARRAY_LEN(names); i++)
        text[i] = (struct buf)BUF_MAX(TOKENIZER_BYTES_MAX);
    for (size_t i = 0; i < ARRAY_LEN(names) && r == 0; i++)
        r = snapshot_read(s, names[i], TOKENIZER_BYTES_MAX, true, &text[i],
                          err);
    const struct tokenizer_files files = {
        .tokenizer_json = buf_str(&text[0]),
        .tokenizer_config_json = buf_str(&text[1]),
        .special_tokens_map_json = buf_str(&text[2]),
        .added_tokens_json = buf_str(&text[3]),
        .vocab_txt = buf_str(&text[4]),
    };
    if (r == 0)
        r = tokenizer_open(ret, &files, err);
    for (size_t i = 0; i < ARRAY_LEN(names); i++)
        buf_fini(&text[i]);
    return r;
}

/* Tasks that the model and this build both have, in the model's order. */
static void choose_tasks(struct pipeline *p, const struct inspection *seen)
{
    size_t n = 0;
    for (size_t i = 0; seen->tasks[i]; i++)
        for (const char *const *t = pipeline_tasks(); *t; t++)
            if (!strcmp(*t, seen->tasks[i]) && n + 2 < ARRAY_LEN(p->tasks))
                p->tasks[n++] = *t;
    p->tasks[n++] = task_tokenize.name;
    p->tasks[n] = NULL;
    p->info.tasks = p->tasks;
}

static bool has_task(const struct pipeline *p, const char *name)
{
    for (size_t i = 0; p->tasks[i]; i++)
        if (!strcmp(p->tasks[i], name))
            return true;
    return false;
}

static int refuse_unsupported(const struct inspection *seen, struct err *err)
{
    if (seen->n_unsupported == 0)
        return 0;
    return err_set(err, E_UNSUPPORTED_ARCHITECTURE, "%s: %s",
                   seen->unsupported[0].what, seen->unsupported[0].why);
}

static int open_engine(struct pipeline *p, const struct snapshot *s,
                       const struct pipeline_options *o, struct err *err)
{
    const struct engine_options options = {
        .threads = o->threads,
        .crew = o->crew,
        .isa = o->isa,
        .mlm_head = has_task(p, "fill-mask"),
    };
    int r = engine_open(&p->engine, s, &options, o->progress, o->ctx, err);
    if (r == 0)
        p->info.engine = engine_info(p->engine);
    return r;
}

/* Ids that the embedding table does not have would be refused one by one. */
static int check_vocabulary(const struct pipeline *p,
                            const struct inspection *seen, struct err *err)
{
    size_t ids = tokenizer_size(p->tokenizer);
    if (seen->vocab == 0 || ids <= seen->vocab)
        return 0;
    return err_set(err, E_DAMAGED_FILE,
                   "the tokenizer has ids up to %zu, the model's vocab_size is "
                   "%u",
                   ids - 1, seen->vocab);
}

static uint32_t lesser(uint32_t a, size_t b)
{
    return b > 0 && b < a ? (uint32_t)b : a;
}

/* sentence-transformers cuts at max_seq_length; a plain model takes all that it
 * has positions for, and is cut at the tokenizer's length when asked. */
static void set_limits(struct pipeline *p, int threads)
{
    uint32_t positions = (uint32_t)p->info.engine.max_tokens;
    size_t model_max = tokenizer_model_max(p->tokenizer);
    const struct embedder *e = &p->embedder;
    p->cut_tokens =
        lesser(positions, e->max_tokens ? e->max_tokens : model_max);
    p->info.max_tokens = e->from_modules ? p->cut_tokens : positions;
    p->info.dim = e->from_modules ? (uint32_t)e->dim : 0;
    p->max_slots = (size_t)threads * SLOTS_PER_THREAD;
    p->max_tokens = (size_t)threads * TOKENS_PER_THREAD;
    p->max_bytes = (size_t)threads * BYTES_PER_THREAD;
}

/* How many tokens a prompt takes up before the text: without the special token
 * that closes it. */
static int count_prompts(struct pipeline *p, struct err *err)
{
    struct encoding e = {0};
    int r = 0;
    for (int i = 0; i < p->embedder.n_prompts && r == 0; i++) {
        struct prompt *prompt = &p->embedder.prompts[i];
        if (prompt->text.n == 0)
            continue;
        r = tokenizer_encode(p->tokenizer, prompt->text, NULL, TOKEN_SPECIALS,
                             p->cut_tokens, &e, err);
        prompt->tokens = (uint32_t)e.n;
        if (r == 0 && e.n > 0 && e.special[e.n - 1])
            prompt->tokens--;
    }
    encoding_fini(&e);
    return r;
}

/* do_lower_case asks for text in lower case; only a tokenizer that does it
 * itself is known here. */
static int check_case(const struct pipeline *p, struct err *err)
{
    if (!p->embedder.lower_case)
        return 0;
    struct encoding upper = {0}, lower = {0};
    int r = tokenizer_encode(p->tokenizer, str_of("BERTH"), NULL, 0, 0, &upper,
                             err);
    if (r == 0)
        r = tokenizer_encode(p->tokenizer, str_of("berth"), NULL, 0, 0, &lower,
                             err);
    bool same = r == 0 && upper.n == lower.n &&
                !memcmp(upper.ids, lower.ids, upper.n * sizeof(*upper.ids));
    encoding_fini(&upper);
    encoding_fini(&lower);
    if (r < 0 || same)
        return r;
    return err_set(err, E_UNSUPPORTED_OPTION,
                   "sentence_bert_config.json: do_lower_case with a tokenizer "
                   "that keeps upper case is not supported");
}

int pipeline_open(struct pipeline **ret, const struct snapshot *s,
                  const struct pipeline_options *o, struct err *err)
{
    struct pipeline *p = mem_new(struct pipeline);
    struct inspection *seen = mem_new(struct inspection);
    p->wake = o->wake;
    p->wake_ctx = o->ctx;
    int r = arch_inspect(s, seen, err);
    if (r == 0)
        r = refuse_unsupported(seen, err);
    if (r == 0)
        r = read_tokenizer(&p->tokenizer, s, err);
    if (r == 0)
        r = check_vocabulary(p, seen, err);
    choose_tasks(p, seen);
    if (r == 0)
        r = open_engine(p, s, o, err);
    if (r == 0)
        r = embedder_open(&p->embedder, s, p->info.engine.hidden, err);
    if (r == 0)
        set_limits(p, o->threads);
    if (r == 0)
        r = count_prompts(p, err);
    if (r == 0)
        r = check_case(p, err);
    free(seen);
    if (r < 0) {
        pipeline_close(p);
        return r;
    }
    *ret = p;
    return 0;
}

int pipeline_check(const struct snapshot *s, struct err *err)
{
    struct tokenizer *tokenizer = NULL;
    struct embedder embedder;
    int r = 0;
    if (snapshot_find(s, "tokenizer.json") || snapshot_find(s, "vocab.txt"))
        r = read_tokenizer(&tokenizer, s, err);
    tokenizer_close(tokenizer);
    if (r == 0)
        r = embedder_open(&embedder, s, 0, err);
    if (r == 0)
        embedder_fini(&embedder);
    return r;
}

void pipeline_close(struct pipeline *p)
{
    if (!p)
        return;
    engine_close(p->engine);
    tokenizer_close(p->tokenizer);
    embedder_fini(&p->embedder);
    while (p->free_slots) {
        struct slot *slot = p->free_slots;
        p->free_slots = slot->next;
        encoding_fini(&slot->enc);
        free(slot->out);
        free(slot);
    }
    free(p);
}

const struct pipeline_info *pipeline_info(const struct pipeline *p)
{
    return &p->info;
}

static bool add_prompts(const struct pipeline *p, struct arena *a,
                        struct value *map)
{
    const struct embedder *e = &p->embedder;
    struct value *list = value_add(a, map, str_of("prompts"), VALUE_LIST);
    bool ok = list;
    for (int i = 0; ok && i < e->n_prompts; i++)
        ok = value_add_text(a, list, "", e->prompts[i].name);
    if (e->default_prompt >= 0)
        ok = ok && value_add_text(a, map, "default_prompt",
                                  e->prompts[e->default_prompt].name);
    return ok;
}

const struct value *pipeline_extra(const struct pipeline *p, struct arena *a)
{
    const struct embedder *e = &p->embedder;
    struct value *map = value_new(a, VALUE_MAP);
    bool ok = map;
    char pooling[160];
    if (e->from_modules)
        ok = ok &&
             value_add_text(
                 a, map, "pooling",
                 str_of(embedder_pooling(e, pooling, sizeof(pooling)))) &&
             value_add_bool(a, map, "normalize", e->normalizes) &&
             value_add_bool(a, map, "dimensions", false) &&
             add_prompts(p, a, map);
    int64_t mask = tokenizer_role(p->tokenizer, TOKEN_MASK);
    if (mask >= 0 && has_task(p, "fill-mask"))
        ok =
            ok && value_add_text(a, map, "mask_token",
                                 tokenizer_token(p->tokenizer, (uint32_t)mask));
    return ok ? map : NULL;
}

int pipeline_progress(const struct pipeline *p, uint64_t *counters, int cap)
{
    return engine_progress(p->engine, counters, cap);
}
