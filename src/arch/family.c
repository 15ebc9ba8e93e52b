/* arch/family.c - the table of the families. */
#include "arch/family.h"
#include <stdio.h>

#define FAMILY(name) extern const struct family family_##name;
#include "arch/families.def"
#undef FAMILY

static const struct family *const families[] = {
#define FAMILY(name) &family_##name,
#include "arch/families.def"
#undef FAMILY
};

const struct family *family_find(const char *model_type)
{
    for (size_t i = 0; i < ARRAY_LEN(families); i++)
        for (const char *const *m = families[i]->model_types; *m; m++)
            if (!strcmp(*m, model_type))
                return families[i];
    return NULL;
}

char *family_list(char *buf, size_t size)
{
    buf[0] = 0;
    for (size_t i = 0; i < ARRAY_LEN(families); i++) {
        size_t at = strlen(buf);
        snprintf(buf + at, size - at, "%s%s", i ? ", " : "",
                 families[i]->model_types[0]);
    }
    return buf;
}
