#include "store/sqlite/report.h"

#include "event/amount.h"

#include <string.h>

enum { NANOS_PER_UNIT = 1000000000, NANO_DIGITS = 9, RATIO_DIGITS = 6, MONEY_DECIMALS_MIN = 2 };

static report_amount of_value(sqlite3_value *value)
{
    report_amount amount = 0;
    if (sqlite3_value_type(value) == SQLITE_INTEGER) return sqlite3_value_int64(value);
    if (sqlite3_value_type(value) == SQLITE_BLOB &&
        sqlite3_value_bytes(value) == (int)sizeof amount)
        memcpy(&amount, sqlite3_value_blob(value), sizeof amount);
    return amount;
}

static void result(sqlite3_context *call, report_amount amount)
{
    if (amount >= INT64_MIN && amount <= INT64_MAX)
        sqlite3_result_int64(call, (int64_t)amount);
    else
        sqlite3_result_blob(call, &amount, sizeof amount, SQLITE_TRANSIENT);
}

/* amount_sum(amount) */
static void on_sum_step(sqlite3_context *call, int count, sqlite3_value **values)
{
    report_amount sum, *kept = sqlite3_aggregate_context(call, sizeof sum);
    if (!kept) {
        sqlite3_result_error_nomem(call);
        return;
    }
    memcpy(&sum, kept, sizeof sum); /* SQLite aligns to 8 bytes */
    sum += of_value(values[0]);
    memcpy(kept, &sum, sizeof sum);
}

static void on_sum_final(sqlite3_context *call)
{
    report_amount sum = 0;
    const void *kept = sqlite3_aggregate_context(call, 0);
    if (kept) memcpy(&sum, kept, sizeof sum);
    result(call, sum);
}

/* amount_of(units, nanos) */
static void on_amount_of(sqlite3_context *call, int count, sqlite3_value **values)
{
    report_amount units = sqlite3_value_int64(values[0]);
    result(call, units * NANOS_PER_UNIT + sqlite3_value_int64(values[1]));
}

/* amount_of_price(text): what is no price costs nothing. */
static void on_amount_of_price(sqlite3_context *call, int count, sqlite3_value **values)
{
    struct amount price = {0, 0};
    const char *text = sqlite3_value_blob(values[0]);
    if (text)
        amount_parse_price(&price, (struct span){text, (size_t)sqlite3_value_bytes(values[0])});
    result(call, (report_amount)price.units * NANOS_PER_UNIT + price.nanos);
}

enum err report_amount_register(sqlite3 *db)
{
    enum { FLAGS = SQLITE_UTF8 | SQLITE_DETERMINISTIC | SQLITE_DIRECTONLY };
    static const struct {
        const char *name;
        int arguments;
        void (*run)(sqlite3_context *, int, sqlite3_value **);
        void (*step)(sqlite3_context *, int, sqlite3_value **);
        void (*final)(sqlite3_context *);
    } functions[] = {
        {"amount_sum", 1, NULL, on_sum_step, on_sum_final},
        {"amount_of", 2, on_amount_of, NULL, NULL},
        {"amount_of_price", 1, on_amount_of_price, NULL, NULL},
    };
    for (size_t i = 0; i < sizeof functions / sizeof functions[0]; i++) {
        int code = sqlite3_create_function_v2(db, functions[i].name, functions[i].arguments, FLAGS,
                                              NULL, functions[i].run, functions[i].step,
                                              functions[i].final, NULL);
        if (code != SQLITE_OK) return db_err(code);
    }
    return ERR_OK;
}

report_amount report_amount_column(sqlite3_stmt *row, int column)
{
    return of_value(sqlite3_column_value(row, column));
}

void report_amount_bind(sqlite3_stmt *statement, int parameter, report_amount value)
{
    if (value >= INT64_MIN && value <= INT64_MAX)
        sqlite3_bind_int64(statement, parameter, (int64_t)value);
    else
        sqlite3_bind_blob(statement, parameter, &value, sizeof value, SQLITE_TRANSIENT);
}

/* Digits of a magnitude, the last `digits` of them behind a point. */
static void write_decimal(struct writer *out, report_amount value, int digits, int decimals_min)
{
    char text[64];
    size_t at = sizeof text;
    bool negative = value < 0;
    bool significant = false;
    __extension__ unsigned __int128 rest =
        negative ? -(unsigned __int128)value : (unsigned __int128)value;
    for (int i = digits; i > 0; i--, rest /= 10) {
        char digit = (char)('0' + (int)(rest % 10));
        significant |= digit != '0' || i <= decimals_min;
        if (significant) text[--at] = digit;
    }
    if (significant) text[--at] = '.';
    do
        text[--at] = (char)('0' + (int)(rest % 10));
    while (rest /= 10);
    if (negative) text[--at] = '-';
    writer_put(out, (struct span){text + at, sizeof text - at});
}

void report_amount_write(struct writer *out, report_amount value, int digits)
{
    write_decimal(out, value, digits, MONEY_DECIMALS_MIN);
}

/* Digit by digit, so that nothing is multiplied by more than ten. */
void report_ratio_write(struct writer *out, report_amount dividend, report_amount divisor)
{
    bool negative = dividend < 0;
    report_amount quotient = dividend / divisor, rest = dividend % divisor;
    if (negative) {
        quotient = -quotient;
        rest = -rest;
    }
    for (int i = 0; i < RATIO_DIGITS; i++) {
        quotient = quotient * 10 + rest * 10 / divisor;
        rest = rest * 10 % divisor;
    }
    report_amount beside = rest - (divisor - rest); /* of one half */
    if (beside > 0 || (beside == 0 && quotient % 2 == 1)) quotient++;
    write_decimal(out, negative ? -quotient : quotient, RATIO_DIGITS, RATIO_DIGITS);
}
