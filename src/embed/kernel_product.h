/* A product of two matrices, once over floats and once over pairs of 16-bit numbers: included twice by kernel_f32.h.
 *
 * The includer defines PRODUCT (the name of the struct, and of what is made here), ELEMENT, PRODUCT_VEC, PRODUCT_MEMORY
 * (the same where it is not aligned), PRODUCT_ADD(sum, x, y) for vectors, PRODUCT_ADD_ONE for elements, and
 * PRODUCT_FLOATS (a vector of sums as floats); all are undefined at the end. */

#define PRODUCT_JOIN_(a, b) a##b
#define PRODUCT_JOIN(a, b)  PRODUCT_JOIN_(a, b)
#define PRODUCT_TILE        PRODUCT_JOIN(PRODUCT, _tile)
#define PRODUCT_COLUMNS     PRODUCT_JOIN(PRODUCT, _columns)
#define PRODUCT_REST        PRODUCT_JOIN(PRODUCT, _rest)
#define PRODUCT_ALL         PRODUCT_JOIN(f32_, PRODUCT)

#define DECLARE_SUMS(r)     PRODUCT_VEC a##r = {0}, b##r = {0}, c##r = {0}, d##r = {0};
#define STORE_SUMS(r)                                                                                                  \
	if (rows > r) {                                                                                                \
		float factor = p->factors ? p->factors[row + r] : 1;                                                   \
                                                                                                                       \
		vec_store(to + r * to_stride, PRODUCT_FLOATS(a##r) * factor);                                          \
		if (vectors > 1)                                                                                       \
			vec_store(to + r * to_stride + LANES, PRODUCT_FLOATS(b##r) * factor);                          \
		if (vectors > 2)                                                                                       \
			vec_store(to + r * to_stride + 2 * LANES, PRODUCT_FLOATS(c##r) * factor);                      \
		if (vectors > 2)                                                                                       \
			vec_store(to + r * to_stride + 3 * LANES, PRODUCT_FLOATS(d##r) * factor);                      \
	}
#define ADD_PRODUCTS(r)                                                                                                \
	if (rows > r) {                                                                                                \
		PRODUCT_VEC x = left[r * p->left_stride + k] - (PRODUCT_VEC){0};                                       \
		a##r = PRODUCT_ADD(a##r, x, u);                                                                        \
		if (vectors > 1)                                                                                       \
			b##r = PRODUCT_ADD(b##r, x, v);                                                                \
		if (vectors > 2)                                                                                       \
			c##r = PRODUCT_ADD(c##r, x, w);                                                                \
		if (vectors > 2)                                                                                       \
			d##r = PRODUCT_ADD(d##r, x, z);                                                                \
	}

INLINED PRODUCT_VEC PRODUCT_JOIN(PRODUCT, _load)(const ELEMENT *from)
{
	return *(const PRODUCT_MEMORY *)from;
}
#define PRODUCT_LOAD PRODUCT_JOIN(PRODUCT, _load)

/* One tile: `rows` (up to 6) by `vectors` (1, 2 or 4) sums stay in registers while `inner` runs. */
INLINED void PRODUCT_TILE(const struct PRODUCT *p, size_t row, size_t column, float *to, size_t to_stride,
	const int rows, const int vectors)
{
	const ELEMENT *left = p->left + row * p->left_stride, *right = p->right + column;

	EACH_ROW(DECLARE_SUMS)
	to += row * to_stride + column;
	for (size_t k = 0; k < p->inner; k++, right += p->right_stride) {
		PRODUCT_VEC u = PRODUCT_LOAD(right), v = u, w = u, z = u;

		if (vectors > 1)
			v = PRODUCT_LOAD(right + LANES);
		if (vectors > 2)
			w = PRODUCT_LOAD(right + 2 * LANES);
		if (vectors > 2)
			z = PRODUCT_LOAD(right + 3 * LANES);
		EACH_ROW(ADD_PRODUCTS)
	}
	EACH_ROW(STORE_SUMS)
}

#define TILE_OF_ROWS(n)                                                                                                \
	case n: PRODUCT_TILE(p, row, column, to, to_stride, n, vectors); break

/* All rows of some columns; rows are dealt out evenly over tiles. */
INLINED void PRODUCT_COLUMNS(const struct PRODUCT *p, size_t column, float *to, size_t to_stride, const int vectors)
{
	size_t count = (p->rows + 5) / 6;

	for (size_t i = 0; i < count; i++) {
		size_t row = p->rows * i / count;

		switch (p->rows * (i + 1) / count - row) {
			TILE_OF_ROWS(1);
			TILE_OF_ROWS(2);
			TILE_OF_ROWS(3);
			TILE_OF_ROWS(4);
			TILE_OF_ROWS(5);
			TILE_OF_ROWS(6);
		}
	}
}

/* The columns that fill no vector. */
static void PRODUCT_REST(const struct PRODUCT *p, size_t column, float *to, size_t to_stride)
{
	for (size_t row = 0; row < p->rows; row++)
		for (size_t c = column; c < p->columns; c++) {
			ELEMENT sum = 0;

			for (size_t k = 0; k < p->inner; k++)
				sum = PRODUCT_ADD_ONE(
					sum, p->left[row * p->left_stride + k], p->right[k * p->right_stride + c]);
			to[row * to_stride + c] = (float)sum * (p->factors ? p->factors[row] : 1);
		}
}

static void PRODUCT_ALL(const struct PRODUCT *p, float *to, size_t to_stride)
{
	size_t column = 0;

	for (; VECTORS_MAX == 4 && column + 4 * LANES <= p->columns; column += 4 * LANES)
		PRODUCT_COLUMNS(p, column, to, to_stride, VECTORS_MAX);
	for (; column + 2 * LANES <= p->columns; column += 2 * LANES)
		PRODUCT_COLUMNS(p, column, to, to_stride, 2);
	for (; column + LANES <= p->columns; column += LANES)
		PRODUCT_COLUMNS(p, column, to, to_stride, 1);
	if (column < p->columns)
		PRODUCT_REST(p, column, to, to_stride);
}

#undef PRODUCT
#undef ELEMENT
#undef PRODUCT_VEC
#undef PRODUCT_MEMORY
#undef PRODUCT_ADD
#undef PRODUCT_ADD_ONE
#undef PRODUCT_FLOATS
#undef PRODUCT_JOIN_
#undef PRODUCT_JOIN
#undef PRODUCT_TILE
#undef PRODUCT_COLUMNS
#undef PRODUCT_REST
#undef PRODUCT_ALL
#undef PRODUCT_LOAD
#undef DECLARE_SUMS
#undef STORE_SUMS
#undef ADD_PRODUCTS
#undef TILE_OF_ROWS
