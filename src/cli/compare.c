/* cli/compare.c - two answers to one question, number by number. */
#include "cli/compare.h"
#include "cli/members.h"
#include <math.h>

enum { NEST_MOST = 8 };

/* Of one answer's numbers. */
struct dots {
    double ab, aa, bb;
};

void compare_init(struct comparison_sums *s)
{
    *s = (struct comparison_sums){.cosine = 2};
}

static bool same_ids(struct json a, struct json b)
{
    struct json_iter i = json_iter(a), k = json_iter(b);
    int64_t x, y;
    if (json_count(a) != json_count(b))
        return false;
    while (json_next(&i) && json_next(&k))
        if (!json_to_int(i.value, 0, INT64_MAX, &x) ||
            !json_to_int(k.value, 0, INT64_MAX, &y) || x != y)
            return false;
    return true;
}

void compare_ids(struct comparison_sums *s, struct json a, struct json b)
{
    s->ids++;
    s->ids_alike += same_ids(a, b);
}

static void add_numbers(struct comparison_sums *s, struct dots *d, double x,
                        double y)
{
    s->numbers++;
    s->largest = fmax(s->largest, fabs(x - y));
    d->ab += x * y;
    d->aa += x * x;
    d->bb += y * y;
}

static bool is_ranked(struct json list)
{
    struct json_iter it = json_iter(list);
    return json_type(list) == JSON_ARRAY && json_next(&it) &&
           json_type(json_get(it.value, "score")) != JSON_NONE;
}

/* What an element of a ranked list stands for, without its score. */
static bool same_element(struct json a, struct json b)
{
    static const char *const keys[] = {"label", "token_str", "answer", "word"};
    for (size_t i = 0; i < ARRAY_LEN(keys); i++)
        if (!str_eq(field_str(a, keys[i]), field_str(b, keys[i])))
            return false;
    return true;
}

/* The scores are compared by their places: two that are as good as equal may
 * change theirs, and what does not belong there has another score. */
static void add_ranked(struct comparison_sums *s, struct json a, struct json b)
{
    struct json_iter i = json_iter(a), k = json_iter(b);
    struct dots ignored = {0};
    double x, y;
    for (size_t at = 0; json_next(&i) && json_next(&k); at++) {
        bool same = same_element(i.value, k.value);
        s->tops += at == 0;
        s->top_alike += at == 0 && same;
        if (json_to_double(json_get(i.value, "score"), &x) &&
            json_to_double(json_get(k.value, "score"), &y))
            add_numbers(s, &ignored, x, y);
        else
            s->other_shape = true;
    }
}

static void walk(struct comparison_sums *s, struct dots *d, struct json a,
                 struct json b, int depth)
{
    double x, y;
    if (json_type(a) != JSON_ARRAY) {
        if (json_to_double(a, &x) && json_to_double(b, &y))
            add_numbers(s, d, x, y);
        else
            s->other_shape = true;
        return;
    }
    if (json_count(a) != json_count(b) || depth == NEST_MOST) {
        s->other_shape = true;
        return;
    }
    if (is_ranked(a)) {
        add_ranked(s, a, b);
        return;
    }
    struct json_iter i = json_iter(a), k = json_iter(b);
    while (json_next(&i) && json_next(&k))
        walk(s, d, i.value, k.value, depth + 1);
}

void compare_answers(struct comparison_sums *s, struct json a, struct json b)
{
    struct dots d = {0};
    s->answers++;
    walk(s, &d, a, b, 0);
    if (d.aa > 0 && d.bb > 0)
        s->cosine = fmin(s->cosine, d.ab / sqrt(d.aa * d.bb));
}
