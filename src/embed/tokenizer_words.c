/* Normalisation and splitting in one pass.
 *
 * The reference makes five passes over a string that remembers where each character came from: clean, part ideographs,
 * decompose and sort, drop marks, lower; then two more to split. Here each character is looked up once (unicode_classes.h
 * holds the five passes' joint effect) and appended to the word being built. All that looks across characters is the order
 * of combining characters, and a run of them never leaves its word, because all that ends a word is a base: so a character
 * with a rank is inserted among the last ones of the word. Words have at most 100 characters, hence time is linear in the
 * text. Plain ASCII, most of most texts, takes a table of 128 bytes and no call. */
#include "embed/tokenizer_words.h"

#include "base/utf8.h"
#include "embed/unicode_classes.h"

struct splitter {
	bool lowercase;
	words_found *found;
	void *self;
	size_t chars; /* of the word, those that were not kept too */
	size_t len;   /* bytes kept */
	size_t run;   /* ordered characters at the end of what is kept */
	uint8_t ranks[WORD_CHARS_MAX];
	char bytes[WORD_BYTES_MAX];
};

/* ASCII that is a letter or digit; in a capital, the bit that makes it small stands too. The reference counts all ASCII
 * that is neither letter, digit, space nor control as punctuation. */
#define PLAIN 0x80
#define SMALL 0x20

static const uint8_t ascii_kinds[128] = {
	['0' ... '9'] = PLAIN,
	['a' ... 'z'] = PLAIN,
	['A' ... 'Z'] = PLAIN | SMALL,
};

static enum cs_status end_word(struct splitter *s)
{
	struct word word = {slice_of(s->bytes, s->len), s->chars > WORD_CHARS_MAX};

	if (s->chars == 0)
		return CS_OK;
	s->chars = s->len = s->run = 0;
	return s->found(s->self, &word);
}

static void add_base(struct splitter *s, uint32_t scalar)
{
	s->run = 0;
	if (s->chars++ < WORD_CHARS_MAX)
		s->len += utf8_write(scalar, s->bytes + s->len);
}

/* Behind the last character of the run that does not outrank it. */
static void add_ordered(struct splitter *s, uint32_t scalar)
{
	uint8_t rank = (uint8_t)unicode_rank(scalar);
	size_t at = s->len, before = s->run, length;
	char bytes[UTF8_MAX];

	if (s->chars++ >= WORD_CHARS_MAX)
		return;
	for (; before > 0 && s->ranks[before - 1] > rank; before--) {
		do
			at--;
		while (((unsigned char)s->bytes[at] & 0xC0) == 0x80);
	}
	length = utf8_write(scalar, bytes);
	memmove(s->bytes + at + length, s->bytes + at, s->len - at);
	memcpy(s->bytes + at, bytes, length);
	memmove(s->ranks + before + 1, s->ranks + before, s->run - before);
	s->ranks[before] = rank;
	s->len += length;
	s->run++;
}

static enum cs_status add_alone(struct splitter *s, uint32_t scalar)
{
	enum cs_status status = end_word(s);

	if (status != CS_OK)
		return status;
	add_base(s, scalar);
	return end_word(s);
}

/* A part of an image, or a character that stands for itself. */
static enum cs_status add_itself(struct splitter *s, uint32_t scalar, enum unicode_kind kind)
{
	if (kind == UNICODE_ALONE || kind == UNICODE_IDEOGRAPH)
		return add_alone(s, scalar);
	if (kind == UNICODE_ORDERED)
		add_ordered(s, scalar);
	else
		add_base(s, scalar);
	return CS_OK;
}

static enum cs_status add_uncased(struct splitter *s, uint32_t scalar, enum unicode_kind kind)
{
	uint32_t image[UNICODE_IMAGE_MAX];
	enum cs_status status = CS_OK;
	size_t count;

	if (kind == UNICODE_MARK)
		return CS_OK;
	if (kind == UNICODE_BASE_MARK) {
		s->run = 0;
		return CS_OK;
	}
	if (kind != UNICODE_MAPPED)
		return add_itself(s, scalar, kind);
	count = unicode_image(scalar, image);
	for (size_t i = 0; i < count && status == CS_OK; i++)
		status = add_itself(s, image[i], unicode_kind(image[i]));
	return status;
}

/* Cased models neither decompose nor lower: characters stay, and only ideographs and punctuation are parted. */
static enum cs_status add_cased(struct splitter *s, uint32_t scalar, enum unicode_kind kind)
{
	uint32_t image[UNICODE_IMAGE_MAX];
	bool alone = kind == UNICODE_ALONE || kind == UNICODE_IDEOGRAPH;

	if (kind == UNICODE_MAPPED) {
		(void)unicode_image(scalar, image);
		alone = unicode_mapped_is_alone(scalar) || unicode_kind(image[0]) == UNICODE_IDEOGRAPH;
	}
	if (alone)
		return add_alone(s, scalar);
	add_base(s, scalar);
	return CS_OK;
}

static enum cs_status add_char(struct splitter *s, uint32_t scalar)
{
	enum unicode_kind kind = unicode_kind(scalar);

	if (kind == UNICODE_CONTROL)
		return CS_OK;
	if (kind == UNICODE_SPACE)
		return end_word(s);
	return s->lowercase ? add_uncased(s, scalar, kind) : add_cased(s, scalar, kind);
}

/* The plain ASCII at `at`, perhaps none; returns where it ends. */
static const char *add_plain_ascii(struct splitter *s, const char *at, const char *end)
{
	const uint8_t change = s->lowercase ? SMALL : 0;
	const char *from = at;
	uint8_t kind;

	for (; at < end && (unsigned char)*at < 0x80 && (kind = ascii_kinds[(unsigned char)*at]); at++) {
		if (s->chars++ < WORD_CHARS_MAX)
			s->bytes[s->len++] = (char)(*at | (kind & change));
	}
	if (at > from)
		s->run = 0;
	return at;
}

enum cs_status words_split(struct slice text, bool lowercase, words_found *found, void *self, struct cs_error *err)
{
	struct splitter s = {.lowercase = lowercase, .found = found, .self = self};
	const char *at = text.ptr, *end = text.ptr + text.len;
	enum cs_status status;

	while ((at = add_plain_ascii(&s, at, end)) < end) {
		size_t length = utf8_char(at, end);

		if (length == 0)
			return cs_fail(err, CS_VALIDATION, "the text is not valid UTF-8 at byte %zu (of %zu)",
				(size_t)(at - text.ptr), text.len);
		status = *at == ' ' ? end_word(&s) : add_char(&s, utf8_scalar(at, length));
		if (status != CS_OK)
			return status;
		at += length;
	}
	return end_word(&s);
}
