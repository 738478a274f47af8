#include <librdkafka/rdkafka.h>
#include <librdkafka/rdkafka_mock.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* Kafka brokers for the tests: librdkafka's own, which speak the protocol over sockets. Prints
 * their addresses, then does what standard input says, a line each, and answers each with "ok":
 *
 *     down N, up N        a broker goes away and comes back
 *     fail CODE COUNT     so many Produce requests are answered with the error
 *     dump                prints every message: partition, offset, key, receipt, table, text
 */

enum { BROKERS = 3, PARTITIONS = 4, PRODUCE = 0, WAIT_MS = 5000, LINE_SIZE = 256 };

struct cluster {
    rd_kafka_t *owner;
    rd_kafka_mock_cluster_t *mock;
};

static void die(const char *what)
{
    fprintf(stderr, "kafka_cluster: %s\n", what);
    exit(1);
}

static rd_kafka_t *make_client(rd_kafka_type_t type, const char *const settings[][2], size_t count)
{
    char problem[256];
    rd_kafka_conf_t *conf = rd_kafka_conf_new();
    for (size_t i = 0; i < count; i++)
        if (rd_kafka_conf_set(conf, settings[i][0], settings[i][1], problem, sizeof problem))
            die(problem);
    rd_kafka_t *client = rd_kafka_new(type, conf, problem, sizeof problem);
    if (!client) die(problem);
    return client;
}

static void print_header(const rd_kafka_message_t *message, const char *name)
{
    rd_kafka_headers_t *headers = NULL;
    const void *value = "";
    size_t size = 0;
    rd_kafka_message_headers(message, &headers);
    if (headers) rd_kafka_header_get_last(headers, name, &value, &size);
    printf("\t%.*s", (int)size, (const char *)value);
}

static void print_message(const rd_kafka_message_t *message)
{
    printf("%d\t%lld\t%.*s", message->partition, (long long)message->offset, (int)message->key_len,
           (const char *)message->key);
    print_header(message, "receipt");
    print_header(message, "table");
    printf("\t%.*s\n", (int)message->len, (const char *)message->payload);
}

/* Everything from the beginning, until each partition has said that it has no more. */
static void dump(const struct cluster *cluster)
{
    const char *const settings[][2] = {
        {"bootstrap.servers", rd_kafka_mock_cluster_bootstraps(cluster->mock)},
        {"group.id", "dump"},
        {"enable.partition.eof", "true"},
        {"enable.auto.commit", "false"}};
    rd_kafka_t *consumer = make_client(RD_KAFKA_CONSUMER, settings, 4);
    rd_kafka_topic_partition_list_t *parts = rd_kafka_topic_partition_list_new(PARTITIONS);
    rd_kafka_poll_set_consumer(consumer);
    for (int i = 0; i < PARTITIONS; i++)
        rd_kafka_topic_partition_list_add(parts, "adtally", i)->offset = RD_KAFKA_OFFSET_BEGINNING;
    rd_kafka_assign(consumer, parts);
    for (int ended = 0; ended < PARTITIONS;) {
        rd_kafka_message_t *message = rd_kafka_consumer_poll(consumer, WAIT_MS);
        if (!message) die("nothing to read in time");
        if (!message->err) print_message(message);
        if (message->err == RD_KAFKA_RESP_ERR__PARTITION_EOF) ended++;
        rd_kafka_message_destroy(message);
    }
    rd_kafka_topic_partition_list_destroy(parts);
    rd_kafka_consumer_close(consumer);
    rd_kafka_destroy(consumer);
}

static void fail_requests(const struct cluster *cluster, int code, int count)
{
    for (int i = 0; i < count; i++)
        rd_kafka_mock_push_request_errors(cluster->mock, PRODUCE, 1, (rd_kafka_resp_err_t)code);
}

static void obey(const struct cluster *cluster, const char *line)
{
    int number = 0, count = 0;
    if (strncmp(line, "dump", 4) == 0)
        dump(cluster);
    else if (sscanf(line, "down %d", &number) == 1)
        rd_kafka_mock_broker_set_down(cluster->mock, number);
    else if (sscanf(line, "up %d", &number) == 1)
        rd_kafka_mock_broker_set_up(cluster->mock, number);
    else if (sscanf(line, "fail %d %d", &number, &count) == 2)
        fail_requests(cluster, number, count);
    else
        die(line);
    puts("ok");
    fflush(stdout);
}

int main(void)
{
    char line[LINE_SIZE];
    const char *const settings[][2] = {{"client.id", "cluster"}, {"log_level", "0"}};
    struct cluster cluster = {.owner = make_client(RD_KAFKA_PRODUCER, settings, 2)};
    cluster.mock = rd_kafka_mock_cluster_new(cluster.owner, BROKERS);
    if (!cluster.mock || rd_kafka_mock_topic_create(cluster.mock, "adtally", PARTITIONS, 1))
        die("no cluster");
    puts(rd_kafka_mock_cluster_bootstraps(cluster.mock));
    fflush(stdout);
    while (fgets(line, sizeof line, stdin))
        obey(&cluster, line);
    rd_kafka_mock_cluster_destroy(cluster.mock);
    rd_kafka_destroy(cluster.owner);
    return 0;
}
