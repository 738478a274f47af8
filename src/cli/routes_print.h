#pragma once

#include <stdio.h>

/* The tables of the public listener as one JSON document, which docs/openapi.json is held against:
 *
 *     {"routes":[{"path":"/ack","method":"GET","auth":"client","dialect":"detail","is_cors":true,
 *      "body_max":65536},...],
 *      "refusals":[{"label":"not_found","status":404,"bodies":{"detail":{...}}},...],
 *      "problems":["missing",...]} */
void routes_print_json(FILE *out);
