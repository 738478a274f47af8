#pragma once

#include "model.h"

/* What really stands in the database, against what the model says should. */

/* Reads every row that counts. False: `why` says what was in the way. */
bool audit_read(const char *db_path, char *why, size_t why_size);

/* The rows as they were read are the model's, in its order: then it takes from them the ids that
 * nobody was told. */
bool audit_matches(struct model *model);

struct audit_difference {
    int lost, doubled, phantom, changed;
};

/* How they differ: events without a row, rows of an event that has one, rows of none; `changed`
 * counts keys and polls. */
void audit_differ(const struct model *model, struct audit_difference *out, char *why,
                  size_t why_size);
