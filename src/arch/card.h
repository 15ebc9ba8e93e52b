/* arch/card.h - what README.md's front matter says of a model. */
#ifndef ARCH_CARD_H
#define ARCH_CARD_H
#include "model/snapshot.h"

enum { CARD_TEXT = 64 };

struct card {
    char licence[CARD_TEXT];
    char pipeline_tag[CARD_TEXT]; /* the task that its author had in mind */
};

/* What is not there, or longer, is an empty string. */
void card_read(struct card *c, const struct snapshot *s);

#endif
