#pragma once

#include "admin/web.h"

/* The handlers of web_routes.c. */

void session_handle(struct web_request *request);
void session_end_handle(struct web_request *request);
void metrics_handle(struct web_request *request);
void tail_handle(struct web_request *request);
