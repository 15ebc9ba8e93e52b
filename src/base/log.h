/* base/log.h - one JSON object a line on standard error.
 *
 * {"time":"...","level":"info","msg":"manager: worker 3 ready in 812 ms"}.
 * The message begins with its module. Any thread. Only daemon/, api/, manager/,
 * worker/, fetch/ and cli/ log; everything below returns an error instead.
 */
#ifndef BASE_LOG_H
#define BASE_LOG_H
#include "base/attr.h"
#include "base/str.h"

enum log_level { LOG_ERROR, LOG_WARN, LOG_INFO, LOG_DEBUG };

void log_set_level(enum log_level level);
/* "error", "warn", "info", "debug" to a level; -1 for anything else. */
int log_level_parse(struct str name);
void log_line(enum log_level level, const char *fmt, ...) PRINTF(2, 3);

#define log_error(...) log_line(LOG_ERROR, __VA_ARGS__)
#define log_warn(...)  log_line(LOG_WARN, __VA_ARGS__)
#define log_info(...)  log_line(LOG_INFO, __VA_ARGS__)
#define log_debug(...) log_line(LOG_DEBUG, __VA_ARGS__)

#endif
