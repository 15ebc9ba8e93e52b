/* cli/cli.h - one call of berth: which command, which options, which texts.
 *
 * The rows of commands.def become struct command; options_parse() turns argv
 * into a struct invocation, which lives as long as argv does. A command prints
 * its result on standard output and returns 0, or a negative code with one
 * sentence in err, which berth.c prints. One thread.
 */
#ifndef CLI_CLI_H
#define CLI_CLI_H
#include "base/err.h"
#include <stdbool.h>
#include <stdint.h>

enum {
    CLI_MANY = 1 << 20, /* any number of arguments */
    CLI_RAW = -1,       /* arguments are handed on unread */
    CLI_E_USAGE = 8192, /* exit 2: what was typed is not a command */
};

enum option_id {
#define OPTION(id, name, letter, value, help) OPTION_##id,
#include "cli/commands.def"
    OPTION_END
};

struct option_row {
    const char *name;
    char letter;       /* 0 = none */
    const char *value; /* what stands for its value in help; NULL = a flag */
    const char *help;
};

struct invocation;
typedef int command_fn(const struct invocation *in, struct err *err);

/* A row; or, where run is NULL, the title of a section in summary. */
struct command {
    const char *name;
    command_fn *run;
    const char *arguments;
    int least, most;
    uint64_t options; /* bits of enum option_id */
    const char *summary, *more, *examples;
};

struct variable_row {
    const char *name, *help;
};

struct invocation {
    const struct command *command;
    const char *option[OPTION_END]; /* value, "" for a flag; NULL = not given */
    char *const *args;
    int n_args;
};

extern const struct command commands[]; /* ends with summary NULL */
extern const struct option_row options[OPTION_END];
extern const struct variable_row variables[]; /* ends with name NULL */

const struct command *command_find(const char *name); /* NULL if unknown */

/* argv[0] is the command's name; argv is permuted. -CLI_E_USAGE with a
 * sentence when it does not fit the row. With --help nothing else is checked.
 */
int options_parse(struct invocation *ret, const struct command *command,
                  int argc, char **argv, struct err *err) MUST_CHECK;

#define COMMAND(name, ...) command_fn cmd_##name;
#include "cli/commands.def"

#endif
