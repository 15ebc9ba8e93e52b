/* base/clock.c - the two clocks. */
#include "base/clock.h"
#include <stdio.h>
#include <time.h>

static struct timespec now(clockid_t id)
{
    struct timespec t = {0};
    clock_gettime(id, &t);
    return t;
}

uint64_t clock_now_ns(void)
{
    struct timespec t = now(CLOCK_MONOTONIC);
    return (uint64_t)t.tv_sec * 1000000000u + (uint64_t)t.tv_nsec;
}

uint64_t clock_wall_ms(void)
{
    struct timespec t = now(CLOCK_REALTIME);
    return (uint64_t)t.tv_sec * 1000u + (uint64_t)t.tv_nsec / 1000000u;
}

char *clock_text(uint64_t wall_ms, char *buf)
{
    time_t s = (time_t)(wall_ms / 1000);
    struct tm tm;
    char day[24];
    gmtime_r(&s, &tm);
    strftime(day, sizeof(day), "%Y-%m-%dT%H:%M:%S", &tm);
    snprintf(buf, CLOCK_TEXT, "%s.%03uZ", day, (unsigned)(wall_ms % 1000));
    return buf;
}
