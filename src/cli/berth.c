/* cli/berth.c - the command line: finds the command, runs it, says how it
 * ended. */
#include "cli/help.h"
#include <errno.h>
#include <locale.h>
#include <string.h>

enum { EXIT_FAILED = 1, EXIT_USAGE = 2 };

static int exit_code(int code, const struct err *err)
{
    if (code >= 0)
        return 0;
    fprintf(stderr, "berth: %s\n", err->msg);
    return code == -CLI_E_USAGE ? EXIT_USAGE : EXIT_FAILED;
}

static int flush_output(struct err *err)
{
    if (!fflush(stdout) && !ferror(stdout))
        return 0;
    return err_set(err, EIO, "cannot write the output: %s", strerror(errno));
}

static int run_command(int argc, char **argv, struct err *err)
{
    const struct command *c = command_find(argv[0]);
    if (!c)
        return err_set(err, CLI_E_USAGE,
                       "there is no command '%s'; see berth help", argv[0]);
    struct invocation in;
    int r = options_parse(&in, c, argc, argv, err);
    if (r < 0)
        return r;
    if (in.option[OPTION_HELP]) {
        help_command(stdout, c);
        return flush_output(err);
    }
    r = c->run(&in, err);
    return r < 0 ? r : flush_output(err);
}

int main(int argc, char **argv)
{
    struct err err = {0};
    setlocale(LC_CTYPE, ""); /* widths of characters, line editing */
    if (argc < 2) {
        help_all(stderr);
        return EXIT_USAGE;
    }
    if (!strcmp(argv[1], "--help") || !strcmp(argv[1], "-h")) {
        help_all(stdout);
        return exit_code(flush_output(&err), &err);
    }
    if (!strcmp(argv[1], "--version")) {
        puts("berth " BERTH_VERSION);
        return exit_code(flush_output(&err), &err);
    }
    return exit_code(run_command(argc - 1, argv + 1, &err), &err);
}
