#include "fault.h"
#include "model/pack.h"
#include "model/safetensors.h"
#include "models.h"
#include <math.h>

/* A file of the format: the header's length, the header, n zero bytes. */
static void put_tensors(struct snapshot *s, const char *name,
                        const char *header, size_t header_n, size_t n)
{
    char *file = mem_zero(1, 8 + header_n + n);
    uint64_t length = header_n;
    memcpy(file, &length, 8);
    memcpy(file + 8, header, header_n);
    put_bytes(s, name, file, 8 + header_n + n);
    free(file);
}

static int open_one(struct tensors *t, struct snapshot *s, const char *header,
                    size_t n, struct err *err)
{
    *s = (struct snapshot){0};
    put_tensors(s, "model.safetensors", header, strlen(header), n);
    return tensors_open(t, s, "", err);
}

#define TWO                                                               \
    "{\"a\":{\"dtype\":\"F32\",\"shape\":[2,3],\"data_offsets\":[0,24]}," \
    "\"__metadata__\":{\"format\":\"pt\"},"                               \
    "\"b\":{\"dtype\":\"F16\",\"shape\":[],\"data_offsets\":[24,26]}}  "

static void reads_what_a_header_says(void **state)
{
    (void)state;
    struct snapshot s;
    struct tensors t;
    struct err err;
    assert_int_equal(open_one(&t, &s, TWO, 26, &err), 0);
    assert_int_equal(t.n, 2);
    const struct tensor *a = tensors_find(&t, "a"), *b = tensors_find(&t, "b");
    assert_int_equal(a->n_dims, 2);
    assert_int_equal(a->shape[1], 3);
    assert_int_equal(a->offset, 8 + strlen(TWO));
    assert_int_equal(b->elements, 1);
    assert_int_equal(b->dtype, DTYPE_F16);
    assert_null(tensors_find(&t, "c"));
    assert_int_equal(tensors_check_files(&t, &err), 0);
    tensors_fini(&t);
    snapshot_fini(&s);
}

/* One tensor "a" of the given fields. */
#define A(fields) "{\"a\":{" fields "}}"
#define F32       "\"dtype\":\"F32\","
#define AT        "\"data_offsets\":[0,24]"

static const struct {
    const char *header;
    size_t data;
    const char *says;
} damaged[] = {
    {"{", 0, "header of 1 bytes does not fit"},
    {"[]", 0, "does not begin with '{'"},
    {" {}", 0, "does not begin with '{'"},
    {"{\"a\":", 0, "invalid JSON"},
    {"{} x", 0, "invalid JSON"},
    {"{\"a\xff\":1}", 0, "UTF-8"},
    {"{\"a\":[[[[[[[[[1]]]]]]]]]}", 0, "nested too deep"},
    {"{}", 1, "tensors end at 0 of 1 bytes"},
    {"{\"a\":1}", 0, "tensor 'a': is not an object"},
    {A(F32 "\"shape\":[2,3]," AT) "x", 24, "invalid JSON"},
    {"{\"a\":{" F32 "\"shape\":[6]," AT "},\"a\":{" F32 "\"shape\":[6]," AT
     "}}",
     24, "a key appears twice"},
    {A("\"dtype\":\"Q4_0\",\"shape\":[6]," AT), 24,
     "dtype 'Q4_0' is not known"},
    {A("\"dtype\":7,\"shape\":[6]," AT), 24, "dtype is not a string"},
    {A("\"shape\":[6]," AT), 24, "has 2 fields"},
    {A(F32 "\"shape\":[6],\"x\":1," AT), 24, "has 4 fields"},
    {A(F32 "\"shape\":[6],\"offsets\":[0,24]"), 24, "unknown field 'offsets'"},
    {A(F32 "\"shape\":6," AT), 24, "shape is not an array"},
    {A(F32 "\"shape\":[2,-3]," AT), 24, "shape[1] is -3, not a whole number"},
    {A(F32 "\"shape\":[1.5,4]," AT), 24, "shape[0] is 1.5, not a whole number"},
    {A(F32 "\"shape\":[\"6\"]," AT), 24, "shape[0] is '6', not a whole number"},
    {A(F32 "\"shape\":[4294967296,4294967296]," AT), 24, "overflows"},
    {A(F32 "\"shape\":[4611686018427387904]," AT), 24,
     "a shape of [4611686018427387904] in F32 is not the 24 bytes"},
    {A(F32 "\"shape\":[1,1,1,1,1,1,1,1,6]," AT), 24, "9 dimensions"},
    {A(F32 "\"shape\":[7]," AT), 24, "a shape of [7] in F32 is not the 24"},
    {A(F32 "\"shape\":[6],\"data_offsets\":[0]"), 24, "array of two numbers"},
    {A(F32 "\"shape\":[6],\"data_offsets\":[24,0]"), 24,
     "end at 0 before they begin at 24"},
    {A(F32 "\"shape\":[6],\"data_offsets\":[-24,0]"), 24,
     "data_offsets[0] is -24, not a whole number"},
    {A(F32 "\"shape\":[6],\"data_offsets\":[0,1e30]"), 24,
     "data_offsets[1] is 1e+30, not a whole number"},
    {A(F32 "\"shape\":[6],\"data_offsets\":[4,28]"), 28,
     "data_offsets begin at 4 where the one before it ends at 0"},
    {A(F32 "\"shape\":[6]," AT), 23,
     "data_offsets end at 24, past the 23 bytes"},
    {A(F32 "\"shape\":[6]," AT), 25, "tensors end at 24 of 25 bytes"},
    {"{\"a\":{" F32 "\"shape\":[6]," AT "},\"b\":{" F32
     "\"shape\":[1],\"data_offsets\":[28,32]}}",
     32, "'b': data_offsets begin at 28 where the one before it ends at 24"},
    {"{\"a\":{" F32 "\"shape\":[6]," AT "},\"b\":{" F32
     "\"shape\":[1],\"data_offsets\":[20,24]}}",
     24, "'b': data_offsets begin at 20 where the one before it ends at 24"},
    {"{\"\":{" F32 "\"shape\":[6]," AT "}}", 24, "the name of tensor 0"},
    {"{\"a\\u0000b\":{" F32 "\"shape\":[6]," AT "}}", 24,
     "the name of tensor 0"},
    {"{\"__metadata__\":[]}", 0, "__metadata__ is not an object"},
    {"{\"__metadata__\":{\"k\":1}}", 0, "__metadata__: 'k' is not a string"},
};

static void refuses_damaged_headers_by_name(void **state)
{
    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(damaged); i++) {
        struct snapshot s;
        struct tensors t;
        struct err err = {0};
        int r = open_one(&t, &s, damaged[i].header, damaged[i].data, &err);
        if (r != -E_DAMAGED_FILE || !strstr(err.msg, damaged[i].says) ||
            !strstr(err.msg, "model.safetensors"))
            fail_msg("%s: %d, %s", damaged[i].header, r, err.msg);
        snapshot_fini(&s);
    }
}

static void refuses_lengths_before_it_believes_them(void **state)
{
    (void)state;
    static const struct {
        uint64_t length, size;
        const char *says;
    } cases[] = {
        {0, 32, "header of 0 bytes does not fit"},
        {25, 32, "header of 25 bytes does not fit a file of 32"},
        {UINT64_MAX, 32, "over the limit of 100000000"},
        {100000001, 1 << 30, "over the limit of 100000000"},
        {24, 7, "7 bytes are too few"},
        {100000000, 200000000, "32 bytes are there and its header needs"},
    };
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        struct snapshot s = {0};
        struct tensors t;
        struct err err = {0};
        char file[32] = "        {}";
        memcpy(file, &cases[i].length, 8);
        put_part(&s, "model.safetensors", file,
                 cases[i].size < 32 ? cases[i].size : 32, cases[i].size);
        assert_int_equal(tensors_open(&t, &s, "", &err), -E_DAMAGED_FILE);
        if (!strstr(err.msg, cases[i].says))
            fail_msg("%s", err.msg);
        snapshot_fini(&s);
    }
}

static void every_cut_header_is_refused_and_no_flipped_bit_crashes(void **state)
{
    (void)state;
    size_t n = 8 + strlen(TWO) + 26;
    char whole[512] = {0}, file[512];
    uint64_t length = strlen(TWO);
    memcpy(whole, &length, 8);
    memcpy(whole + 8, TWO, length);
    for (size_t bit = 0; bit < 8 * n + n; bit++) {
        struct snapshot s = {0};
        struct tensors t;
        struct err err = {0};
        size_t cut = bit < 8 * n ? n : bit - 8 * n;
        memcpy(file, whole, n);
        if (bit < 8 * n)
            file[bit / 8] ^= (char)(1 << bit % 8);
        put_bytes(&s, "model.safetensors", file, cut);
        int r = tensors_open(&t, &s, "", &err);
        assert_true(r == 0 || r == -E_DAMAGED_FILE);
        assert_true(cut == n || r < 0);
        if (r == 0)
            tensors_fini(&t);
        snapshot_fini(&s);
    }
}

#define SHARD(name) \
    "{\"" name "\":{" F32 "\"shape\":[1],\"data_offsets\":[0,4]}}"

static int open_index(struct tensors *t, struct snapshot *s, const char *index,
                      const char *second, struct err *err)
{
    *s = (struct snapshot){0};
    put_tensors(s, "1.safetensors", SHARD("a"), strlen(SHARD("a")), 4);
    put_tensors(s, "2.safetensors", second, strlen(second), 4);
    put_text(s, "model.safetensors.index.json", index);
    return tensors_open(t, s, "", err);
}

#define GOOD_MAP \
    "{\"weight_map\":{\"a\":\"1.safetensors\",\"b\":\"2.safetensors\"}}"

static void reads_shards_through_their_index(void **state)
{
    (void)state;
    struct snapshot s;
    struct tensors t;
    struct err err;
    assert_int_equal(open_index(&t, &s, GOOD_MAP, SHARD("b"), &err), 0);
    assert_string_equal(tensors_find(&t, "b")->file->name, "2.safetensors");
    tensors_fini(&t);
    snapshot_fini(&s);
}

static void refuses_an_index_that_does_not_fit(void **state)
{
    (void)state;
    static const struct {
        const char *index, *second, *says;
    } cases[] = {
        {"[]", SHARD("b"), "weight_map is not an object"},
        {"{\"weight_map\":{}}", SHARD("b"), "weight_map is not an object"},
        {"{\"weight_map\":{\"a\":1}}", SHARD("b"), "'a' is not a string"},
        {"{\"weight_map\":{\"a\":\"../x\"}}", SHARD("b"),
         "the file '../x', which is missing"},
        {"{\"weight_map\":{\"c\":\"1.safetensors\"}}", SHARD("b"),
         "tensor 'c' is not in '1.safetensors'"},
        {"{\"weight_map\":{\"a\":\"2.safetensors\",\"b\":\"1.safetensors\"}}",
         SHARD("b"), "tensor 'a' is not in '2.safetensors'"},
        {GOOD_MAP, SHARD("a"), "tensor 'a' is in 1.safetensors too"},
        {"{\"weight_map\"", SHARD("b"), "invalid JSON"},
    };
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        struct snapshot s;
        struct tensors t;
        struct err err = {0};
        assert_int_equal(
            open_index(&t, &s, cases[i].index, cases[i].second, &err),
            -E_DAMAGED_FILE);
        if (!strstr(err.msg, cases[i].says) ||
            !strstr(err.msg, "model.safetensors.index.json"))
            fail_msg("%s", err.msg);
        snapshot_fini(&s);
    }
}

static void says_that_a_file_was_cut_short(void **state)
{
    (void)state;
    struct snapshot s;
    struct tensors t;
    struct err err;
    float out[6];
    assert_int_equal(open_one(&t, &s, TWO, 26, &err), 0);
    assert_int_equal(ftruncate(s.files[0].fd, 8 + (off_t)strlen(TWO) + 20), 0);
    assert_int_equal(tensors_check_files(&t, &err), -E_DAMAGED_FILE);
    assert_non_null(strstr(err.msg, "were announced"));
    assert_int_equal(tensor_read(tensors_find(&t, "a"), 0, 6, out, NULL, &err),
                     -E_DAMAGED_FILE);
    assert_non_null(strstr(err.msg, "more bytes should be"));
    tensors_fini(&t);
    snapshot_fini(&s);
}

static void survives_every_allocation_failure(void **state)
{
    (void)state;
    struct snapshot s = {0};
    int worked = 0, failed = 0;
    put_tensors(&s, "model.safetensors", TWO, strlen(TWO), 26);
    FAULT_EACH({
        struct tensors t;
        struct err err;
        if (tensors_open(&t, &s, "", &err) == 0) {
            tensors_fini(&t);
            worked++;
        } else {
            failed++;
        }
    });
    assert_int_equal(worked, 1);
    assert_true(failed >= 4); /* the text, the list, the slots, the order */
    snapshot_fini(&s);
}

static void converts_halves_exactly(void **state)
{
    (void)state;
    static const uint16_t halves[] = {0x0000, 0x8000, 0x3C00, 0xC000,
                                      0x7BFF, 0x0001, 0x03FF, 0x7C00};
    static const float want[] = {0,     -0.0f,    1,          -2,
                                 65504, 0x1p-24f, 0x3FFp-24f, INFINITY};
    static const uint16_t brains[] = {0x3F80, 0xC040};
    float out[8];
    dtype_to_f32(DTYPE_F16, halves, 8, out);
    assert_memory_equal(out, want, sizeof(want));
    dtype_to_f32(DTYPE_BF16, brains, 2, out);
    assert_true(out[0] == 1 && out[1] == -3);
}

static void packs_whole_panels(void **state)
{
    (void)state;
    float src[3 * 5], panel[5 * PANEL];
    for (int i = 0; i < 15; i++)
        src[i] = (float)i;
    pack_panel(panel, src, 3, 5);
    for (int k = 0; k < 5; k++)
        for (int n = 0; n < PANEL; n++)
            assert_true(panel[k * PANEL + n] ==
                        (n < 3 ? (float)(n * 5 + k) : 0));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(reads_what_a_header_says),
        cmocka_unit_test(refuses_damaged_headers_by_name),
        cmocka_unit_test(refuses_lengths_before_it_believes_them),
        cmocka_unit_test(
            every_cut_header_is_refused_and_no_flipped_bit_crashes),
        cmocka_unit_test(reads_shards_through_their_index),
        cmocka_unit_test(refuses_an_index_that_does_not_fit),
        cmocka_unit_test(says_that_a_file_was_cut_short),
        cmocka_unit_test(survives_every_allocation_failure),
        cmocka_unit_test(converts_halves_exactly),
        cmocka_unit_test(packs_whole_panels),
    };
    return cmocka_run_group_tests_name("safetensors", tests, NULL, NULL);
}
