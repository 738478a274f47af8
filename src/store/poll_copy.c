#include "store/poll_copy.h"

#include <stdlib.h>
#include <string.h>

int poll_find_option(const struct poll *poll, struct span id)
{
    for (uint32_t i = 0; i < poll->options_count; i++)
        if (span_eq(poll->options[i].id, id)) return (int)i;
    return -1;
}

static struct span keep(char **at, struct span text)
{
    if (!text.ptr) return SPAN_NONE;
    struct span kept = {*at, text.len};
    memcpy(*at, text.ptr, text.len);
    *at += text.len;
    return kept;
}

struct poll_copy *poll_copy_new(const struct poll *poll, struct poll_copy *older)
{
    size_t size = poll->question.len + poll->cta_url.len;
    for (uint32_t i = 0; i < poll->options_count; i++)
        size += poll->options[i].id.len + poll->options[i].text.len;
    struct poll_copy *copy = malloc(sizeof *copy + size);
    if (!copy) return NULL;
    char *at = copy->text;
    *copy = (struct poll_copy){.older = older, .poll = *poll};
    copy->poll.question = keep(&at, poll->question);
    copy->poll.cta_url = keep(&at, poll->cta_url);
    for (uint32_t i = 0; i < poll->options_count; i++)
        copy->poll.options[i] =
            (struct poll_option){keep(&at, poll->options[i].id), keep(&at, poll->options[i].text)};
    if (poll->counts) memcpy(copy->counts, poll->counts, sizeof copy->counts);
    copy->poll.counts = copy->counts;
    return copy;
}

void poll_copy_free_all(struct poll_copy *newest)
{
    for (struct poll_copy *at = newest, *older; at; at = older) {
        older = at->older;
        free(at);
    }
}
