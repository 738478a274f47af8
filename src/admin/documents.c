#include "admin/web_pages.h"
#include "base/assert.h"
#include "base/embedded.h"

/* GET /openapi.json, /docs, the same of the admin listener and their style sheet: what the build
 * made of docs/openapi*.json. */

extern const struct embedded documents[];
extern const size_t documents_count;

static void answer(struct web_request *request, struct span address)
{
    const struct embedded *file = embedded_find(documents, documents_count, address);
    ASSERT(file);
    web_answer(request, &(struct web_answer){.status = 200,
                                             .content_type = file->content_type,
                                             .body = file->body,
                                             .body_is_static = true});
}

void openapi_handle(struct web_request *request)
{
    answer(request, SPAN("/openapi.json"));
}

void openapi_admin_handle(struct web_request *request)
{
    answer(request, SPAN("/openapi-admin.json"));
}

void docs_admin_handle(struct web_request *request)
{
    answer(request, SPAN("/docs-admin.html"));
}

void docs_handle(struct web_request *request)
{
    answer(request, SPAN("/docs.html"));
}

void docs_style_handle(struct web_request *request)
{
    answer(request, SPAN("/docs.css"));
}
