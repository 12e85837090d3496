/* Results for people: tables that fit the terminal, and text that cannot harm it.
 *
 * On a terminal a table is as wide as the window at most (text in the last column goes on a line of its own where it is
 * long, then the widest column gives way; cut text ends in an ellipsis) and headings are bold unless NO_COLOR is set
 * (no-color.org). Elsewhere nothing is cut or coloured, so that a pipe
 * sees whole values. What is stored may be anything: control characters are shown as spaces, so no stored text can move
 * the cursor or colour what follows. Threads: the main one. Output goes to standard output. */
#ifndef CS_CLI_TABLE_H
#define CS_CLI_TABLE_H

#include "base/arena.h"
#include "base/slice.h"

#define TABLE_COLUMNS_MAX 8

struct table {
	struct arena *arena;
	const char *headings[TABLE_COLUMNS_MAX];
	size_t columns;
	struct slice *cells; /* rows * columns */
	size_t rows;
	size_t room;       /* in rows */
	bool last_is_text; /* the last column is to be read, the others to be copied; set behind table_init */
};

/* `headings` end with NULL; at most TABLE_COLUMNS_MAX. */
void table_init(struct table *, struct arena *, const char *const *headings);
/* `cells` has one slice a column; bytes live until table_print. False: no memory. */
bool table_add(struct table *, const struct slice *cells);
void table_print(const struct table *);

/* Does standard output go to a terminal; may it be coloured? */
bool screen_is_terminal(void);
/* Bold or plain, where colours are allowed. */
void screen_bold(bool on);
/* Text with control characters as spaces; newlines and tabs too unless `lines`. */
void screen_text(struct slice text, bool lines);
/* Columns the text takes on a terminal. */
size_t screen_width(struct slice text);

#endif
