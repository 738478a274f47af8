#include "cli/options_table.h"

#include <stdio.h>

void options_flag(char out[OPTIONS_FLAG_MAX], const struct option *option)
{
    snprintf(out, OPTIONS_FLAG_MAX, "--%.*s", SPAN_FMT(option->name));
    for (char *at = out; *at; at++)
        if (*at == '_') *at = '-';
}

static struct span preset_of(const struct option *option)
{
    return option->preset.ptr ? option->preset : span_of(option->preset_is);
}

void options_print_help(FILE *out)
{
    for (size_t i = 0; i < OPTIONS_COUNT; i++) {
        const struct option *option = &options_table[i];
        char flag[OPTIONS_FLAG_MAX];
        options_flag(flag, option);
        fprintf(out, "  %-23s %s\n  %-23s takes %s\n  %-23s default: %.*s%s\n", flag, option->help,
                "", option->wants, "", SPAN_FMT(preset_of(option)),
                option->is_live ? "; a reload changes it" : "");
    }
}

void options_print_markdown(FILE *out)
{
    fputs("| option | flag | takes | default | changes | what it is |\n"
          "| --- | --- | --- | --- | --- | --- |\n",
          out);
    for (size_t i = 0; i < OPTIONS_COUNT; i++) {
        const struct option *option = &options_table[i];
        const char *quote = option->preset.ptr ? "`" : "";
        char flag[OPTIONS_FLAG_MAX];
        options_flag(flag, option);
        fprintf(
            out, "| %s%.*s%s | `%s` | %s | %s%.*s%s | %s | %s |\n", option->flag_only ? "" : "`",
            SPAN_FMT(option->flag_only ? SPAN("(flag only)") : option->name),
            option->flag_only ? "" : "`", flag, option->wants, quote, SPAN_FMT(preset_of(option)),
            quote, option->is_live ? "by a reload" : "by a restart", option->help);
    }
}
