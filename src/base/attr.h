/* base/attr.h - compiler attributes under names that say what they are for. */
#ifndef BASE_ATTR_H
#define BASE_ATTR_H

#define MUST_CHECK __attribute__((warn_unused_result))
#define PRINTF(fmt_arg, first_arg) \
    __attribute__((format(printf, fmt_arg, first_arg)))
#define ARRAY_LEN(a) (sizeof(a) / sizeof((a)[0]))

#endif
