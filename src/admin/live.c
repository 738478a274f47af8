#include "admin/live.h"

#include "json/write.h"

enum outcome_group { RECORDED, DUPLICATE, REFUSED, FAILED, ANSWERED, CAPPED, UNRECORDED, GROUPS };

static const struct span group_names[GROUPS] = {
    [RECORDED] = SPAN_INIT("recorded"),    [DUPLICATE] = SPAN_INIT("duplicate"),
    [REFUSED] = SPAN_INIT("refused"),      [FAILED] = SPAN_INIT("failed"),
    [ANSWERED] = SPAN_INIT("answered"),    [CAPPED] = SPAN_INIT("capped"),
    [UNRECORDED] = SPAN_INIT("unrecorded")};

static enum outcome_group group_of(unsigned disposition)
{
    switch (disposition) {
    case DISPOSITION_ANSWERED:
        return ANSWERED;
    case DISPOSITION_RECORDED:
        return RECORDED;
    case DISPOSITION_DUPLICATE:
        return DUPLICATE;
    case DISPOSITION_CAPPED:
        return CAPPED;
    case DISPOSITION_UNRECORDED:
        return UNRECORDED;
    case DISPOSITION_REFUSED + REJECT_UNAVAILABLE:
    case DISPOSITION_REFUSED + REJECT_SERVER_ERROR:
        return FAILED;
    default:
        return REFUSED;
    }
}

struct counted {
    uint64_t n, total;
};

static void add(struct counted *sum, uint64_t before, uint64_t now)
{
    sum->n += now - before;
    sum->total += now;
}

static uint64_t rank_of(const struct histogram *before, const struct histogram *now,
                        unsigned percent)
{
    uint64_t count = 0;
    for (unsigned i = 0; i < METRICS_BUCKETS; i++)
        count += now->buckets[i] - before->buckets[i];
    return (count * percent + 99) / 100;
}

uint64_t live_percentile_us(const struct histogram *before, const struct histogram *now,
                            unsigned percent)
{
    uint64_t rank = rank_of(before, now, percent), below = 0;
    if (rank == 0) return 0;
    for (unsigned i = 0; i < METRICS_BUCKETS; i++) {
        uint64_t count = now->buckets[i] - before->buckets[i];
        if (below + count >= rank) {
            uint64_t high = UINT64_C(1) << (METRICS_TIME_SHIFT + i), low = i ? high / 2 : 0;
            return low + (high - low) * (rank - below) / count;
        }
        below += count;
    }
    return 0;
}

static void open_member(struct writer *out, struct span name)
{
    json_write_comma(out);
    json_write_key(out, name);
    writer_char(out, '{');
}

static void write_counted(struct writer *out, struct counted counted)
{
    json_write_number_member(out, SPAN("n"), (int64_t)counted.n);
    json_write_number_member(out, SPAN("total"), (int64_t)counted.total);
}

static void write_named(struct writer *out, struct span name, struct counted counted)
{
    if (!counted.total) return;
    open_member(out, name);
    write_counted(out, counted);
    writer_char(out, '}');
}

static void write_route(struct writer *out, size_t route, const struct api_route_stats *before,
                        const struct api_route_stats *now)
{
    struct counted all = {0};
    for (unsigned i = 0; i < DISPOSITION_COUNT; i++)
        add(&all, before->requests[i], now->requests[i]);
    if (!all.total) return;
    open_member(out, api_route_name(route));
    write_counted(out, all);
    if (all.n) {
        json_write_number_member(
            out, SPAN("p50_us"),
            (int64_t)live_percentile_us(&before->latency_us, &now->latency_us, 50));
        json_write_number_member(
            out, SPAN("p99_us"),
            (int64_t)live_percentile_us(&before->latency_us, &now->latency_us, 99));
    }
    writer_char(out, '}');
}

/* Of all routes. */
static struct counted sum_up(const struct api_stats *before, const struct api_stats *now,
                             unsigned disposition)
{
    struct counted sum = {0};
    for (size_t route = 0; route < API_ROUTES_COUNT; route++)
        add(&sum, before->routes[route].requests[disposition],
            now->routes[route].requests[disposition]);
    return sum;
}

static void write_outcomes(struct writer *out, const struct api_stats *before,
                           const struct api_stats *now)
{
    struct counted groups[GROUPS] = {0};
    for (unsigned i = 0; i < DISPOSITION_COUNT; i++) {
        struct counted counted = sum_up(before, now, i);
        struct counted *group = &groups[group_of(i)];
        *group = (struct counted){group->n + counted.n, group->total + counted.total};
    }
    open_member(out, SPAN("outcomes"));
    for (unsigned i = 0; i < GROUPS; i++)
        write_named(out, group_names[i], groups[i]);
    writer_char(out, '}');
}

static void write_refusals(struct writer *out, const struct api_stats *before,
                           const struct api_stats *now)
{
    open_member(out, SPAN("refusals"));
    for (unsigned i = DISPOSITION_REFUSED; i < DISPOSITION_COUNT; i++)
        write_named(out, span_of(disposition_label(i)), sum_up(before, now, i));
    writer_char(out, '}');
}

static void write_health(struct writer *out, const struct live_look *before,
                         const struct live_look *now)
{
    const struct live_health *health = &now->health;
    const struct store_stats *store = &health->ledger.store;
    open_member(out, SPAN("health"));
    json_write_key(out, SPAN("is_healthy"));
    writer_put(out, health->is_healthy ? SPAN("true") : SPAN("false"));
    json_write_text_member(out, SPAN("version"), SPAN(ADTALLY_VERSION));
    json_write_number_member(out, SPAN("uptime_s"), (now->at_ms - now->started_at_ms) / 1000);
    json_write_number_member(out, SPAN("disk_bytes"), (int64_t)health->disk_bytes);
    json_write_number_member(out, SPAN("disk_free_bytes"), (int64_t)health->disk_free_bytes);
    json_write_number_member(out, SPAN("database_bytes"), (int64_t)health->database_bytes);
    json_write_number_member(out, SPAN("wal_bytes"), (int64_t)store->wal_bytes);
    json_write_number_member(out, SPAN("index_bytes"), (int64_t)store->index_bytes);
    json_write_number_member(out, SPAN("index_entries"),
                             (int64_t)(store->clicks_indexed + store->keys_indexed));
    json_write_number_member(out, SPAN("queue_length"), (int64_t)health->ledger.queue_length);
    uint64_t commit_us =
        live_percentile_us(&before->health.ledger.commit_us, &health->ledger.commit_us, 99);
    if (commit_us) json_write_number_member(out, SPAN("commit_p99_us"), (int64_t)commit_us);
    json_write_number_member(out, SPAN("resident_bytes"), (int64_t)health->process.resident_bytes);
    json_write_number_member(out, SPAN("connections"), (int64_t)now->api.http.conns_open);
    writer_char(out, '}');
}

void live_write(struct writer *out, const struct live_look *before, const struct live_look *now)
{
    writer_char(out, '{');
    json_write_number_member(out, SPAN("started_at_ms"), now->started_at_ms);
    json_write_number_member(out, SPAN("serial"), (int64_t)now->serial);
    json_write_number_member(out, SPAN("at_ms"), now->at_ms);
    open_member(out, SPAN("routes"));
    for (size_t route = 0; route < API_ROUTES_COUNT; route++)
        write_route(out, route, &before->api.routes[route], &now->api.routes[route]);
    writer_char(out, '}');
    write_outcomes(out, &before->api, &now->api);
    write_refusals(out, &before->api, &now->api);
    write_health(out, before, now);
    writer_char(out, '}');
}
