#include "base/secret.h"
#include "cli/commands.h"
#include "cli/complete.h"
#include "cli/options.h"
#include "cli/say.h"
#include "token/hash.h"

#include <stdio.h>
#include <string.h>
#include <sys/stat.h>

/* clang-format off */
static const struct command commands[] = {
    {"serve", command_serve,
     "serve --data DIR [--listen HOST:PORT] [--OPTION VALUE]...\n",
     "answer requests until SIGTERM"},
    {"key", command_key,
     "key create --class partner --partner-id P --label L [--advertiser-id A] [--tag-id T]\n"
     "key create --class publisher --publisher-id P --label L\n"
     "key create --class adserver|admin --label L\n"
     "    each with [--expires 2026-11-21T06:00:00Z] [--import FILE] [--json] --data DIR\n"
     "key list [--json] --data DIR\n"
     "key revoke ID --data DIR\n",
     "make, list and revoke API keys"},
    {"token-key", command_token_key,
     "token-key list [--json] --data DIR\n"
     "token-key rotate [--json] --data DIR\n"
     "token-key retire KID --data DIR\n"
     "token-key export KID|click-signing --data DIR\n",
     "the keys of the tokens in the URLs of ads"},
    {"poll", command_poll,
     "poll put FILE|- --data DIR\n"
     "poll list --data DIR\n"
     "poll withdraw ID --data DIR\n",
     "sponsored polls, as JSON"},
    {"mint", command_mint,
     "mint [FILE|-] --data DIR\n",
     "make the URLs of ads from JSON, as POST /v1/mint does"},
    {"reload", command_reload,
     "reload --data DIR\n",
     "read the configuration file of a running server again"},
    {"verify", command_verify,
     "verify [--json] --data DIR\n",
     "check a data directory, beside a running server too"},
};
/* clang-format on */

enum { COMMANDS_COUNT = sizeof commands / sizeof commands[0] };

static const struct command *find_command(const char *name)
{
    for (size_t i = 0; i < COMMANDS_COUNT; i++)
        if (strcmp(name, commands[i].name) == 0) return &commands[i];
    return NULL;
}

static int help_all(void)
{
    puts("adtally " ADTALLY_VERSION ": counts ad events exactly once\n\nusage: adtally COMMAND\n");
    for (size_t i = 0; i < COMMANDS_COUNT; i++)
        printf("  %-10s %s\n", commands[i].name, commands[i].help);
    puts("  help       this text; help COMMAND tells more of one\n\n"
         "--version prints the version. Every command takes --data DIR, --store and --config,\n"
         "before or after its operands. Exit status: 0 done, 1 failed, 2 wrong usage.");
    return EXIT_DONE;
}

static void print_usage(const struct command *command)
{
    struct span rest = span_of(command->usage);
    while (rest.len > 0) {
        struct span line = span_split(&rest, '\n');
        bool continues = span_starts_with(line, SPAN(" "));
        printf("  %s%.*s\n", continues ? "" : "adtally ", SPAN_FMT(line));
    }
}

static int help_one(const struct command *command)
{
    printf("adtally %s: %s\n\n", command->name, command->help);
    print_usage(command);
    if (command->run == command_serve) {
        puts("\nOptions. Each is also a line `name = value` of the configuration file, with\n"
             "underscores for dashes; a flag wins over the file.\n");
        options_print_help(stdout);
    }
    return EXIT_DONE;
}

/* Not in the help: docs/configuration.md is made of it. */
static bool is_markdown_asked(int count, char **list)
{
    return count == 2 && strcmp(list[0], "serve") == 0 && strcmp(list[1], "--markdown") == 0;
}

static int help(int count, char **list)
{
    const struct command *command = count > 0 ? find_command(list[0]) : NULL;
    if (is_markdown_asked(count, list)) {
        options_print_markdown(stdout);
        return EXIT_DONE;
    }
    if (command) return help_one(command);
    if (count == 0) return help_all();
    say("no command is called \"%s\"; see adtally help", list[0]);
    return EXIT_USAGE;
}

/* Not in the help either: the shells ask (etc/completion). */
static int complete(int count, char **words)
{
    complete_print(stdout, &(struct commands){commands, COMMANDS_COUNT}, words, count);
    return fflush(stdout) == 0 ? EXIT_DONE : EXIT_FAILED;
}

static bool asks_help(const struct args *args)
{
    for (int i = args->at; i < args->count && strcmp(args->list[i], "--") != 0; i++)
        if (strcmp(args->list[i], "--help") == 0 || strcmp(args->list[i], "-h") == 0) return true;
    return false;
}

static int run_command(int argc, char **argv)
{
    struct args args = {.list = argv, .count = argc, .at = 2};
    const struct command *command = find_command(argv[1]);
    if (!command) {
        say("no command is called \"%s\"; see adtally help", argv[1]);
        return EXIT_USAGE;
    }
    if (asks_help(&args)) return help_one(command);
    if (!hash_start()) {
        say("the cryptographic library cannot be used on this machine");
        return EXIT_FAILED;
    }
    secret_process();
    return command->run(&args);
}

int main(int argc, char **argv)
{
    umask(077); /* events name people: what is made is for its owner */
    if (argc < 2) {
        say("a command is missing; see adtally help");
        return EXIT_USAGE;
    }
    if (strcmp(argv[1], "--version") == 0) {
        puts("adtally " ADTALLY_VERSION);
        return EXIT_DONE;
    }
    if (strcmp(argv[1], "complete") == 0) return complete(argc - 2, argv + 2);
    if (strcmp(argv[1], "help") == 0 || strcmp(argv[1], "--help") == 0 ||
        strcmp(argv[1], "-h") == 0)
        return help(argc - 2, argv + 2);
    return run_command(argc, argv);
}
