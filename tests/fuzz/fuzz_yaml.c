/* fuzz/fuzz_yaml.c - any bytes as a configuration. */
#include "base/json.h"
#include "daemon/settings.h"
#include "daemon/yaml_json.h"
#include "fuzz.h"
#include <stdlib.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct err err;
    struct yaml_json y;
    struct settings s;
    if (yaml_to_json(str_n(data, size), &y, &err) == 0) {
        struct json_doc *doc =
            json_parse(buf_str(&y.json), y.json.len, YAML_DEPTH + 1, &err);
        if (!doc) /* what it writes is JSON */
            abort();
        json_free(doc);
        yaml_json_fini(&y);
    }
    settings_init(&s);
    if (settings_read(&s, "f", str_n(data, size), &err) < 0 && !err.msg[0])
        abort();
    settings_fini(&s);
    return 0;
}
