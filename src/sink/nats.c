#include "sink/driver.h"
#include "sink/post.h"

#include "base/clock.h"

#include <nats/nats.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* NATS JetStream: subject SUBJECT.TABLE, the receipt as Nats-Msg-Id, by which the stream knows what
 * it has already. Many are on their way at once, but never two of one key: a stream may refuse one
 * message and take the next. A connection that broke is not mended but made anew, so that what
 * stood in its buffers is not sent behind its successors. */

enum { SUBJECT_MAX = 256, POLL_MS = 20 };

struct nats_sink {
    const struct sink_config *config;
    natsConnection *connection;
    jsCtx *stream;
    char *subject, *stream_name;
    /* of what is on its way; the library's threads write refused */
    const struct store_feed_event *events;
    size_t count;
    pthread_mutex_t mutex;
    bool refused[SINK_BATCH_MAX];
    char reason[SINK_REASON_MAX];
};

static bool is_good(natsStatus status, const char *what, struct sink_failure *failure)
{
    if (status != NATS_OK) sink_fail(failure, "%s: %.40s", what, natsStatus_GetText(status));
    return status == NATS_OK;
}

static void nats_close(void *driver)
{
    struct nats_sink *sink = driver;
    jsCtx_Destroy(sink->stream);
    natsConnection_Destroy(sink->connection);
    pthread_mutex_destroy(&sink->mutex);
    free(sink->subject);
    free(sink->stream_name);
    free(sink);
}

/* The place of a message among those on their way, by its id; count: of none. */
static size_t place_of(const struct nats_sink *sink, natsMsg *message)
{
    const char *id = NULL;
    size_t i = 0;
    if (natsMsgHeader_Get(message, "Nats-Msg-Id", &id) != NATS_OK) return sink->count;
    while (i < sink->count && !span_eq(sink->events[i].receipt, span_of(id)))
        i++;
    return i;
}

static void refuse(struct nats_sink *sink, natsMsg *message, const char *reason)
{
    pthread_mutex_lock(&sink->mutex);
    size_t at = place_of(sink, message);
    if (at < sink->count) {
        sink->refused[at] = true;
        snprintf(sink->reason, sizeof sink->reason, "%.60s", reason);
    }
    pthread_mutex_unlock(&sink->mutex);
}

static void on_refused(jsCtx *stream, jsPubAckErr *error, void *arg)
{
    bool is_missing = error->Err == NATS_NO_RESPONDERS;
    const char *text = error->ErrText ? error->ErrText : natsStatus_GetText(error->Err);
    refuse(arg, error->Msg, is_missing ? "no stream takes the subject" : text);
}

static bool set_password(natsOptions *options, const struct sink_config *config,
                         struct sink_failure *failure)
{
    char *user = post_text(config->user);
    char *password = post_read_secret(config->password_file, failure);
    bool is_set = false;
    if (password) {
        password[strcspn(password, "\r\n")] = '\0';
        is_set =
            is_good(natsOptions_SetUserInfo(options, user ? user : "", password), "user", failure);
    }
    post_wipe(password);
    free(user);
    return is_set;
}

static natsStatus set_security(natsOptions *options, const struct sink_config *config)
{
    char *credentials = post_text(config->credentials_file), *ca = post_text(config->ca_file);
    natsStatus status = NATS_OK;
    if (credentials) status = natsOptions_SetUserCredentialsFromFiles(options, credentials, NULL);
    if (status == NATS_OK && (ca || span_starts_with(config->url, SPAN("tls://"))))
        status = natsOptions_SetSecure(options, true);
    if (status == NATS_OK && ca) status = natsOptions_LoadCATrustedCertificates(options, ca);
    free(credentials);
    free(ca);
    return status;
}

static bool set_options(natsOptions *options, const struct sink_config *config,
                        struct sink_failure *failure)
{
    char *url = post_text(config->url);
    natsStatus status = natsOptions_SetURL(options, url ? url : "");
    free(url);
    if (status == NATS_OK) status = natsOptions_SetAllowReconnect(options, false);
    if (status == NATS_OK) status = natsOptions_SetTimeout(options, config->timeout_ms);
    if (status == NATS_OK) status = natsOptions_SetName(options, "adtally-sinks");
    if (status == NATS_OK) status = natsOptions_SetPingInterval(options, config->timeout_ms);
    if (!is_good(status, "url", failure)) return false;
    if (!is_good(set_security(options, config), "credentials", failure)) return false;
    return !config->password_file.ptr || set_password(options, config, failure);
}

static bool connect_to(struct nats_sink *sink, struct sink_failure *failure)
{
    jsOptions stream_options;
    natsOptions *options = NULL;
    bool is_open = is_good(natsOptions_Create(&options), "options", failure) &&
                   set_options(options, sink->config, failure) &&
                   is_good(natsConnection_Connect(&sink->connection, options), "connect", failure);
    natsOptions_Destroy(options);
    if (!is_open) return false;
    jsOptions_Init(&stream_options);
    stream_options.PublishAsync.ErrHandler = on_refused;
    stream_options.PublishAsync.ErrHandlerClosure = sink;
    stream_options.PublishAsync.MaxPending = SINK_BATCH_MAX + 1;
    return is_good(natsConnection_JetStream(&sink->stream, sink->connection, &stream_options),
                   "JetStream", failure);
}

static void *nats_open(const struct sink_config *config, struct sink_failure *failure)
{
    struct nats_sink *sink = calloc(1, sizeof *sink);
    if (!sink) {
        sink_fail(failure, "no memory");
        return NULL;
    }
    sink->config = config;
    sink->subject = post_text(config->subject);
    sink->stream_name = post_text(config->stream);
    pthread_mutex_init(&sink->mutex, NULL);
    return sink; /* connected by the first delivery */
}

static natsStatus publish(struct nats_sink *sink, const struct store_feed_event *event)
{
    char subject[SUBJECT_MAX], receipt[17];
    natsMsg *message = NULL;
    jsPubOptions options;
    snprintf(subject, sizeof subject, "%s.%.*s", sink->subject,
             SPAN_FMT(event_table_name(event->table)));
    snprintf(receipt, sizeof receipt, "%.*s", SPAN_FMT(event->receipt));
    jsPubOptions_Init(&options);
    options.MsgId = receipt;
    options.ExpectStream = sink->stream_name;
    natsStatus status =
        natsMsg_Create(&message, subject, NULL, event->text.ptr, (int)event->text.len);
    if (status == NATS_OK) status = js_PublishMsgAsync(sink->stream, &message, &options);
    natsMsg_Destroy(message); /* NULL once it was taken */
    return status;
}

/* How many from the front have keys that differ. */
static size_t window_of(const struct store_feed_event *events, size_t count)
{
    enum { SLOTS = 4 * SINK_BATCH_MAX };
    static _Thread_local uint16_t slots[SLOTS]; /* number of the event that is there, from 1 on */
    memset(slots, 0, sizeof slots);
    for (size_t i = 0; i < count; i++) {
        uint64_t hash = UINT64_C(0xcbf29ce484222325);
        for (size_t j = 0; j < events[i].key.len; j++)
            hash = (hash ^ (unsigned char)events[i].key.ptr[j]) * UINT64_C(0x100000001b3);
        size_t at = hash % SLOTS;
        for (; slots[at]; at = (at + 1) % SLOTS)
            if (span_eq(events[slots[at] - 1].key, events[i].key)) return i;
        slots[at] = (uint16_t)(i + 1);
    }
    return count;
}

/* What no answer came for within the time counts as refused. */
static void refuse_pending(struct nats_sink *sink)
{
    natsMsgList pending = {0};
    if (js_PublishAsyncGetPendingList(&pending, sink->stream) != NATS_OK) return;
    for (int i = 0; i < pending.Count; i++)
        refuse(sink, pending.Msgs[i], "no acknowledgement in time");
    natsMsgList_Destroy(&pending);
}

/* Whether they all were acknowledged; *done: how many from the front. */
static bool send_window(struct nats_sink *sink, const struct store_feed_event *events, size_t count,
                        size_t *done, struct sink_failure *failure)
{
    jsPubOptions wait;
    size_t published = 0;
    natsStatus status = NATS_OK;
    pthread_mutex_lock(&sink->mutex);
    sink->events = events;
    sink->count = count;
    memset(sink->refused, 0, sizeof sink->refused);
    pthread_mutex_unlock(&sink->mutex);
    while (published < count && status == NATS_OK)
        if ((status = publish(sink, &events[published])) == NATS_OK) published++;
    jsPubOptions_Init(&wait);
    wait.MaxWait = sink->config->timeout_ms;
    natsStatus waited = js_PublishAsyncComplete(sink->stream, &wait);
    if (waited != NATS_OK) refuse_pending(sink);
    pthread_mutex_lock(&sink->mutex);
    for (*done = 0; *done < published && !sink->refused[*done]; ++*done)
        continue;
    if (*done < published) sink_fail(failure, "%.60s", sink->reason);
    sink->count = 0;
    pthread_mutex_unlock(&sink->mutex);
    if (*done == published && status != NATS_OK) is_good(status, "publish", failure);
    return *done == count;
}

static void disconnect(struct nats_sink *sink)
{
    jsCtx_Destroy(sink->stream);
    natsConnection_Destroy(sink->connection);
    sink->stream = NULL;
    sink->connection = NULL;
}

static size_t nats_deliver(void *driver, const struct store_feed_event *events, size_t count,
                           struct sink_failure *failure)
{
    struct nats_sink *sink = driver;
    size_t done = 0, part = 0;
    if (sink->connection && natsConnection_IsClosed(sink->connection)) disconnect(sink);
    if (!sink->connection && !connect_to(sink, failure)) {
        disconnect(sink);
        return 0;
    }
    while (done < count) {
        size_t window = window_of(events + done, count - done);
        bool is_whole = send_window(sink, events + done, window, &part, failure);
        done += part;
        if (is_whole) continue;
        disconnect(sink);
        break;
    }
    return done;
}

const struct sink_driver sink_nats = {nats_open, nats_deliver, nats_close};
