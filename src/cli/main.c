#include "admin/metrics_page.h"
#include "cli/commands.h"
#include "cli/options.h"
#include "cli/program.h"
#include "cli/routes_print.h"
#include "cli/say.h"

#include <stdio.h>
#include <string.h>

static void print_options(FILE *file)
{
    fputs("\nOptions. Each is also a line `name = value` of the configuration file, with\n"
          "underscores for dashes; a flag wins over the file.\n\n",
          file);
    options_print_help(file);
}

/* clang-format off */
static const struct command commands[] = {
    {"serve", command_serve,
     "serve --data DIR [--listen HOST:PORT] [--admin-listen HOST:PORT] [--OPTION VALUE]...\n",
     "answer requests until SIGTERM",
     "DIR is made when it does not exist. One line says that it is ready, and where. SIGTERM answers\n"
     "what was accepted and ends; SIGHUP is adtally reload.\n\n"
     "  adtally serve --data data --listen 127.0.0.1:8080 --admin-listen 127.0.0.1:8081",
     print_options},
    {"key", command_key,
     "key create --class partner --partner-id P --label L [--advertiser-id A] [--tag-id T]\n"
     "key create --class publisher --publisher-id P --label L\n"
     "key create --class adserver|admin --label L\n"
     "    each with [--expires 2026-11-21T06:00:00Z] [--import FILE] [--json] --data DIR\n"
     "key list [--json] --data DIR\n"
     "key revoke ID --data DIR\n",
     "make, list and revoke API keys",
     "partner keys report events and conversions, publisher keys leave ad-feedback, adserver keys\n"
     "mint, admin keys open the admin listener. The secret is shown once, alone on standard\n"
     "output; a revoked key is refused from the next request on.\n\n"
     "  adtally key create --class partner --partner-id acme --label shop --data data > acme.key"},
    {"token-key", command_token_key,
     "token-key list [--json] --data DIR\n"
     "token-key rotate [--json] --data DIR\n"
     "token-key retire KID --data DIR\n"
     "token-key export KID|click-signing --data DIR\n",
     "the keys of the tokens in the URLs of ads",
     "The newest mints; the others are accepted until they are retired. When one leaked: rotate,\n"
     "wait until the URLs of before have expired (7 days, or the longest ttl), then retire it.\n\n"
     "  adtally token-key list --data data"},
    {"poll", command_poll,
     "poll put FILE|- --data DIR\n"
     "poll list --data DIR\n"
     "poll withdraw ID --data DIR\n",
     "sponsored polls, as JSON",
     "put makes a poll, or gives it other texts and more options; an option with votes stays.\n\n"
     "  echo '{\"sponsored_poll_id\":1,\"question\":\"What for?\",\"options\":[{\"id\":\"0\",\n"
     "      \"text\":\"Wedding\"},{\"id\":\"1\",\"text\":\"Study\"}]}' | adtally poll put - --data data"},
    {"mint", command_mint,
     "mint [FILE|-] --data DIR\n",
     "make the URLs of ads from JSON, as POST /v1/mint does",
     "  echo '{\"ads\":[{\"publisher_id\":\"chat\",\"landing_url\":\"https://shop.example\"}]}' |\n"
     "      adtally mint --data data"},
    {"tail", command_tail,
     "tail [--route PATH] [--outcome O] [--partner P] [--campaign C] [--json] --data DIR\n",
     "what requests to a running server become, as they come",
     "Each line is a request: when, how long, what became of it and why, and whose it was. What is\n"
     "left out because nobody reads fast enough is counted. Nothing secret is in it.\n\n"
     "  adtally tail --outcome key_invalid --data data"},
    {"reload", command_reload,
     "reload --data DIR\n",
     "read the configuration file and the lists of a running server again",
     "What can change at once does, without a request being dropped; what cannot is named, and waits\n"
     "for a restart. A file that is not good changes nothing. SIGHUP does the same.\n\n"
     "  adtally reload --data data"},
    {"verify", command_verify,
     "verify [--json] --data DIR\n",
     "check a data directory, beside a running server too",
     "It reads all of it, and changes nothing. Exit status 1 means that it found something: each\n"
     "line is a promise that does not hold. Keep the directory, and restore a backup.\n\n"
     "  adtally verify --data data"},
    {"report", command_report,
     "report [traffic|money|reasons|comments|polls] [--by COLUMN,...] [--csv] [--json] --data DIR\n"
     "    [--campaign X] [--publisher X] [--product X] [--placement X] [--advertiser X]\n"
     "    [--from DAY] [--to DAY] [--tz ZONE] [--exclude-flagged] [--limit N]\n",
     "impressions, clicks, conversions, money, feedback and polls, in numbers",
     "COLUMN is campaign, publisher, product, placement, advertiser, day or hour. --campaign and the\n"
     "like leave only that one in; given again, that one too. --from and --to take days, or times on\n"
     "a quarter of an hour; --tz a zone such as Europe/Berlin. --limit is for comments.\n\n"
     "  adtally report money --by campaign,day --from 2026-11-01 --tz Europe/Berlin --data data"},
    {"export", command_export,
     "export --format ndjson|csv [--since RECEIPT] [--table T] --data DIR\n",
     "print what was recorded, as lines",
     "Every event once, in the order of recording, beside a running server too. --since goes on behind\n"
     "the event of that receipt: that of the last line you have. --table prints one table, which CSV\n"
     "needs: click, conversion, server_event, impression, feedback, ad_feedback, vote, poll or\n"
     "poll_option.\n\n"
     "  adtally export --format ndjson --data data > events.ndjson\n"
     "  adtally export --format csv --table conversion --data data > conversions.csv"},
    {"import", command_import,
     "import FILE [--json] --data DIR\n",
     "take over clicks, impressions, conversions, polls and keys from elsewhere",
     "FILE has a JSON object a line, its \"table\" first of what it has to say (docs/import.md). Every\n"
     "line is checked before the first is recorded. What is there already is a duplicate, so it can be\n"
     "done again. It prints what became of the lines.\n\n"
     "  adtally import events.ndjson --data data"},
    {"backup", command_backup,
     "backup FILE --data DIR\n",
     "copy a data directory into one file, beside a running server too",
     "All that was recorded up to one moment, and the keys: keep FILE as safe as DIR. A file that is\n"
     "there is not replaced.\n\n"
     "  adtally backup /backups/adtally-2026-11-21 --data data"},
    {"restore", command_restore,
     "restore FILE --data DIR\n",
     "make a data directory of a backup",
     "DIR must hold no database yet. The whole backup is checked first. What was recorded after it was\n"
     "made is gone.\n\n"
     "  adtally restore /backups/adtally-2026-11-21 --data new"},
    {"copy", command_copy,
     "copy --from DIR --to postgresql://USER@HOST/DATABASE\n",
     "move a data directory into an empty database of PostgreSQL, or back",
     "Keys, polls, secrets and every event with its receipt: tokens, receipts and keys stay good, and\n"
     "what is a duplicate stays one. Stop the servers first; what is copied is only read. When it is\n"
     "cut off, do it again: it goes on. At the end both sides are compared. The other way round DIR is\n"
     "new or empty.\n\n"
     "  adtally copy --from data --to postgresql://adtally@db/adtally\n"
     "  adtally copy --from postgresql://adtally@db/adtally --to data"},
    {"erase", command_erase,
     "erase --user-id U [--session-id S] [--json] --data DIR\n",
     "take a person out of everything that was recorded",
     "The rows stay, and with them every count and what is a duplicate; what tells of the person\n"
     "becomes empty. --session-id takes the session's rows too. It prints from how many rows. Backups\n"
     "and exports of before are not touched.\n\n"
     "  adtally erase --user-id usr-17 --session-id ses-3 --data data"},
};
/* clang-format on */

enum { COMMANDS_COUNT = sizeof commands / sizeof commands[0] };

static const struct program program = {
    .name = "adtally",
    .what = "counts ad events exactly once",
    .commands = {commands, COMMANDS_COUNT},
    .foot = "man adtally-COMMAND has all of a command.",
};

static void print_metrics(void)
{
    static char memory[16 * 1024];
    struct writer out;
    writer_init(&out, memory, sizeof memory);
    metrics_write_markdown(&out);
    printf("%.*s", SPAN_FMT(writer_text(&out)));
}

/* Not in the help: what documents are made of, or held against. */
static bool print_table(const char *of, const char *form)
{
    bool is_serve = strcmp(of, "serve") == 0;
    bool is_markdown = strcmp(form, "--markdown") == 0;
    if (is_serve && is_markdown)
        options_print_markdown(stdout);
    else if (is_serve && strcmp(form, "--routes") == 0)
        routes_print_json(stdout);
    else if (is_markdown && strcmp(of, "metrics") == 0)
        print_metrics();
    else
        return false;
    return true;
}

int main(int argc, char **argv)
{
    if (argc == 4 && strcmp(argv[1], "help") == 0 && print_table(argv[2], argv[3]))
        return EXIT_DONE;
    return program_run(&program, argc, argv);
}
