/* fetch/digest.c - OpenSSL's hashes, fetched once per use as OpenSSL 3 wants.
 */
#include "fetch/digest.h"
#include "base/mem.h"
#include <assert.h>
#include <errno.h>
#include <openssl/evp.h>
#include <stdio.h>
#include <unistd.h>

enum { PIECE = 1 << 20 };

struct digest {
    EVP_MD *md;
    EVP_MD_CTX *ctx;
    enum hub_hash_kind kind;
    uint64_t size;
};

struct digest *digest_new(enum hub_hash_kind kind, uint64_t size)
{
    assert(kind != HUB_HASH_NONE);
    struct digest *d = mem_new(struct digest);
    d->md = EVP_MD_fetch(NULL, kind == HUB_SHA256 ? "SHA256" : "SHA1", NULL);
    d->ctx = EVP_MD_CTX_new();
    d->kind = kind;
    d->size = size;
    assert(d->md && d->ctx);
    digest_restart(d);
    return d;
}

void digest_free(struct digest *d)
{
    if (!d)
        return;
    EVP_MD_CTX_free(d->ctx);
    EVP_MD_free(d->md);
    free(d);
}

void digest_restart(struct digest *d)
{
    int ok = EVP_DigestInit_ex2(d->ctx, d->md, NULL);
    assert(ok);
    if (d->kind != HUB_SHA1_GIT)
        return;
    char head[40];
    int n =
        snprintf(head, sizeof(head), "blob %llu", (unsigned long long)d->size);
    digest_add(d, head, (size_t)n + 1); /* with its NUL */
}

void digest_add(struct digest *d, const void *p, size_t n)
{
    int ok = EVP_DigestUpdate(d->ctx, p, n);
    assert(ok);
}

struct hub_hash digest_end(struct digest *d)
{
    unsigned char raw[EVP_MAX_MD_SIZE];
    unsigned n = 0;
    int ok = EVP_DigestFinal_ex(d->ctx, raw, &n);
    assert(ok && n == (d->kind == HUB_SHA256 ? 32 : 20));
    struct hub_hash h = {.kind = d->kind};
    for (unsigned i = 0; i < n; i++)
        snprintf(h.hex + 2 * i, 3, "%02x", raw[i]);
    return h;
}

int digest_file(struct digest *d, int fd, uint64_t n, struct session *s,
                uint64_t *moved, struct err *err)
{
    char *piece = mem_try(PIECE, 1);
    int r = piece ? 0 : err_set(err, ENOMEM, "out of memory");
    for (uint64_t at = 0; at < n && r == 0;) {
        size_t want = n - at < PIECE ? (size_t)(n - at) : PIECE;
        ssize_t got = pread(fd, piece, want, (off_t)at);
        if (got < 0 && errno == EINTR)
            continue;
        if (got <= 0)
            r = err_set(err, got ? errno : E_DAMAGED_FILE,
                        "cannot read a file of the cache: %s",
                        got ? strerror(errno) : "it became shorter");
        if (r < 0)
            break;
        digest_add(d, piece, (size_t)got);
        at += (uint64_t)got;
        if (moved)
            *moved += (uint64_t)got;
        r = session_tick(s, err);
    }
    free(piece);
    return r;
}
