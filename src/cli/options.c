/* cli/options.c - from argv to what the command's row allows. */
#include "cli/cli.h"
#include <getopt.h>
#include <string.h>

/* getopt_long's tables for one row: every option it has, --help always. */
struct getopt_rows {
    struct option longs[OPTION_END + 1];
    char letters[2 * OPTION_END + 3];
};

static bool allowed(const struct command *command, int id)
{
    return id == OPTION_HELP || (command->options >> id & 1);
}

static void fill_rows(struct getopt_rows *rows, const struct command *command)
{
    size_t n = 0;
    char *letter = rows->letters;
    *letter++ = ':'; /* a missing value is reported as ':' */
    for (int id = 0; id < OPTION_END; id++) {
        if (!allowed(command, id))
            continue;
        const struct option_row *o = &options[id];
        rows->longs[n++] =
            (struct option){o->name, o->value ? required_argument : no_argument,
                            NULL, 256 + id};
        if (o->letter)
            *letter++ = o->letter;
        if (o->letter && o->value)
            *letter++ = ':';
    }
    rows->longs[n] = (struct option){0};
    *letter = 0;
}

/* Letters are a command's own: two commands may use one differently. */
static int id_of(const struct command *command, int c)
{
    if (c >= 256)
        return c - 256;
    for (int id = 0; id < OPTION_END; id++)
        if (allowed(command, id) && options[id].letter == c)
            return id;
    return OPTION_END;
}

static int check_count(const struct invocation *in, struct err *err)
{
    const struct command *c = in->command;
    if (in->n_args >= c->least && in->n_args <= c->most)
        return 0;
    return err_set(err, CLI_E_USAGE, "berth %s takes %s; see berth help %s",
                   c->name, c->most ? c->arguments : "no argument", c->name);
}

/* letter: what was wrong among several behind one '-'; 0 for a long option. */
static int unknown(const struct command *c, int letter, const char *what,
                   struct err *err)
{
    char short_name[] = {'-', (char)letter, 0};
    return err_set(err, CLI_E_USAGE,
                   "berth %s does not take %s; see berth help %s", c->name,
                   letter > 0 && letter < 256 ? short_name : what, c->name);
}

int options_parse(struct invocation *ret, const struct command *command,
                  int argc, char **argv, struct err *err)
{
    *ret = (struct invocation){.command = command};
    if (command->most == CLI_RAW) {
        ret->args = argv + 1;
        ret->n_args = argc - 1;
        return 0;
    }
    struct getopt_rows rows;
    fill_rows(&rows, command);
    opterr = 0;
    optind = 0; /* glibc: begin anew */
    for (int c;
         (c = getopt_long(argc, argv, rows.letters, rows.longs, NULL)) != -1;) {
        const char *what = argv[optind > 0 ? optind - 1 : 0];
        if (c == ':')
            return err_set(err, CLI_E_USAGE,
                           "%s needs a value; see berth help %s", what,
                           command->name);
        if (c == '?')
            return unknown(command, optopt, what, err);
        ret->option[id_of(command, c)] = optarg ? optarg : "";
    }
    ret->args = argv + optind;
    ret->n_args = argc - optind;
    return ret->option[OPTION_HELP] ? 0 : check_count(ret, err);
}
