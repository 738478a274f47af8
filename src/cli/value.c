#include "cli/value.h"

#include <arpa/inet.h>
#include <stdio.h>
#include <string.h>

struct unit {
    struct span name;
    int64_t factor;
};

enum { SECOND_MS = 1000, DAY_MS = 24 * 60 * 60 * SECOND_MS };

static const struct unit duration_units[] = {
    {{"ms", 2}, 1},
    {{"s", 1}, SECOND_MS},
    {{"m", 1}, 60 * SECOND_MS},
    {{"h", 1}, 60 * 60 * SECOND_MS},
    {{"d", 1}, DAY_MS},
};

static const struct unit size_units[] = {
    {{"B", 1}, 1},
    {{"KiB", 3}, 1024},
    {{"MiB", 3}, 1024 * 1024},
};

static bool parse_with_unit(int64_t *out, struct span text, const struct unit *units, size_t count)
{
    size_t digits = 0;
    while (digits < text.len && text.ptr[digits] >= '0' && text.ptr[digits] <= '9')
        digits++;
    struct span unit = {text.ptr + digits, text.len - digits};
    unsigned long long number;
    if (!span_to_u64((struct span){text.ptr, digits}, INT64_MAX, &number)) return false;
    if (number == 0 && digits == 1 && unit.len == 0) {
        *out = 0;
        return true;
    }
    for (size_t i = 0; i < count; i++)
        if (span_eq(unit, units[i].name))
            return !__builtin_mul_overflow((int64_t)number, units[i].factor, out);
    return false;
}

bool value_duration(int64_t *out_ms, struct span text)
{
    return parse_with_unit(out_ms, text, duration_units,
                           sizeof duration_units / sizeof *duration_units);
}

bool value_size(int64_t *out, struct span text)
{
    return parse_with_unit(out, text, size_units, sizeof size_units / sizeof *size_units);
}

bool value_count(int64_t *out, struct span text)
{
    unsigned long long number;
    if (!span_to_u64(text, INT64_MAX, &number)) return false;
    *out = (int64_t)number;
    return true;
}

static void set_v4(struct value_address *out, struct in_addr host, in_port_t port)
{
    struct sockaddr_in v4 = {.sin_family = AF_INET, .sin_addr = host, .sin_port = htons(port)};
    memcpy(&out->socket, &v4, sizeof v4);
    out->socket_len = sizeof v4;
}

static void set_v6(struct value_address *out, struct in6_addr host, in_port_t port)
{
    struct sockaddr_in6 v6 = {.sin6_family = AF_INET6, .sin6_addr = host, .sin6_port = htons(port)};
    memcpy(&out->socket, &v6, sizeof v6);
    out->socket_len = sizeof v6;
}

static bool parse_host(struct value_address *out, struct span host, in_port_t port)
{
    char text[INET6_ADDRSTRLEN];
    struct in_addr v4 = {htonl(INADDR_LOOPBACK)};
    struct in6_addr v6 = IN6ADDR_ANY_INIT;
    bool bracketed = host.len >= 2 && host.ptr[0] == '[' && host.ptr[host.len - 1] == ']';
    if (bracketed) host = (struct span){host.ptr + 1, host.len - 2};
    if (host.len == 0) {
        out->any = !bracketed;
        set_v6(out, v6, port);
        return out->any;
    }
    if (host.len >= sizeof text || memchr(host.ptr, 0, host.len)) return false;
    memcpy(text, host.ptr, host.len);
    text[host.len] = 0;
    if (bracketed) {
        if (inet_pton(AF_INET6, text, &v6) != 1) return false;
        set_v6(out, v6, port);
        return true;
    }
    if (strcmp(text, "localhost") != 0 && inet_pton(AF_INET, text, &v4) != 1) return false;
    set_v4(out, v4, port);
    return true;
}

bool value_address(struct value_address *out, struct span text)
{
    *out = (struct value_address){0};
    size_t host_len = text.len;
    while (host_len > 0 && text.ptr[host_len - 1] != ':')
        host_len--;
    if (host_len == 0) return false;
    unsigned long long port;
    if (!span_to_u64((struct span){text.ptr + host_len, text.len - host_len}, UINT16_MAX, &port))
        return false;
    return parse_host(out, (struct span){text.ptr, host_len - 1}, (in_port_t)port);
}

static void write_v4(char out[VALUE_ADDRESS_TEXT_MAX], struct in_addr host, in_port_t port)
{
    char text[INET_ADDRSTRLEN];
    if (host.s_addr == htonl(INADDR_ANY)) host.s_addr = htonl(INADDR_LOOPBACK);
    inet_ntop(AF_INET, &host, text, sizeof text);
    snprintf(out, VALUE_ADDRESS_TEXT_MAX, "%s:%u", text, ntohs(port));
}

void value_address_write(char out[VALUE_ADDRESS_TEXT_MAX], const struct value_address *address)
{
    char text[INET6_ADDRSTRLEN];
    struct sockaddr_in v4;
    struct sockaddr_in6 v6;
    memcpy(&v4, &address->socket, sizeof v4);
    memcpy(&v6, &address->socket, sizeof v6);
    if (address->any) v4 = (struct sockaddr_in){.sin_port = v6.sin6_port};
    if (address->any || address->socket.ss_family == AF_INET) {
        write_v4(out, v4.sin_addr, v4.sin_port);
        return;
    }
    if (IN6_IS_ADDR_UNSPECIFIED(&v6.sin6_addr)) v6.sin6_addr = in6addr_loopback;
    inet_ntop(AF_INET6, &v6.sin6_addr, text, sizeof text);
    snprintf(out, VALUE_ADDRESS_TEXT_MAX, "[%s]:%u", text, ntohs(v6.sin6_port));
}
