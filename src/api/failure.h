#pragma once

#include "api/api.h"

/* One line of the log for a request that is answered with 400 or more:
 *
 *     {"time":"...","level":"info","event":"request_failed","status":401,"reason":"key_invalid",
 *      "method":"POST","route":"/v1/api/conversion","client":"198.51.100.0","port":4711,"ms":0}
 *
 * Nothing in it is text of the client: the method and the route are names of ours (absent: none of
 * ours, or the head was not read to its end), the address was read and is written anew, masked
 * unless the options say otherwise; the port is the peer's and tells its connections apart. An API
 * key is there as its public id, a token not at all. Bounded as log_write_bounded is. */

struct failure {
    const struct http_request *http;
    const struct http_response *response;
    const struct api_options *options; /* NULL: there are none yet */
    struct span key_id;                /* of the key that was valid, else absent */
};

void failure_log(const struct failure *failure);
