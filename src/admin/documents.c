#include "admin/documents.h"

#include "admin/web_pages.h"

/* GET /openapi.json, /docs and its style sheet: what the build made of docs/openapi.json. */

static void answer(struct web_request *request, const char *content_type, const unsigned char *text,
                   unsigned long size)
{
    web_answer(request, &(struct web_answer){.status = 200,
                                             .content_type = content_type,
                                             .body = {(const char *)text, size},
                                             .body_is_static = true});
}

void openapi_handle(struct web_request *request)
{
    answer(request, WEB_JSON, document_openapi, document_openapi_size);
}

void docs_handle(struct web_request *request)
{
    answer(request, WEB_HTML, document_docs, document_docs_size);
}

void docs_style_handle(struct web_request *request)
{
    answer(request, "text/css; charset=utf-8", document_style, document_style_size);
}
