/* Lays out tables.
 *
 * Widths are columns of the terminal, not bytes: UTF-8 is decoded here and measured by wcwidth(3), so that text in
 * Chinese or with combining marks lines up. wcwidth needs a UTF-8 locale, which main.c sets. */
#include "cli/table.h"

#include <assert.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/ioctl.h>
#include <unistd.h>
#include <wchar.h>

#define GAP           2
#define NARROWEST     8  /* a column is not cut below this */
#define TEXT_BESIDE   32 /* columns that text must have to stand beside the others */
#define TEXT_INDENT   4
#define WIDTH_UNKNOWN 80

bool screen_is_terminal(void)
{
	return isatty(STDOUT_FILENO) == 1;
}

static bool screen_has_colours(void)
{
	const char *no_colour = getenv("NO_COLOR"), *term = getenv("TERM");

	return screen_is_terminal() && !(no_colour && *no_colour) && !(term && strcmp(term, "dumb") == 0);
}

void screen_bold(bool on)
{
	if (screen_has_colours())
		fputs(on ? "\033[1m" : "\033[0m", stdout);
}

/* One character of valid UTF-8 (a lone bad byte counts as one); returns its bytes. */
static size_t decode(struct slice text, wchar_t *ret_char)
{
	unsigned char first = (unsigned char)text.ptr[0];
	size_t len = first < 0x80 ? 1 : first < 0xE0 ? 2 : first < 0xF0 ? 3 : 4;
	uint32_t value = len == 1 ? first : first & (0xFFu >> (len + 1));

	if (len > text.len || (first >= 0x80 && first < 0xC0)) {
		*ret_char = L'?';
		return 1;
	}
	for (size_t i = 1; i < len; i++)
		value = value << 6 | ((unsigned char)text.ptr[i] & 0x3F);
	*ret_char = (wchar_t)value;
	return len;
}

/* C0, DEL and C1 controls, and the marks that turn the direction of text. */
static bool is_harmful(wchar_t c)
{
	return c < 0x20 || (c >= 0x7F && c < 0xA0) || (c >= 0x202A && c <= 0x202E) || (c >= 0x2066 && c <= 0x2069);
}

static size_t width_of(wchar_t c)
{
	int width = is_harmful(c) ? 1 : wcwidth(c);

	return width < 0 ? 1 : (size_t)width;
}

size_t screen_width(struct slice text)
{
	size_t width = 0;

	while (text.len > 0) {
		wchar_t c;

		text = slice_from(text, decode(text, &c));
		width += width_of(c);
	}
	return width;
}

/* Writes at most `room` columns; an ellipsis stands for what was cut. Returns the columns written. */
static size_t put_cut(struct slice text, size_t room, bool lines)
{
	bool cut = screen_width(text) > room;
	size_t width = 0;

	while (text.len > 0) {
		wchar_t c;
		size_t len = decode(text, &c);

		if (cut && width + width_of(c) > room - 1)
			break;
		width += width_of(c);
		if (is_harmful(c) && !(lines && (c == L'\n' || c == L'\t')))
			putchar(' ');
		else
			fwrite(text.ptr, 1, len, stdout);
		text = slice_from(text, len);
	}
	if (cut) {
		fputs("…", stdout);
		width++;
	}
	return width;
}

void screen_text(struct slice text, bool lines)
{
	(void)put_cut(text, SIZE_MAX, lines);
}

void table_init(struct table *t, struct arena *arena, const char *const *headings)
{
	*t = (struct table){.arena = arena};
	while (headings[t->columns] && t->columns < TABLE_COLUMNS_MAX) {
		t->headings[t->columns] = headings[t->columns];
		t->columns++;
	}
}

bool table_add(struct table *t, const struct slice *cells)
{
	if (t->rows == t->room) {
		size_t room = t->room ? t->room * 2 : 32;
		struct slice *more = arena_array(t->arena, room * t->columns, sizeof *more);

		if (!more)
			return false;
		if (t->rows > 0)
			memcpy(more, t->cells, t->rows * t->columns * sizeof *more);
		t->cells = more;
		t->room = room;
	}
	memcpy(t->cells + t->rows * t->columns, cells, t->columns * sizeof *cells);
	t->rows++;
	return true;
}

static size_t screen_columns(void)
{
	struct winsize size;

	if (!screen_is_terminal())
		return SIZE_MAX;
	return ioctl(STDOUT_FILENO, TIOCGWINSZ, &size) == 0 && size.ws_col > 0 ? size.ws_col : WIDTH_UNKNOWN;
}

/* The widest column gives way, one column at a time, until the row fits or none can be narrower. */
static void fit(size_t *widths, size_t columns, size_t room)
{
	size_t total = GAP * (columns - 1);

	for (size_t i = 0; i < columns; i++)
		total += widths[i];
	while (total > room) {
		size_t widest = 0;

		for (size_t i = 1; i < columns; i++)
			if (widths[i] > widths[widest])
				widest = i;
		if (widths[widest] <= NARROWEST)
			return;
		widths[widest]--;
		total--;
	}
}

/* Where text is to be read and little of it would be left, all of it goes on a line of its own. */
static bool text_goes_below(const struct table *t, const size_t *widths, size_t room)
{
	size_t others = GAP * (t->columns - 1), text = widths[t->columns - 1];

	if (!t->last_is_text)
		return false;
	for (size_t i = 0; i + 1 < t->columns; i++)
		others += widths[i];
	return others + text > room && others + TEXT_BESIDE > room;
}

static void put_row(const struct table *t, const struct slice *cells, const size_t *widths, bool text_below)
{
	for (size_t i = 0; i < t->columns; i++) {
		bool last = i + 1 == t->columns;
		size_t width;

		if (last && text_below)
			printf("\n%*s", TEXT_INDENT, "");
		width = put_cut(cells[i], widths[i], false);
		if (!last && !(text_below && i + 2 == t->columns))
			printf("%*s", (int)(widths[i] - width + GAP), "");
	}
	putchar('\n');
}

void table_print(const struct table *t)
{
	size_t widths[TABLE_COLUMNS_MAX], room = screen_columns();
	struct slice headings[TABLE_COLUMNS_MAX];
	bool text_below;

	assert(t->columns > 0);
	for (size_t i = 0; i < t->columns; i++) {
		headings[i] = slice_cstr(t->headings[i]);
		widths[i] = screen_width(headings[i]);
		for (size_t row = 0; row < t->rows; row++) {
			size_t width = screen_width(t->cells[row * t->columns + i]);

			widths[i] = width > widths[i] ? width : widths[i];
		}
	}
	text_below = text_goes_below(t, widths, room);
	fit(widths, t->columns - text_below, room);
	if (text_below)
		fit(&widths[t->columns - 1], 1, room > TEXT_INDENT ? room - TEXT_INDENT : 0);
	screen_bold(true);
	put_row(t, headings, widths, text_below);
	screen_bold(false);
	for (size_t row = 0; row < t->rows; row++)
		put_row(t, t->cells + row * t->columns, widths, text_below);
}
