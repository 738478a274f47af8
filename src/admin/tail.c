#include "api/tail.h"
#include "admin/command.h"

/* tail: {"command":"tail","route":"...","outcome":"...","partner":"...","campaign":"..."} answers
 * {"ok":true}, and then the lines of api/tail.h until either side closes. */

void admin_tail(struct admin_request *request, struct writer *answer)
{
    struct tail_filter filter;
    struct admin *admin = request->admin;
    if (!admin->can_stream) {
        admin_fail(answer, "no server runs here: tail shows the requests of a running one");
        return;
    }
    for (enum tail_field i = 0; i < TAIL_FIELDS_COUNT; i++)
        if (!admin_text(request, tail_field_name(i), &filter.texts[i])) {
            admin_fail(answer, "what tail filters by are strings");
            return;
        }
    const char *problem = tail_filter_problem(&filter);
    if (problem) {
        admin_fail(answer, problem);
        return;
    }
    admin->opened = tail_open(admin->api, &filter);
    if (admin->opened)
        writer_lit(answer, "{\"ok\":true}\n");
    else
        admin_fail(answer, "too many watch already: end another tail");
}
