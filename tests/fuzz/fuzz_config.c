/* tests/fuzz/fuzz_config.c - any bytes as one of the small files of a model.
 *
 * What begins like an array is modules.json, like front matter README.md, and
 * anything else config.json, beside the headers of a small BERT's weights.
 */
#include "arch/inspect.h"
#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <unistd.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

enum { H = 16, FFN = 32, VOCAB = 20, POSITIONS = 8, TYPES = 2 };

static const struct {
    const char *name;
    int n, k; /* k 0: a vector */
} shapes[] = {
    {"embeddings.word_embeddings.weight", VOCAB, H},
    {"embeddings.position_embeddings.weight", POSITIONS, H},
    {"embeddings.token_type_embeddings.weight", TYPES, H},
    {"embeddings.LayerNorm.weight", H, 0},
    {"embeddings.LayerNorm.bias", H, 0},
    {"encoder.layer.0.attention.self.query.weight", H, H},
    {"encoder.layer.0.attention.self.query.bias", H, 0},
    {"encoder.layer.0.attention.self.key.weight", H, H},
    {"encoder.layer.0.attention.self.key.bias", H, 0},
    {"encoder.layer.0.attention.self.value.weight", H, H},
    {"encoder.layer.0.attention.self.value.bias", H, 0},
    {"encoder.layer.0.attention.output.dense.weight", H, H},
    {"encoder.layer.0.attention.output.dense.bias", H, 0},
    {"encoder.layer.0.attention.output.LayerNorm.weight", H, 0},
    {"encoder.layer.0.attention.output.LayerNorm.bias", H, 0},
    {"encoder.layer.0.intermediate.dense.weight", FFN, H},
    {"encoder.layer.0.intermediate.dense.bias", FFN, 0},
    {"encoder.layer.0.output.dense.weight", H, FFN},
    {"encoder.layer.0.output.dense.bias", H, 0},
    {"encoder.layer.0.output.LayerNorm.weight", H, 0},
    {"encoder.layer.0.output.LayerNorm.bias", H, 0},
};

#define CONFIG                                                       \
    "{\"model_type\":\"bert\",\"hidden_size\":16,\"vocab_size\":20," \
    "\"num_hidden_layers\":1,\"num_attention_heads\":2,"             \
    "\"intermediate_size\":32,\"max_position_embeddings\":8}"

static void put(struct snapshot *s, const char *name, const void *p, size_t n,
                size_t size)
{
    struct err err;
    int fd = memfd_create("fuzz", MFD_CLOEXEC);
    if (fd < 0 || write(fd, p, n) != (ssize_t)n ||
        snapshot_add(s, str_of(name), fd, size, &err) < 0)
        abort();
}

/* Only the header; the data is announced and not there. */
static void put_weights(struct snapshot *s)
{
    struct buf b = BUF_MAX(1 << 16);
    size_t at = 0;
    uint64_t length = 0;
    buf_add(&b, &length, sizeof(length));
    for (size_t i = 0; i < ARRAY_LEN(shapes); i++) {
        int n = shapes[i].n, k = shapes[i].k;
        size_t bytes = 4 * (size_t)n * (size_t)(k ? k : 1);
        buf_addf(&b, "%c\"%s\":{\"dtype\":\"F32\",\"shape\":[%d", i ? ',' : '{',
                 shapes[i].name, n);
        if (k)
            buf_addf(&b, ",%d", k);
        buf_addf(&b, "],\"data_offsets\":[%zu,%zu]}", at, at + bytes);
        at += bytes;
    }
    buf_putc(&b, '}');
    if (b.failed)
        abort();
    length = b.len - sizeof(length);
    memcpy(b.p, &length, sizeof(length));
    put(s, "model.safetensors", b.p, b.len, b.len + at);
    buf_fini(&b);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct snapshot s = {0};
    struct inspection in;
    struct err err;
    const char *name = size && data[0] == '['   ? "modules.json"
                       : size && data[0] == '-' ? "README.md"
                                                : "config.json";
    put_weights(&s);
    put(&s, name, data, size, size);
    if (strcmp(name, "config.json") != 0)
        put(&s, "config.json", CONFIG, strlen(CONFIG), strlen(CONFIG));
    put(&s, "1_Pooling/config.json", data, size, size);
    if (arch_inspect(&s, &in, &err) == 0 && in.n_unsupported == 0 &&
        (in.weight_bytes == 0 || in.n_runtime == 0 || !in.tasks[0]))
        abort();
    snapshot_fini(&s);
    return 0;
}
