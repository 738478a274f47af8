#include "audit.h"

#include "server.h"

#include <inttypes.h>
#include <sqlite3.h>
#include <stdio.h>
#include <string.h>

enum { LINE_MAX = 320, ROWS_MAX = EVENTS_MAX + 256, FACTS_MAX = 128 };

/* All clients' addresses, as rows have them. */
#define NETWORK "203.0.113.0"

struct row {
    int64_t sequence, subject; /* of what it belongs to */
    char id[UUID_TEXT], line[LINE_MAX];
};

/* Keys, and polls with their options. */
struct facts {
    int count;
    char lines[FACTS_MAX][LINE_MAX];
};

static struct row rows[ROWS_MAX];
static int rows_count;
static struct facts facts;

static const char events_sql[] =
    "SELECT seq, click_id, 0, 'click at=' || recorded_at_ms || ' bid=' ||"
    " coalesce(bid_id, '-') || ' pub=' ||"
    " publisher_id || ' adv=' || coalesce(advertiser_id, '-') || ' route=' || route || ' end=' ||"
    " expires_at_ms || ' from=' || coalesce(client_address, '-') FROM click"
    " UNION ALL SELECT seq, '', click_seq, 'conversion at=' || recorded_at_ms || ' partner=' ||"
    " partner_id || ' click=' || click_id || ' type=' || event_type || ' key=' ||"
    " coalesce(idempotency_key, '-') || ' event=' || coalesce(event_id, '-') || ' order=' ||"
    " coalesce(order_id, '-') || ' value=' || conversion_value FROM conversion"
    " UNION ALL SELECT seq, '', 0, 'server at=' || recorded_at_ms || ' partner=' || partner_id ||"
    " ' tag=' || tag_id || ' event=' || coalesce(event_id, '-') FROM server_event"
    " UNION ALL SELECT seq, '', 0, 'impression at=' || recorded_at_ms || ' bid=' || bid_id ||"
    " ' pub=' || publisher_id || ' route=' || route || ' from=' || coalesce(client_address, '-')"
    " FROM impression"
    " UNION ALL SELECT seq, '', impression_seq, 'feedback at=' || recorded_at_ms || ' bid=' ||"
    " bid_id || ' type=' || feedback_type || ' text=' || coalesce(feedback_text, '-')"
    " FROM feedback"
    " UNION ALL SELECT seq, feedback_id, 0, 'ad_feedback at=' || recorded_at_ms || ' session=' ||"
    " CASE WHEN sent_session_id LIKE 'erased:%' THEN 'erased' ELSE sent_session_id END || ' bid=' "
    "|| bid_id || ' pub=' || publisher_id || ' sentiment=' ||"
    " sentiment || ' reasons=' || coalesce(reasons, '-') || ' comment=' || coalesce(comment, '-')"
    " || ' placement=' || coalesce(sent_placement, '-') FROM ad_feedback"
    " UNION ALL SELECT seq, '', 0, 'vote at=' || recorded_at_ms || ' poll=' || poll_id ||"
    " ' option=' || option_id || ' bid=' || bid_id FROM vote ORDER BY 1";

static const char facts_sql[] =
    "SELECT 'key ' || id || ' ' || class || ' end=' || coalesce(expires_at_ms, 0) || ' revoked=' ||"
    " (revoked_at_ms IS NOT NULL) FROM api_key UNION ALL "
    "SELECT 'poll ' || p.poll_id || ' withdrawn=' || (withdrawn_at_ms IS NOT NULL) || ' ' ||"
    " option_id || '=' || text FROM poll AS p JOIN poll_option AS o ON o.poll_id = p.poll_id"
    " ORDER BY 1";

static void copy_column(char *out, size_t size, sqlite3_stmt *statement, int column)
{
    const char *text = (const char *)sqlite3_column_text(statement, column);
    words_copy(out, size, text ? text : "");
}

static void read_event(sqlite3_stmt *statement)
{
    struct row *row = &rows[rows_count++];
    row->sequence = sqlite3_column_int64(statement, 0);
    copy_column(row->id, sizeof row->id, statement, 1);
    row->subject = sqlite3_column_int64(statement, 2);
    copy_column(row->line, sizeof row->line, statement, 3);
}

static void read_fact(sqlite3_stmt *statement)
{
    copy_column(facts.lines[facts.count++], LINE_MAX, statement, 0);
}

static bool read_all(sqlite3 *db, const char *sql, void (*read)(sqlite3_stmt *statement),
                     const int *count, int max)
{
    sqlite3_stmt *statement = NULL;
    int code = sqlite3_prepare_v2(db, sql, -1, &statement, NULL);
    if (code == SQLITE_OK)
        while ((code = sqlite3_step(statement)) == SQLITE_ROW && *count < max)
            read(statement);
    sqlite3_finalize(statement);
    return code == SQLITE_DONE;
}

bool audit_read(const char *db_path, char *why, size_t why_size)
{
    sqlite3 *db = NULL;
    rows_count = facts.count = 0;
    int flags = SQLITE_OPEN_READONLY | SQLITE_OPEN_NOMUTEX;
    bool read = sqlite3_open_v2(db_path, &db, flags, NULL) == SQLITE_OK &&
                read_all(db, events_sql, read_event, &rows_count, ROWS_MAX) &&
                read_all(db, facts_sql, read_fact, &facts.count, FACTS_MAX);
    if (!read) snprintf(why, why_size, "the database cannot be read: %s", sqlite3_errmsg(db));
    sqlite3_close(db);
    return read;
}

/* "e3", or "-" for what was not sent. */
static const char *spell(char out[24], const char *name, int number)
{
    return words_spell(out, 24, name, number, "-");
}

static void write_click(char *line, const struct model *model, const struct event *event)
{
    char advertiser[24];
    const struct ask *ask = &event->ask;
    const struct ad *ad = &model->ads[ask->ad];
    bool is_import = ask->kind == ASK_IMPORT;
    snprintf(line, LINE_MAX,
             "click at=%" PRId64 " bid=%s pub=publisher%d adv=%s route=%s end=%" PRId64 " from=%s",
             is_import ? ask->happened_ms : ask->at_ms, ad->click_has_no_bid ? "-" : ad->bid,
             ad->publisher, spell(advertiser, "advertiser", ad->advertiser),
             is_import                   ? "import"
             : ask->kind == ASK_REDIRECT ? "redirect"
                                         : "click",
             is_import ? ask->end_ms : ask->at_ms + model->rules.click_ttl_ms,
             event->is_erased || is_import ? "-" : NETWORK);
}

static void write_conversion(char *line, const struct model *model, const struct event *event)
{
    static const char *const types[] = {"purchase_completed", "signup", "lead"};
    char texts[3][24];
    const struct ask *ask = &event->ask;
    snprintf(line, LINE_MAX,
             "conversion at=%" PRId64 " partner=partner%d click=%s type=%s key=%s event=%s"
             " order=%s value=%d.%02d",
             ask->at_ms, event->partner, model->events[event->subject].id, types[ask->event_type],
             spell(texts[0], "e", ask->idempotency_key), spell(texts[1], "e", ask->event_id),
             spell(texts[2], "o", ask->order_id), ask->value / 100, ask->value % 100);
}

static void write_ad_feedback(char *line, const struct model *model, const struct event *event)
{
    char texts[3][24], reasons[40];
    const struct ask *ask = &event->ask;
    const struct ad *ad = &model->ads[ask->ad];
    snprintf(reasons, sizeof reasons, "[\"reason %d\",\"other\"]", ask->reasons);
    snprintf(line, LINE_MAX,
             "ad_feedback at=%" PRId64 " session=%s bid=%s pub=publisher%d"
             " sentiment=thumbs_%s reasons=%s comment=%s placement=%s",
             ask->at_ms, event->is_erased ? "erased" : spell(texts[2], "session", ask->session),
             ad->bid, ad->publisher, ask->sentiment ? "up" : "down", ask->reasons ? reasons : "-",
             spell(texts[0], "comment ", event->is_erased ? 0 : ask->comment),
             spell(texts[1], "placement", ask->placement));
}

/* The row that an event should be. */
static void write_line(char *line, const struct model *model, const struct event *event)
{
    char texts[2][24];
    const struct ask *ask = &event->ask;
    const struct ad *ad = &model->ads[ask->ad >= 0 ? ask->ad : 0]; /* most events are of one */
    switch (event->kind) {
    case EVENT_CLICK:
        write_click(line, model, event);
        break;
    case EVENT_CONVERSION:
        write_conversion(line, model, event);
        break;
    case EVENT_SERVER:
        snprintf(line, LINE_MAX, "server at=%" PRId64 " partner=partner%d tag=%s event=%s",
                 ask->at_ms, event->partner, spell(texts[0], "tag", ask->tag),
                 spell(texts[1], "e", ask->event_id));
        break;
    case EVENT_IMPRESSION:
        snprintf(line, LINE_MAX,
                 "impression at=%" PRId64 " bid=%s pub=publisher%d route=%s from=%s", ask->at_ms,
                 ad->bid, ad->publisher, ask->kind == ASK_VIEW ? "view" : "ack",
                 event->is_erased ? "-" : NETWORK);
        break;
    case EVENT_FEEDBACK:
        snprintf(line, LINE_MAX, "feedback at=%" PRId64 " bid=%s type=%s text=%s", ask->at_ms,
                 ad->bid, ask->sentiment ? "positive" : "negative",
                 spell(texts[0], "comment ", event->is_erased ? 0 : ask->comment));
        break;
    case EVENT_AD_FEEDBACK:
        write_ad_feedback(line, model, event);
        break;
    case EVENT_VOTE:
        snprintf(line, LINE_MAX, "vote at=%" PRId64 " poll=%d option=o%d bid=%s", ask->at_ms,
                 ad->poll, ask->option, ad->bid);
        break;
    }
}

/* The same event, and its receipt leads to this row. */
static bool is_row_of(const struct row *row, const struct model *model, const struct event *event)
{
    char line[LINE_MAX];
    write_line(line, model, event);
    return strcmp(line, row->line) == 0 && (!event->id[0] || strcmp(event->id, row->id) == 0) &&
           (!event->receipt || server_sequence_of(event->receipt) == (uint64_t)row->sequence);
}

/* Which row an event has: they are in the same order, but for those that retention took. */
static int places[EVENTS_MAX];
enum { GONE = -1 };

static bool find_places(const struct model *model)
{
    int row = 0;
    for (int i = 0; i < model->events_count; i++) {
        const struct event *event = &model->events[i];
        bool is_there = row < rows_count && !event->is_gone && is_row_of(&rows[row], model, event);
        if (!is_there && !model_may_be_gone(model, event)) return false;
        places[i] = is_there ? row++ : GONE;
    }
    return row == rows_count;
}

/* What it belongs to stands as long as it does. */
static bool has_its_subject(const struct model *model, int index)
{
    const struct event *event = &model->events[index];
    const struct row *row = &rows[places[index]];
    bool has_one = event->kind == EVENT_CONVERSION || event->kind == EVENT_FEEDBACK;
    if (!has_one) return row->subject == 0;
    int place = places[event->subject];
    return place != GONE && row->subject == rows[place].sequence;
}

/* Of each table the oldest go first. */
static bool are_gone_in_order(const struct model *model)
{
    bool is_kept[EVENT_KINDS] = {false};
    for (int i = 0; i < model->events_count; i++) {
        enum event_kind kind = model->events[i].kind;
        if (places[i] == GONE && is_kept[kind]) return false;
        is_kept[kind] |= places[i] != GONE;
    }
    return true;
}

static void take_rows(struct model *model)
{
    for (int i = 0; i < model->events_count; i++) {
        struct event *event = &model->events[i];
        event->is_gone = places[i] == GONE;
        if (event->is_gone) continue;
        memcpy(event->id, rows[places[i]].id, sizeof event->id);
        event->sequence = rows[places[i]].sequence;
    }
}

static bool events_match(struct model *model)
{
    if (!find_places(model) || !are_gone_in_order(model)) return false;
    for (int i = 0; i < model->events_count; i++)
        if (places[i] != GONE && !has_its_subject(model, i)) return false;
    take_rows(model);
    return true;
}

static void write_facts(struct facts *out, const struct model *model)
{
    static const char *const classes[] = {"partner", "publisher", "adserver"};
    out->count = 0;
    for (int i = 0; i < KEYS_MAX; i++) {
        const struct key *key = &model->keys[i];
        if (key->exists)
            snprintf(out->lines[out->count++], LINE_MAX,
                     "key key%09d %s end=%" PRId64 " revoked=%d", i, classes[key->key_class],
                     key->expires_ms, key->revoked);
    }
    for (int i = 0; i < POLLS_MAX; i++) {
        const struct poll_texts *poll = &model->polls[i];
        for (int option = 1; poll->exists && option <= OPTIONS_MAX; option++)
            if (poll->options >> option & 1)
                snprintf(out->lines[out->count++], LINE_MAX,
                         "poll %d withdrawn=%d o%d=option %d of text %d", i, poll->withdrawn,
                         option, option, poll->text);
    }
}

static int facts_changed(const struct model *model)
{
    static struct facts wanted;
    write_facts(&wanted, model);
    int changed = wanted.count != facts.count;
    for (int i = 0; i < wanted.count && i < facts.count; i++)
        changed += strcmp(wanted.lines[i], facts.lines[i]) != 0;
    return changed;
}

bool audit_matches(struct model *model)
{
    return facts_changed(model) == 0 && events_match(model);
}

static void note(char *why, size_t size, const char *what, const char *line)
{
    if (!why[0]) snprintf(why, size, "%s: %s", what, line);
}

void audit_differ(const struct model *model, struct audit_difference *out, char *why,
                  size_t why_size)
{
    bool has_row[EVENTS_MAX] = {0};
    char line[LINE_MAX];
    *out = (struct audit_difference){.changed = facts_changed(model)};
    why[0] = '\0';
    for (int i = 0; i < rows_count; i++) {
        int event = 0, twin = -1;
        for (; event < model->events_count; event++) {
            if (!is_row_of(&rows[i], model, &model->events[event])) continue;
            if (!has_row[event]) break;
            twin = event;
        }
        if (event < model->events_count) {
            has_row[event] = true;
            continue;
        }
        out->doubled += twin >= 0;
        out->phantom += twin < 0;
        note(why, why_size, twin >= 0 ? "doubled" : "phantom", rows[i].line);
    }
    for (int i = 0; i < model->events_count; i++) {
        if (has_row[i] || model_may_be_gone(model, &model->events[i])) continue;
        out->lost++;
        write_line(line, model, &model->events[i]);
        note(why, why_size, "lost", line);
    }
    if (out->changed) note(why, why_size, "changed", "a key or a poll");
    note(why, why_size, "changed", "the order of events, or what belongs to what");
}
