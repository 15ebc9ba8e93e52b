#include "arch/class_tasks.h"
#include "unit.h"
#include <stdio.h>
#include <stdlib.h>

/* "a b c" of the tasks. */
static const char *tasks_of(const char *class_name, unsigned facts,
                            const char *tag, char *out, size_t size)
{
    const char *tasks[CLASS_TASKS_MAX + 1];
    size_t n = class_tasks(class_name, facts, tag, tasks), at = 0;
    assert_null(tasks[n]);
    out[0] = 0;
    for (size_t i = 0; i < n; i++)
        at += (size_t)snprintf(out + at, size - at, "%s%s", i ? " " : "",
                               tasks[i]);
    return out;
}

static void the_name_says_what_a_class_is_for(void **state)
{
    (void)state;
    static const struct {
        const char *name;
        unsigned facts;
        const char *tag, *tasks;
    } cases[] = {
        {"RobertaForSequenceClassification", CLASS_TEXT, "",
         "text-classification"},
        {"BartForSequenceClassification", CLASS_TEXT | CLASS_ENTAILMENT, "",
         "text-classification zero-shot-classification"},
        {"BartForSequenceClassification", CLASS_TEXT | CLASS_ENTAILMENT,
         "zero-shot-classification",
         "zero-shot-classification text-classification"},
        {"RobertaForSequenceClassification", CLASS_TEXT, "text-ranking",
         "text-classification"},
        {"Wav2Vec2ForSequenceClassification", CLASS_TEXT | CLASS_SOUND, "",
         "audio-classification"},
        {"GPT2LMHeadModel", CLASS_TEXT, "", "text-generation"},
        {"LlamaForCausalLM", CLASS_TEXT | CLASS_CHAT, "",
         "text-generation chat"},
        {"LlamaForCausalLM", CLASS_TEXT | CLASS_CHAT, "conversational",
         "chat text-generation"},
        {"LlamaForCausalLM", CLASS_TEXT, "image-classification",
         "text-generation"},
        {"T5ForConditionalGeneration", CLASS_TEXT, "",
         "text2text-generation summarization translation"},
        {"T5ForConditionalGeneration", CLASS_TEXT, "translation",
         "translation text2text-generation summarization"},
        {"T5ForConditionalGeneration", CLASS_TEXT, "translation_en_to_de",
         "translation text2text-generation summarization"},
        {"MarianMTModel", CLASS_TEXT, "", "translation text2text-generation"},
        {"BigBirdPegasusForConditionalGeneration", CLASS_TEXT, "",
         "summarization text2text-generation translation"},
        {"LlavaForConditionalGeneration", CLASS_TEXT | CLASS_IMAGES, "",
         "image-text-to-text"},
        {"WhisperForConditionalGeneration", CLASS_TEXT | CLASS_SOUND, "",
         "automatic-speech-recognition"},
        {"ViTForImageClassification", CLASS_IMAGES, "", "image-classification"},
        {"TapasForQuestionAnswering", CLASS_TEXT, "",
         "table-question-answering"},
        {"LayoutLMv3ForQuestionAnswering", CLASS_TEXT, "",
         "document-question-answering"},
        {"XLMForQuestionAnsweringSimple", CLASS_TEXT, "", "question-answering"},
        {"ViltForQuestionAnswering", CLASS_TEXT, "", ""},
        {"VitsModel", CLASS_TEXT, "text-to-speech", "text-to-audio"},
        {"RobertaModel", CLASS_TEXT, "",
         "feature-extraction "
         "sentence-similarity"},
        {"RobertaModel", CLASS_TEXT, "sentence-similarity",
         "feature-extraction sentence-similarity"},
        {"ViTModel", CLASS_IMAGES, "", "image-feature-extraction"},
        {"Wav2Vec2Model", CLASS_TEXT | CLASS_SOUND, "", ""},
        {"CLIPModel", CLASS_TEXT | CLASS_IMAGES | CLASS_PAIR, "",
         "zero-shot-image-classification"},
        {"CLIPTextModel", CLASS_TEXT, "",
         "feature-extraction "
         "sentence-similarity"},
        {"CLIPVisionModel", CLASS_IMAGES, "", "image-feature-extraction"},
        {"BertForNextSentencePrediction", CLASS_TEXT, "", ""},
        {"", CLASS_TEXT, "", "feature-extraction sentence-similarity"},
        {"Something", 0, "", ""},
    };
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        char got[256];
        tasks_of(cases[i].name, cases[i].facts, cases[i].tag, got, sizeof(got));
        if (strcmp(got, cases[i].tasks))
            fail_msg("%s: %s", cases[i].name, got);
    }
}

static unsigned facts_for(const char *task)
{
    if (!strcmp(task, "zero-shot-image-classification"))
        return CLASS_TEXT | CLASS_IMAGES | CLASS_PAIR;
    return CLASS_TEXT;
}

/* The library can also load these for a task that they were not made for. */
static bool is_known_for_else(const char *name)
{
    static const char *const names[] = {
        "BartForConditionalGeneration",
        "MBartForConditionalGeneration",
        "MvpForConditionalGeneration",
        "FuyuForCausalLM",
        "GitForCausalLM",
    };
    for (size_t i = 0; i < ARRAY_LEN(names); i++)
        if (!strcmp(name, names[i]))
            return true;
    return false;
}

/* Every class that transformers.pipeline has for a task is known for it. */
static void every_class_of_the_library_has_its_task(void **state)
{
    (void)state;
    char path[2048], line[256], got[256];
    size_t n = 0, wrong = 0;
    snprintf(path, sizeof(path), "%s/golden/classes/classes.tsv",
             getenv("BERTH_TESTS"));
    FILE *f = fopen(path, "r");
    assert_non_null(f);
    while (fgets(line, sizeof(line), f)) {
        char *tab = strchr(line, '\t');
        if (line[0] == '#')
            continue;
        assert_non_null(tab);
        *tab = 0;
        char *task = tab + 1;
        task[strcspn(task, "\n")] = 0;
        n++;
        tasks_of(line, facts_for(task), "", got, sizeof(got));
        if (!strstr(got, task) && !is_known_for_else(line)) {
            print_message("%s: '%s', not %s\n", line, got, task);
            wrong++;
        }
    }
    fclose(f);
    assert_true(n > 500);
    assert_int_equal(wrong, 0);
}

static void a_configuration_says_what_a_model_takes(void **state)
{
    (void)state;
    static const struct {
        const char *config;
        unsigned facts;
    } cases[] = {
        {"{}", 0},
        {"{\"vocab_size\":7}", CLASS_TEXT},
        {"{\"vocab_size\":null,\"num_channels\":3}", CLASS_IMAGES},
        {"{\"text_config\":{},\"vision_config\":{}}",
         CLASS_TEXT | CLASS_IMAGES | CLASS_PAIR},
        {"{\"text_config\":{},\"audio_config\":{}}", CLASS_TEXT | CLASS_SOUND},
        {"{\"vocab_size\":7,\"label2id\":{\"ENTAILMENT\":0}}",
         CLASS_TEXT | CLASS_ENTAILMENT},
        {"{\"vocab_size\":7,\"label2id\":{\"not_entailment\":0}}", CLASS_TEXT},
        {"{\"vocab_size\":7,\"label2id\":[\"entailment\"]}", CLASS_TEXT},
    };
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        struct err err;
        struct config c = {
            .doc = json_parse(str_of(cases[i].config), 4096, 8, &err)};
        assert_non_null(c.doc);
        c.root = json_root(c.doc);
        if (class_facts(&c) != cases[i].facts)
            fail_msg("%s: %u", cases[i].config, class_facts(&c));
        config_fini(&c);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_name_says_what_a_class_is_for),
        cmocka_unit_test(every_class_of_the_library_has_its_task),
        cmocka_unit_test(a_configuration_says_what_a_model_takes),
    };
    return cmocka_run_group_tests_name("class_tasks", tests, NULL, NULL);
}
