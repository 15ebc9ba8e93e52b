/* tests/fuzz/fuzz_safetensors.c - any bytes as model.safetensors. */
#include "model/safetensors.h"
#include <stdlib.h>
#include <sys/mman.h>
#include <unistd.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* Whatever was accepted lies inside the file, and reads. */
static void read_all(const struct tensors *t, size_t size)
{
    float out[16], scratch[16];
    for (size_t i = 0; i < t->n; i++) {
        const struct tensor *a = &t->all[i];
        struct err err;
        if (a->offset > size || a->bytes > size - a->offset ||
            tensors_find(t, a->name) != a)
            abort();
        size_t n = a->elements < 16 ? (size_t)a->elements : 16;
        if (dtype_is_weight(a->dtype) &&
            tensor_read(a, a->elements - n, n, out, scratch, &err) < 0)
            abort();
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct snapshot s = {0};
    struct tensors t;
    struct err err;
    int fd = memfd_create("fuzz", MFD_CLOEXEC);
    if (fd < 0 || write(fd, data, size) != (ssize_t)size ||
        snapshot_add(&s, str_of("model.safetensors"), fd, size, &err) < 0)
        abort();
    if (tensors_open(&t, &s, "", &err) == 0) {
        read_all(&t, size);
        tensors_fini(&t);
    }
    snapshot_fini(&s);
    return 0;
}
