#pragma once

#include "cli/args.h"

/* The commands: each reads the rest of its command line and returns what the process ends with
 * (enum exit_status). */

int command_serve(struct args *args);
int command_key(struct args *args);
int command_token_key(struct args *args);
int command_poll(struct args *args);
int command_mint(struct args *args);
int command_tail(struct args *args);
int command_reload(struct args *args);
int command_verify(struct args *args);
int command_export(struct args *args);
int command_import(struct args *args);
int command_backup(struct args *args);
int command_restore(struct args *args);
int command_copy(struct args *args);
int command_erase(struct args *args);
int command_report(struct args *args);
