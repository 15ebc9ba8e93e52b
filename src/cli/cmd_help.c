/* cli/cmd_help.c - berth help, berth completion. */
#include "cli/help.h"
#include <string.h>

int cmd_help(const struct invocation *in, struct err *err)
{
    if (!in->n_args) {
        help_all(stdout);
        return 0;
    }
    const struct command *c = command_find(in->args[0]);
    if (!c)
        return err_set(err, CLI_E_USAGE,
                       "there is no command '%s'; see berth help", in->args[0]);
    help_command(stdout, c);
    return 0;
}

int cmd_completion(const struct invocation *in, struct err *err)
{
    if (strcmp(in->args[0], "bash") != 0)
        return err_set(err, CLI_E_USAGE, "completion knows bash, not '%s'",
                       in->args[0]);
    help_bash(stdout);
    return 0;
}
