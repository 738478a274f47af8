#pragma once

#include "event/record.h"
#include "store/keys.h"

/* Who sends, by the key. */
static inline struct sender sender_of(const struct api_key *key)
{
    return (struct sender){.partner_id = key->partner_id,
                           .api_key_id = key->id,
                           .api_key_label = key->label,
                           .advertiser_id = key->advertiser_id};
}
