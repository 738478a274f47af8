#include "admin/command.h"
#include "json/write.h"

#include <stdio.h>
#include <stdlib.h>

/* mint: {"ok":true,"answer":{...}}, the answer as POST /v1/mint gives it; a refusal has it too. */

enum { SCRATCH_SIZE = 16 * 1024 * 1024 };

static void answer_mint(struct writer *answer, int status, struct span body)
{
    char sentence[64];
    writer_put(answer, status == 200 ? SPAN("{\"ok\":true") : SPAN("{\"ok\":false"));
    snprintf(sentence, sizeof sentence, "the request was refused with status %d", status);
    if (status != 200) json_write_text_member(answer, SPAN("error"), span_of(sentence));
    json_write_comma(answer);
    json_write_key(answer, SPAN("answer"));
    writer_put(answer, body);
    writer_char(answer, '}');
}

void admin_mint(struct admin_request *request, struct writer *answer)
{
    struct admin *admin = request->admin;
    struct arena scratch;
    struct span body;
    uint32_t json = json_member(&request->doc, 0, SPAN("request"));
    if (!json) {
        admin_fail(answer, "request is missing: an object with the ads");
        return;
    }
    void *memory = malloc(SCRATCH_SIZE);
    if (!memory) {
        admin_fail(answer, "there is not enough memory for this command");
        return;
    }
    arena_init(&scratch, memory, SCRATCH_SIZE);
    int status =
        api_mint(admin->api, json_raw(&request->doc, json), admin->listen_host, &scratch, &body);
    answer_mint(answer, status, body);
    free(memory);
}
