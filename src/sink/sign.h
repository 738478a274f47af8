#pragma once

#include "base/span.h"
#include "sink/driver.h"

#include <stdbool.h>
#include <stdint.h>

/* Signatures of Standard Webhooks: v1, HMAC-SHA256 over `id.timestamp.body`, with secrets that are
 * written whsec_ and base64. With several secrets there is a signature by each, so that receivers
 * can change from one to the next. */

struct signer;
enum { SIGNER_SECRETS_MAX = 4, SIGNATURES_SIZE = SIGNER_SECRETS_MAX * 48 };

/* The lines of `secret_file`. NULL: `failure` says why. */
struct signer *signer_open(struct span secret_file, struct sink_failure *failure);
void signer_close(struct signer *signer);

/* "v1,... v1,...", ended with NUL. False: no memory. */
bool signer_sign(const struct signer *signer, struct span id, int64_t timestamp_s, struct span body,
                 char out[SIGNATURES_SIZE]);
