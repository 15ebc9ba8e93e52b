/* cli/compare.h - two answers to one question, number by number.
 *
 * What is compared: vectors (arrays of numbers, nested as they may be), ids
 * (arrays of whole numbers), and ranked lists of {score, label | token | ...}.
 */
#ifndef CLI_COMPARE_H
#define CLI_COMPARE_H
#include "base/json.h"

struct comparison_sums {
    size_t answers; /* compared */
    size_t numbers;
    double largest;   /* difference between two numbers that belong together */
    double cosine;    /* the least over the answers that are vectors; 2: none */
    size_t ids_alike; /* texts whose ids are the same */
    size_t ids;       /* texts whose ids were compared */
    size_t top_alike; /* lists whose first element is the same */
    size_t tops;      /* lists compared */
    bool other_shape; /* two answers were not of one shape */
};

void compare_init(struct comparison_sums *s);
void compare_ids(struct comparison_sums *s, struct json a, struct json b);
void compare_answers(struct comparison_sums *s, struct json a, struct json b);

#endif
