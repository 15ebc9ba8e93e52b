/* base/clock.h - the two clocks. Deadlines use the monotonic one, always. */
#ifndef BASE_CLOCK_H
#define BASE_CLOCK_H
#include <stdint.h>

enum { CLOCK_TEXT = 32 };

uint64_t clock_now_ns(void);  /* CLOCK_MONOTONIC */
uint64_t clock_wall_ms(void); /* CLOCK_REALTIME, since 1970 */
/* "2026-01-31T12:00:00.123Z" into buf[CLOCK_TEXT]; returns buf. */
char *clock_text(uint64_t wall_ms, char *buf);

#endif
