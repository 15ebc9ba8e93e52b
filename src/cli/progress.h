/* cli/progress.h - how far a pull is.
 *
 * On a terminal one line that is redrawn in place: a bar, bytes, smoothed
 * speed, time left. Elsewhere a plain line now and then, once there are
 * numbers. Times are passed in.
 */
#ifndef CLI_PROGRESS_H
#define CLI_PROGRESS_H
#include "base/str.h"
#include <stdint.h>
#include <stdio.h>

enum { PROGRESS_LINE = 512, PROGRESS_LABEL = 128 };

struct progress {
    FILE *out;
    bool terminal, drawn; /* drawn: a line without its end is on the screen */
    char label[PROGRESS_LABEL]; /* the file, or what is being done */
    uint64_t done, total;       /* bytes */
    double speed;               /* bytes a second, smoothed */
    uint64_t sample_ns, sample_done;
    uint64_t shown_ns; /* when a line went out last; 0 = never */
};

void progress_init(struct progress *p, FILE *out);
/* What is being worked on, and how far it is; done may fall behind when a file
 * begins anew. */
void progress_update(struct progress *p, struct str label, uint64_t done,
                     uint64_t total, uint64_t now_ns);
/* Takes the line off the screen. */
void progress_end(struct progress *p);

/* The line for a terminal of width columns, without its end; its length. */
size_t progress_line(const struct progress *p, size_t width, char *out);

#endif
