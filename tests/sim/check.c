#include "model_internal.h"

#include "words.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

/* What came back: as expected, and with what only the answer can tell. */

static bool wrong(char *why, size_t size, const char *what, const char *wanted, const char *got)
{
    snprintf(why, size, "%s is %.300s, and should be %.300s", what, got, wanted);
    return false;
}

static bool wrong_number(char *why, size_t size, const char *what, int64_t wanted, int64_t got)
{
    char texts[2][24];
    snprintf(texts[0], sizeof texts[0], "%" PRId64, wanted);
    snprintf(texts[1], sizeof texts[1], "%" PRId64, got);
    return wrong(why, size, what, texts[0], texts[1]);
}

static bool id_is_taken(const struct model *model, const char *id, int holder)
{
    for (int i = 0; i < model->events_count; i++)
        if (i != holder && strcmp(model->events[i].id, id) == 0) return true;
    return false;
}

static bool receipt_is_taken(const struct model *model, uint64_t receipt, int holder)
{
    for (int i = 0; i < model->events_count; i++)
        if (i != holder && model->events[i].receipt == receipt) return true;
    return false;
}

/* A new event's, or the one of an event that stands, as whoever asked first was told. */
static bool take_receipt(struct model *model, int holder, uint64_t receipt, char *why, size_t size)
{
    struct event *event = &model->events[holder];
    if (!receipt) return wrong(why, size, "the receipt", "there", "missing");
    if (receipt_is_taken(model, receipt, holder))
        return wrong(why, size, "the receipt", "of this event", "another event's");
    if (event->receipt && event->receipt != receipt)
        return wrong(why, size, "the receipt", "the one of before", "a new one");
    event->receipt = receipt;
    return true;
}

static bool take_id(struct model *model, int holder, const char *id, char *why, size_t size)
{
    struct event *event = &model->events[holder];
    if (id_is_taken(model, id, holder))
        return wrong(why, size, "the id", "of this event", "another event's");
    if (event->id[0] && strcmp(event->id, id) != 0)
        return wrong(why, size, "the id", event->id, id);
    snprintf(event->id, sizeof event->id, "%s", id);
    return true;
}

static bool take_click(struct model *model, const struct ask *ask, int holder,
                       const struct answer *answer, char *why, size_t size)
{
    char id[UUID_TEXT], wanted[LOCATION_TEXT];
    int64_t end_s = (ask->at_ms + model->rules.click_ttl_ms) / 1000;
    if (!words_read_click(id, answer->location))
        return wrong(why, size, "Location", "with a click id", answer->location);
    const struct ad *ad = &model->ads[ask->ad];
    words_clicked(wanted, sizeof wanted, ask, ad->click_has_no_bid ? NULL : ad->bid, id, end_s,
                  answer->location);
    if (strcmp(wanted, answer->location) != 0)
        return wrong(why, size, "Location", wanted, answer->location);
    return take_id(model, holder, id, why, size);
}

static bool take_feedback(struct model *model, int holder, const struct answer *answer, char *why,
                          size_t size)
{
    char id[UUID_TEXT];
    if (!words_read_feedback(id, answer->body))
        return wrong(why, size, "the body", "with a feedbackId", answer->body);
    return take_id(model, holder, id, why, size);
}

static bool take_what_is_new(struct model *model, const struct ask *ask,
                             const struct expected *expected, const struct answer *answer,
                             char *why, size_t size)
{
    int holder = expected->holder;
    if (holder < 0) return true;
    if (expected->has_receipt) return take_receipt(model, holder, answer->receipt, why, size);
    if (is_redirect(ask)) return take_click(model, ask, holder, answer, why, size);
    if (ask->kind == ASK_AD_FEEDBACK) return take_feedback(model, holder, answer, why, size);
    return true;
}

bool model_check(struct model *model, const struct ask *ask, const struct expected *expected,
                 const struct answer *answer, char *why, size_t size)
{
    if (answer->status != expected->status)
        return wrong_number(why, size, "the status", expected->status, answer->status);
    if (answer->retry_after_s != expected->retry_after_s)
        return wrong_number(why, size, "Retry-After", expected->retry_after_s,
                            answer->retry_after_s);
    if (expected->has_body && strcmp(answer->body, expected->body) != 0)
        return wrong(why, size, "the body", expected->body, answer->body);
    if (expected->has_location && strcmp(answer->location, expected->location) != 0)
        return wrong(why, size, "Location", expected->location, answer->location);
    return take_what_is_new(model, ask, expected, answer, why, size);
}
