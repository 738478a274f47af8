#include "api/answer.h"
#include "api/pages.h"

/* GET /health and GET / (contract section 1). */

void health_handle(struct api_request *request)
{
    if (ledger_is_healthy(request->loop->api->ledger))
        answer_json(request, 200, SPAN(""), SPAN("{\"status\":\"ok\",\"ready\":true}"));
    else
        answer_not_ready(request, "degraded", SPAN("{\"status\":\"degraded\",\"ready\":false}"));
}

void root_handle(struct api_request *request)
{
    answer_text(request, SPAN("adtally " ADTALLY_VERSION "\n"));
}
