/* The picture of report.h, written as text: an SVG needs no library.
 *
 * Small multiples: six tools with three lines each in one plot would be eighteen lines. All panels share both scales,
 * so they can be compared by eye. Colours are told apart by lightness too, and each line is named at its end. */
#include <math.h>
#include <stdio.h>
#include <string.h>

#include "bench/report.h"

#define PANELS_MAX 24
#define LEVELS_MAX 64
#define COLUMNS    2
#define PANEL_W    440.0
#define PANEL_H    250.0
#define LEFT       64.0 /* of the plot in its panel */
#define TOP        34.0
#define PLOT_W     322.0
#define PLOT_H     164.0
#define HEAD       62.0

struct panel {
	struct slice name;
	const struct measurement *points[LEVELS_MAX];
	size_t count;
};

struct chart {
	struct panel panels[PANELS_MAX];
	size_t count;
	double level_low, level_high; /* log10 of connections */
	double ms_low, ms_high;       /* log10 of ms, whole decades */
	double target_ms;
};

/* Without variables: renderers that are no browsers (librsvg) do not know them. Those take the light colours. */
static const char style[] = "<style>\n"
			    "svg { font-family: system-ui, -apple-system, 'Segoe UI', 'DejaVu Sans', sans-serif; }\n"
			    ".ground { fill: #ffffff; } .ink { fill: #1f2328; } .soft { fill: #59636e; }\n"
			    ".grid { stroke: #d9dee3; stroke-width: 1; }\n"
			    ".target { stroke: #59636e; stroke-width: 1.5; stroke-dasharray: 6 4; }\n"
			    ".line { fill: none; stroke-width: 2; stroke-linejoin: round; }\n"
			    ".p50 { stroke: #0b6bcb; } .p95 { stroke: #b35900; } .p99 { stroke: #b3246b; }\n"
			    ".dot50 { fill: #0b6bcb; } .dot95 { fill: #b35900; } .dot99 { fill: #b3246b; }\n"
			    "@media (prefers-color-scheme: dark) {\n"
			    ".ground { fill: #0d1117; } .ink { fill: #e6edf3; } .soft { fill: #9aa5b1; }\n"
			    ".grid { stroke: #2b323b; } .target { stroke: #9aa5b1; }\n"
			    ".p50 { stroke: #58a6ff; } .p95 { stroke: #f0a14a; } .p99 { stroke: #f778ba; }\n"
			    ".dot50 { fill: #58a6ff; } .dot95 { fill: #f0a14a; } .dot99 { fill: #f778ba; }\n"
			    "}\n"
			    "</style>\n";

static const struct {
	const char *name, *line, *dot;
} figures[] = {{"p50", "line p50", "dot50"}, {"p95", "line p95", "dot95"}, {"p99", "line p99", "dot99"}};
#define FIGURES (sizeof figures / sizeof *figures)

static double figure_of(const struct measurement *m, size_t figure)
{
	return figure == 0 ? m->latency.median_ms : figure == 1 ? m->latency.p95_ms : m->latency.p99_ms;
}

static void put_text(struct buffer *out, struct slice text)
{
	for (size_t i = 0; i < text.len; i++) {
		char c = text.ptr[i];

		if (c == '<' || c == '&' || c == '>')
			buffer_printf(out, "&#%d;", c);
		else
			buffer_byte(out, (unsigned char)c < 0x20 ? ' ' : c);
	}
}

static struct panel *panel_of(struct chart *c, struct slice name)
{
	for (size_t i = 0; i < c->count; i++)
		if (slice_eq(c->panels[i].name, name))
			return &c->panels[i];
	if (c->count == PANELS_MAX)
		return NULL;
	c->panels[c->count].name = name;
	return &c->panels[c->count++];
}

static void gather(struct chart *c, const struct result *r, enum measurement_kind kind)
{
	double low = INFINITY, high = -INFINITY, level_low = INFINITY, level_high = -INFINITY;

	for (size_t i = 0; i < r->count; i++) {
		const struct measurement *m = &r->measurements[i];
		struct panel *panel;

		if (m->kind != kind || !(m->latency.median_ms > 0))
			continue;
		panel = panel_of(c, m->name);
		if (!panel || panel->count == LEVELS_MAX)
			continue;
		panel->points[panel->count++] = m;
		low = fmin(low, m->latency.median_ms);
		high = fmax(high, m->latency.p99_ms);
		level_low = fmin(level_low, m->connections);
		level_high = fmax(level_high, m->connections);
	}
	c->target_ms = r->target_ms;
	c->ms_low = floor(log10(low));
	c->ms_high = fmax(ceil(log10(fmax(high, r->target_ms))), c->ms_low + 1);
	c->level_low = log10(level_low);
	c->level_high = fmax(log10(level_high), c->level_low + 0.3);
}

static double x_of(const struct chart *c, unsigned connections)
{
	return LEFT + PLOT_W * (log10(connections) - c->level_low) / (c->level_high - c->level_low);
}

static double y_of(const struct chart *c, double ms)
{
	double at = (log10(ms) - c->ms_low) / (c->ms_high - c->ms_low);

	return TOP + PLOT_H * (1 - fmin(fmax(at, 0), 1));
}

/* "10 us", "1 ms", "1 s" */
static void decade_label(double decade, char *text, size_t size)
{
	double ms = pow(10, decade);

	if (ms < 1)
		snprintf(text, size, "%g \xC2\xB5s", round(ms * 1e6) / 1e3);
	else if (ms < 1000)
		snprintf(text, size, "%g ms", ms);
	else
		snprintf(text, size, "%g s", ms / 1000);
}

static void write_axes(const struct chart *c, const struct panel *p, struct buffer *out)
{
	double last_x = -100;

	for (int decade = (int)c->ms_low; decade <= (int)c->ms_high; decade++) {
		double y = y_of(c, pow(10, decade));
		char label[32];

		decade_label(decade, label, sizeof label);
		buffer_printf(out,
			"<line class=\"grid\" x1=\"%.1f\" y1=\"%.1f\" x2=\"%.1f\" y2=\"%.1f\"/>"
			"<text class=\"soft\" x=\"%.1f\" y=\"%.1f\" font-size=\"12\" text-anchor=\"end\">%s</text>\n",
			LEFT, y, LEFT + PLOT_W, y, LEFT - 8, y + 4, label);
	}
	for (size_t i = 0; i < p->count; i++) {
		double x = x_of(c, p->points[i]->connections);

		buffer_printf(out, "<line class=\"grid\" x1=\"%.1f\" y1=\"%.1f\" x2=\"%.1f\" y2=\"%.1f\"/>", x, TOP, x,
			TOP + PLOT_H);
		if (x - last_x >= 26)
			buffer_printf(out,
				"<text class=\"soft\" x=\"%.1f\" y=\"%.1f\" font-size=\"12\" "
				"text-anchor=\"middle\">%u</text>\n",
				x, TOP + PLOT_H + 18, p->points[i]->connections);
		last_x = x - last_x >= 26 ? x : last_x;
	}
	buffer_printf(out,
		"<text class=\"soft\" x=\"%.1f\" y=\"%.1f\" font-size=\"12\" "
		"text-anchor=\"middle\">connections</text>\n",
		LEFT + PLOT_W / 2, TOP + PLOT_H + 36);
}

/* Names at the lines' ends, moved apart where they would cover each other. */
static void write_names(const struct chart *c, const struct panel *p, struct buffer *out)
{
	const struct measurement *last = p->points[p->count - 1];
	double x = x_of(c, last->connections), below = INFINITY;

	for (size_t f = 0; f < FIGURES; f++) {
		double y = fmin(y_of(c, figure_of(last, f)) + 4, below - 13);

		buffer_printf(out,
			"<text class=\"%s\" x=\"%.1f\" y=\"%.1f\" font-size=\"12\" font-weight=\"600\">%s</text>\n",
			figures[f].dot, x + 8, y, figures[f].name);
		below = y;
	}
}

static void write_lines(const struct chart *c, const struct panel *p, struct buffer *out)
{
	for (size_t f = 0; f < FIGURES; f++) {
		buffer_printf(out, "<polyline class=\"%s\" points=\"", figures[f].line);
		for (size_t i = 0; i < p->count; i++)
			buffer_printf(out, "%s%.1f,%.1f", i ? " " : "", x_of(c, p->points[i]->connections),
				y_of(c, figure_of(p->points[i], f)));
		buffer_append(out, S("\"/>\n"));
		for (size_t i = 0; i < p->count; i++)
			buffer_printf(out,
				"<circle class=\"%s\" cx=\"%.1f\" cy=\"%.1f\" r=\"3\"><title>%u connections, %s: %.4g "
				"ms</title></circle>\n",
				figures[f].dot, x_of(c, p->points[i]->connections), y_of(c, figure_of(p->points[i], f)),
				p->points[i]->connections, figures[f].name, figure_of(p->points[i], f));
	}
}

static void write_panel(const struct chart *c, size_t index, struct buffer *out)
{
	const struct panel *p = &c->panels[index];
	double x = (double)(index % COLUMNS) * PANEL_W, y = HEAD + (double)(index / COLUMNS) * PANEL_H;
	double target = y_of(c, c->target_ms);

	buffer_printf(out,
		"<g transform=\"translate(%.1f %.1f)\">\n<text class=\"ink\" x=\"%.1f\" y=\"%.1f\" "
		"font-size=\"15\" font-weight=\"600\">",
		x, y, LEFT, TOP - 12);
	put_text(out, p->name);
	buffer_append(out, S("</text>\n"));
	write_axes(c, p, out);
	buffer_printf(out,
		"<line class=\"target\" x1=\"%.1f\" y1=\"%.1f\" x2=\"%.1f\" y2=\"%.1f\"/>"
		"<text class=\"soft\" x=\"%.1f\" y=\"%.1f\" font-size=\"11\">target %g ms</text>\n",
		LEFT, target, LEFT + PLOT_W, target, LEFT + 6, target - 5, c->target_ms);
	write_lines(c, p, out);
	write_names(c, p, out);
	buffer_append(out, S("</g>\n"));
}

void report_write_chart(const struct result *r, struct buffer *out)
{
	struct chart c = {.count = 0};
	size_t rows;

	gather(&c, r, KIND_CLOSED);
	if (c.count == 0)
		gather(&c, r, KIND_MIX);
	if (c.count == 0)
		return;
	rows = (c.count + COLUMNS - 1) / COLUMNS;
	buffer_printf(out,
		"<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 %.0f %.0f\" width=\"%.0f\" height=\"%.0f\" "
		"role=\"img\">\n"
		"<title>Latency over connections</title>\n",
		COLUMNS * PANEL_W, HEAD + (double)rows * PANEL_H, COLUMNS * PANEL_W, HEAD + (double)rows * PANEL_H);
	buffer_append(out, slice_cstr(style));
	buffer_append(
		out, S("<rect class=\"ground\" width=\"100%\" height=\"100%\"/>\n"
		       "<text class=\"ink\" x=\"24\" y=\"30\" font-size=\"18\" font-weight=\"600\">"
		       "Latency over connections</text>\n<text class=\"soft\" x=\"24\" y=\"50\" font-size=\"13\">"));
	put_text(out, r->program);
	buffer_append(out, S(", "));
	put_text(out, r->transport);
	buffer_append(out, S(", "));
	put_text(out, r->started_at);
	buffer_append(out, S("; both axes logarithmic</text>\n"));
	for (size_t i = 0; i < c.count; i++)
		write_panel(&c, i, out);
	buffer_append(out, S("</svg>\n"));
}
