#pragma once

#include "admin/web.h"

/* The handlers of web_routes.c. */

void session_handle(struct web_request *request);
void session_end_handle(struct web_request *request);
void openapi_handle(struct web_request *request);
void openapi_admin_handle(struct web_request *request);
void docs_handle(struct web_request *request);
void docs_admin_handle(struct web_request *request);
void docs_style_handle(struct web_request *request);
void dashboard_handle(struct web_request *request);
void dashboard_asset_handle(struct web_request *request);
void dashboard_keys_handle(struct web_request *request);
void live_handle(struct web_request *request);
void metrics_handle(struct web_request *request);
void tail_handle(struct web_request *request);
void report_handle(struct web_request *request);
