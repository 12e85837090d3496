/* The scripts.
 *
 * They begin alike, with what is there: the value, its version and its length, and with a mark for a version that is told
 * for the first time (a value from outside). Lua's numbers are doubles: versions and lengths stay far below 2^53, but
 * values do not, so adding is INCRBY's business, on text brought to the form that INCRBY takes. A step that fails in the
 * middle cannot happen: what INCRBY refuses is put back, and where the server refuses writes (memory, replica, disk) it
 * refuses the first of them.
 *
 * A value from outside need be no text. `forms` are the sequences of more than one byte that the Unicode Standard's table
 * 3-7 knows; each becomes one byte, no two of them can overlap, and what then is left above 127 belonged to none. That
 * costs the server tens of milliseconds for the longest value there may be, so it is done once for each change from outside, when its mark is
 * made: the mark of what is no text says that it has no characters.
 *
 * EVALSHA sends forty bytes instead of the script. Functions (FUNCTION LOAD) were not taken: they belong to the server's
 * data, and a client that leaves something there by itself is a guest nobody invited. */
#include "remote/redis_script.h"

#include <nettle/sha1.h>
#include <pthread.h>

/* clang-format off */
#define LOOK                                                                                                           \
	"local value, version, characters = redis.call('GET', KEYS[1]), 0, 0\n"                                        \
	"local function mark(n, length, sum)\n"                                                                        \
	"  local text, ends = string.format('%.0f %.0f %s', n, length, sum), redis.call('PEXPIRETIME', KEYS[1])\n"     \
	"  if ends < 0 then redis.call('SET', KEYS[2], text)\n"                                                        \
	"  else redis.call('SET', KEYS[2], text, 'PXAT', string.format('%.0f', ends)) end\n"                           \
	"end\n"                                                                                                        \
	"if value then\n"                                                                                              \
	"  local there = redis.call('GET', KEYS[2]) or ''\n"                                                           \
	"  local v, c, s = string.match(there, '^(%d+) (%d+) (%x+)$')\n"                                               \
	"  local sum = redis.sha1hex(value)\n"                                                                         \
	"  if s == sum then\n"                                                                                         \
	"    version, characters = tonumber(v), tonumber(c)\n"                                                         \
	"  else\n"                                                                                                     \
	"    version = v and tonumber(v) + 1 or 1\n"                                                                   \
	"    local forms = {'[\\225-\\236\\238\\239][\\128-\\191][\\128-\\191]', '[\\194-\\223][\\128-\\191]',\n"      \
	"      '\\224[\\160-\\191][\\128-\\191]', '\\237[\\128-\\159][\\128-\\191]',\n"                                \
	"      '\\240[\\144-\\191][\\128-\\191][\\128-\\191]', '\\244[\\128-\\143][\\128-\\191][\\128-\\191]',\n"      \
	"      '[\\241-\\243][\\128-\\191][\\128-\\191][\\128-\\191]'}\n"                                              \
	"    local text = value\n"                                                                                     \
	"    for i = 1, string.find(value, '[\\128-\\255]') and #forms or 0 do\n"                                      \
	"      text = string.gsub(text, forms[i], '.')\n"                                                              \
	"    end\n"                                                                                                    \
	"    characters = string.find(text, '[\\128-\\255]') and 0 or #text\n"                                         \
	"    mark(version, characters, sum)\n"                                                                         \
	"  end\n"                                                                                                      \
	"end\n"                                                                                                        \
	"local function decimal(n) return string.format('%.0f', n) end\n"

#define CHECK(argument)                                                                                                \
	"if ARGV[" argument "] ~= '-1' and ARGV[" argument "] ~= decimal(version) then\n"                              \
	"  return {'conflict', decimal(version)}\n"                                                                    \
	"end\n"

static const char put_text[] = LOOK CHECK("4")
	"local mode, new, length, sum = ARGV[1], ARGV[2], tonumber(ARGV[5]), ARGV[7]\n"
	"if mode ~= 'set' and value and value ~= '' and characters == 0 then return {'bytes'} end\n"
	"if mode == 'append' then\n"
	"  if value then new, length = value .. '\\n' .. new, characters + 1 + length end\n"
	"elseif mode == 'add' then\n"
	"  local sign, digits = string.match(value or '0', '^(%-?)0*(%d+)$')\n"
	"  if not digits then return {'word'} end\n"
	"  if digits == '0' then sign = '' end\n"
	"  local most = sign == '-' and '9223372036854775808' or '9223372036854775807'\n"
	"  if #digits > 19 or #digits == 19 and digits > most then return {'range'} end\n"
	"  if value and value ~= sign .. digits then redis.call('SET', KEYS[1], sign .. digits, 'KEEPTTL') end\n"
	"  local added = redis.pcall('INCRBY', KEYS[1], new)\n"
	"  if type(added) == 'table' and added.err then\n"
	"    if value and value ~= sign .. digits then redis.call('SET', KEYS[1], value, 'KEEPTTL') end\n"
	"    if string.find(added.err, 'overflow', 1, true) then return {'overflow', sign .. digits} end\n"
	"    return added\n"
	"  end\n"
	"  new = redis.call('GET', KEYS[1])\n"
	"  length = #new\n"
	"end\n"
	"if length > tonumber(ARGV[6]) then return {'large', decimal(length)} end\n"
	"if mode ~= 'set' then sum = redis.sha1hex(new) end\n"
	"if ARGV[3] == '-1' then redis.call('SET', KEYS[1], new)\n"
	"else redis.call('SET', KEYS[1], new, 'PX', ARGV[3]) end\n"
	"mark(version + 1, length, sum)\n"
	"if mode == 'set' then return {'ok', decimal(version + 1), decimal(length)} end\n"
	"return {'ok', decimal(version + 1), decimal(length), new}\n";

static const char read_text[] =
	"return {redis.call('GET', KEYS[1]), redis.call('GET', KEYS[2]), redis.call('PTTL', KEYS[1])}\n";

static const char remove_text[] = LOOK
	"if not value then return {'missing'} end\n"
	CHECK("1")
	"redis.call('DEL', KEYS[1], KEYS[2])\n"
	"return {'ok'}\n";

static const char adopt_text[] = LOOK
	"if not value then return {'missing'} end\n"
	"return {'ok', decimal(version), decimal(redis.call('PTTL', KEYS[1])), value}\n";
/* clang-format on */

static const struct slice texts[REDIS_SCRIPT_COUNT] = {
	[REDIS_SCRIPT_READ] = {read_text, sizeof read_text - 1},
	[REDIS_SCRIPT_PUT] = {put_text, sizeof put_text - 1},
	[REDIS_SCRIPT_REMOVE] = {remove_text, sizeof remove_text - 1},
	[REDIS_SCRIPT_ADOPT] = {adopt_text, sizeof adopt_text - 1},
};

static char sums[REDIS_SCRIPT_COUNT][REDIS_SHA1_HEX_SIZE];
static pthread_once_t once = PTHREAD_ONCE_INIT;

void redis_sha1(struct slice bytes, char ret_hex[REDIS_SHA1_HEX_SIZE])
{
	static const char digits[] = "0123456789abcdef";
	struct sha1_ctx ctx;
	uint8_t sum[SHA1_DIGEST_SIZE];

	sha1_init(&ctx);
	if (bytes.len)
		sha1_update(&ctx, bytes.len, (const uint8_t *)bytes.ptr);
	sha1_digest(&ctx, sizeof sum, sum);
	for (size_t i = 0; i < sizeof sum; i++) {
		ret_hex[2 * i] = digits[sum[i] >> 4];
		ret_hex[2 * i + 1] = digits[sum[i] & 15];
	}
	ret_hex[2 * sizeof sum] = '\0';
}

static void make_sums(void)
{
	for (int i = 0; i < REDIS_SCRIPT_COUNT; i++)
		redis_sha1(texts[i], sums[i]);
}

static enum cs_status check_reply(
	struct redis_connection *c, enum redis_script script, const struct redis_reply *reply, struct cs_error *err)
{
	bool as_agreed = reply->kind == REDIS_ARRAY && reply->count > 0;

	if (reply->kind == REDIS_ERROR)
		return redis_reply_error(redis_of(c), reply, err);
	for (size_t i = 0; as_agreed && script != REDIS_SCRIPT_READ && i < reply->count; i++)
		as_agreed = reply->elements[i].kind == REDIS_STRING;
	return as_agreed ? CS_OK : redis_unexpected(c, err);
}

static void name_script(enum redis_script script, struct slice *words)
{
	pthread_once(&once, make_sums);
	words[0] = S("EVALSHA");
	words[1] = slice_of(sums[script], REDIS_SHA1_HEX_SIZE - 1);
	words[2] = S("2");
}

void redis_script_ask(struct redis_connection *c, enum redis_script script, struct slice *words, size_t count)
{
	name_script(script, words);
	redis_ask(c, words, count);
}

enum cs_status redis_script_run(struct redis_connection *c, struct op *op, enum redis_script script,
	struct slice *words, size_t count, struct redis_reply *ret_reply, struct cs_error *err)
{
	struct redis_reply reply;
	enum cs_status status;

	name_script(script, words);
	status = redis_call(c, op, words, count, &reply, err);
	if (status == CS_OK && redis_reply_is(&reply, "NOSCRIPT")) {
		words[0] = S("EVAL");
		words[1] = texts[script];
		status = redis_call(c, op, words, count, &reply, err);
	}
	if (status == CS_OK)
		status = check_reply(c, script, &reply, err);
	if (status == CS_OK)
		*ret_reply = reply;
	return status;
}
