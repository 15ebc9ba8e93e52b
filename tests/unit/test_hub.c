#include "base/fs.h"
#include "base/mem.h"
#include "hub/cache.h"
#include "hub/hub_info.h"
#include "unit.h"
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <sys/stat.h>
#include <unistd.h>

#define SHA1   "0123456789abcdef0123456789abcdef01234567"
#define SHA256 SHA1 "89abcdef0123456789abcdef"
#define COMMIT "fedcba9876543210fedcba9876543210fedcba98"

static void names_like_the_hub_has_are_accepted(void **state)
{
    (void)state;
    static const char *const good[] = {"distilbert-base-uncased",
                                       "sentence-transformers/all-MiniLM-L6-v2",
                                       "a",
                                       "A.b/c_d",
                                       "_x/_y",
                                       "Foo-BAR_foo.bar123",
                                       "a/b@v1.0",
                                       "a/b@refs/pr/1",
                                       ("a@" COMMIT),
                                       "models/x",
                                       "a/b@feature-x+y"};
    struct hub_name name;
    struct err err;
    for (size_t i = 0; i < ARRAY_LEN(good); i++)
        assert_int_equal(hub_name_parse(str_of(good[i]), &name, &err), 0);
    assert_int_equal(hub_name_parse(str_of("a/b"), &name, &err), 0);
    assert_string_equal(name.revision, "main");
    assert_int_equal(hub_name_parse(str_of("a/b@v1"), &name, &err), 0);
    assert_string_equal(name.id, "a/b");
    assert_string_equal(name.revision, "v1");
}

static void names_that_are_none_are_refused(void **state)
{
    (void)state;
    static const char *const bad[] = {
        "",        "/",           "a/",      "/a",     "a/b/c",    "..",
        "a/..",    "../a",        "a..b",    "a--b",   "a/b--c",   "a.git",
        "a/b.git", ".a",          "a.",      "-a",     "a-",       "a b",
        "a\tb",    "caf\xc3\xa9", "a\\b",    "a:b",    "a?b",      "a#b",
        "a%2e",    "~/x",         "a/b@",    "a/b@..", "a/b@x/..", "a/b@/x",
        "a/b@x/",  "a/b@x//y",    "a/b@.x",  "a/b@x.", "a/b@a..b", "a/b@x y",
        "a/b@x@y", "a/b@x\\y",    "a/b@\x01"};
    struct hub_name name;
    struct err err;
    for (size_t i = 0; i < ARRAY_LEN(bad); i++) {
        err.msg[0] = 0;
        assert_int_equal(hub_name_parse(str_of(bad[i]), &name, &err),
                         -E_INVALID_REQUEST);
        assert_true(err.msg[0] != 0);
    }
    assert_true(hub_name_parse(str_n("a\0b", 3), &name, &err) < 0);
    assert_true(hub_name_parse(str_n("a@x\0", 4), &name, &err) < 0);
    assert_true(hub_name_parse(str_n("a@x/\0y", 6), &name, &err) < 0);
    char longest[98];
    memset(longest, 'a', 97);
    longest[97] = 0;
    assert_true(hub_name_parse(str_of(longest), &name, &err) < 0);
    longest[96] = 0;
    assert_int_equal(hub_name_parse(str_of(longest), &name, &err), 0);
}

static void folders_and_ids_map_both_ways(void **state)
{
    (void)state;
    char folder[HUB_FOLDER_MAX], id[HUB_ID_MAX];
    hub_folder_name("a/b-c", folder);
    assert_string_equal(folder, "models--a--b-c");
    assert_true(hub_folder_id(str_of(folder), id));
    assert_string_equal(id, "a/b-c");
    hub_folder_name("plain", folder);
    assert_true(hub_folder_id(str_of(folder), id));
    assert_string_equal(id, "plain");
    static const char *const bad[] = {"datasets--a--b", "models--",
                                      "models--a--",    "models--a--b--c",
                                      "models--..",     "blobs"};
    for (size_t i = 0; i < ARRAY_LEN(bad); i++)
        assert_false(hub_folder_id(str_of(bad[i]), id));
}

static const char *const hostile[] = {
    "",
    "/",
    "/etc/passwd",
    "//x",
    "..",
    ".",
    "../x",
    "a/../b",
    "a/..",
    "./a",
    "a/./b",
    "a//b",
    "a/",
    "/a",
    "..\\x",
    "a\\b",
    "\\\\host\\share",
    "C:\\x",
    "C:x",
    "a:b",
    "file::$DATA",
    "a\n",
    "a\tb",
    "\x01",
    "a\x7f",
    "a\x1b[2J",
    "a\r\nb",
    "caf\xe9",
    "\xff",
    "\xc0\xaf",
    "a/\xc0\xae\xc0\xae/b",
    "\xed\xa0\x80",
    "\xf4\x90\x80\x80",
    "a\xc2\x85"
    "b",
    "\xe2\x80\xae"
    "gpj",
    "\xe2\x80\x8b",
    "\xef\xbb\xbf"
    "a",
    "\xe2\x80\xa8",
    "a.",
    "a ",
    " a",
    "a./b",
    "a /b",
    " /b",
    "...",
    "a/...",
    ".git/config",
    ".GIT/config",
    "x/.git/y",
    ".Git",
    "1/2/3/4/5/6/7/8/9/10/11/12/13/14/15/16/17",
    "a/../../b",
    "../../../../../../etc/shadow",
    "snapshots/../../blobs",
    "a/..\\..\\b",
    "CON:",
    "a/b/../../../c",
    "..;/x:",
    "\xe2\x81\xa6x",
    "a\xe2\x80\x8f"};

static void hostile_file_names_are_refused(void **state)
{
    (void)state;
    struct err err;
    for (size_t i = 0; i < ARRAY_LEN(hostile); i++) {
        err.msg[0] = 0;
        assert_int_equal(hub_path_check(str_of(hostile[i]), &err),
                         -E_DAMAGED_FILE);
        assert_true(err.msg[0] != 0);
    }
    assert_true(hub_path_check(str_n("a\0b", 3), &err) < 0);
    assert_true(hub_path_check(str_n("\0", 1), &err) < 0);
    char big[600];
    memset(big, 'x', sizeof(big));
    assert_true(hub_path_check(str_n(big, 256), &err) < 0);
    assert_int_equal(hub_path_check(str_n(big, 255), &err), 0);
    for (size_t i = 100; i < sizeof(big); i += 100)
        big[i] = '/';
    assert_true(hub_path_check(str_n(big, 512), &err) < 0);
    assert_int_equal(hub_path_check(str_n(big, 511), &err), 0);
}

static void ordinary_file_names_are_accepted(void **state)
{
    (void)state;
    static const char *const good[] = {"config.json",
                                       "1_Pooling/config.json",
                                       ".gitattributes",
                                       "a b.txt",
                                       "model-00001-of-00002.safetensors",
                                       "x..y",
                                       "\xe6\xa8\xa1\xe5\x9e\x8b.bin",
                                       "caf\xc3\xa9",
                                       "1/2/3/4/5/6/7/8/9/10/11/12/13/14/15/16",
                                       "..a",
                                       "~"};
    struct err err;
    for (size_t i = 0; i < ARRAY_LEN(good); i++)
        assert_int_equal(hub_path_check(str_of(good[i]), &err), 0);
}

static int collide(const char *a, const char *b, const char *c)
{
    struct str names[] = {str_of(a), str_of(b), str_of(c)};
    return hub_paths_check(names, 3, NULL);
}

static void names_that_some_disks_confuse_are_refused(void **state)
{
    (void)state;
    assert_int_equal(collide("a", "b", "c/a"), 0);
    assert_int_equal(collide("a-", "a/b", "a.c"), 0);
    assert_true(collide("config.json", "x", "Config.JSON") < 0);
    assert_true(collide("a", "x", "a") < 0);
    assert_true(collide("dir/a", "x", "DIR/A") < 0);
    assert_true(collide("dir", "x", "dir/a") < 0);
    assert_true(collide("DIR", "dir-x", "dir/a") < 0);
    assert_true(collide("\xc3\x89", "x", "\xc3\xa9") < 0);
    assert_true(collide("\xd0\x96", "x", "\xd0\xb6") < 0);
    assert_int_equal(collide("ab", "a", "abc"), 0);
}

static void only_hashes_are_hashes(void **state)
{
    (void)state;
    struct hub_hash h;
    assert_true(hub_hash_parse(str_of(SHA1), &h));
    assert_int_equal(h.kind, HUB_SHA1_GIT);
    assert_true(hub_hash_parse(str_of(SHA256), &h));
    assert_int_equal(h.kind, HUB_SHA256);
    assert_string_equal(h.hex, SHA256);
    assert_true(hub_etag_parse(str_of("\"" SHA1 "\""), &h));
    assert_true(hub_etag_parse(str_of("W/\"" SHA256 "\""), &h));
    static const char *const bad[] = {
        "",
        "\"\"",
        "\"",
        SHA1,
        "\"../../x\"",
        "\"" SHA1 "0\"",
        "W/" SHA1,
        "\"0123456789ABCDEF0123456789abcdef01234567\"",
        "\"" SHA1 "-2\"",
        "\"" SHA1 "\" ",
        "\"../../../../etc/cron.d/0123456789abcdef01\""};
    for (size_t i = 0; i < ARRAY_LEN(bad); i++)
        assert_false(hub_etag_parse(str_of(bad[i]), &h));
    assert_false(hub_hash_parse(str_n(SHA1 "\0", 41), &h));
}

/* names: separated by spaces; what is taken, likewise. */
static void takes(const char *names, const char *want)
{
    struct hub_entry files[40] = {0};
    bool take[40];
    char list[1000], got[1000] = "";
    snprintf(list, sizeof(list), "%s", names);
    size_t n = 0;
    for (char *save, *p = strtok_r(list, " ", &save); p;
         p = strtok_r(NULL, " ", &save), n++)
        files[n] = (struct hub_entry){str_of(p), 10 + n, {0}};
    struct err err;
    int r = hub_select(files, n, take, &err);
    for (size_t i = 0, at = 0; i < n && r >= 0; i++)
        if (take[i])
            at += (size_t)snprintf(got + at, sizeof(got) - at, "%s%.*s",
                                   at ? " " : "", STR_FMT(files[i].name));
    assert_string_equal(r < 0 ? err_name(r) : got, want);
}

static void a_pull_takes_what_a_load_needs_and_no_more(void **state)
{
    (void)state;
    takes("config.json model.safetensors pytorch_model.bin onnx/model.onnx "
          "README.md .gitattributes tokenizer.json 1_Pooling/config.json "
          "openvino/config.json train.py data_config.json modules.json",
          "config.json model.safetensors README.md tokenizer.json "
          "1_Pooling/config.json modules.json");
    takes("config.json model-00001-of-00002.safetensors "
          "model-00002-of-00002.safetensors model.safetensors.index.json "
          "consolidated.safetensors original/config.json",
          "config.json model-00001-of-00002.safetensors "
          "model-00002-of-00002.safetensors model.safetensors.index.json");
    takes("config.json model.safetensors model.fp16.safetensors "
          "2_Dense/model.safetensors 2_Dense/pytorch_model.bin "
          "2_Dense/config.json sub/model.safetensors",
          "config.json model.safetensors 2_Dense/model.safetensors "
          "2_Dense/config.json");
    takes("vocab.txt vocab.json merges.txt spiece.model x.spm "
          "chat_template.jinja preprocessor_config.json added_tokens.json "
          "sentence_bert_config.json config_sentence_transformers.json "
          "special_tokens_map.json tokenizer_config.json "
          "generation_config.json weights.safetensors",
          "vocab.txt vocab.json merges.txt spiece.model x.spm "
          "chat_template.jinja preprocessor_config.json added_tokens.json "
          "sentence_bert_config.json config_sentence_transformers.json "
          "special_tokens_map.json tokenizer_config.json "
          "generation_config.json weights.safetensors");
    takes("processor_config.json video_preprocessor_config.json "
          "chat_template.json source.spm target.spm vocab-src.json "
          "vocab-tgt.json target_vocab.json normalizer.json bpe.codes "
          "dict.txt entity_vocab.json sentencepiece.bpe.model "
          "tokenizer.model emoji.json model.safetensors vocab.py",
          "processor_config.json video_preprocessor_config.json "
          "chat_template.json source.spm target.spm vocab-src.json "
          "vocab-tgt.json target_vocab.json normalizer.json bpe.codes "
          "dict.txt entity_vocab.json sentencepiece.bpe.model "
          "tokenizer.model emoji.json model.safetensors");
    takes("m-Q8_0.gguf m-Q4_K_M.gguf m-F16.gguf mmproj-Q4_K_M.gguf README.md",
          "m-Q4_K_M.gguf README.md");
    takes("q4_k_m-00002-of-00002.gguf q4_k_m-00001-of-00002.gguf x-q8_0.gguf",
          "q4_k_m-00002-of-00002.gguf q4_k_m-00001-of-00002.gguf");
    takes("config.json pytorch_model.bin", "unsupported_architecture");
    takes("README.md", "unsupported_architecture");
}

static void a_missing_shard_is_noticed(void **state)
{
    (void)state;
    struct hub_entry files[] = {
        {str_of("config.json"), 0, {0}},
        {str_of("model-00001-of-00003.safetensors"), 0, {0}},
        {str_of("model-00003-of-00003.safetensors"), 0, {0}},
        {str_of("model-00002-of-00003.safetensors"), 0, {0}}};
    struct err err;
    assert_int_equal(hub_complete(files, 4, &err), 0);
    assert_int_equal(hub_complete(files, 3, &err), -E_DAMAGED_FILE);
    assert_non_null(strstr(err.msg, "model-00002-of-00003.safetensors"));
    assert_int_equal(hub_complete(files + 1, 3, &err), -E_DAMAGED_FILE);
}

static char *no_env(const char *name)
{
    (void)name;
    return NULL;
}
static char *some_env(const char *name)
{
    return !strcmp(name, "HOME")             ? (char *)"/home/u"
           : !strcmp(name, "XDG_CACHE_HOME") ? (char *)"$HOME/xdg"
                                             : NULL;
}
static char *more_env(const char *name)
{
    return !strcmp(name, "HF_HUB_CACHE") ? (char *)"~/c/${USER_}x$HOME"
                                         : some_env(name);
}

static void the_cache_is_where_the_environment_says(void **state)
{
    (void)state;
    char dir[FS_PATH_MAX];
    struct err err;
    assert_true(cache_dir(no_env, dir, &err) < 0);
    assert_int_equal(cache_dir(some_env, dir, &err), 0);
    assert_string_equal(dir, "/home/u/xdg/huggingface/hub");
    assert_int_equal(cache_dir(more_env, dir, &err), 0);
    assert_string_equal(dir, "/home/u/c/${USER_}x/home/u");
}

static void put(const char *dir, const char *name, const char *text)
{
    char path[FS_PATH_MAX], *slash;
    struct err err;
    assert_int_equal(fs_join(path, dir, name), 0);
    slash = strrchr(path, '/');
    *slash = 0;
    assert_int_equal(fs_mkdir_p(path, 0700, &err), 0);
    *slash = '/';
    assert_int_equal(fs_write_atomic(path, str_of(text), 0600, &err), 0);
}

static void link_to(const char *dir, const char *name, const char *target)
{
    char path[FS_PATH_MAX];
    put(dir, name, "x");
    assert_int_equal(fs_join(path, dir, name), 0);
    unlink(path);
    assert_int_equal(symlink(target, path), 0);
}

#define SNAP "models--a--b/snapshots/" COMMIT "/"

/* A cache with one model whose config.json is a link, its weights a file. */
static char *make_cache(void)
{
    char *dir = mem_strdup("/tmp/test_hub.XXXXXX");
    assert_non_null(mkdtemp(dir));
    put(dir, "models--a--b/blobs/" SHA1, "{}");
    link_to(dir, SNAP "config.json", "../../blobs/" SHA1);
    put(dir, SNAP "model.safetensors", "weights");
    put(dir, "models--a--b/refs/main", COMMIT);
    put(dir, "models--a--b/refs/pr/1", COMMIT "\n");
    return dir;
}

static void drop_cache(char *dir)
{
    char command[200];
    snprintf(command, sizeof(command), "rm -rf %s", dir);
    assert_int_equal(system(command), 0);
    free(dir);
}

static void a_snapshot_is_resolved_and_opened(void **state)
{
    (void)state;
    char *dir = make_cache(), commit[HUB_COMMIT_MAX], c;
    struct hub_name name;
    struct err err;
    static const char *const words[] = {"a/b", "a/b@pr/1", ("a/b@" COMMIT)};
    for (size_t i = 0; i < ARRAY_LEN(words); i++) {
        assert_int_equal(hub_name_parse(str_of(words[i]), &name, &err), 0);
        assert_int_equal(cache_resolve(dir, &name, commit, &err), 0);
        assert_string_equal(commit, COMMIT);
    }
    struct cache_files files;
    assert_int_equal(cache_open(dir, "a/b", commit, &files, &err), 0);
    assert_int_equal(files.n, 2);
    assert_string_equal(files.v[0].name, "config.json");
    assert_string_equal(files.v[0].hash.hex, SHA1);
    assert_int_equal(files.v[1].hash.kind, HUB_HASH_NONE);
    assert_int_equal(files.v[1].size, 7);
    assert_int_equal(pread(files.v[1].fd, &c, 1, 0), 1);
    assert_int_equal(write(files.v[1].fd, "x", 1), -1);
    cache_files_fini(&files);
    assert_int_equal(hub_name_parse(str_of("a/b@v9"), &name, &err), 0);
    assert_int_equal(cache_resolve(dir, &name, commit, &err),
                     -E_MODEL_NOT_FOUND);
    drop_cache(dir);
}

static void a_snapshot_has_a_folder(void **state)
{
    char out[FS_PATH_MAX], root[FS_PATH_MAX];
    struct err err;
    (void)state;
    assert_int_equal(cache_folder("/c", "org/m",
                                  "0123456789abcdef0123456789abcdef01234567",
                                  out, root, &err),
                     0);
    assert_string_equal(root, "/c/models--org--m");
    assert_string_equal(out, "/c/models--org--m/snapshots/"
                             "0123456789abcdef0123456789abcdef01234567");
    assert_int_equal(cache_folder("/c", "org/m", "../../x", out, root, &err),
                     -E_MODEL_NOT_FOUND);
}

static void refused_open(const char *dir, int code)
{
    struct cache_files files;
    struct err err;
    assert_int_equal(cache_open(dir, "a/b", COMMIT, &files, &err), code);
    assert_true(err.msg[0] != 0);
}

static void links_that_lead_out_are_refused(void **state)
{
    (void)state;
    char *dir = make_cache();
    static const char *const targets[] = {
        "/etc/passwd",      "../../../../etc/passwd",
        "../../blobs/none", ("../../../models--a--b/blobs/" SHA1),
        "config.json",      "../../blobs",
        "/proc/self/exe"};
    for (size_t i = 0; i < ARRAY_LEN(targets); i++) {
        link_to(dir, SNAP "config.json", targets[i]);
        refused_open(dir, -E_DAMAGED_FILE);
    }
    drop_cache(dir);
}

static void a_blob_shared_between_models_is_followed(void **state)
{
    (void)state;
    char *dir = make_cache();
    struct cache_files files;
    struct err err;
    put(dir, "blobs/01/" SHA256, "{ }");
    link_to(dir, "models--a--b/blobs/" SHA1, "../../blobs/01/" SHA256);
    assert_int_equal(cache_open(dir, "a/b", COMMIT, &files, &err), 0);
    assert_int_equal(files.v[0].size, 3);
    cache_files_fini(&files);
    link_to(dir, "models--a--b/blobs/" SHA1, "../../blobs/02/" SHA256);
    refused_open(dir, -E_DAMAGED_FILE);
    link_to(dir, "models--a--b/blobs/" SHA1, "../../refs/01/" SHA256);
    refused_open(dir, -E_DAMAGED_FILE);
    drop_cache(dir);
}

struct scan {
    int n;
    struct cache_found last;
};

static int count(void *ctx, const struct cache_found *found)
{
    struct scan *s = ctx;
    s->n++;
    s->last = *found;
    return 0;
}

static void the_cache_is_scanned(void **state)
{
    (void)state;
    char *dir = make_cache();
    struct scan s = {0};
    struct err err;
    put(dir, "models--bad--a--b/snapshots/" COMMIT "/x", "");
    put(dir, "datasets--a--b/snapshots/" COMMIT "/x", "");
    put(dir, "models--a--b/snapshots/nocommit/x", "");
    assert_int_equal(cache_scan(dir, count, &s, &err), 0);
    assert_int_equal(s.n, 1);
    assert_string_equal(s.last.id, "a/b");
    assert_string_equal(s.last.revision, "main");
    assert_int_equal(cache_scan("/nowhere", count, &s, &err), 0);
    drop_cache(dir);
}

static void a_plain_folder_is_opened(void **state)
{
    (void)state;
    char *dir = make_cache(), path[FS_PATH_MAX];
    struct cache_files files;
    struct err err;
    put(dir, "m/config.json", "{}");
    put(dir, "m/model.safetensors", "w");
    assert_int_equal(fs_join(path, dir, "m"), 0);
    assert_int_equal(cache_open_folder(path, &files, &err), 0);
    assert_int_equal(files.n, 2);
    cache_files_fini(&files);
    link_to(dir, "m/config.json", "/etc/passwd");
    assert_int_equal(cache_open_folder(path, &files, &err), -E_DAMAGED_FILE);
    drop_cache(dir);
}

#define LFS                                                              \
    "{\"rfilename\":\"model.safetensors\",\"size\":9,\"blobId\":\"" SHA1 \
    "\",\"lfs\":{\"sha256\":\"" SHA256 "\",\"size\":9}}"
#define INFO(files)                                            \
    "{\"sha\":\"" COMMIT "\",\"gated\":\"auto\",\"cardData\":" \
    "{\"license\":\"mit\"},\"siblings\":[" files "]}"
#define PLAIN(name) \
    "{\"rfilename\":\"" name "\",\"size\":2,\"blobId\":\"" SHA1 "\"}"

static int read_info(const char *json, struct hub_info *info)
{
    struct arena a = ARENA_MAX(1 << 20);
    struct err err = {0};
    int r = hub_info_read(str_of(json), &a, info, &err);
    assert_true(r == 0 || err.msg[0]);
    arena_fini(&a);
    return r;
}

static void model_info_is_read(void **state)
{
    (void)state;
    struct hub_info info;
    assert_int_equal(read_info(INFO(LFS "," PLAIN("config.json")), &info), 0);
    assert_int_equal(info.n_files, 2);
    assert_string_equal(info.commit, COMMIT);
    assert_true(info.gated);
    static const char *const bad[] = {
        "",
        "[]",
        "{}",
        "{\"sha\":\"main\",\"siblings\":[]}",
        "{\"sha\":\"" COMMIT "\"}",
        INFO("{}"),
        INFO("{\"rfilename\":\"a\"}"),
        INFO("{\"rfilename\":\"a\",\"size\":-1,\"blobId\":\"" SHA1 "\"}"),
        INFO("{\"rfilename\":\"a\",\"size\":1e30,\"blobId\":\"" SHA1 "\"}"),
        INFO("{\"rfilename\":\"a\",\"size\":1,\"blobId\":\"../../x\"}"),
        INFO("{\"rfilename\":\"a\",\"size\":1,\"blobId\":\"" SHA256 "\"}"),
        INFO(PLAIN("../x")),
        INFO(PLAIN("/x")),
        INFO(PLAIN("a\\u0000b")),
        INFO(PLAIN("a\\\\b")),
        INFO(PLAIN("a") "," PLAIN("A")),
        INFO(PLAIN("a") "," PLAIN("a/b")),
        INFO(LFS) "x",
        INFO("1")};
    for (size_t i = 0; i < ARRAY_LEN(bad); i++)
        assert_true(read_info(bad[i], &info) < 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(names_like_the_hub_has_are_accepted),
        cmocka_unit_test(names_that_are_none_are_refused),
        cmocka_unit_test(folders_and_ids_map_both_ways),
        cmocka_unit_test(hostile_file_names_are_refused),
        cmocka_unit_test(ordinary_file_names_are_accepted),
        cmocka_unit_test(names_that_some_disks_confuse_are_refused),
        cmocka_unit_test(only_hashes_are_hashes),
        cmocka_unit_test(a_pull_takes_what_a_load_needs_and_no_more),
        cmocka_unit_test(a_missing_shard_is_noticed),
        cmocka_unit_test(the_cache_is_where_the_environment_says),
        cmocka_unit_test(a_snapshot_is_resolved_and_opened),
        cmocka_unit_test(a_snapshot_has_a_folder),
        cmocka_unit_test(links_that_lead_out_are_refused),
        cmocka_unit_test(a_blob_shared_between_models_is_followed),
        cmocka_unit_test(the_cache_is_scanned),
        cmocka_unit_test(a_plain_folder_is_opened),
        cmocka_unit_test(model_info_is_read),
    };
    return cmocka_run_group_tests_name("hub", tests, NULL, NULL);
}
