/* Walking and comparing documents. The array is in text order, so a subtree is a range and a sibling is one step away.
 */
#include <assert.h>
#include <math.h>

#include "base/json.h"

#define TWO_63 9223372036854775808.0
#define TWO_64 18446744073709551616.0

uint32_t json_get(const struct json_doc *doc, uint32_t object, struct slice name)
{
	const struct json_node *nodes;
	uint32_t end;

	if (object == JSON_NONE || json_node_at(doc, object)->type != JSON_OBJECT)
		return JSON_NONE;
	nodes = doc->nodes;
	end = nodes[object].next;
	for (uint32_t v = object + 2; v < end; v = nodes[v].next + 1)
		if (slice_eq(nodes[v - 1].text, name))
			return v;
	return JSON_NONE;
}

const char *json_type_name(enum json_type type)
{
	switch (type) {
	case JSON_NULL: return "null";
	case JSON_FALSE:
	case JSON_TRUE: return "boolean";
	case JSON_INT:
	case JSON_UINT: return "integer";
	case JSON_DOUBLE:
	case JSON_HUGE: return "number";
	case JSON_STRING: return "string";
	case JSON_ARRAY: return "array";
	case JSON_OBJECT: return "object";
	}
	assert(!"a type of the enumeration");
	return "";
}

bool json_str(const struct json_doc *doc, uint32_t node, struct slice *ret_text)
{
	if (node == JSON_NONE || json_node_at(doc, node)->type != JSON_STRING)
		return false;
	*ret_text = doc->nodes[node].text;
	return true;
}

bool json_i64(const struct json_doc *doc, uint32_t node, int64_t *ret_value)
{
	const struct json_node *n;

	if (node == JSON_NONE)
		return false;
	n = json_node_at(doc, node);
	if (n->type == JSON_INT) {
		*ret_value = n->i64;
		return true;
	}
	if (n->type != JSON_DOUBLE || n->f64 != trunc(n->f64) || n->f64 < -TWO_63 || n->f64 >= TWO_63)
		return false;
	*ret_value = (int64_t)n->f64;
	return true;
}

bool json_f64(const struct json_doc *doc, uint32_t node, double *ret_value)
{
	const struct json_node *n;

	if (node == JSON_NONE)
		return false;
	n = json_node_at(doc, node);
	if (n->type == JSON_INT)
		*ret_value = (double)n->i64;
	else if (n->type == JSON_UINT)
		*ret_value = (double)n->u64;
	else if (n->type == JSON_DOUBLE)
		*ret_value = n->f64;
	else
		return false;
	return true;
}

bool json_bool(const struct json_doc *doc, uint32_t node, bool *ret_value)
{
	enum json_type type;

	if (node == JSON_NONE)
		return false;
	type = json_node_at(doc, node)->type;
	if (type != JSON_TRUE && type != JSON_FALSE)
		return false;
	*ret_value = type == JSON_TRUE;
	return true;
}

uint32_t json_find_huge(const struct json_doc *doc, uint32_t node)
{
	if (node == JSON_NONE)
		return JSON_NONE;
	for (uint32_t i = node, end = json_node_at(doc, node)->next; i < end; i++)
		if (doc->nodes[i].type == JSON_HUGE)
			return i;
	return JSON_NONE;
}

static bool is_number(const struct json_node *n)
{
	return n->type == JSON_INT || n->type == JSON_UINT || n->type == JSON_DOUBLE;
}

static int order_of(int64_t a, int64_t b)
{
	return (a > b) - (a < b);
}

/* An unsigned node is above every signed one. */
static int integer_order(const struct json_node *a, const struct json_node *b)
{
	if (a->type != b->type)
		return a->type == JSON_UINT ? 1 : -1;
	return a->type == JSON_INT ? order_of(a->i64, b->i64) : (a->u64 > b->u64) - (a->u64 < b->u64);
}

/* By the double's whole part, which an integer can be if it is in range, and then by its fraction. */
static int integer_double_order(const struct json_node *integer, double number)
{
	struct json_node whole = {.type = JSON_INT};
	double rest = number - trunc(number);
	int order;

	if (number >= TWO_64)
		return -1;
	if (number < -TWO_63)
		return 1;
	if (number >= TWO_63) {
		whole.type = JSON_UINT;
		whole.u64 = (uint64_t)number;
	} else {
		whole.i64 = (int64_t)number;
	}
	order = integer_order(integer, &whole);
	return order ? order : (rest < 0) - (rest > 0);
}

static int number_order(const struct json_node *a, const struct json_node *b)
{
	if (a->type == JSON_DOUBLE && b->type == JSON_DOUBLE)
		return (a->f64 > b->f64) - (a->f64 < b->f64);
	if (a->type == JSON_DOUBLE)
		return -integer_double_order(b, a->f64);
	return b->type == JSON_DOUBLE ? integer_double_order(a, b->f64) : integer_order(a, b);
}

bool json_number_order(const struct json_doc *da, uint32_t a, const struct json_doc *db, uint32_t b, int *ret_order)
{
	const struct json_node *na = json_node_at(da, a), *nb = json_node_at(db, b);

	if (!is_number(na) || !is_number(nb))
		return false;
	*ret_order = number_order(na, nb);
	return true;
}

static bool array_equal(const struct json_doc *da, uint32_t a, const struct json_doc *db, uint32_t b)
{
	uint32_t vb = json_first(db, b);

	for (uint32_t va = json_first(da, a); va != JSON_NONE; va = json_next(da, a, va)) {
		if (!json_equal(da, va, db, vb))
			return false;
		vb = json_next(db, b, vb);
	}
	return true;
}

/* Members mostly stand in the same order, so the search for one starts behind where the last was found. */
static bool object_equal(const struct json_doc *da, uint32_t a, const struct json_doc *db, uint32_t b)
{
	uint32_t vb = json_first(db, b);

	for (uint32_t va = json_first(da, a); va != JSON_NONE; va = json_next(da, a, va)) {
		if (vb == JSON_NONE || !slice_eq(json_key(da, va), json_key(db, vb)))
			vb = json_get(db, b, json_key(da, va));
		if (vb == JSON_NONE || !json_equal(da, va, db, vb))
			return false;
		vb = json_next(db, b, vb);
	}
	return true;
}

/* Recursive: as deep as the document, which json_parse limits. */
bool json_equal(const struct json_doc *da, uint32_t a, const struct json_doc *db, uint32_t b)
{
	const struct json_node *na = json_node_at(da, a), *nb = json_node_at(db, b);

	if (is_number(na) && is_number(nb))
		return number_order(na, nb) == 0;
	if (na->type != nb->type)
		return false;
	if (na->type == JSON_STRING || na->type == JSON_HUGE)
		return slice_eq(na->text, nb->text);
	if (na->type != JSON_ARRAY && na->type != JSON_OBJECT)
		return true;
	if (na->count != nb->count)
		return false;
	return na->type == JSON_ARRAY ? array_equal(da, a, db, b) : object_equal(da, a, db, b);
}
