#include "sink/driver.h"
#include "sink/post.h"

#include "base/clock.h"

#include <librdkafka/rdkafka.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* Kafka by an idempotent producer: a topic, partitions by the event's key, the receipt and the
 * table as headers. What the brokers do not take now stays with the producer, which goes on trying
 * in order; only when it has given up for good is another one made, behind what was acknowledged.
 */

enum { ON_THE_WAY_MAX = 2 * SINK_BATCH_MAX, POLL_MS = 50, CLOSE_MS = 2000, PROBLEM_SIZE = 512 };

struct kafka_sink {
    const struct sink_config *config;
    rd_kafka_t *producer; /* NULL: to be made */
    char *topic;
    /* A ring in order of sequences: [first, first + count). */
    struct on_the_way {
        uint64_t sequence;
        bool is_acknowledged;
    } ring[ON_THE_WAY_MAX];
    size_t first, count;
    uint64_t produced_to; /* sequence */
    bool is_broken;
    char reason[SINK_REASON_MAX];
};

static void on_report(rd_kafka_t *producer, const rd_kafka_message_t *message, void *arg)
{
    struct kafka_sink *sink = arg;
    struct on_the_way *event = message->_private;
    event->is_acknowledged = !message->err;
    if (!message->err || sink->is_broken) return;
    sink->is_broken = true;
    snprintf(sink->reason, sizeof sink->reason, "%.60s", rd_kafka_err2str(message->err));
}

static void on_error(rd_kafka_t *producer, int code, const char *text, void *arg)
{
    struct kafka_sink *sink = arg;
    sink->is_broken |= code == RD_KAFKA_RESP_ERR__FATAL;
    snprintf(sink->reason, sizeof sink->reason, "%.60s",
             rd_kafka_err2str((rd_kafka_resp_err_t)code));
}

/* The log of a library would bring texts of its own form, and of others' making. */
static void on_log(const rd_kafka_t *producer, int level, const char *where, const char *text) {}

static bool set(rd_kafka_conf_t *conf, const char *name, const char *value,
                struct sink_failure *failure)
{
    char problem[PROBLEM_SIZE];
    if (rd_kafka_conf_set(conf, name, value, problem, sizeof problem) == RD_KAFKA_CONF_OK)
        return true;
    sink_fail(failure, "property %.40s is refused", name);
    return false;
}

/* What exactly-once and order rest on is not for the file to change. */
static bool is_ours(const char *name)
{
    static const char *const names[] = {"enable.idempotence",
                                        "enable.gapless.guarantee",
                                        "acks",
                                        "request.required.acks",
                                        "message.timeout.ms",
                                        "delivery.timeout.ms",
                                        "bootstrap.servers",
                                        "partitioner"};
    for (size_t i = 0; i < sizeof names / sizeof names[0]; i++)
        if (strcmp(name, names[i]) == 0) return true;
    return false;
}

static bool set_property(rd_kafka_conf_t *conf, struct span line, struct sink_failure *failure)
{
    struct span value = line;
    char *name = post_text(span_trim(span_split(&value, '=')));
    char *text = post_text(value.ptr ? span_trim(value) : SPAN_NONE);
    bool is_set = false;
    if (!name || !text)
        sink_fail(failure, "properties_file: a line is name=value");
    else if (is_ours(name))
        sink_fail(failure, "property %.30s cannot be changed", name);
    else
        is_set = set(conf, name, text, failure);
    if (text) explicit_bzero(text, strlen(text));
    free(name);
    free(text);
    return is_set;
}

static bool set_properties(rd_kafka_conf_t *conf, struct span path, struct sink_failure *failure)
{
    char *text = post_read_secret(path, failure);
    struct span rest = span_of(text);
    bool is_set = text;
    while (rest.ptr && is_set) {
        struct span line = span_trim(span_split(&rest, '\n'));
        if (line.len > 0 && line.ptr[0] != '#') is_set = set_property(conf, line, failure);
    }
    post_wipe(text);
    return is_set;
}

static bool set_all(rd_kafka_conf_t *conf, const struct sink_config *config,
                    struct sink_failure *failure)
{
    static const char *const fixed[][2] = {
        {"client.id", "adtally-sinks"},
        {"linger.ms", "5"},
        {"queue.buffering.max.messages", "100000"},
        {"partitioner", "murmur2_random"}, /* as Java's */
        {"enable.idempotence", "true"},
        {"enable.gapless.guarantee", "true"}, /* one that fails takes those behind it along */
        {"message.timeout.ms", "0"},
    };
    char *brokers = post_text(config->url);
    bool is_set = brokers && (!config->properties_file.ptr ||
                              set_properties(conf, config->properties_file, failure));
    if (is_set) is_set = set(conf, "bootstrap.servers", brokers, failure);
    for (size_t i = 0; i < sizeof fixed / sizeof fixed[0] && is_set; i++)
        is_set = set(conf, fixed[i][0], fixed[i][1], failure);
    free(brokers);
    return is_set;
}

static bool make_producer(struct kafka_sink *sink, struct sink_failure *failure)
{
    char problem[PROBLEM_SIZE];
    rd_kafka_conf_t *conf = rd_kafka_conf_new();
    sink->first = sink->count = 0;
    sink->produced_to = 0;
    sink->is_broken = false;
    snprintf(sink->reason, sizeof sink->reason, "no acknowledgement in time");
    rd_kafka_conf_set_opaque(conf, sink);
    rd_kafka_conf_set_dr_msg_cb(conf, on_report);
    rd_kafka_conf_set_error_cb(conf, on_error);
    rd_kafka_conf_set_log_cb(conf, on_log);
    if (set_all(conf, sink->config, failure)) {
        sink->producer = rd_kafka_new(RD_KAFKA_PRODUCER, conf, problem, sizeof problem);
        if (sink->producer) return true;
        sink_fail(failure, "properties_file: %.40s", problem);
    }
    rd_kafka_conf_destroy(conf);
    return false;
}

static void end_producer(struct kafka_sink *sink)
{
    if (!sink->producer) return;
    rd_kafka_purge(sink->producer, RD_KAFKA_PURGE_F_QUEUE | RD_KAFKA_PURGE_F_INFLIGHT);
    rd_kafka_flush(sink->producer, CLOSE_MS);
    rd_kafka_destroy(sink->producer);
    sink->producer = NULL;
}

static void kafka_close(void *driver)
{
    struct kafka_sink *sink = driver;
    end_producer(sink);
    free(sink->topic);
    free(sink);
}

static void *kafka_open(const struct sink_config *config, struct sink_failure *failure)
{
    struct kafka_sink *sink = calloc(1, sizeof *sink);
    if (!sink) {
        sink_fail(failure, "no memory");
        return NULL;
    }
    sink->config = config;
    sink->topic = post_text(config->topic);
    return sink;
}

static rd_kafka_headers_t *headers_of(const struct store_feed_event *event)
{
    struct span table = event_table_name(event->table);
    rd_kafka_headers_t *headers = rd_kafka_headers_new(2);
    rd_kafka_header_add(headers, "receipt", -1, event->receipt.ptr, (ssize_t)event->receipt.len);
    rd_kafka_header_add(headers, "table", -1, table.ptr, (ssize_t)table.len);
    return headers;
}

/* The library takes what it copies as if it were to change it. */
static rd_kafka_vu_t bytes_of(rd_kafka_vtype_t type, struct span text)
{
    void *bytes = (void *)(uintptr_t)text.ptr;
    return (rd_kafka_vu_t){.vtype = type, .u.mem = {.ptr = bytes, .size = text.len}};
}

static rd_kafka_resp_err_t hand_over(struct kafka_sink *sink, const struct store_feed_event *event,
                                     struct on_the_way *place)
{
    rd_kafka_headers_t *headers = headers_of(event);
    const rd_kafka_vu_t parts[] = {
        {.vtype = RD_KAFKA_VTYPE_TOPIC, .u.cstr = sink->topic},
        bytes_of(RD_KAFKA_VTYPE_KEY, event->key),
        bytes_of(RD_KAFKA_VTYPE_VALUE, event->text),
        {.vtype = RD_KAFKA_VTYPE_TIMESTAMP, .u.i64 = event->recorded_at_ms},
        {.vtype = RD_KAFKA_VTYPE_MSGFLAGS, .u.i = RD_KAFKA_MSG_F_COPY},
        {.vtype = RD_KAFKA_VTYPE_HEADERS, .u.headers = headers},
        {.vtype = RD_KAFKA_VTYPE_OPAQUE, .u.ptr = place},
    };
    rd_kafka_error_t *error =
        rd_kafka_produceva(sink->producer, parts, sizeof parts / sizeof parts[0]);
    rd_kafka_resp_err_t code = rd_kafka_error_code(error);
    if (code) rd_kafka_headers_destroy(headers); /* else they are the message's */
    rd_kafka_error_destroy(error);
    return code;
}

/* False: there is no room now. */
static bool produce(struct kafka_sink *sink, const struct store_feed_event *event)
{
    if (sink->count == ON_THE_WAY_MAX) return false;
    struct on_the_way *place = &sink->ring[(sink->first + sink->count) % ON_THE_WAY_MAX];
    *place = (struct on_the_way){event->sequence, false};
    rd_kafka_resp_err_t err = hand_over(sink, event, place);
    if (!err) {
        sink->count++;
        sink->produced_to = event->sequence;
        return true;
    }
    if (err != RD_KAFKA_RESP_ERR__QUEUE_FULL) {
        sink->is_broken = true;
        snprintf(sink->reason, sizeof sink->reason, "%.60s", rd_kafka_err2str(err));
    }
    return false;
}

static void drop_acknowledged(struct kafka_sink *sink)
{
    while (sink->count && sink->ring[sink->first].is_acknowledged) {
        sink->first = (sink->first + 1) % ON_THE_WAY_MAX;
        sink->count--;
    }
}

/* How many of them lie before the first one that is still on its way. */
static size_t count_done(const struct kafka_sink *sink, const struct store_feed_event *events,
                         size_t count)
{
    uint64_t open = sink->count ? sink->ring[sink->first].sequence : sink->produced_to + 1;
    size_t done = 0;
    while (done < count && events[done].sequence < open)
        done++;
    return done;
}

static size_t kafka_deliver(void *driver, const struct store_feed_event *events, size_t count,
                            struct sink_failure *failure)
{
    struct kafka_sink *sink = driver;
    int64_t until_ms = clock_mono_ms() + sink->config->timeout_ms;
    size_t next = 0, done = 0;
    if (!sink->producer && !make_producer(sink, failure)) return 0;
    while (done < count && !sink->is_broken && clock_mono_ms() < until_ms) {
        while (next < count &&
               (events[next].sequence <= sink->produced_to || produce(sink, &events[next])))
            next++;
        rd_kafka_poll(sink->producer, POLL_MS);
        drop_acknowledged(sink);
        done = count_done(sink, events, count);
    }
    if (done < count) sink_fail(failure, "%.60s", sink->reason);
    if (sink->is_broken) end_producer(sink);
    return done;
}

const struct sink_driver sink_kafka = {kafka_open, kafka_deliver, kafka_close};
