#include "cli/args.h"

#include "cli/say.h"

#include <errno.h>
#include <string.h>

enum arg_kind args_next(struct args *args, struct arg *arg)
{
    if (args->at < args->count && !args->operands_only && strcmp(args->list[args->at], "--") == 0) {
        args->operands_only = true;
        args->at++;
    }
    if (args->at == args->count) return ARG_END;
    *arg = (struct arg){.text = span_of(args->list[args->at++])};
    if (args->operands_only || arg->text.len < 2 || arg->text.ptr[0] != '-') return ARG_OPERAND;
    const char *equals = memchr(arg->text.ptr, '=', arg->text.len);
    if (equals) {
        size_t name_len = (size_t)(equals - arg->text.ptr);
        arg->value = (struct span){equals + 1, arg->text.len - name_len - 1};
        arg->text.len = name_len;
    }
    return ARG_FLAG;
}

bool args_value(struct args *args, struct arg *arg, const char *command)
{
    if (arg->value.ptr) return true;
    if (args->at < args->count && strncmp(args->list[args->at], "--", 2) != 0) {
        arg->value = span_of(args->list[args->at++]);
        return true;
    }
    say("%.*s needs a value; see %s help %s", SPAN_FMT(arg->text), program_invocation_short_name,
        command);
    return false;
}

struct span args_take_verb(struct args *args)
{
    struct args ahead = *args;
    struct arg arg;
    enum arg_kind kind;
    while ((kind = args_next(&ahead, &arg)) == ARG_FLAG)
        if (!arg.value.ptr && !span_eq(arg.text, SPAN("--json")) && ahead.at < ahead.count)
            ahead.at++;
    if (kind == ARG_END) return SPAN_NONE;
    int at = ahead.at - 1;
    memmove(&args->list[at], &args->list[ahead.at],
            (size_t)(args->count - ahead.at) * sizeof args->list[0]);
    args->count--;
    return arg.text;
}

void args_say_verbs(struct span verb, const char *command, const char *verbs)
{
    if (verb.ptr)
        say("adtally %s has no \"%.*s\": it has %s; see adtally help %s", command, SPAN_FMT(verb),
            verbs, command);
    else
        say("which one? adtally %s %s; see adtally help %s", command, verbs, command);
}

static bool take_flag(struct args *args, struct arg *arg, const struct flag *flag,
                      const char *command)
{
    if (flag->value) {
        if (!args_value(args, arg, command)) return false;
        *flag->value = arg->value;
        return true;
    }
    if (arg->value.ptr) {
        say("%.*s takes no value; see %s help %s", SPAN_FMT(arg->text),
            program_invocation_short_name, command);
        return false;
    }
    *flag->present = true;
    return true;
}

bool args_read(struct args *args, const char *command, const struct flag *flags, size_t flags_count,
               struct operands *operands)
{
    struct arg arg;
    enum arg_kind kind;
    while ((kind = args_next(args, &arg)) != ARG_END) {
        size_t i = 0;
        if (kind == ARG_OPERAND && operands->count < operands->cap) {
            operands->list[operands->count++] = arg.text;
            continue;
        }
        while (kind == ARG_FLAG && i < flags_count && !span_eq(arg.text, flags[i].name))
            i++;
        if (kind == ARG_OPERAND || i == flags_count) {
            say("unknown %s \"%.*s\"; see %s help %s", kind == ARG_FLAG ? "option" : "argument",
                SPAN_FMT(arg.text), program_invocation_short_name, command);
            return false;
        }
        if (!take_flag(args, &arg, &flags[i], command)) return false;
    }
    return true;
}
