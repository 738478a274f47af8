#include "store/event_row.h"

#include "store/checksum.h"

#include "base/assert.h"

/* The columns of each event's table, in the order of schema.c. */

static struct row_cell *add_cell(struct event_row *row)
{
    ASSERT(row->count < ROW_CELLS_MAX);
    return &row->cells[row->count++];
}

static void row_text(struct event_row *row, struct span text)
{
    *add_cell(row) = (struct row_cell){.is_text = true, .text = text};
    row->checksum =
        checksum_add(row->checksum, text.ptr ? CHECKSUM_TEXT : CHECKSUM_NULL, text.ptr, text.len);
}

static void row_i64(struct event_row *row, int64_t number)
{
    *add_cell(row) = (struct row_cell){.number = number};
    row->checksum = checksum_add_i64(row->checksum, number);
}

static void row_uuid(struct event_row *row, const struct uuid *uuid)
{
    uuid_write(row->uuid, uuid);
    row_text(row, (struct span){row->uuid, sizeof row->uuid});
}

static int64_t recorded_at_ms(const struct op *op)
{
    return op->happened_at_ms ? op->happened_at_ms : op->received_at_ms;
}

static void row_ad(struct event_row *row, const struct ad_facts *ad)
{
    row_text(row, ad->bid_id);
    row_text(row, ad->advertiser_id);
    row_text(row, ad->publisher_id);
    row_text(row, ad->campaign_id);
    row_text(row, ad->product_id);
    row_text(row, ad->creative_id);
    row_text(row, ad->user_id);
    row_text(row, ad->session_id);
    row_text(row, ad->placement);
    row_text(row, ad->price);
    row_text(row, ad->currency);
    row_text(row, ad->pricing);
}

static void click_row(struct event_row *row, const struct op *op, uint64_t link)
{
    const struct click *click = &op->click;
    row_i64(row, (int64_t)op->sequence);
    row_uuid(row, &click->id);
    row_i64(row, recorded_at_ms(op));
    row_ad(row, &click->ad);
    row_text(row, click->landing_url);
    row_text(row, click->visitor.address);
    row_text(row, click->visitor.user_agent);
    row_text(row, click->route);
    row_i64(row, click->expires_at_ms);
    row_i64(row, click->visitor.flags);
}

static void conversion_row(struct event_row *row, const struct op *op, uint64_t link)
{
    const struct conversion *conversion = &op->conversion;
    row_i64(row, (int64_t)op->sequence);
    row_i64(row, recorded_at_ms(op));
    row_text(row, conversion->sender.partner_id);
    row_text(row, conversion->click_id);
    row_text(row, conversion->event_type);
    row_text(row, conversion->idempotency_key);
    row_text(row, conversion->event_id);
    row_text(row, conversion->order_id);
    row_i64(row, (int64_t)link);
    row_text(row, conversion->sender.api_key_id);
    row_text(row, conversion->sender.api_key_label);
    row_text(row, conversion->conversion_time);
    row_i64(row, conversion->conversion_time_ms);
    row_text(row, conversion->conversion_value);
    row_i64(row, conversion->value.units);
    row_i64(row, conversion->value.nanos);
    row_text(row, conversion->currency);
    row_text(row, conversion->tag_id);
    row_text(row, conversion->channel);
    row_text(row, conversion->page_url);
    row_text(row, conversion->referrer);
    row_text(row, conversion->user_agent);
    row_text(row, conversion->session_id);
    row_text(row, conversion->client_id);
    row_text(row, conversion->params);
}

static void server_event_row(struct event_row *row, const struct op *op, uint64_t link)
{
    const struct server_event *event = &op->server_event;
    row_i64(row, (int64_t)op->sequence);
    row_i64(row, recorded_at_ms(op));
    row_text(row, event->sender.partner_id);
    row_text(row, event->tag_id);
    row_text(row, event->event_id);
    row_text(row, event->event_name);
    row_text(row, event->sender.api_key_id);
    row_text(row, event->sender.api_key_label);
    row_i64(row, event->timestamp);
    row_text(row, event->page_url);
    row_text(row, event->referrer);
    row_text(row, event->user_agent);
    row_text(row, event->channel);
    row_text(row, event->session_id);
    row_text(row, event->client_id);
    row_text(row, event->attribution_type);
    row_text(row, event->impression_id);
    row_text(row, event->click_id);
    row_text(row, event->bid_id);
    row_text(row, event->impression_state);
    if (event->has_view_time)
        row_i64(row, event->view_time_ms);
    else
        row_text(row, SPAN_NONE);
    row_text(row, event->consent);
    row_text(row, event->params);
}

static void impression_row(struct event_row *row, const struct op *op, uint64_t link)
{
    row_i64(row, (int64_t)op->sequence);
    row_i64(row, recorded_at_ms(op));
    row_ad(row, &op->impression.ad);
    row_text(row, op->impression.visitor.address);
    row_text(row, op->impression.visitor.user_agent);
    row_text(row, op->impression.route);
    row_i64(row, op->impression.visitor.flags);
}

static void feedback_row(struct event_row *row, const struct op *op, uint64_t link)
{
    row_i64(row, (int64_t)op->sequence);
    row_i64(row, recorded_at_ms(op));
    row_text(row, op->feedback.bid_id);
    row_i64(row, (int64_t)link);
    row_text(row, op->feedback.type);
    row_text(row, op->feedback.text);
}

static void ad_feedback_row(struct event_row *row, const struct op *op, uint64_t link)
{
    const struct ad_feedback *feedback = &op->ad_feedback;
    row_i64(row, (int64_t)op->sequence);
    row_i64(row, recorded_at_ms(op));
    row_uuid(row, &feedback->id);
    row_text(row, feedback->sent_session_id);
    row_ad(row, &feedback->ad);
    row_text(row, feedback->api_key_id);
    row_text(row, feedback->sentiment);
    row_text(row, feedback->reasons);
    row_text(row, feedback->comment);
    row_text(row, feedback->sent_placement);
    row_text(row, feedback->sent_placement_id);
    row_text(row, feedback->sent_user_id);
    row_text(row, feedback->device);
}

static void vote_row(struct event_row *row, const struct op *op, uint64_t link)
{
    row_i64(row, (int64_t)op->sequence);
    row_i64(row, recorded_at_ms(op));
    row_i64(row, op->vote.poll_id);
    row_text(row, op->vote.option_id);
    row_ad(row, &op->vote.ad);
}

typedef void fill_fn(struct event_row *row, const struct op *op, uint64_t link);

static fill_fn *const fills[EVENT_TABLES] = {
    [OP_CLICK] = click_row,
    [OP_CONVERSION] = conversion_row,
    [OP_SERVER_EVENT] = server_event_row,
    [OP_IMPRESSION] = impression_row,
    [OP_FEEDBACK] = feedback_row,
    [OP_AD_FEEDBACK] = ad_feedback_row,
    [OP_VOTE] = vote_row,
};

void event_row_fill(struct event_row *row, const struct op *op, uint64_t link)
{
    row->count = 0;
    row->checksum = checksum_start(event_table_name(op->kind));
    fills[op->kind](row, op, link);
    *add_cell(row) = (struct row_cell){.number = (int64_t)row->checksum};
}
