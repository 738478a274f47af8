#include "admin/web_pages.h"

/* The pages of the admin listener: a line each. */

/* clang-format off */
const struct web_route web_routes[] = {
    {SPAN_INIT("/openapi.json"), HTTP_GET, WEB_KEY, openapi_handle},
    {SPAN_INIT("/openapi-admin.json"), HTTP_GET, WEB_KEY, openapi_admin_handle},
    {SPAN_INIT("/docs"),        HTTP_GET,  WEB_KEY,  docs_handle},
    {SPAN_INIT("/docs/admin"),  HTTP_GET,  WEB_KEY,  docs_admin_handle},
    {SPAN_INIT("/docs.css"),    HTTP_GET,  WEB_KEY,  docs_style_handle},
    {SPAN_INIT("/session"),     HTTP_POST, WEB_OPEN, session_handle},
    {SPAN_INIT("/session/end"), HTTP_POST, WEB_OPEN, session_end_handle},
    {SPAN_INIT("/"),            HTTP_GET,  WEB_OPEN, dashboard_handle},
    {SPAN_INIT("/assets/*"),    HTTP_GET,  WEB_OPEN, dashboard_asset_handle},
    {SPAN_INIT("/v1/keys"),     HTTP_GET,  WEB_KEY,  dashboard_keys_handle},
    {SPAN_INIT("/v1/live"),     HTTP_GET,  WEB_KEY,  live_handle},
    {SPAN_INIT("/metrics"),     HTTP_GET,  WEB_KEY,  metrics_handle},
    {SPAN_INIT("/v1/reports/*"), HTTP_GET, WEB_KEY,  report_handle},
    {SPAN_INIT("/v1/tail"),     HTTP_GET,  WEB_KEY,  tail_handle},
};
/* clang-format on */

const size_t web_routes_count = sizeof web_routes / sizeof web_routes[0];
