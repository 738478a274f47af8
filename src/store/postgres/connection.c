#include "store/postgres/connection.h"

#include "base/clock.h"
#include "base/log.h"

#include <stdio.h>
#include <string.h>

enum {
    BACKOFF_MS_MIN = 50,
    BACKOFF_MS_MAX = 250,            /* clients wait for it to be back */
    CONNECT_S_MIN = 2,               /* libpq knows no shorter one */
    TOLD_AGAIN_AFTER_MS = 60 * 1000, /* the same */
    TOLD_NEXT_AFTER_MS = 1000,       /* another */
};

static const char unparsable[] = "the URL cannot be read: in a name or a password write %40 for @, "
                                 "%3A for :, %2F for /";

void pg_note_failure(struct pg_connection *connection, enum pg_failure failure,
                     const char *sqlstate, const char *message)
{
    if (connection->failure) return; /* what follows from the first one tells nothing */
    connection->failure = failure;
    snprintf(connection->sqlstate, sizeof connection->sqlstate, "%s", sqlstate ? sqlstate : "");
    char *out = connection->message, *end = out + sizeof connection->message - 1;
    for (; *message && out < end; message++) {
        bool is_break = *message == '\n' || *message == '\t' || *message == ' ';
        if (!is_break)
            *out++ = *message;
        else if (out > connection->message && out[-1] != ' ')
            *out++ = ' ';
    }
    while (out > connection->message && out[-1] == ' ')
        out--;
    *out = '\0';
}

static const struct advice {
    const char *sqlstate; /* what it begins with */
    const char *advice;
} advices[] = {
    {"25006", "name the primary in --store: this database takes no writes"},
    {"53100", "make room on the database's disk"},
    {"53", "give the database more memory or connections"},
    {"42501", "grant its user the rights that docs/scale.md lists"},
    {"42", "the tables are not adtally's, or of another version: look at adtally_schema"},
    {"57014", "the database is too slow for its load: look for locks and at its disk"},
    {"28", "see whether the user and the password of --store are right"},
    {"3D", "create the database that --store names"},
    {"", "see whether the database that --store names runs and lets its user in"},
};

const char *pg_advice(const struct pg_connection *connection)
{
    const struct advice *at = advices;
    while (strncmp(connection->sqlstate, at->sqlstate, strlen(at->sqlstate)) != 0)
        at++;
    return at->advice;
}

/* libpq does not say what kind of error kept it from connecting: told by the text, where that is
 * the English one, for the sake of the advice alone. */
static const char *sqlstate_of(const char *message)
{
    static const struct {
        const char *begin, *end, *sqlstate;
    } kinds[] = {
        {"database \"", "\" does not exist", "3D000"},   {"role \"", "\" does not exist", "28000"},
        {"password authentication failed", "", "28P01"}, {"no password supplied", "", "28P01"},
        {"no pg_hba.conf entry", "", "28000"},           {"session is read-only", "", "25006"},
        {"server is in hot standby mode", "", "25006"},  {"too many clients", "", "53300"},
        {"remaining connection slots", "", "53300"},
    };
    for (size_t i = 0; i < sizeof kinds / sizeof kinds[0]; i++) {
        const char *at = strstr(message, kinds[i].begin);
        if (at && strstr(at, kinds[i].end)) return kinds[i].sqlstate;
    }
    return NULL;
}

/* Of what changes seldom by itself: not bounded together with lines that strangers cause. */
void pg_tell_trouble(struct pg_connection *connection)
{
    bool is_same =
        connection->is_trouble_told && strcmp(connection->told_sqlstate, connection->sqlstate) == 0;
    int64_t again_ms =
        connection->told_at_ms + (is_same ? TOLD_AGAIN_AFTER_MS : TOLD_NEXT_AFTER_MS);
    if (connection->is_quiet) return;
    if (connection->failure != PG_UNREACHABLE && connection->failure != PG_REFUSED) return;
    if (connection->told_at_ms && clock_mono_ms() < again_ms) return;
    memcpy(connection->told_sqlstate, connection->sqlstate, sizeof connection->told_sqlstate);
    connection->told_at_ms = clock_mono_ms();
    connection->is_trouble_told = true;
    struct log_field fields[] = {
        LOG_TEXT("reason", span_of(connection->message)),
        LOG_TEXT("sqlstate", span_of(connection->sqlstate)),
        LOG_TEXT("advice", span_of(pg_advice(connection))),
    };
    if (connection->failure == PG_REFUSED)
        log_write(LOG_ERROR, "database_refuses", fields, 3);
    else
        log_write(LOG_ERROR, "database_unreachable", fields, 3);
}

static void tell_back(struct pg_connection *connection)
{
    if (connection->is_trouble_told)
        log_event(LOG_INFO, "database_back", LOG_TEXT("host", span_of(PQhost(connection->conn))));
    connection->is_trouble_told = false;
}

void pg_disconnect(struct pg_connection *connection)
{
    PQfinish(connection->conn);
    connection->conn = NULL;
    if (connection->is_pipeline) pg_note_failure(connection, PG_UNREACHABLE, NULL, "disconnected");
    connection->statements_count = 0;
    connection->waiting_count = connection->waiting_at = 0;
    connection->is_synced = false;
}

static void on_notice(void *arg, const PGresult *result)
{
    /* Standard error is the log's, which has what matters. */
}

static bool is_port(const char *text)
{
    return !text || strspn(text, "0123456789,") == strlen(text);
}

/* A name with an at sign in the middle is the rest of a password with one that was not escaped. */
static bool is_host(const char *text)
{
    return !text || !text[0] || !strchr(text + 1, '@');
}

/* What libpq says of a URL that it cannot read may hold all of it, and the password with it; where
 * it reads a part of the password as something else, that part. */
static bool is_readable(const char *url)
{
    char *error = NULL;
    PQconninfoOption *options = PQconninfoParse(url, &error);
    bool is_readable = options != NULL;
    for (const PQconninfoOption *at = options; at && at->keyword; at++) {
        if (strcmp(at->keyword, "port") == 0 && !is_port(at->val)) is_readable = false;
        if (strcmp(at->keyword, "host") == 0 && !is_host(at->val)) is_readable = false;
    }
    PQconninfoFree(options);
    PQfreemem(error);
    return is_readable;
}

/* How long a host may take. Clients wait, so that one which was there is given little at first;
 * each time that this was too little, more. */
static int64_t connect_s(const struct pg_connection *connection)
{
    int64_t most_s = connection->timeout_ms / 1000;
    int64_t wanted_s = connection->generation ? CONNECT_S_MIN + connection->slow_connects : most_s;
    if (wanted_s > most_s) wanted_s = most_s;
    return wanted_s < CONNECT_S_MIN ? CONNECT_S_MIN : wanted_s;
}

/* What stands before `dbname` gives way to what the URL says. */
static PGconn *start(const struct pg_connection *connection)
{
    char timeout_s[24];
    snprintf(timeout_s, sizeof timeout_s, "%lld", (long long)connect_s(connection));
    const char *const keywords[] = {
        "application_name",     "connect_timeout",
        "keepalives_idle",      "keepalives_interval",
        "keepalives_count",     "tcp_user_timeout",
        "target_session_attrs", "dbname",
        "client_encoding",      NULL,
    };
    char user_timeout_ms[24];
    snprintf(user_timeout_ms, sizeof user_timeout_ms, "%lld", (long long)connection->timeout_ms);
    const char *const values[] = {
        "adtally",    timeout_s,       "10",   "5",  "3", user_timeout_ms,
        "read-write", connection->url, "UTF8", NULL,
    };
    return PQconnectdbParams(keywords, values, true);
}

/* A COMMIT is answered when it is on stable storage: a database or a user whose setting is weaker
 * is overruled, a stronger one (remote_apply) stays. */
static enum pg_failure set_up_session(struct pg_connection *connection)
{
    char sql[640];
    long long timeout_ms = connection->timeout_ms;
    snprintf(sql, sizeof sql,
             "SELECT set_config('statement_timeout', '%lld', false),"
             " set_config('lock_timeout', '%lld', false),"
             " set_config('idle_in_transaction_session_timeout', '10000', false),"
             " set_config('TimeZone', 'UTC', false),"
             " set_config('bytea_output', 'hex', false),"
             " set_config('synchronous_commit', CASE current_setting('synchronous_commit')"
             " WHEN 'off' THEN 'on' WHEN 'local' THEN 'on'"
             " ELSE current_setting('synchronous_commit') END, false)",
             timeout_ms * 3 / 4, timeout_ms / 2);
    return pg_run_text(connection, sql);
}

/* Plans are made once, maybe while the tables are small, and must not read whole tables when these
 * have grown: each key is looked up. What costs much by such a plan must not be compiled for that.
 * Not plan_cache_mode = force_generic_plan: what is said of a parameter that is NULL (sweep.c)
 * would not end a scan. */
static enum pg_failure set_up_plans(struct pg_connection *connection)
{
    return pg_run_text(connection,
                       "SELECT set_config(name, 'off', false) FROM pg_settings WHERE name IN"
                       " ('enable_seqscan', 'enable_bitmapscan', 'enable_hashjoin',"
                       " 'enable_mergejoin', 'jit')");
}

static enum pg_failure fail(struct pg_connection *connection, const char *message)
{
    int64_t backoff_ms = connection->backoff_ms * 2;
    if (backoff_ms < BACKOFF_MS_MIN) backoff_ms = BACKOFF_MS_MIN;
    if (backoff_ms > BACKOFF_MS_MAX) backoff_ms = BACKOFF_MS_MAX;
    connection->backoff_ms = backoff_ms;
    connection->retry_at_ms = clock_mono_ms() + backoff_ms;
    connection->failure = PG_FINE;
    pg_note_failure(connection, PG_UNREACHABLE, sqlstate_of(message), message);
    pg_disconnect(connection);
    pg_tell_trouble(connection);
    return PG_UNREACHABLE;
}

static enum pg_failure connect_now(struct pg_connection *connection)
{
    if (!is_readable(connection->url)) return fail(connection, unparsable);
    int64_t began_ms = clock_mono_ms(), slow_ms = connect_s(connection) * 1000;
    connection->conn = start(connection);
    bool is_slow = clock_mono_ms() - began_ms >= slow_ms;
    connection->slow_connects = is_slow ? connection->slow_connects + 1 : 0;
    if (!connection->conn) return fail(connection, "out of memory");
    if (PQstatus(connection->conn) != CONNECTION_OK) {
        char message[PG_MESSAGE_MAX];
        snprintf(message, sizeof message, "%s", PQerrorMessage(connection->conn));
        return fail(connection, message);
    }
    PQsetNoticeReceiver(connection->conn, on_notice, NULL);
    if (PQsetnonblocking(connection->conn, 1) != 0 || !PQenterPipelineMode(connection->conn))
        return fail(connection, PQerrorMessage(connection->conn));
    connection->generation++;
    if (set_up_session(connection) || set_up_plans(connection)) {
        char message[PG_MESSAGE_MAX];
        memcpy(message, connection->message, sizeof message);
        return fail(connection, message);
    }
    connection->backoff_ms = 0;
    tell_back(connection);
    return PG_FINE;
}

enum pg_failure pg_connect(struct pg_connection *connection)
{
    if (connection->conn && PQstatus(connection->conn) == CONNECTION_OK) return PG_FINE;
    if (connection->conn) pg_disconnect(connection);
    if (clock_mono_ms() < connection->retry_at_ms) return PG_UNREACHABLE;
    return connect_now(connection);
}

enum err pg_err(enum pg_failure failure)
{
    static const enum err errs[] = {
        [PG_FINE] = ERR_OK,         [PG_TAKEN] = ERR_BUSY,
        [PG_AGAIN] = ERR_BUSY,      [PG_UNREACHABLE] = ERR_UNREACHABLE,
        [PG_REFUSED] = ERR_REFUSED,
    };
    return errs[failure];
}
