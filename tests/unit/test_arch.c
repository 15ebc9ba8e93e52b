#include "arch/inspect.h"
#include "arch/recipe.h"
#include "engine/engine.h"
#include "models.h"

/* tests/golden/<model> with another config.json. */
static void put_with_config(struct snapshot *s, const char *model,
                            const char *config)
{
    struct snapshot all = {0};
    *s = (struct snapshot){0};
    put_golden(&all, model);
    for (size_t i = 0; i < all.n; i++) {
        struct err err;
        const struct snapshot_file *f = &all.files[i];
        if (strcmp(f->name, "config.json") != 0)
            assert_int_equal(
                snapshot_add(s, str_of(f->name), dup(f->fd), f->size, &err), 0);
    }
    put_text(s, "config.json", config);
    snapshot_fini(&all);
}

#define BERT_BUT(changed)                                               \
    "{\"model_type\":\"bert\",\"architectures\":[\"BertForMaskedLM\"]," \
    "\"hidden_size\":32,\"num_hidden_layers\":2,\"vocab_size\":100,"    \
    "\"num_attention_heads\":4,\"intermediate_size\":64" changed "}"
#define POSITIONS ",\"max_position_embeddings\":40"

static void a_bert_is_described_from_its_headers(void **state)
{
    (void)state;
    struct snapshot s = {0};
    struct inspection in;
    struct err err;
    put_golden(&s, "bert");
    put_text(&s, "README.md",
             "---\nlanguage: en\nlicense: \"apache-2.0\"\n---\n# x\n");
    assert_int_equal(arch_inspect(&s, &in, &err), 0);
    assert_string_equal(in.architecture, "BertForMaskedLM");
    assert_string_equal(in.model_type, "bert");
    assert_string_equal(in.tasks[0], "fill-mask");
    assert_string_equal(in.tasks[1], "feature-extraction");
    assert_null(in.tasks[2]);
    assert_string_equal(in.licence, "apache-2.0");
    assert_int_equal(in.n_unsupported, 0);
    assert_int_equal(in.n_tensors, 42);
    assert_int_equal(in.n_bytes, 1);
    assert_string_equal(in.bytes[0].dtype, "F32");
    assert_int_equal(in.bytes[0].bytes, 4 * in.n_parameters);
    assert_int_equal(in.context, 40);
    assert_int_equal(in.dim, 32);
    assert_int_equal(in.vocab, 100);
    snapshot_fini(&s);
}

/* Copies a file's first n bytes. */
static void put_beginning(struct snapshot *s, const struct snapshot_file *f,
                          size_t n)
{
    char *p = mem_zero(1, n);
    assert_int_equal(pread(f->fd, p, n, 0), n);
    put_part(s, f->name, p, n, f->size);
    free(p);
}

static void the_beginning_of_the_weights_is_enough(void **state)
{
    (void)state;
    struct snapshot whole = {0}, part = {0};
    struct inspection a, b;
    struct err err;
    put_golden(&whole, "distilbert");
    for (size_t i = 0; i < whole.n; i++) {
        const struct snapshot_file *f = &whole.files[i];
        uint64_t header;
        assert_int_equal(pread(f->fd, &header, 8, 0), 8);
        bool weights = !strcmp(f->name, "model.safetensors");
        put_beginning(&part, f, weights ? 8 + header : f->size);
    }
    assert_int_equal(arch_inspect(&whole, &a, &err), 0);
    assert_int_equal(arch_inspect(&part, &b, &err), 0);
    assert_memory_equal(&a, &b, sizeof(a));
    struct engine *e;
    struct engine_options o = {.threads = 1};
    assert_int_equal(engine_open(&e, &part, &o, NULL, NULL, &err),
                     -E_DAMAGED_FILE);
    assert_non_null(strstr(err.msg, "were announced"));
    snapshot_fini(&whole);
    snapshot_fini(&part);
}

static void sentence_transformers_modules_count(void **state)
{
    (void)state;
    struct snapshot s = {0};
    struct inspection in;
    struct err err;
    put_golden(&s, "bert_odd");
    put_text(
        &s, "modules.json",
        "[{\"idx\":0,\"name\":\"0\",\"path\":\"\",\"type\":\"a.Transformer\"},"
        "{\"idx\":1,\"name\":\"1\",\"path\":\"1_Pooling\",\"type\":\"a."
        "Pooling\"}]");
    put_text(
        &s, "1_Pooling/config.json",
        "{\"word_embedding_dimension\":42,\"pooling_mode_mean_tokens\":true,"
        "\"pooling_mode_max_tokens\":true}");
    put_text(&s, "sentence_bert_config.json", "{\"max_seq_length\":30}");
    assert_int_equal(arch_inspect(&s, &in, &err), 0);
    assert_string_equal(in.tasks[0], "feature-extraction");
    assert_string_equal(in.tasks[1], "sentence-similarity");
    assert_null(in.tasks[2]);
    assert_int_equal(in.context, 30);
    assert_int_equal(in.dim, 84);
    snapshot_fini(&s);
}

static void lists_what_it_does_not_support(void **state)
{
    (void)state;
    static const struct {
        const char *config, *what, *why;
    } cases[] = {
        {"{\"model_type\":\"roberta\"}", "roberta", "bert, distilbert"},
        {BERT_BUT(POSITIONS ",\"hidden_act\":\"mish\""), "hidden_act",
         "'mish'"},
        {BERT_BUT(POSITIONS ",\"position_embedding_type\":\"relative_key\""),
         "position_embedding_type", "'absolute'"},
        {BERT_BUT(POSITIONS ",\"position_embedding_type\":7"),
         "position_embedding_type", "'absolute'"},
        {BERT_BUT(POSITIONS ",\"is_decoder\":true"), "is_decoder", "encoders"},
        {BERT_BUT(POSITIONS ",\"auto_map\":{\"AutoModel\":\"x.Y\"}"),
         "auto_map", "never does"},
        {BERT_BUT(POSITIONS ",\"quantization_config\":{}"),
         "quantization_config", "quantised"},
        {"{\"model_type\":\"bert\",\"architectures\":"
         "[\"BertForSequenceClassification\"],\"hidden_size\":32,"
         "\"num_hidden_layers\":2,\"vocab_size\":100,\"num_attention_heads\":4,"
         "\"intermediate_size\":64" POSITIONS "}",
         "task", "BertModel and BertForMaskedLM"},
    };
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        struct snapshot s;
        struct inspection in;
        struct engine *e;
        struct engine_options o = {.threads = 1};
        struct err err = {0};
        put_with_config(&s, "bert", cases[i].config);
        if (arch_inspect(&s, &in, &err) < 0)
            fail_msg("%s", err.msg);
        assert_int_equal(in.n_unsupported, 1);
        assert_string_equal(in.unsupported[0].what, cases[i].what);
        if (!strstr(in.unsupported[0].why, cases[i].why))
            fail_msg("%s", in.unsupported[0].why);
        assert_int_equal(engine_open(&e, &s, &o, NULL, NULL, &err),
                         -E_UNSUPPORTED_ARCHITECTURE);
        assert_non_null(strstr(err.msg, cases[i].why));
        snapshot_fini(&s);
    }
}

static void several_problems_are_all_listed(void **state)
{
    (void)state;
    struct snapshot s;
    struct inspection in;
    struct err err;
    put_with_config(&s, "bert",
                    BERT_BUT(POSITIONS
                             ",\"hidden_act\":\"mish\",\"is_decoder\":true,"
                             "\"auto_map\":{}"));
    assert_int_equal(arch_inspect(&s, &in, &err), 0);
    assert_int_equal(in.n_unsupported, 3);
    assert_int_equal(in.weight_bytes, 0);
    snapshot_fini(&s);
}

/* A weights file with one tensor, all zeros. */
static void put_tensor(struct snapshot *s, const char *file, const char *name,
                       const char *dtype, int elements, int bytes)
{
    struct buf b = BUF_MAX(1 << 16);
    uint64_t n = 0;
    buf_add(&b, &n, sizeof(n));
    buf_addf(&b,
             "{\"%s\":{\"dtype\":\"%s\",\"shape\":[%d],"
             "\"data_offsets\":[0,%d]}}",
             name, dtype, elements, bytes);
    n = b.len - sizeof(n);
    memcpy(b.p, &n, sizeof(n));
    for (int i = 0; i < bytes; i++)
        buf_putc(&b, 0);
    put_bytes(s, file, b.p, b.len);
    buf_fini(&b);
}

/* What the native engine does not know is described all the same. */
static void an_unknown_architecture_is_described_as_well(void **state)
{
    (void)state;
    struct snapshot s = {0};
    struct inspection in;
    struct err err;
    put_text(&s, "config.json",
             "{\"model_type\":\"llama\",\"architectures\":"
             "[\"LlamaForCausalLM\"],\"vocab_size\":49152,"
             "\"max_position_embeddings\":8192,\"hidden_size\":576,"
             "\"auto_map\":{}}");
    put_text(&s, "model.safetensors.index.json",
             "{\"weight_map\":{\"a\":\"model-00001-of-00002.safetensors\","
             "\"b\":\"model-00002-of-00002.safetensors\"}}");
    put_tensor(&s, "model-00001-of-00002.safetensors", "a", "BF16", 6, 12);
    put_tensor(&s, "model-00002-of-00002.safetensors", "b", "F4", 6, 3);
    put_text(&s, "tokenizer_config.json", "{\"chat_template\":\"{{ x }}\"}");
    put_text(&s, "README.md",
             "---\nlicense: apache-2.0\npipeline_tag: text-generation\n---\n");
    assert_int_equal(arch_inspect(&s, &in, &err), 0);
    assert_string_equal(in.architecture, "LlamaForCausalLM");
    assert_string_equal(in.tasks[0], "text-generation");
    assert_string_equal(in.tasks[1], "chat");
    assert_null(in.tasks[2]);
    assert_int_equal(in.n_tensors, 2);
    assert_int_equal(in.n_parameters, 12);
    assert_int_equal(in.n_bytes, 2);
    assert_string_equal(in.bytes[0].dtype, "BF16");
    assert_int_equal(in.bytes[0].bytes, 12);
    assert_string_equal(in.bytes[1].dtype, "F4");
    assert_int_equal(in.context, 8192);
    assert_int_equal(in.vocab, 49152);
    assert_int_equal(in.dim, 0);
    assert_string_equal(in.licence, "apache-2.0");
    assert_string_equal(in.pipeline_tag, "text-generation");
    assert_true(in.auto_map);
    assert_int_equal(in.weight_bytes, 0);
    assert_int_equal(in.n_runtime, 0);
    assert_int_equal(in.n_unsupported, 2);
    assert_string_equal(in.unsupported[1].what, "llama");
    snapshot_fini(&s);
}

static void a_model_without_words_is_described_as_well(void **state)
{
    (void)state;
    struct snapshot s = {0};
    struct inspection in;
    struct err err;
    put_text(&s, "config.json",
             "{\"model_type\":\"clip\",\"architectures\":[\"CLIPModel\"],"
             "\"text_config\":{\"vocab_size\":49408,"
             "\"max_position_embeddings\":77},\"vision_config\":{}}");
    put_tensor(&s, "model.safetensors", "a", "F16", 4, 8);
    assert_int_equal(arch_inspect(&s, &in, &err), 0);
    assert_string_equal(in.tasks[0], "zero-shot-image-classification");
    assert_int_equal(in.context, 77);
    assert_int_equal(in.vocab, 49408);
    snapshot_fini(&s);
    put_text(&s, "config.json",
             "{\"model_type\":\"vit\",\"num_channels\":3,"
             "\"architectures\":[\"ViTModel\"],\"hidden_size\":192}");
    put_tensor(&s, "model.safetensors", "a", "F32", 4, 16);
    assert_int_equal(arch_inspect(&s, &in, &err), 0);
    assert_string_equal(in.tasks[0], "image-feature-extraction");
    assert_int_equal(in.dim, 192);
    assert_int_equal(in.context, 0);
    snapshot_fini(&s);
}

static void a_class_without_a_task_says_so(void **state)
{
    (void)state;
    struct snapshot s = {0};
    struct inspection in;
    struct err err;
    put_text(&s, "config.json",
             "{\"model_type\":\"vilt\","
             "\"architectures\":[\"ViltForQuestionAnswering\"]}");
    put_tensor(&s, "model.safetensors", "a", "F32", 4, 16);
    assert_int_equal(arch_inspect(&s, &in, &err), 0);
    assert_null(in.tasks[0]);
    assert_int_equal(in.n_unsupported, 2);
    assert_string_equal(in.unsupported[1].what, "task");
    assert_non_null(strstr(in.unsupported[1].why, "ViltForQuestionAnswering"));
    snapshot_fini(&s);
}

static void a_head_that_is_not_computed_has_its_own_task(void **state)
{
    (void)state;
    static const struct {
        const char *name, *task;
    } cases[] = {
        {"BertForSequenceClassification", "text-classification"},
        {"BertForTokenClassification", "token-classification"},
        {"BertForQuestionAnswering", "question-answering"},
    };
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        char config[512];
        struct snapshot s;
        struct inspection in;
        struct err err;
        snprintf(config, sizeof(config),
                 "{\"model_type\":\"bert\",\"architectures\":[\"%s\"],"
                 "\"hidden_size\":32,\"num_hidden_layers\":2,"
                 "\"vocab_size\":100,\"num_attention_heads\":4,"
                 "\"intermediate_size\":64,\"max_position_embeddings\":40,"
                 "\"id2label\":{\"0\":\"a\",\"1\":\"b\"}}",
                 cases[i].name);
        put_with_config(&s, "bert", config);
        assert_int_equal(arch_inspect(&s, &in, &err), 0);
        assert_string_equal(in.tasks[0], cases[i].task);
        assert_null(in.tasks[1]);
        assert_int_equal(in.n_unsupported, 1);
        assert_string_equal(in.unsupported[0].what, "task");
        assert_int_equal(in.n_labels, 2);
        assert_int_equal(in.context, 40);
        assert_int_equal(in.dim, 0);
        snapshot_fini(&s);
    }
}

static void refuses_what_does_not_fit_by_name(void **state)
{
    (void)state;
    static const struct {
        const char *config, *says;
    } cases[] = {
        {"{}", "config.json: model_type is missing"},
        {"{\"model_type\":1}", "model_type is 1"},
        {"{\"model_type\":\"bert\"}", "hidden_size is missing"},
        {"{\"model_type\":\"bert\",\"architectures\":\"BertModel\"}",
         "architectures is not an array"},
        {BERT_BUT(POSITIONS ",\"type_vocab_size\":0"), "type_vocab_size is 0"},
        {BERT_BUT(POSITIONS ",\"layer_norm_eps\":0"), "layer_norm_eps is 0"},
        {BERT_BUT(POSITIONS ",\"tie_word_embeddings\":1"),
         "tie_word_embeddings is 1"},
        {BERT_BUT(POSITIONS ",\"tie_word_embeddings\":false"),
         "model.safetensors: tensor 'cls.predictions.decoder.weight' is "
         "missing"},
        {BERT_BUT(",\"max_position_embeddings\":41"),
         "model.safetensors: tensor "
         "'bert.embeddings.position_embeddings.weight'"
         " has the shape [40, 32] where config.json makes it [41, 32]"},
        {BERT_BUT(",\"max_position_embeddings\":100000"),
         "max_position_embeddings is 100000"},
        {"{\"model_type\":\"bert\",\"hidden_size\":32,\"num_hidden_layers\":2,"
         "\"vocab_size\":101,\"num_attention_heads\":4,\"intermediate_size\":"
         "64}",
         "word_embeddings.weight' has the shape [100, 32]"},
        {"{\"model_type\":\"bert\",\"hidden_size\":32,\"num_hidden_layers\":3,"
         "\"vocab_size\":100,\"num_attention_heads\":4,\"intermediate_size\":"
         "64" POSITIONS "}",
         "tensor 'bert.encoder.layer.2.attention.self.query.weight' is "
         "missing"},
        {"{\"model_type\":\"bert\",\"hidden_size\":32,\"num_hidden_layers\":2,"
         "\"vocab_size\":100,\"num_attention_heads\":5,\"intermediate_size\":"
         "64}",
         "num_attention_heads is 5, which does not divide hidden_size, 32"},
        {"{\"model_type\":\"bert\",\"hidden_size\":-1,\"num_hidden_layers\":2,"
         "\"vocab_size\":100,\"num_attention_heads\":5,\"intermediate_size\":"
         "64}",
         "hidden_size is -1"},
    };
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        struct snapshot s;
        struct inspection in;
        struct err err = {0};
        put_with_config(&s, "bert", cases[i].config);
        int r = arch_inspect(&s, &in, &err);
        if (r != -E_DAMAGED_FILE || !strstr(err.msg, cases[i].says))
            fail_msg("%s: %d %s", cases[i].config, r, err.msg);
        snapshot_fini(&s);
    }
}

static void pickles_are_refused_and_safetensors_named(void **state)
{
    (void)state;
    struct snapshot s = {0};
    struct inspection in;
    struct err err;
    put_text(&s, "config.json", BERT_BUT(POSITIONS));
    put_text(&s, "pytorch_model.bin", "x");
    assert_int_equal(arch_inspect(&s, &in, &err), 0);
    assert_int_equal(in.n_unsupported, 1);
    assert_string_equal(in.unsupported[0].what, "pytorch_model.bin");
    assert_non_null(strstr(in.unsupported[0].why, "model.safetensors"));
    assert_true(in.pickles);
    snapshot_fini(&s);
}

static void without_weights_there_is_no_model(void **state)
{
    (void)state;
    struct snapshot s = {0};
    struct inspection in;
    struct err err;
    put_text(&s, "config.json", BERT_BUT(POSITIONS));
    assert_int_equal(arch_inspect(&s, &in, &err), -E_DAMAGED_FILE);
    assert_non_null(strstr(err.msg, "model.safetensors is missing"));
    snapshot_fini(&s);
}

static void tensors_that_nothing_reads_are_listed(void **state)
{
    (void)state;
    struct snapshot s = {0};
    struct recipe r;
    struct err err;
    put_golden(&s, "bert");
    assert_int_equal(recipe_open(&r, &s, false, &err), 0);
    assert_int_equal(r.plan.n_unused, 5); /* the head's */
    assert_true(str_starts(str_of(r.plan.unused[0]), "cls.predictions."));
    recipe_fini(&r);
    assert_int_equal(recipe_open(&r, &s, true, &err), 0);
    assert_int_equal(r.plan.n_unused, 0);
    recipe_fini(&r);
    snapshot_fini(&s);
}

static void the_memory_foretold_is_the_memory_taken(void **state)
{
    (void)state;
    static const char *const models[] = {"bert", "bert_odd", "distilbert"};
    for (size_t i = 0; i < ARRAY_LEN(models); i++)
        for (int threads = 1, log = 0; threads <= 4; threads *= 2, log++) {
            struct snapshot s = {0};
            struct inspection in;
            struct engine *e;
            struct err err;
            struct engine_options o = {.threads = threads, .mlm_head = true};
            put_golden(&s, models[i]);
            assert_int_equal(arch_inspect(&s, &in, &err), 0);
            assert_int_equal(engine_open(&e, &s, &o, NULL, NULL, &err), 0);
            double foretold = (double)(in.weight_bytes + in.runtime[log].bytes);
            double taken = (double)engine_info(e).memory;
            /* The weights are aligned to a huge page, which is all of 2 MiB. */
            assert_true(taken >= foretold);
            assert_true(taken - (2 << 20) <= 1.1 * foretold);
            engine_close(e);
            snapshot_fini(&s);
        }
}

/* A BERT whose vectors are one number wide: its tensors in F16, all zeros. */
static void put_narrow(struct snapshot *s, int ffn)
{
    struct buf b = BUF_MAX(1 << 16);
    size_t at = 0;
    const struct {
        const char *name;
        int rows, cols; /* 0 rows: a vector */
    } all[] = {
        {"embeddings.word_embeddings.weight", 4, 1},
        {"embeddings.position_embeddings.weight", 4, 1},
        {"embeddings.token_type_embeddings.weight", 2, 1},
        {"embeddings.LayerNorm.weight", 0, 1},
        {"embeddings.LayerNorm.bias", 0, 1},
        {"encoder.layer.0.attention.self.query.weight", 1, 1},
        {"encoder.layer.0.attention.self.query.bias", 0, 1},
        {"encoder.layer.0.attention.self.key.weight", 1, 1},
        {"encoder.layer.0.attention.self.key.bias", 0, 1},
        {"encoder.layer.0.attention.self.value.weight", 1, 1},
        {"encoder.layer.0.attention.self.value.bias", 0, 1},
        {"encoder.layer.0.attention.output.dense.weight", 1, 1},
        {"encoder.layer.0.attention.output.dense.bias", 0, 1},
        {"encoder.layer.0.attention.output.LayerNorm.weight", 0, 1},
        {"encoder.layer.0.attention.output.LayerNorm.bias", 0, 1},
        {"encoder.layer.0.intermediate.dense.weight", ffn, 1},
        {"encoder.layer.0.intermediate.dense.bias", 0, ffn},
        {"encoder.layer.0.output.dense.weight", 1, ffn},
        {"encoder.layer.0.output.dense.bias", 0, 1},
        {"encoder.layer.0.output.LayerNorm.weight", 0, 1},
        {"encoder.layer.0.output.LayerNorm.bias", 0, 1},
    };
    uint64_t n = 0;
    buf_add(&b, &n, sizeof(n));
    for (size_t i = 0; i < ARRAY_LEN(all); i++) {
        size_t bytes =
            2 * (size_t)((all[i].rows ? all[i].rows : 1) * all[i].cols);
        char shape[40];
        snprintf(shape, sizeof(shape), all[i].rows ? "%d,%d" : "%.0d%d",
                 all[i].rows, all[i].cols);
        buf_addf(&b,
                 "%c\"%s\":{\"dtype\":\"F16\",\"shape\":[%s],"
                 "\"data_offsets\":[%zu,%zu]}",
                 i ? ',' : '{', all[i].name, shape, at, at + bytes);
        at += bytes;
    }
    buf_putc(&b, '}');
    n = b.len - sizeof(n);
    memcpy(b.p, &n, sizeof(n));
    for (size_t i = 0; i < at; i++)
        buf_putc(&b, 0);
    put_bytes(s, "model.safetensors", b.p, b.len);
    buf_fini(&b);
}

static void packing_has_room_for_a_matrix_of_one_row(void **state)
{
    (void)state;
    enum { FFN = 4096 };
    struct snapshot s = {0};
    struct recipe r;
    struct engine *e;
    struct err err;
    struct engine_options o = {.threads = 1};
    put_narrow(&s, FFN);
    put_text(&s, "config.json",
             "{\"model_type\":\"bert\",\"hidden_size\":1,"
             "\"num_hidden_layers\":1,\"num_attention_heads\":1,"
             "\"intermediate_size\":4096,\"vocab_size\":4,"
             "\"max_position_embeddings\":4}");
    assert_int_equal(recipe_open(&r, &s, false, &err), 0);
    assert_int_equal(r.problems.n, 0);
    assert_true(plan_load_scratch(&r.plan) >= pack_scratch(FFN));
    recipe_fini(&r);
    assert_int_equal(engine_open(&e, &s, &o, NULL, NULL, &err), 0);
    engine_close(e);
    snapshot_fini(&s);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_bert_is_described_from_its_headers),
        cmocka_unit_test(the_beginning_of_the_weights_is_enough),
        cmocka_unit_test(sentence_transformers_modules_count),
        cmocka_unit_test(lists_what_it_does_not_support),
        cmocka_unit_test(several_problems_are_all_listed),
        cmocka_unit_test(an_unknown_architecture_is_described_as_well),
        cmocka_unit_test(a_model_without_words_is_described_as_well),
        cmocka_unit_test(a_class_without_a_task_says_so),
        cmocka_unit_test(a_head_that_is_not_computed_has_its_own_task),
        cmocka_unit_test(refuses_what_does_not_fit_by_name),
        cmocka_unit_test(pickles_are_refused_and_safetensors_named),
        cmocka_unit_test(without_weights_there_is_no_model),
        cmocka_unit_test(tensors_that_nothing_reads_are_listed),
        cmocka_unit_test(packing_has_room_for_a_matrix_of_one_row),
        cmocka_unit_test(the_memory_foretold_is_the_memory_taken),
    };
    return cmocka_run_group_tests_name("arch", tests, NULL, NULL);
}
