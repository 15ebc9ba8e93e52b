/* cli/vectors.c - embeddings on paper. */
#include "cli/vectors.h"
#include "base/jsonw.h"
#include <math.h>

enum { BRIEF_NUMBERS = 6 };

static double number(struct json v)
{
    double d = NAN;
    json_to_double(v, &d);
    return d;
}

void vector_json(struct buf *out, struct json vector)
{
    struct jsonw w = jsonw_to(out);
    jsonw_array(&w);
    for (struct json_iter it = json_iter(vector); json_next(&it);)
        jsonw_float(&w, (float)number(it.value));
    jsonw_end_array(&w);
}

void vector_brief(struct buf *out, struct json vector)
{
    size_t shown = 0, n = json_count(vector);
    for (struct json_iter it = json_iter(vector);
         shown < BRIEF_NUMBERS && json_next(&it); shown++)
        buf_addf(out, "%s%.6f", shown ? " " : "", number(it.value));
    if (shown < n)
        buf_puts(out, " ...");
}

double vector_norm(struct json vector)
{
    double sum = 0;
    for (struct json_iter it = json_iter(vector); json_next(&it);)
        sum += number(it.value) * number(it.value);
    return sqrt(sum);
}
