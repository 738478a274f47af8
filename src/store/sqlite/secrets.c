#include "store/sqlite/secrets.h"

#include "base/arena.h"
#include "base/secret.h"
#include "store/checksum.h"
#include "token/base64url.h"
#include "json/json.h"
#include "json/write.h"

#include <endian.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

enum { FILE_MAX = SECRETS_TEXT_MAX, TOKENS_MAX = FILE_MAX / 2 + 1 };

static const char file_name[] = "secrets.json";
static const char new_name[] = "secrets.json.new";

static void write_bytes(struct writer *out, struct span name, const void *bytes, size_t size)
{
    json_write_comma(out);
    json_write_key(out, name);
    writer_char(out, '"');
    base64url_encode(out, bytes, size);
    writer_char(out, '"');
}

/* The last member, of all bytes before it: a changed character of a secret is mostly still a
 * secret, only another one, and what was made with the right one would be refused as if it were
 * forged. */
static void write_checksum(struct writer *out)
{
    struct span text = writer_text(out);
    uint64_t checksum = htole64(checksum_add(0, CHECKSUM_TEXT, text.ptr, text.len));
    json_write_comma(out);
    json_write_key(out, SPAN("checksum"));
    writer_char(out, '"');
    writer_hex(out, &checksum, sizeof checksum);
    writer_lit(out, "\"}\n");
}

static void write_json(struct writer *out, const struct secrets *secrets)
{
    writer_char(out, '{');
    write_bytes(out, SPAN("pepper"), secrets->pepper, sizeof secrets->pepper);
    write_bytes(out, SPAN("receipt_key"), secrets->receipt_key, sizeof secrets->receipt_key);
    write_bytes(out, SPAN("click_signing_key"), secrets->click_signing_key,
                sizeof secrets->click_signing_key);
    json_write_comma(out);
    json_write_key(out, SPAN("token_keys"));
    writer_char(out, '[');
    for (uint32_t i = 0; i < secrets->token_keys_count; i++) {
        const struct token_key *key = &secrets->token_keys[i];
        json_write_comma(out);
        writer_char(out, '{');
        json_write_text_member(out, SPAN("kid"), (struct span){key->kid, TOKEN_KID_LEN});
        json_write_number_member(out, SPAN("created_at_ms"), key->created_at_ms);
        write_bytes(out, SPAN("key"), key->key.bytes, sizeof key->key.bytes);
        writer_char(out, '}');
    }
    writer_char(out, ']');
    write_checksum(out);
}

static enum err write_all(int fd, struct span text)
{
    while (text.len > 0) {
        ssize_t wrote = write(fd, text.ptr, text.len);
        if (wrote < 0 && errno == EINTR) continue;
        if (wrote <= 0) return errno == ENOSPC || errno == EDQUOT ? ERR_FULL : ERR_IO;
        text.ptr += wrote;
        text.len -= (size_t)wrote;
    }
    return ERR_OK;
}

static enum err write_new_file(int dir_fd, struct span text)
{
    unlinkat(dir_fd, new_name, 0); /* of a run that died here */
    int fd = openat(dir_fd, new_name, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0400);
    if (fd < 0) return errno == ENOSPC ? ERR_FULL : errno == EACCES ? ERR_DENIED : ERR_IO;
    enum err err = write_all(fd, text);
    if (!err && fsync(fd) != 0) err = ERR_SYNC_FAILED;
    close(fd);
    return err;
}

static enum err replace_file(int dir_fd, struct span text)
{
    enum err err = write_new_file(dir_fd, text);
    if (err) return err;
    if (renameat(dir_fd, new_name, dir_fd, file_name) != 0) return ERR_IO;
    return fsync(dir_fd) == 0 ? ERR_OK : ERR_SYNC_FAILED;
}

enum err secrets_write(const struct secrets *secrets, int dir_fd)
{
    char *memory = secret_new(FILE_MAX);
    struct writer out;
    if (!memory) return ERR_NO_MEMORY;
    writer_init(&out, memory, FILE_MAX);
    write_json(&out, secrets);
    enum err err = out.overflow ? ERR_FULL : replace_file(dir_fd, writer_text(&out));
    secret_free(memory, FILE_MAX);
    return err;
}

/* Fills exactly `size` bytes from a base64url member. */
static bool read_bytes(const struct json_doc *doc, uint32_t object, struct span name, void *bytes,
                       size_t size)
{
    uint32_t value = json_member(doc, object, name);
    if (!value || doc->tokens[value].type != JSON_STRING || doc->tokens[value].escaped)
        return false;
    struct span text = {doc->text.ptr + doc->tokens[value].start, doc->tokens[value].len};
    struct writer out;
    writer_init(&out, bytes, size);
    return base64url_decode(&out, text) && !out.overflow && out.len == size;
}

static bool read_token_key(const struct json_doc *doc, uint32_t object, struct token_key *key)
{
    uint32_t kid = json_member(doc, object, SPAN("kid"));
    uint32_t created = json_member(doc, object, SPAN("created_at_ms"));
    unsigned long long created_at_ms;
    if (!kid || !created || doc->tokens[kid].type != JSON_STRING ||
        doc->tokens[kid].len != TOKEN_KID_LEN)
        return false;
    if (!span_to_u64(json_raw(doc, created), INT64_MAX, &created_at_ms)) return false;
    memcpy(key->kid, doc->text.ptr + doc->tokens[kid].start, TOKEN_KID_LEN);
    key->created_at_ms = (int64_t)created_at_ms;
    return read_bytes(doc, object, SPAN("key"), key->key.bytes, sizeof key->key.bytes);
}

static bool read_token_keys(const struct json_doc *doc, struct secrets *secrets)
{
    uint32_t array = json_member(doc, 0, SPAN("token_keys"));
    if (!array || doc->tokens[array].type != JSON_ARRAY) return false;
    for (uint32_t at = array + 1; at < doc->tokens[array].end; at = doc->tokens[at].end) {
        if (secrets->token_keys_count == TOKEN_KEYS_MAX || doc->tokens[at].type != JSON_OBJECT)
            return false;
        if (!read_token_key(doc, at, &secrets->token_keys[secrets->token_keys_count++]))
            return false;
    }
    return secrets->token_keys_count > 0;
}

static bool read_json(struct secrets *secrets, struct span text)
{
    static const uint64_t seed = 0; /* our own file: nobody picks collisions */
    struct json_token tokens[TOKENS_MAX];
    struct json_doc doc;
    memset(secrets, 0, sizeof *secrets);
    if (json_parse(&doc, text, tokens, TOKENS_MAX, seed) != JSON_OK) return false;
    if (doc.tokens[0].type != JSON_OBJECT) return false;
    return read_bytes(&doc, 0, SPAN("pepper"), secrets->pepper, sizeof secrets->pepper) &&
           read_bytes(&doc, 0, SPAN("receipt_key"), secrets->receipt_key,
                      sizeof secrets->receipt_key) &&
           read_bytes(&doc, 0, SPAN("click_signing_key"), secrets->click_signing_key,
                      sizeof secrets->click_signing_key) &&
           read_token_keys(&doc, secrets);
}

/* Byte for byte, checksum included; `memory` is for writing it once more. */
static bool is_as_written(const struct secrets *secrets, struct span text, char *memory)
{
    struct writer out;
    writer_init(&out, memory, FILE_MAX);
    write_json(&out, secrets);
    return span_eq(writer_text(&out), text);
}

static bool is_ours(struct secrets *secrets, struct span text, char *memory)
{
    return read_json(secrets, text) && is_as_written(secrets, text, memory);
}

static enum err open_file(int *fd, int dir_fd)
{
    *fd = openat(dir_fd, file_name, O_RDONLY | O_CLOEXEC);
    if (*fd >= 0) return ERR_OK;
    return errno == ENOENT ? ERR_NOT_FOUND : errno == EACCES ? ERR_DENIED : ERR_IO;
}

enum err secrets_read_text(struct span *text, char memory[SECRETS_TEXT_MAX], int dir_fd)
{
    int fd;
    enum err err = open_file(&fd, dir_fd);
    if (err) return err;
    ssize_t len = read(fd, memory, SECRETS_TEXT_MAX);
    *text = (struct span){memory, len < 0 ? 0 : (size_t)len};
    close(fd);
    return len < 0 ? ERR_IO : ERR_OK;
}

/* Key material is nowhere but in memory of its own. */
struct workspace {
    struct secrets secrets;
    char text[FILE_MAX], again[FILE_MAX];
};

enum err secrets_read(struct secrets *secrets, int dir_fd)
{
    struct span text;
    struct workspace *work = secret_new(sizeof *work);
    enum err err = work ? secrets_read_text(&text, work->text, dir_fd) : ERR_NO_MEMORY;
    if (!err && !is_ours(secrets, text, work->again)) err = ERR_CORRUPT;
    secret_free(work, sizeof *work);
    return err;
}

enum err secrets_put_text(struct span text, int dir_fd)
{
    struct workspace *work = secret_new(sizeof *work);
    enum err err = work ? ERR_OK : ERR_NO_MEMORY;
    if (!err && !is_ours(&work->secrets, text, work->again)) err = ERR_CORRUPT;
    secret_free(work, sizeof *work);
    return err ? err : replace_file(dir_fd, text);
}
