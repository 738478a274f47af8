#pragma once

#include <stdio.h>

/* The tables of both listeners as one JSON document, which docs/openapi*.json are held against:
 *
 *     {"routes":[{"path":"/ack","method":"GET","auth":"client","dialect":"detail","is_cors":true,
 *      "body_max":65536},...],
 *      "admin_routes":[{"path":"/v1/tail","method":"GET","auth":"admin"},...],
 *      "refusals":[{"label":"not_found","status":404,"bodies":{"detail":{...}}},...],
 *      "problems":["missing",...]} */
void routes_print_json(FILE *out);
