/* tests/fuzz/fuzz_multipart.c - any bytes as a form: the first line is its
 * Content-Type, the rest its body. */
#include "api/multipart.h"
#include <stdint.h>
#include <stdlib.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void check(const struct multipart *m, struct str body)
{
    if (m->n > MULTIPART_PARTS_MAX)
        abort();
    for (size_t i = 0; i < m->n; i++) {
        const struct multipart_part *p = &m->parts[i];
        if (p->data.p < body.p || p->data.n > body.n ||
            p->data.p + p->data.n > body.p + body.n || p->name.n == 0 ||
            p->name.n > MULTIPART_NAME_MAX)
            abort();
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct multipart m;
    struct err err;
    struct str all = str_n(data, size);
    const char *end = size ? memchr(all.p, '\n', size) : NULL;
    size_t n = end ? (size_t)(end - all.p) : size;
    struct str body =
        str_n(all.p + n + (end != NULL), size - n - (end != NULL));
    if (multipart_read(&m, str_n(all.p, n), body, &err) == 0)
        check(&m, body);
    return 0;
}
