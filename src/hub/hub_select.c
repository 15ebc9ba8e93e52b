/* hub/hub_select.c - which files berth takes, by their names.
 *
 * Weights come in one form only: what Transformers would load first. A name is
 * judged at the root of the repository and, in the same way, inside numbered
 * module folders ("1_Pooling"), never elsewhere: onnx/, openvino/, original/
 * and the like hold what berth does not read.
 */
#include "hub/hub_select.h"
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>

enum weights {
    WEIGHTS_NONE,
    WEIGHTS_ONE,    /* model.safetensors */
    WEIGHTS_SHARDS, /* model-00001-of-00002.safetensors, ... */
    WEIGHTS_OTHER,  /* any *.safetensors */
    WEIGHTS_GGUF,
};

/* First of these that is there, else the smallest. */
static const char *const gguf_order[] = {"q4_k_m", "q4_0", "q8_0", "q5_k_m",
                                         "q4_1",   "bf16", "f16",  "f32"};

static bool is_digit(char c)
{
    return c >= '0' && c <= '9';
}

static bool matches(struct str s, const char *head, const char *tail)
{
    return s.n >= strlen(head) + strlen(tail) && str_starts(s, head) &&
           str_ends(s, tail);
}

static bool is_plain_file(struct str s)
{
    static const char *const exact[] = {
        "config.json",
        "generation_config.json",
        "model.safetensors.index.json",
        "tokenizer.json",
        "tokenizer_config.json",
        "special_tokens_map.json",
        "added_tokens.json",
        "vocab.txt",
        "vocab.json",
        "merges.txt",
        /* Vocabularies of tokenizers that few models have. */
        "bpe.codes",
        "byte_maps.json",
        "dict.txt",
        "emoji.json",
        "entity_vocab.json",
        "normalizer.json",
        "prophetnet.tokenizer",
        "target_vocab.json",
        "vocab-src.json",
        "vocab-tgt.json",
        "word_pronunciation.json",
        "word_shape.json",
        "audio_tokenizer_config.json",
        "modules.json",
        "config_sentence_transformers.json",
        "README.md",
    };
    for (size_t i = 0; i < ARRAY_LEN(exact); i++)
        if (str_is(s, exact[i]))
            return true;
    return matches(s, "", ".model") || matches(s, "", ".spm") ||
           matches(s, "chat_template.", "") ||
           matches(s, "", "processor_config.json") ||
           matches(s, "sentence_", "_config.json") ||
           matches(s, "", ".safetensors.index.json");
}

/* "-00002-of-00005" before the suffix: 2 and 5. */
static bool shard_numbers(struct str name, const char *suffix, unsigned *i,
                          unsigned *of)
{
    size_t tail = strlen("-00001-of-00002") + strlen(suffix);
    if (!str_ends(name, suffix) || name.n < tail)
        return false;
    const char *p = name.p + name.n - tail;
    if (p[0] != '-' || memcmp(p + 6, "-of-", 4))
        return false;
    *i = *of = 0;
    for (int k = 0; k < 5; k++) {
        if (!is_digit(p[1 + k]) || !is_digit(p[10 + k]))
            return false;
        *i = *i * 10 + (unsigned)(p[1 + k] - '0');
        *of = *of * 10 + (unsigned)(p[10 + k] - '0');
    }
    return *i >= 1 && *i <= *of;
}

static bool is_model_shard(struct str name)
{
    unsigned i, of;
    return str_starts(name, "model-") &&
           shard_numbers(name, ".safetensors", &i, &of);
}

/* The name inside a module folder, the name itself at the root, else "". */
static struct str local_name(struct str name, bool *in_module)
{
    const char *slash = memchr(name.p, '/', name.n);
    *in_module = slash != NULL;
    if (!slash)
        return name;
    size_t folder = (size_t)(slash - name.p), digits = 0;
    while (digits < folder && is_digit(name.p[digits]))
        digits++;
    struct str rest = str_n(slash + 1, name.n - folder - 1);
    bool module = digits > 0 && digits + 1 < folder && name.p[digits] == '_';
    if (!module || memchr(rest.p, '/', rest.n))
        return str_n("", 0);
    return rest;
}

/* In a folder of its own each module has its weights; at the root one form. */
static bool is_weights(struct str local, bool in_module, enum weights form)
{
    if (in_module)
        return str_ends(local, ".safetensors");
    switch (form) {
    case WEIGHTS_ONE:
        return str_is(local, "model.safetensors");
    case WEIGHTS_SHARDS:
        return is_model_shard(local);
    case WEIGHTS_OTHER:
        return str_ends(local, ".safetensors");
    default:
        return false;
    }
}

static enum weights weights_form(const struct hub_entry *files, size_t n)
{
    bool one = false, shards = false, other = false, gguf = false;
    for (size_t i = 0; i < n; i++) {
        bool in_module;
        struct str s = local_name(files[i].name, &in_module);
        one |= !in_module && str_is(s, "model.safetensors");
        shards |= !in_module && is_model_shard(s);
        other |= str_ends(s, ".safetensors");
        gguf |= !in_module && str_ends(s, ".gguf");
    }
    return one      ? WEIGHTS_ONE
           : shards ? WEIGHTS_SHARDS
           : other  ? WEIGHTS_OTHER
           : gguf   ? WEIGHTS_GGUF
                    : WEIGHTS_NONE;
}

static bool holds_word(struct str s, const char *word)
{
    size_t n = strlen(word);
    for (size_t i = 0; i + n <= s.n; i++) {
        size_t k = 0;
        while (k < n && (s.p[i + k] | 32) == (word[k] | 32))
            k++;
        if (k == n)
            return true;
    }
    return false;
}

static bool is_gguf_choice(struct str name)
{
    return !memchr(name.p, '/', name.n) && str_ends(name, ".gguf") &&
           !holds_word(name, "mmproj");
}

static size_t gguf_rank(struct str name)
{
    size_t i = 0;
    while (i < ARRAY_LEN(gguf_order) && !holds_word(name, gguf_order[i]))
        i++;
    return i;
}

static void take_gguf_shards(const struct hub_entry *files, size_t n, size_t of,
                             bool *take)
{
    unsigned i, count, j, other;
    size_t tail = strlen("-00001-of-00002.gguf");
    struct str chosen = files[of].name;
    if (!shard_numbers(chosen, ".gguf", &i, &count))
        return;
    for (size_t k = 0; k < n; k++) {
        struct str s = files[k].name;
        if (s.n == chosen.n && !memcmp(s.p, chosen.p, s.n - tail) &&
            shard_numbers(s, ".gguf", &j, &other) && other == count)
            take[k] = true;
    }
}

static void take_gguf(const struct hub_entry *files, size_t n, bool *take)
{
    size_t best = n, best_rank = 0;
    for (size_t i = 0; i < n; i++) {
        if (!is_gguf_choice(files[i].name))
            continue;
        size_t rank = gguf_rank(files[i].name);
        if (best == n || rank < best_rank ||
            (rank == best_rank && files[i].size < files[best].size)) {
            best = i;
            best_rank = rank;
        }
    }
    if (best == n)
        return;
    take[best] = true;
    take_gguf_shards(files, n, best, take);
}

static int no_weights(const struct hub_entry *files, size_t n, struct err *err)
{
    static const char *const refused[] = {".bin", ".pt", ".pth",     ".ckpt",
                                          ".pkl", ".h5", ".msgpack", ".onnx"};
    for (size_t i = 0; i < n; i++)
        for (size_t k = 0; k < ARRAY_LEN(refused); k++)
            if (str_ends(files[i].name, refused[k]))
                return err_set(
                    err, E_UNSUPPORTED_ARCHITECTURE,
                    "the repository has weights as %.*s only, which berth "
                    "does not read (pickles can run code). Ask its "
                    "author for safetensors, or convert it",
                    (int)(files[i].name.n < 100 ? files[i].name.n : 100),
                    files[i].name.p);
    return err_set(err, E_UNSUPPORTED_ARCHITECTURE,
                   "the repository has no weights: neither *.safetensors nor "
                   "*.gguf among its %zu files",
                   n);
}

int hub_select(const struct hub_entry *files, size_t n, bool *take,
               struct err *err)
{
    enum weights form = weights_form(files, n);
    if (form == WEIGHTS_NONE)
        return no_weights(files, n, err);
    int count = 0;
    for (size_t i = 0; i < n; i++) {
        bool in_module;
        struct str s = local_name(files[i].name, &in_module);
        take[i] = is_plain_file(s) || is_weights(s, in_module, form);
        if (form == WEIGHTS_ONE && str_ends(s, ".safetensors.index.json"))
            take[i] = false;
    }
    if (form == WEIGHTS_GGUF)
        take_gguf(files, n, take);
    for (size_t i = 0; i < n; i++)
        count += take[i];
    if (count > HUB_TAKEN_MAX)
        return err_set(err, E_TOO_LARGE,
                       "the model has %d files, berth takes at most %d", count,
                       HUB_TAKEN_MAX);
    return count;
}

static bool has(const struct hub_entry *files, size_t n, const char *name)
{
    for (size_t i = 0; i < n; i++)
        if (str_is(files[i].name, name))
            return true;
    return false;
}

/* Every shard k of m promised by the name of shard i of m. */
static int check_shards(const struct hub_entry *files, size_t n, size_t of,
                        const char *suffix, struct err *err)
{
    unsigned i, count;
    struct str s = files[of].name;
    if (!shard_numbers(s, suffix, &i, &count))
        return 0;
    size_t stem = s.n - strlen("-00001-of-00002") - strlen(suffix);
    if (count > HUB_TAKEN_MAX)
        return err_set(err, E_TOO_LARGE, "%.*s is one of %u shards, at most %d",
                       STR_FMT(s), count, HUB_TAKEN_MAX);
    for (unsigned k = 1; k <= count; k++) {
        char name[HUB_PATH_MAX];
        snprintf(name, sizeof(name), "%.*s-%05u-of-%05u%s", (int)stem, s.p, k,
                 count, suffix);
        if (!has(files, n, name))
            return err_set(err, E_DAMAGED_FILE,
                           "the snapshot is not complete: %s is missing. Pull "
                           "the model again",
                           name);
    }
    return 0;
}

int hub_complete(const struct hub_entry *files, size_t n, struct err *err)
{
    enum weights form = weights_form(files, n);
    if (form == WEIGHTS_NONE)
        return no_weights(files, n, err);
    if (form != WEIGHTS_GGUF && !has(files, n, "config.json"))
        return err_set(err, E_DAMAGED_FILE,
                       "the snapshot is not complete: config.json is missing. "
                       "Pull the model again");
    bool sharded = form == WEIGHTS_SHARDS || form == WEIGHTS_GGUF;
    const char *suffix = form == WEIGHTS_GGUF ? ".gguf" : ".safetensors";
    int r = 0;
    for (size_t i = 0; i < n && sharded && r == 0; i++)
        r = check_shards(files, n, i, suffix, err);
    return r;
}
