/* cli/help.c - --help, docs/cli.md and completion, all from commands.def. */
#include "cli/help.h"
#include <string.h>

/* Each line of text behind lead. */
static void indent(FILE *out, const char *text, const char *lead)
{
    while (*text) {
        size_t n = strcspn(text, "\n");
        fprintf(out, "%s%.*s\n", lead, (int)n, text);
        text += n + (text[n] == '\n');
    }
}

static bool has(const struct command *c, int id)
{
    return id == OPTION_HELP || (c->options >> id & 1);
}

static int name_width(void)
{
    int width = 0;
    for (const struct command *c = commands; c->summary; c++)
        if (c->run && (int)strlen(c->name) > width)
            width = (int)strlen(c->name);
    return width;
}

/* "-f, --follow" or "--top N" into buf; its length. */
static int option_text(char *buf, size_t size, const struct option_row *o)
{
    char letter[8] = "";
    if (o->letter)
        snprintf(letter, sizeof(letter), "-%c, ", o->letter);
    return snprintf(buf, size, "%s--%s%s%s", letter, o->name,
                    o->value ? " " : "", o->value ? o->value : "");
}

static const char *option_gap(const struct command *c)
{
    return c->options && c->most != CLI_RAW ? " [OPTION...]" : "";
}

void help_all(FILE *out)
{
    fputs(
        "berth deploys Hugging Face models on this machine and serves them.\n\n"
        "usage: berth COMMAND [OPTION...] [ARGUMENT...]\n",
        out);
    for (const struct command *c = commands; c->summary; c++) {
        if (!c->run)
            fprintf(out, "\n%s:\n", c->summary);
        else
            fprintf(out, "  %-*s  %s\n", name_width(), c->name, c->summary);
    }
    fputs("\nberth help COMMAND says more of each; berth --version prints the "
          "version.\n"
          "Exit status: 0 done; 1 failed, with one sentence on standard error; "
          "2 usage.\n\nEnvironment:\n",
          out);
    for (const struct variable_row *v = variables; v->name; v++)
        fprintf(out, "  %s\n      %s\n", v->name, v->help);
}

static void print_options(FILE *out, const struct command *c)
{
    int width = 0;
    char text[64];
    for (int id = 0; id < OPTION_END; id++)
        if (has(c, id)) {
            int n = option_text(text, sizeof(text), &options[id]);
            width = n > width ? n : width;
        }
    fputs("\nOptions:\n", out);
    for (int id = 0; id < OPTION_END; id++)
        if (has(c, id)) {
            option_text(text, sizeof(text), &options[id]);
            fprintf(out, "  %-*s  %s\n", width, text, options[id].help);
        }
}

void help_command(FILE *out, const struct command *c)
{
    fprintf(out, "usage: berth %s%s%s%s\n\n%s.\n", c->name, option_gap(c),
            *c->arguments ? " " : "", c->arguments, c->summary);
    if (c->more) {
        fputc('\n', out);
        indent(out, c->more, "");
    }
    print_options(out, c);
    fputs("\nExamples:\n", out);
    indent(out, c->examples, "  ");
}

static void markdown_command(FILE *out, const struct command *c)
{
    char text[64];
    fprintf(out, "\n### berth %s\n\n", c->name);
    fprintf(out, "    berth %s%s%s%s\n\n%s.\n", c->name, option_gap(c),
            *c->arguments ? " " : "", c->arguments, c->summary);
    if (c->more) {
        fputc('\n', out);
        indent(out, c->more, "");
    }
    if (c->options)
        fputs("\n| option | |\n|---|---|\n", out);
    for (int id = 0; id < OPTION_END; id++)
        if (c->options >> id & 1) {
            option_text(text, sizeof(text), &options[id]);
            fputs("| `", out);
            for (const char *s = text; *s; s++)
                fputs(*s == '|' ? "\\|" : (char[2]){*s, 0}, out);
            fprintf(out, "` | %s |\n", options[id].help);
        }
    fputs("\nExamples:\n\n", out);
    indent(out, c->examples, "    ");
}

void help_markdown(FILE *out)
{
    fputs("# The command line\n\n"
          "Made from `src/cli/commands.def` by `ninja -C build docs`; a test "
          "compares the two.\n\n"
          "Every command exits 0 when it is done, 1 with one sentence on "
          "standard error when it\nfailed, 2 when what was typed is not a "
          "command. All but `serve`, `help` and `completion`\ntalk to the "
          "daemon over its unix socket, which is looked for where `--socket` "
          "or `BERTH_SOCKET` says,\nin `BERTH_HOME`, in the user's state "
          "folder, and in "
          "`/run/berth`.\n\n"
          "| variable | |\n|---|---|\n",
          out);
    for (const struct variable_row *v = variables; v->name; v++)
        fprintf(out, "| %s | %s |\n", v->name, v->help);
    for (const struct command *c = commands; c->summary; c++) {
        if (c->run)
            markdown_command(out, c);
        else
            fprintf(out, "\n## %s\n", c->summary);
    }
}

/* Commands whose first argument is a model that is there. */
static bool wants_model(const struct command *c)
{
    return !strncmp(c->arguments, "NAME", 4) && strcmp(c->name, "add") != 0;
}

void help_bash(FILE *out)
{
    fputs("# bash completion for berth\n"
          "_berth() {\n"
          "    local word=${COMP_WORDS[COMP_CWORD]} command=${COMP_WORDS[1]}\n"
          "    local options='' names=''\n"
          "    if [ \"$COMP_CWORD\" = 1 ]; then\n"
          "        COMPREPLY=($(compgen -W '",
          out);
    for (const struct command *c = commands; c->summary; c++)
        if (c->run)
            fprintf(out, "%s ", c->name);
    fputs("--help --version' -- \"$word\"))\n        return\n    fi\n"
          "    case $command in\n",
          out);
    for (const struct command *c = commands; c->summary; c++) {
        if (!c->run)
            continue;
        fprintf(out, "    %s) options='", c->name);
        for (int id = 0; id < OPTION_END; id++)
            if (has(c, id))
                fprintf(out, "--%s ", options[id].name);
        fprintf(out, "'%s ;;\n", wants_model(c) ? " names=1" : "");
    }
    fputs("    esac\n"
          "    [ -z \"$names\" ] || names=$(berth ls --quiet 2>/dev/null)\n"
          "    COMPREPLY=($(compgen -W \"$options $names\" -- \"$word\"))\n"
          "    [ ${#COMPREPLY[@]} -gt 0 ] || COMPREPLY=($(compgen -f -- "
          "\"$word\"))\n"
          "}\n"
          "complete -F _berth berth\n",
          out);
}
