#pragma once

#include "base/span.h"
#include "store/sinks.h"

#include <stdbool.h>
#include <stdint.h>

/* sinks.conf (docs/sinks.md): a section `[NAME]` for each sink, with `name = value` lines as in
 * adtally.conf. */

enum sink_type { SINK_HTTP, SINK_WEBHOOK, SINK_NATS, SINK_KAFKA, SINK_TYPES };
extern const struct span sink_type_names[SINK_TYPES];

enum { SINK_RETRIES_MAX = 16, SINK_BATCH_MAX = 4096, SINK_WAITING_MAX = 100000 };

/* Texts are absent when not given; they borrow from the file, which config_free releases. */
struct sink_config {
    char name[SINK_NAME_MAX + 1];
    unsigned line;
    int type;
    struct span url;
    struct span topic;   /* Kafka */
    struct span subject; /* NATS: its first part */
    struct span stream;  /* NATS: the stream that has to take it */
    struct span partner, campaign;
    struct span secret_file;      /* webhooks: lines of whsec_... */
    struct span headers_file;     /* HTTP, webhooks: lines of `Name: value` */
    struct span credentials_file; /* NATS: a .creds file */
    struct span user, password_file;
    struct span properties_file; /* Kafka: lines of `name=value` for librdkafka */
    struct span ca_file;
    uint32_t tables; /* bits of enum op_kind */
    bool begins_now;
    int64_t batch, concurrency, waiting_max, timeout_ms;
    int64_t retry_ms[SINK_RETRIES_MAX]; /* webhooks: the pauses before the second, third, ... try */
    unsigned retries_count;
};

struct sinks_config {
    char *memory;
    struct sink_config sinks[SINKS_MAX];
    unsigned count;
};

/* False: said in one sentence, with file and line. */
bool config_read(struct sinks_config *out, const char *path);
bool config_read_text(struct sinks_config *out, const char *path, struct span text);

/* Whether every file that it names can be read now; what cannot is said. */
bool config_files_are_readable(const struct sinks_config *config, const char *path);

void config_free(struct sinks_config *config);

const struct sink_config *config_find(const struct sinks_config *config, struct span name);
