#include "run.h"

#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>

struct run run;
struct total total;

void trace_begin(void)
{
    run.hash = UINT64_C(0xcbf29ce484222325);
}

void trace(const char *format, ...)
{
    char line[512];
    va_list rest;
    va_start(rest, format);
    /* clang-tidy 14 knows va_start only in the first file of a run. */
    vsnprintf(line, sizeof line, format, rest); /* NOLINT(clang-analyzer-valist.Uninitialized) */
    va_end(rest);
    for (const char *at = line; *at; at++) /* FNV-1a */
        run.hash = (run.hash ^ (unsigned char)*at) * UINT64_C(0x100000001b3);
    if (run.prints_trace) puts(line);
}

void fail(const char *format, ...)
{
    va_list rest;
    if (run.failed) return;
    va_start(rest, format);
    /* clang-tidy 14 knows va_start only in the first file of a run. */
    /* NOLINTNEXTLINE(clang-analyzer-valist.Uninitialized) */
    vsnprintf(run.why, sizeof run.why, format, rest);
    va_end(rest);
    run.failed = true;
    trace("FAILED %s", run.why);
}

void trace_ask(const struct ask *ask)
{
    trace("%" PRId64 " %s flaw=%d key=%d client=%d ad=%d token=%d garbled=%d click=%d type=%d"
          " idem=%d event=%d order=%d tag=%d session=%d says=%d/%d/%d poll=%d option=%d/%x kid=%d",
          ask->at_ms, words_kind(ask->kind), ask->flaw, ask->key, ask->client, ask->ad, ask->token,
          ask->garbled, ask->click, ask->event_type, ask->idempotency_key, ask->event_id,
          ask->order_id, ask->tag, ask->session, ask->sentiment, ask->reasons, ask->comment,
          ask->poll, ask->option, ask->options, ask->token_key);
}

void trace_answer(const struct ask *ask, const struct answer *answer)
{
    trace("  %s -> %d retry=%d receipt=%016" PRIx64 " %s%.160s", words_kind(ask->kind),
          answer->status, answer->retry_after_s, answer->receipt, answer->location,
          ask->kind == ASK_MINT ? "" : answer->body);
    if (answer->status > 0) total.class_count[answer->status / 100]++;
}
