#include "store/sqlite/report_sums.h"

#include <stdlib.h>

enum { NUMBERS_FIRST = 256, KEY_TEXTS = REPORT_IDS + 1 };

/* The largest that there is, and one more. */
static enum err next_of(struct report_db *db, const char *sql, int64_t *next)
{
    enum err err = db_query_i64(db->db, sql, next);
    return err ? err : *next >= UINT32_MAX ? ERR_FULL : ERR_OK;
}

enum err report_ids_begin(struct report_ids *ids, struct report_db *db)
{
    *ids = (struct report_ids){.db = db};
    enum err err = next_of(db, "SELECT coalesce(max(ad), 0) + 1 FROM main.agg_ad", &ids->ad_next);
    if (!err)
        err = next_of(db, "SELECT coalesce(max(kind), 0) + 1 FROM main.agg_kind", &ids->kind_next);
    if (!err)
        err = db_prepare(db->db, &ids->find_ad,
                         "SELECT ad FROM main.agg_ad WHERE names = ? AND advertiser = ? AND"
                         " publisher = ? AND campaign = ? AND product = ? AND placement = ?");
    if (!err)
        err = db_prepare(db->db, &ids->add_ad,
                         "INSERT INTO main.agg_ad VALUES (?, ?, ?, ?, ?, ?, ?, ?)");
    if (!err)
        err = db_prepare(db->db, &ids->find_kind,
                         "SELECT kind FROM main.agg_kind WHERE metric = ? AND flagged = ? AND"
                         " label = ?");
    if (!err)
        err =
            db_prepare(db->db, &ids->add_kind, "INSERT INTO main.agg_kind VALUES (?, ?, ?, ?, ?)");
    return err;
}

void report_ids_end(struct report_ids *ids)
{
    sqlite3_finalize(ids->find_ad);
    sqlite3_finalize(ids->add_ad);
    sqlite3_finalize(ids->find_kind);
    sqlite3_finalize(ids->add_kind);
    report_texts_free(&ids->ad_texts);
    report_texts_free(&ids->kind_texts);
    free(ids->ads);
    free(ids->kinds);
    free(ids->key.bytes);
}

/* 0: there is none yet. */
static enum err find(struct report_ids *ids, sqlite3_stmt *statement, uint32_t *id)
{
    int code = sqlite3_step(statement);
    *id = code == SQLITE_ROW ? (uint32_t)sqlite3_column_int64(statement, 0) : 0;
    sqlite3_reset(statement);
    return code == SQLITE_ROW || code == SQLITE_DONE ? ERR_OK : db_last_err(ids->db->db);
}

static void bind_names(struct db_binder *row, int by, const struct span names[REPORT_IDS])
{
    db_bind_i64(row, by);
    for (int i = 0; i < REPORT_IDS; i++)
        db_bind_text(row, names[i]);
}

static enum err find_or_add_ad(struct report_ids *ids, int by, const struct span names[REPORT_IDS],
                               uint32_t *ad)
{
    struct db_binder key = db_row(ids->find_ad, SPAN_NONE);
    bind_names(&key, by, names);
    enum err err = find(ids, ids->find_ad, ad);
    if (err || *ad) return err;
    if (ids->ad_next >= UINT32_MAX) return ERR_FULL;
    *ad = (uint32_t)ids->ad_next++;
    struct db_binder row = db_row(ids->add_ad, SPAN("agg_ad"));
    db_bind_i64(&row, *ad);
    bind_names(&row, by, names);
    return db_insert(&row);
}

bool report_join(struct report_bytes *out, const struct span *texts, size_t count)
{
    size_t len = 0;
    for (size_t i = 0; i < count; i++)
        len += texts[i].len + 1;
    if (!report_grow((void **)&out->bytes, &out->cap, len, 1024, 1)) return false;
    out->len = 0;
    for (size_t i = 0; i < count; i++) {
        if (texts[i].len) memcpy(out->bytes + out->len, texts[i].ptr, texts[i].len);
        out->len += texts[i].len;
        out->bytes[out->len++] = 0;
    }
    return true;
}

/* Which of the texts of this step it is. */
static enum err occur(struct report_ids *ids, int by, const struct span names[REPORT_IDS],
                      uint32_t *number, bool *is_new)
{
    struct span texts[KEY_TEXTS] = {[0] = {&"01234567"[by], 1}};
    for (int i = 0; i < REPORT_IDS; i++)
        texts[i + 1] = names[i];
    if (!report_join(&ids->key, texts, KEY_TEXTS)) return ERR_NO_MEMORY;
    enum err err = report_texts_find(&ids->ad_texts, (struct span){ids->key.bytes, ids->key.len},
                                     number, is_new);
    if (err || report_grow((void **)&ids->ads, &ids->ads_cap, ids->ad_texts.count, NUMBERS_FIRST,
                           sizeof *ids->ads))
        return err;
    return ERR_NO_MEMORY;
}

/* What stands for all ads that have this one's name, or any. */
static enum err find_by(struct report_ids *ids, int by, const struct span names[REPORT_IDS],
                        uint32_t *ad)
{
    struct span rolled[REPORT_IDS];
    uint32_t number;
    bool is_new;
    for (int i = 0; i < REPORT_IDS; i++)
        rolled[i] = i == by || by == REPORT_BY_ALL ? names[i] : SPAN("");
    enum err err = occur(ids, by, rolled, &number, &is_new);
    if (!err && is_new) err = find_or_add_ad(ids, by, rolled, &ids->ads[number].by[by]);
    if (!err) *ad = ids->ads[number].by[by];
    return err;
}

enum err report_ids_ad(struct report_ids *ids, const struct span names[REPORT_IDS],
                       struct report_ads *ads)
{
    uint32_t number;
    bool is_new;
    enum err err = occur(ids, REPORT_NAMES, names, &number, &is_new);
    for (int by = 0; by < REPORT_NAMES && !err && is_new; by++) {
        uint32_t ad = 0;
        err = find_by(ids, by, names, &ad);
        ids->ads[number].by[by] = ad;
    }
    if (!err) *ads = ids->ads[number];
    return err;
}

static enum err find_or_add_kind(struct report_ids *ids, int64_t metric, int64_t flagged,
                                 struct span label, uint32_t *kind)
{
    struct db_binder key = db_row(ids->find_kind, SPAN_NONE);
    db_bind_i64(&key, metric);
    db_bind_i64(&key, flagged);
    db_bind_text(&key, label);
    enum err err = find(ids, ids->find_kind, kind);
    if (err || *kind) return err;
    if (ids->kind_next >= UINT32_MAX) return ERR_FULL;
    *kind = (uint32_t)ids->kind_next++;
    struct db_binder row = db_row(ids->add_kind, SPAN("agg_kind"));
    db_bind_i64(&row, *kind);
    db_bind_i64(&row, metric);
    db_bind_i64(&row, flagged);
    db_bind_text(&row, label);
    return db_insert(&row);
}

enum err report_ids_kind(struct report_ids *ids, int64_t metric, int64_t flagged, struct span label,
                         uint32_t *kind)
{
    char digits[] = {(char)('0' + metric), (char)('0' + flagged)};
    const struct span texts[] = {{digits, sizeof digits}, label};
    uint32_t number;
    bool is_new;
    if (!report_join(&ids->key, texts, 2)) return ERR_NO_MEMORY;
    enum err err = report_texts_find(&ids->kind_texts, (struct span){ids->key.bytes, ids->key.len},
                                     &number, &is_new);
    if (err) return err;
    if (!report_grow((void **)&ids->kinds, &ids->kinds_cap, ids->kind_texts.count, NUMBERS_FIRST,
                     sizeof *ids->kinds))
        return ERR_NO_MEMORY;
    if (is_new) err = find_or_add_kind(ids, metric, flagged, label, &ids->kinds[number]);
    if (!err) *kind = ids->kinds[number];
    return err;
}
