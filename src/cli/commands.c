/* cli/commands.c - the rows of commands.def as tables. */
#include "cli/cli.h"
#include <string.h>

#define O(id) (UINT64_C(1) << OPTION_##id)
#define MANY  CLI_MANY
#define RAW   CLI_RAW

const struct option_row options[OPTION_END] = {
#define OPTION(id, name, letter, value, help) {name, letter, value, help},
#include "cli/commands.def"
};

const struct command commands[] = {
#define SECTION(title) {.summary = title},
#define COMMAND(name, arguments, least, most, options, summary, more, \
                examples)                                             \
    {#name,   cmd_##name, arguments, least,   most,                   \
     options, summary,    more,      examples},
#include "cli/commands.def"
    {.summary = NULL},
};

const struct variable_row variables[] = {
#define VARIABLE(name, help) {name, help},
#include "cli/commands.def"
    {NULL, NULL},
};

const struct command *command_find(const char *name)
{
    for (const struct command *c = commands; c->summary; c++)
        if (c->run && !strcmp(c->name, name))
            return c;
    return NULL;
}
