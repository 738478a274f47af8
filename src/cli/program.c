#include "cli/program.h"

#include "base/secret.h"
#include "cli/say.h"
#include "token/hash.h"

#include <string.h>
#include <sys/stat.h>

static const struct command *find_command(const struct program *program, const char *name)
{
    for (size_t i = 0; i < program->commands.count; i++)
        if (strcmp(program->commands.list[i].name, name) == 0) return &program->commands.list[i];
    say("no command is called \"%s\"; see %s help", name, program->name);
    return NULL;
}

static int help_all(const struct program *program)
{
    printf("%s " ADTALLY_VERSION ": %s\n\nusage: %s COMMAND\n\n", program->name, program->what,
           program->name);
    for (size_t i = 0; i < program->commands.count; i++)
        printf("  %-10s %s\n", program->commands.list[i].name, program->commands.list[i].help);
    printf("  help       this text; help COMMAND tells more of one\n\n"
           "--version prints the version. Every command takes --data DIR, --store and --config,\n"
           "before or after its operands. Exit status: 0 done, 1 failed, 2 wrong usage.\n%s\n",
           program->foot);
    return EXIT_DONE;
}

static void print_usage(const struct program *program, const struct command *command)
{
    struct span rest = span_of(command->usage);
    while (rest.len > 0) {
        struct span line = span_split(&rest, '\n');
        bool continues = span_starts_with(line, SPAN(" "));
        printf("  %s%s%.*s\n", continues ? "" : program->name, continues ? "" : " ",
               SPAN_FMT(line));
    }
}

static int help_one(const struct program *program, const struct command *command)
{
    printf("%s %s: %s\n\n", program->name, command->name, command->help);
    print_usage(program, command);
    printf("\n%s\n", command->more);
    if (command->print_more) command->print_more(stdout);
    return EXIT_DONE;
}

static int help(const struct program *program, int count, char **list)
{
    if (count == 0) return help_all(program);
    const struct command *command = find_command(program, list[0]);
    return command ? help_one(program, command) : EXIT_USAGE;
}

/* Not in the help: the shells ask (etc/completion). */
static int complete(const struct program *program, int count, char **words)
{
    complete_print(stdout, &program->commands, words, count);
    return fflush(stdout) == 0 ? EXIT_DONE : EXIT_FAILED;
}

static bool asks_help(const struct args *args)
{
    for (int i = args->at; i < args->count && strcmp(args->list[i], "--") != 0; i++)
        if (strcmp(args->list[i], "--help") == 0 || strcmp(args->list[i], "-h") == 0) return true;
    return false;
}

static int run_command(const struct program *program, int argc, char **argv)
{
    struct args args = {.list = argv, .count = argc, .at = 2};
    const struct command *command = find_command(program, argv[1]);
    if (!command) return EXIT_USAGE;
    if (asks_help(&args)) return help_one(program, command);
    if (!hash_start()) {
        say("the cryptographic library cannot be used on this machine: libsodium found no source "
            "of "
            "random bytes");
        return EXIT_FAILED;
    }
    secret_process();
    return command->run(&args);
}

int program_run(const struct program *program, int argc, char **argv)
{
    umask(077); /* events name people: what is made is for its owner */
    if (argc < 2) {
        say("a command is missing; see %s help", program->name);
        return EXIT_USAGE;
    }
    if (strcmp(argv[1], "--version") == 0) {
        printf("%s " ADTALLY_VERSION "\n", program->name);
        return EXIT_DONE;
    }
    if (strcmp(argv[1], "complete") == 0) return complete(program, argc - 2, argv + 2);
    if (strcmp(argv[1], "help") == 0 || strcmp(argv[1], "--help") == 0 ||
        strcmp(argv[1], "-h") == 0)
        return help(program, argc - 2, argv + 2);
    return run_command(program, argc, argv);
}
