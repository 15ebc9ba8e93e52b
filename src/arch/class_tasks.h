/* arch/class_tasks.h - which tasks a model class is for.
 *
 * For what the native engine does not compute itself: the class's name decides
 * (arch/classes.def), and what config.json says beside it.
 */
#ifndef ARCH_CLASS_TASKS_H
#define ARCH_CLASS_TASKS_H
#include "model/config.h"

enum { CLASS_TASKS_MAX = 4 };

/* What is true of a model beside the name of its class. */
enum class_fact {
    CLASS_TEXT = 1,        /* it has a vocabulary */
    CLASS_IMAGES = 2,      /* it sees */
    CLASS_SOUND = 4,       /* it hears */
    CLASS_PAIR = 8,        /* one tower for text, one for images */
    CLASS_ENTAILMENT = 16, /* one of its labels says "entailment" */
    CLASS_CHAT = 32,       /* it has a chat template */
};

/* From config.json, all but CLASS_CHAT. */
unsigned class_facts(const struct config *c);

/* Up to CLASS_TASKS_MAX names, the default first, and NULL, into
 * tasks[CLASS_TASKS_MAX + 1]. tag: pipeline_tag of README.md or ""; it comes
 * first where it is one of them. Returns how many. */
size_t class_tasks(const char *class_name, unsigned facts, const char *tag,
                   const char **tasks);

#endif
