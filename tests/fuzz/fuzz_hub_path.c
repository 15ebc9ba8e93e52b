/* fuzz/fuzz_hub_path.c - names of files, models and revisions, and hashes. What
 * is accepted must be harmless by a second, plainer judgement. */
#include "fuzz.h"
#include "hub/hub_name.h"
#include "hub/hub_path.h"
#include <assert.h>

static void harmless(struct str s)
{
    assert(s.n > 0 && s.p[0] != '/' && s.p[s.n - 1] != '/');
    assert(!memchr(s.p, 0, s.n) && !memchr(s.p, '\\', s.n));
    assert(!memmem(s.p, s.n, "//", 2) && !memmem(s.p, s.n, "/../", 4));
    assert(!str_is(s, "..") && !str_starts(s, "../") && !str_ends(s, "/.."));
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n)
{
    struct str s = str_n(data, n);
    struct hub_name name;
    struct hub_hash hash;
    char revision[HUB_REVISION_MAX], folder[HUB_FOLDER_MAX], id[HUB_ID_MAX];
    if (hub_path_check(s, NULL) == 0)
        harmless(s);
    if (hub_revision_parse(s, revision, NULL) == 0)
        harmless(str_of(revision));
    if (hub_name_parse(s, &name, NULL) == 0) {
        hub_folder_name(name.id, folder);
        assert(!strchr(folder, '/') && hub_folder_id(str_of(folder), id));
        assert(!strcmp(id, name.id));
    }
    if (hub_etag_parse(s, &hash))
        assert(strspn(hash.hex, "0123456789abcdef") == strlen(hash.hex));
    size_t half = n / 2;
    struct str both[2] = {str_n(data, half), str_n(data + half, n - half)};
    if (hub_path_check(both[0], NULL) == 0 &&
        hub_path_check(both[1], NULL) == 0)
        assert(hub_paths_check(both, 2, NULL) <= 0);
    return 0;
}
