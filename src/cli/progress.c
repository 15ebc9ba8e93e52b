/* cli/progress.c - how far a pull is: a bar on a terminal, lines elsewhere. */
#include "cli/progress.h"
#include "cli/human.h"
#include "cli/table.h"

#define SECOND_NS 1000000000ULL

enum {
    REDRAW_NS = 100 * 1000 * 1000,
    PLAIN_S = 5,
    GAP = 2,
    BAR_MIN = 8, /* a narrower bar says nothing */
    BAR_MOST = 40,
    BAR_ENDS = GAP + 2, /* brackets, and what is between it and the label */
};
static const double smooth_s = 3; /* the speed looks back about this long */

void progress_init(struct progress *p, FILE *out)
{
    *p = (struct progress){.out = out, .terminal = terminal_width(out) > 0};
}

/* The first look only sets the mark: what a resumed pull begins with was not
 * loaded now. */
static void sample(struct progress *p, uint64_t now_ns)
{
    if (!p->sample_ns || p->done < p->sample_done) {
        p->sample_ns = now_ns;
        p->sample_done = p->done;
        return;
    }
    double s = (double)(now_ns - p->sample_ns) / SECOND_NS;
    if (s < 0.05)
        return;
    double speed = (double)(p->done - p->sample_done) / s;
    if (p->speed > 0)
        p->speed += (speed - p->speed) * s / (s + smooth_s);
    else
        p->speed = speed;
    p->sample_ns = now_ns;
    p->sample_done = p->done;
}

static int percent(const struct progress *p)
{
    if (!p->total)
        return 0;
    return p->done >= p->total
               ? 100
               : (int)((double)p->done * 100 / (double)p->total);
}

/* "4:05", "1:02:03". */
static char *clock_left(char *buf, uint64_t s)
{
    unsigned long long h = s / 3600, m = s / 60 % 60;
    if (h)
        snprintf(buf, HUMAN_TEXT, "%llu:%02llu:%02d", h, m, (int)(s % 60));
    else
        snprintf(buf, HUMAN_TEXT, "%llu:%02d", m, (int)(s % 60));
    return buf;
}

/* "41.2/90.9 MB": the unit once where it is the same. */
static void amounts(const struct progress *p, char *out, size_t size)
{
    char done[HUMAN_TEXT], total[HUMAN_TEXT];
    human_bytes(done, p->done);
    human_bytes(total, p->total);
    char *unit = strchr(done, ' ');
    if (!strcmp(unit, strchr(total, ' ')))
        *unit = 0;
    snprintf(out, size, "%s/%s", done, total);
}

/* " 45 %  41.2/90.9 MB  12.3 MB/s  0:04 left" */
static int numbers(const struct progress *p, char *out, size_t size)
{
    char amount[2 * HUMAN_TEXT], speed[HUMAN_TEXT], left[HUMAN_TEXT];
    char more[3 * HUMAN_TEXT] = "";
    amounts(p, amount, sizeof(amount));
    if (p->speed >= 1 && p->done < p->total) {
        double s = (double)(p->total - p->done) / p->speed;
        snprintf(more, sizeof(more), "  %s/s  %s left",
                 human_bytes(speed, (uint64_t)p->speed),
                 clock_left(left, s < 1e9 ? (uint64_t)s : 1000000000));
    }
    return snprintf(out, size, "%3d %%  %s%s", percent(p), amount, more);
}

static size_t bar(const struct progress *p, size_t cells, char *out)
{
    size_t full =
        p->total ? (size_t)((double)p->done / (double)p->total * (double)cells)
                 : 0;
    if (full > cells)
        full = cells;
    out[0] = '[';
    memset(out + 1, '#', full);
    memset(out + 1 + full, '.', cells - full);
    out[1 + cells] = ']';
    return cells + 2;
}

/* The label gives way to the numbers, the bar to both; where nothing fits, the
 * percentage alone is left. */
size_t progress_line(const struct progress *p, size_t width, char *out)
{
    char text[PROGRESS_LINE / 2] = "";
    size_t n = 0;
    if (p->total)
        n = (size_t)numbers(p, text, sizeof(text));
    if (n > width)
        n = (size_t)snprintf(text, sizeof(text), "%d %%", percent(p));
    size_t room = width > n + GAP ? width - n - GAP : 0;
    struct str label = str_n(p->label, human_fit(str_of(p->label), room));
    size_t left = room - human_width(label), at = label.n;
    memcpy(out, label.p, label.n);
    if (n && left >= BAR_MIN + BAR_ENDS) {
        size_t cells = left - BAR_ENDS < BAR_MOST ? left - BAR_ENDS : BAR_MOST;
        at += (size_t)snprintf(out + at, PROGRESS_LINE - at, "  ");
        at += bar(p, cells, out + at);
    }
    if (n <= width)
        at += (size_t)snprintf(out + at, PROGRESS_LINE - at, "%s%s",
                               n && at ? "  " : "", text);
    out[at] = 0;
    return at;
}

static void draw(struct progress *p)
{
    char line[PROGRESS_LINE];
    size_t width = terminal_width(p->out);
    size_t most = PROGRESS_LINE / 2 - 1;
    /* The last column stays free, or some terminals wrap. */
    progress_line(p, width > most ? most : width > 1 ? width - 1 : 0, line);
    fprintf(p->out, "\r%s\033[K", line);
    fflush(p->out);
    p->drawn = true;
}

static void say(struct progress *p)
{
    char text[PROGRESS_LINE / 2];
    numbers(p, text, sizeof(text));
    fprintf(p->out, "%s: %s\n", p->label, text + strspn(text, " "));
    fflush(p->out);
}

void progress_update(struct progress *p, struct str label, uint64_t done,
                     uint64_t total, uint64_t now_ns)
{
    struct buf clean = BUF_MAX(4096);
    human_clean(&clean, label);
    bool anew = clean.len && !str_is(buf_str(&clean), p->label);
    if (clean.len)
        snprintf(p->label, sizeof(p->label), "%.*s", STR_FMT(buf_str(&clean)));
    buf_fini(&clean);
    p->done = done;
    p->total = total;
    sample(p, now_ns);
    uint64_t since = now_ns - p->shown_ns;
    bool first = !p->shown_ns;
    if (p->terminal && (first || anew || since >= REDRAW_NS || done == total))
        draw(p);
    else if (!p->terminal && total && (first || since >= PLAIN_S * SECOND_NS))
        say(p);
    else
        return;
    p->shown_ns = now_ns;
}

void progress_end(struct progress *p)
{
    if (p->drawn)
        fputs("\r\033[K", p->out);
    fflush(p->out);
    p->drawn = false;
}
