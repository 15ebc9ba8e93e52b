/* arch/class_tasks.c - which tasks a model class is for. */
#include "arch/class_tasks.h"

static const struct row {
    const char *pattern;
    unsigned when;
    const char *tasks[CLASS_TASKS_MAX + 1];
} rows[] = {
#define CLASS(pattern, when, ...) {pattern, when, {__VA_ARGS__}},
#include "arch/classes.def"
#undef CLASS
};

/* Names that README.md files use for tasks that have another name here. */
static const char *const other_names[][2] = {
    {"text-to-speech", "text-to-audio"},
    {"text-ranking", "text-classification"},
    {"conversational", "chat"},
    {"visual-question-answering", "image-text-to-text"},
};

/* '*' stands for any run of characters; after a mismatch the last one takes one
 * more. */
static bool matches(const char *pattern, const char *s)
{
    const char *star = NULL, *from = NULL;
    while (*s) {
        if (*pattern == '*') {
            star = pattern++;
            from = s;
        } else if (*pattern == *s) {
            pattern++;
            s++;
        } else if (star) {
            pattern = star + 1;
            s = ++from;
        } else {
            return false;
        }
    }
    while (*pattern == '*')
        pattern++;
    return !*pattern;
}

static bool has(const struct config *c, const char *keys)
{
    return json_type(config_get(c, keys)) != JSON_NONE;
}

/* As transformers.pipeline looks for it: a label that begins so. */
static bool has_entailment(const struct config *c)
{
    static const char word[] = "entail";
    for (struct json_iter it = json_iter(config_get(c, "label2id"));
         json_next(&it);) {
        size_t i = 0;
        while (i < sizeof(word) - 1 && i < it.key.n &&
               (it.key.p[i] | 0x20) == word[i])
            i++;
        if (i == sizeof(word) - 1)
            return true;
    }
    return false;
}

unsigned class_facts(const struct config *c)
{
    bool inner = has(c, "text_config|text_model_config|llm_config|decoder");
    bool sees = has(c, "vision_config|vision_model_config");
    unsigned facts = 0;
    if (inner || has(c, "vocab_size|n_vocab"))
        facts |= CLASS_TEXT;
    if (sees || has(c, "num_channels|image_size|pretrained_cfg"))
        facts |= CLASS_IMAGES;
    if (has(c, "audio_config|audio_model_config|conv_dim|num_mel_bins|"
               "feat_extract_norm"))
        facts |= CLASS_SOUND;
    if (sees && inner)
        facts |= CLASS_PAIR;
    if (has_entailment(c))
        facts |= CLASS_ENTAILMENT;
    return facts;
}

static const char *own_name(const char *tag)
{
    for (size_t i = 0; i < ARRAY_LEN(other_names); i++)
        if (!strcmp(tag, other_names[i][0]))
            return other_names[i][1];
    return str_starts(str_of(tag), "translation_") ? "translation" : tag;
}

/* Texts and sentences are two questions to the same vectors, told apart by what
 * is asked: there the order stays. */
static void put_first(const char *tag, const char **tasks, size_t n)
{
    size_t at = 0;
    while (at < n && strcmp(tasks[at], tag) != 0)
        at++;
    if (at == n || !strcmp(tag, "sentence-similarity"))
        return;
    const char *first = tasks[at];
    memmove(tasks + 1, tasks, at * sizeof(*tasks));
    tasks[0] = first;
}

size_t class_tasks(const char *class_name, unsigned facts, const char *tag,
                   const char **tasks)
{
    size_t i = 0, n = 0;
    while (i < ARRAY_LEN(rows) && !((facts & rows[i].when) == rows[i].when &&
                                    matches(rows[i].pattern, class_name)))
        i++;
    while (i < ARRAY_LEN(rows) && rows[i].tasks[n]) {
        tasks[n] = rows[i].tasks[n];
        n++;
    }
    tasks[n] = NULL;
    put_first(own_name(tag), tasks, n);
    return n;
}
