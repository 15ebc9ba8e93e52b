/* base/err.h - what went wrong, as a code and one sentence.
 *
 * Functions return 0 or a count on success and a negative code on failure:
 * -errno, or one of the codes below where errno has no word. The layer that
 * found the problem writes the sentence with err_set(); the others pass it up.
 * The sentence is for the user: what happened, and what to do about it. It
 * never holds a descriptor number, an address, or text that breaks a line.
 */
#ifndef BASE_ERR_H
#define BASE_ERR_H
#include "base/attr.h"
#include <stddef.h>

/* ERR(code, name in every protocol, HTTP status). The one table of error
 * codes: api/ maps it to each protocol's shape, frames carry the name. */
/* clang-format off */
#define ERR_TABLE(ERR)                                              \
    ERR(INVALID_REQUEST,          "invalid_request",          400)  \
    ERR(UNAUTHORIZED,             "unauthorized",             401)  \
    ERR(FORBIDDEN,                "forbidden",                403)  \
    ERR(MODEL_NOT_FOUND,          "model_not_found",          404)  \
    ERR(NOT_FOUND,                "not_found",                404)  \
    ERR(METHOD_NOT_ALLOWED,       "method_not_allowed",       405)  \
    ERR(TIMEOUT,                  "timeout",                  408)  \
    ERR(CONFLICT,                 "conflict",                 409)  \
    ERR(TOO_LARGE,                "too_large",                413)  \
    ERR(UNSUPPORTED_TYPE,         "unsupported_type",         415)  \
    ERR(MISDIRECTED,              "misdirected",              421)  \
    ERR(INPUT_TOO_LONG,           "input_too_long",           400)  \
    ERR(UNSUPPORTED_ARCHITECTURE, "unsupported_architecture", 422)  \
    ERR(UNSUPPORTED_OPTION,       "unsupported_option",       422)  \
    ERR(UNSUPPORTED_TASK,         "unsupported_task",         422)  \
    ERR(DAMAGED_FILE,             "damaged_file",             422)  \
    ERR(WRONG_HASH,               "wrong_hash",               422)  \
    ERR(GATED,                    "gated",                    422)  \
    ERR(QUEUE_FULL,               "queue_full",               429)  \
    ERR(HEADER_TOO_LARGE,         "header_too_large",         431)  \
    ERR(CANCELLED,                "cancelled",                499)  \
    ERR(INTERNAL,                 "internal",                 500)  \
    ERR(WORKER_CRASHED,           "worker_crashed",           500)  \
    ERR(HUB_UNREACHABLE,          "hub_unreachable",          502)  \
    ERR(LOADING,                  "loading",                  503)  \
    ERR(DRAINING,                 "draining",                 503)  \
    ERR(BACK_OFF,                 "back_off",                 503)  \
    ERR(CRASH_LOOP,               "crash_loop",               503)  \
    ERR(DEADLINE,                 "deadline",                 504)  \
    ERR(INSUFFICIENT_MEMORY,      "insufficient_memory",      507)  \
    ERR(DISK_FULL,                "disk_full",                507)
/* clang-format on */

enum err_code {
    E_FIRST = 4096, /* above every errno */
#define ERR_ENUM(code, name, http) E_##code,
    ERR_TABLE(ERR_ENUM)
#undef ERR_ENUM
        E_END
};

#ifdef __cplusplus
extern "C" {
#endif

struct err {
    int code; /* positive: an errno or an enum err_code; 0 = none */
    char msg[500];
};

/* Writes the sentence (control characters become '?') and returns -code. err
 * may be NULL. */
int err_set(struct err *err, int code, const char *fmt, ...) PRINTF(3, 4);

/* Puts "prefix: " before the sentence already there; returns -err->code. */
int err_prefix(struct err *err, const char *fmt, ...) PRINTF(2, 3);

/* Code, positive or negative, to its name ("internal" for an errno that no
 * caller mapped) and to its HTTP status. */
const char *err_name(int code);
int err_http_status(int code);

/* Name to code; E_INTERNAL for an unknown name. n bytes, not terminated. */
int err_from_name(const char *name, size_t n);

#ifdef __cplusplus
}
#endif

#endif
