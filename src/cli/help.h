/* cli/help.h - what commands.def says, for the four who read it. */
#ifndef CLI_HELP_H
#define CLI_HELP_H
#include "cli/cli.h"
#include <stdio.h>

void help_all(FILE *out);
void help_command(FILE *out, const struct command *command);
void help_markdown(FILE *out); /* docs/cli.md */
void help_bash(FILE *out);     /* a completion script */

#endif
