/* cli/cli_docs.c - prints docs/cli.md. */
#include "cli/help.h"

int main(void)
{
    help_markdown(stdout);
    return fflush(stdout) ? 1 : 0;
}
