/* The layers of a tick, as rtbench/backends/native_program.py describes it: what `native.c` shares out.
 *
 * A layer's weight is read where it lies, [inputs, columns] row by row, so that what a learner changes is seen at once;
 * or in an arena, packed by thread and stage in the order of use, in single precision or as bfloat16. Rows of up to
 * 16 vectors are added up in registers: every weight is read once, and nothing between is stored.
 */
#include <stdint.h>
#include <string.h>

#define LANES 16
#ifdef __AVX512F__
#define WIDEST 16 /* vectors of a row that fit into registers */
#else
#define WIDEST 4
#endif
#define ROWS 4 /* of a batch, which share a read of the weights */
#define INLINE static inline __attribute__((always_inline))

_Static_assert(sizeof(void *) == 8, "tables of 64-bit numbers hold addresses");

typedef float vec __attribute__((vector_size(64)));
typedef int32_t ints __attribute__((vector_size(64)));
typedef uint32_t words __attribute__((vector_size(64)));

enum { LINEAR, LSTM, CONVOLUTION };

struct source { int64_t offset, ticks; };

struct block { /* heights, widths and channels of an image; pooled: to what size, else 0 */
    int64_t first, sources, width, image[3], pooled[2];
    double scale;
};

struct layer {
    int64_t op, relu, dropout, offset, width, inputs, columns, first, blocks;
    int64_t cell_offset, cell_ticks;
    int64_t kernel, stride, padding, image[3], places[2]; /* of a convolution, before pooling */
    int64_t rectifies, residual, pool_kernel, pool_stride, output[3];
};

/* A share of a layer: columns (of an LSTM: neurons, of a convolution: rows of its image) begin … end. The weight of
 * column `begin` is the first number at `weight`, rows are `row` numbers apart, `numbers` may be read; in bfloat16 a
 * number is a word with two rows' weights. */
struct unit {
    int64_t layer, begin, end, row, numbers, gate;
    const void *weight;
    const float *bias;
};

struct program {
    const struct layer *layers;
    const struct block *blocks;
    const struct source *sources;
    const struct unit *units;
    const int64_t *spans; /* [threads][stages][2]: units begin ... end */
    float *frames;        /* [batch][depth][size] */
    const float *kept;    /* [batch][size] or NULL */
    float *scratch;       /* [threads][scratch_size] */
    int64_t stages, threads, batch, depth, size, scratch_size, half, spin_ns, pin;
};

/* ---- arithmetic ------------------------------------------------------------------------------------------------ */

INLINE vec load(const float *from) { vec v; memcpy(&v, from, sizeof v); return v; }
INLINE void store(float *to, vec v) { memcpy(to, &v, sizeof v); }

INLINE words pairs(const void *base, int64_t at) { words w; memcpy(&w, (const uint32_t *)base + at, sizeof w); return w; }

INLINE vec chosen(ints mask, vec yes, vec no) { return (vec)((mask & (ints)yes) | (~mask & (ints)no)); }
INLINE vec every(float value) { return (vec){0} + value; }
INLINE vec rectified(vec v) { return chosen(v < 0, every(0), v); } /* what is not a number stays so */

/* e^x by 2^n and a polynomial; about 2 units in the last place */
INLINE vec exponential(vec x) {
    x = chosen(x < -87.0f, every(-87.0f), x);
    x = chosen(x > 88.0f, every(88.0f), x);
    vec n = (x * 1.44269504f + 12582912.0f) - 12582912.0f;
    vec r = x - n * 0.693359375f + n * 2.12194440e-4f;
    vec p = r * 1.9875691500e-4f + 1.3981999507e-3f;
    p = p * r + 8.3334519073e-3f;
    p = p * r + 4.1665795894e-2f;
    p = p * r + 1.6666665459e-1f;
    p = p * r + 5.0000001201e-1f;
    p = p * r * r + r + 1.0f;
    ints power = (__builtin_convertvector(n, ints) + 127) << 23;
    return p * (vec)power;
}
INLINE vec sigmoid(vec x) { return 1.0f / (1.0f + exponential(-x)); }
INLINE vec hyperbolic(vec x) { return 1.0f - 2.0f / (exponential(x + x) + 1.0f); }

/* rows × vectors results: y = x W + b, rectified; `last` numbers of the last vector are wanted */
INLINE void tile(const int rows, const int vectors, const int half, const float *x, int64_t xs, int64_t inputs,
                 const void *w, int64_t row, int64_t numbers, int64_t column, const float *bias, float *y, int64_t ys,
                 int relu, int64_t last) {
    vec sum[ROWS][WIDEST];
    float edge[LANES] = {0};
    const int whole = last == LANES;
    if (!whole) memcpy(edge, bias + (vectors - 1) * LANES, last * sizeof *edge);
    _Pragma("GCC unroll 16") for (int v = 0; v < vectors; v++) {
        vec first = whole || v < vectors - 1 ? load(bias + v * LANES) : load(edge);
        _Pragma("GCC unroll 4") for (int r = 0; r < rows; r++) sum[r][v] = first;
    }
    /* a vector may reach into the next row, but not beyond the last one */
    int64_t readable = (numbers - column - vectors * LANES) / row + 1;
    if (numbers - column < vectors * LANES) readable = 0;
    if (readable > inputs) readable = inputs;
    if (half) { /* a word holds two rows' weights, the first one low */
        readable = inputs;
        for (int64_t k = 0; k < inputs; k += 2) {
            const int64_t next = k + 1 < inputs ? k + 1 : k; /* the last of an odd number stands beside zeros */
            _Pragma("GCC unroll 16") for (int v = 0; v < vectors; v++) {
                words both = pairs(w, k / 2 * row + column + v * LANES);
                vec low = (vec)(both << 16), high = (vec)(both & 0xffff0000u);
                _Pragma("GCC unroll 4") for (int r = 0; r < rows; r++) {
                    sum[r][v] += x[r * xs + k] * low;
                    sum[r][v] += x[r * xs + next] * high;
                }
            }
        }
    } else for (int64_t k = 0; k < readable; k++) {
        _Pragma("GCC unroll 16") for (int v = 0; v < vectors; v++) {
            vec weight = load((const float *)w + k * row + column + v * LANES);
            _Pragma("GCC unroll 4") for (int r = 0; r < rows; r++) sum[r][v] += x[r * xs + k] * weight;
        }
    }
    for (int64_t k = readable; k < inputs; k++) { /* single precision, a single vector: the tail of a row */
        memcpy(edge, (const float *)w + k * row + column, last * sizeof *edge);
        _Pragma("GCC unroll 4") for (int r = 0; r < rows; r++) sum[r][0] += x[r * xs + k] * load(edge);
    }
    _Pragma("GCC unroll 16") for (int v = 0; v < vectors; v++) {
        _Pragma("GCC unroll 4") for (int r = 0; r < rows; r++) {
            vec value = relu ? rectified(sum[r][v]) : sum[r][v];
            if (whole || v < vectors - 1) store(y + r * ys + v * LANES, value);
            else memcpy(y + r * ys + v * LANES, &value, last * sizeof *edge);
        }
    }
}

INLINE void stripes(const int rows, const int half, const float *x, int64_t xs, int64_t inputs, const void *w,
                    int64_t row, int64_t numbers, int64_t columns, const float *bias, float *y, int64_t ys, int relu) {
    int64_t c = 0;
#define STRIPE(V, LAST) tile(rows, V, half, x, xs, inputs, w, row, numbers, c, bias + c, y + c, ys, relu, LAST)
    if (rows == 1) for (; c + WIDEST * LANES <= columns; c += WIDEST * LANES) STRIPE(WIDEST, LANES);
    if (rows == 1 && WIDEST > 8) for (; c + 8 * LANES <= columns; c += 8 * LANES) STRIPE(8, LANES);
    for (; c + 4 * LANES <= columns; c += 4 * LANES) STRIPE(4, LANES);
    for (; c + LANES <= columns; c += LANES) STRIPE(1, LANES);
    if (c < columns) STRIPE(1, columns - c);
#undef STRIPE
}

/* y [rows, columns] = x [rows, inputs] W + b */
static void product(int64_t rows, int half, const float *x, int64_t xs, int64_t inputs, const void *w, int64_t row,
                    int64_t numbers, int64_t columns, const float *bias, float *y, int64_t ys, int relu) {
    int64_t r = 0;
#define ROWS_OF(N, H) stripes(N, H, x + r * xs, xs, inputs, w, row, numbers, columns, bias, y + r * ys, ys, relu)
    for (; r + ROWS <= rows; r += ROWS) { if (half) ROWS_OF(ROWS, 1); else ROWS_OF(ROWS, 0); }
    for (; r < rows; r++) { if (half) ROWS_OF(1, 1); else ROWS_OF(1, 0); }
#undef ROWS_OF
}

/* ---- what a layer reads ---------------------------------------------------------------------------------------- */

static float *number(const struct program *p, int64_t slot, int64_t row, int64_t offset, int64_t ticks) {
    return p->frames + (row * p->depth + (slot + p->depth - ticks) % p->depth) * p->size + offset;
}

/* an image max-pooled: every cell over its even share */
static void pooled(const float *image, const int64_t shape[3], const int64_t size[2], float *to) {
    for (int64_t i = 0; i < size[0]; i++)
        for (int64_t j = 0; j < size[1]; j++, to += shape[2]) {
            int64_t top = i * shape[0] / size[0], bottom = ((i + 1) * shape[0] + size[0] - 1) / size[0];
            int64_t left = j * shape[1] / size[1], right = ((j + 1) * shape[1] + size[1] - 1) / size[1];
            memcpy(to, image + (top * shape[1] + left) * shape[2], shape[2] * sizeof *to);
            for (int64_t y = top; y < bottom; y++)
                for (int64_t x = left; x < right; x++)
                    for (int64_t c = 0; c < shape[2]; c++) {
                        float value = image[(y * shape[1] + x) * shape[2] + c];
                        to[c] = value <= to[c] ? to[c] : value;
                    }
        }
}

/* one block of one row of the batch; `aside` has room for a pooled image */
static void gather(const struct program *p, const struct block *b, int64_t slot, int64_t row, float *to, float *aside) {
    for (int64_t s = 0; s < b->sources; s++) {
        const struct source *source = p->sources + b->first + s;
        const float *from = number(p, slot, row, source->offset, source->ticks);
        if (b->pooled[0]) { pooled(from, b->image, b->pooled, aside); from = aside; }
        if (!s && b->sources == 1 && b->scale == 1.0) { memcpy(to, from, b->width * sizeof *to); return; }
        float scale = (float)b->scale;
        for (int64_t i = 0; i < b->width; i++) to[i] = (s ? to[i] : 0) + from[i] * scale;
    }
}

/* the inputs of a row of the batch after another, where they lie or gathered; `stride` between rows */
static const float *joined(const struct program *p, const struct layer *v, int64_t slot, float *to, int64_t *stride) {
    const struct block *b = p->blocks + v->first;
    if (v->blocks == 1 && b->sources == 1 && b->scale == 1.0 && !b->pooled[0]) {
        const struct source *source = p->sources + b->first;
        *stride = p->depth * p->size;
        return number(p, slot, 0, source->offset, source->ticks);
    }
    *stride = v->inputs;
    float *aside = to + p->batch * v->inputs;
    for (int64_t row = 0; row < p->batch; row++) {
        float *at = to + row * v->inputs;
        for (int64_t i = 0; i < v->blocks; at += b[i].width, i++) gather(p, b + i, slot, row, at, aside);
    }
    return to;
}

/* ---- layers ---------------------------------------------------------------------------------------------------- */

static void dropped(const struct program *p, const struct layer *v, int64_t slot, int64_t begin, int64_t end) {
    if (!p->kept || !v->dropout) return;
    for (int64_t row = 0; row < p->batch; row++) {
        float *value = number(p, slot, row, v->offset, 0);
        const float *kept = p->kept + row * p->size + v->offset;
        for (int64_t i = begin; i < end; i++) value[i] *= kept[i];
    }
}

static void linear(const struct program *p, const struct unit *u, int64_t slot, float *scratch) {
    const struct layer *v = p->layers + u->layer;
    int64_t stride;
    const float *x = joined(p, v, slot, scratch, &stride);
    product(p->batch, (int)p->half, x, stride, v->inputs, u->weight, u->row, u->numbers, u->end - u->begin, u->bias,
            number(p, slot, 0, v->offset + u->begin, 0), p->depth * p->size, (int)v->relu);
    dropped(p, v, slot, u->begin, u->end);
}

static void lstm(const struct program *p, const struct unit *u, int64_t slot, float *scratch) {
    const struct layer *v = p->layers + u->layer;
    const int64_t count = u->end - u->begin, room = (count + LANES - 1) / LANES * LANES;
    int64_t stride;
    float *gates = scratch; /* [4][room], then the inputs */
    const float *x = joined(p, v, slot, scratch + 4 * room, &stride);
    for (int64_t row = 0; row < p->batch; row++) {
        for (int64_t g = 0; g < 4; g++) {
            const float *w = (const float *)u->weight + g * u->gate; /* or words, as wide */
            product(1, (int)p->half, x + row * stride, 0, v->inputs, w, u->row, u->numbers - g * u->gate, count,
                    u->bias + g * v->width, gates + g * room, 0, 0);
        }
        const float *before = number(p, slot, row, v->cell_offset + u->begin, v->cell_ticks);
        float *value = number(p, slot, row, v->offset + u->begin, 0);
        for (int64_t i = 0; i < count; i += LANES) {
            int64_t n = count - i < LANES ? count - i : LANES;
            vec cell = {0}, out;
            memcpy(&cell, before + i, n * sizeof *before);
            cell = sigmoid(load(gates + room + i)) * cell;
            cell += sigmoid(load(gates + i)) * hyperbolic(load(gates + 2 * room + i));
            out = sigmoid(load(gates + 3 * room + i)) * hyperbolic(cell);
            memcpy(value + i, &out, n * sizeof *value);
            memcpy(value + v->width + i, &cell, n * sizeof *value);
        }
    }
}

/* the image a convolution reads: its blocks along the channels; `aside` has room for a block twice */
static void images(const struct program *p, const struct layer *v, int64_t slot, int64_t row, float *image, float *aside) {
    const struct block *b = p->blocks + v->first;
    const int64_t pixels = v->image[0] * v->image[1], channels = v->image[2];
    for (int64_t i = 0, at = 0; i < v->blocks - v->residual; at += b[i].image[2], i++) {
        const int64_t own = b[i].image[2];
        gather(p, b + i, slot, row, aside, aside + b[i].width);
        for (int64_t j = 0; j < pixels; j++) memcpy(image + j * channels + at, aside + j * own, own * sizeof *image);
    }
    if (v->rectifies)
        for (int64_t i = 0; i < pixels * channels; i++) image[i] = image[i] < 0 ? 0 : image[i];
}

/* patches of so many places from `place` on, one below the other, zeros around the image */
static void cut(const struct layer *v, const float *image, int64_t place, int64_t rows, float *patches) {
    const int64_t channels = v->image[2], width = v->image[1], size = v->kernel;
    memset(patches, 0, rows * v->inputs * sizeof *patches);
    for (int64_t r = 0; r < rows; r++) {
        const int64_t top = (place + r) / v->places[1] * v->stride - v->padding;
        const int64_t left = (place + r) % v->places[1] * v->stride - v->padding;
        const int64_t from = left < 0 ? 0 : left, to = left + size > width ? width : left + size;
        for (int64_t k = 0; k < size; k++) {
            if (top + k < 0 || top + k >= v->image[0] || to <= from) continue;
            memcpy(patches + r * v->inputs + (k * size + from - left) * channels,
                   image + ((top + k) * width + from) * channels, (to - from) * channels * sizeof *image);
        }
    }
}

/* rows begin … end of y from those of the convolution, which start at its row `first`: pooled, added to, rectified */
static void finished(const struct layer *v, int64_t begin, int64_t end, const float *wide, int64_t first,
                     const float *added, float *y) {
    const int64_t size = v->pool_kernel ? v->pool_kernel : 1, step = v->pool_kernel ? v->pool_stride : 1;
    for (int64_t i = begin; i < end; i++)
        for (int64_t j = 0; j < v->output[1]; j++) {
            const int64_t at = (i * v->output[1] + j) * v->columns;
            for (int64_t c = 0; c < v->columns; c++) {
                float value = wide[((i * step - first) * v->places[1] + j * step) * v->columns + c];
                for (int64_t k = 1; k < size * size; k++) {
                    const int64_t top = i * step - first + k / size, left = j * step + k % size;
                    float other = wide[(top * v->places[1] + left) * v->columns + c];
                    value = other <= value ? value : other;
                }
                if (added) value += added[at + c];
                y[at + c] = v->relu && value < 0 ? 0 : value;
            }
        }
}

static void convolution(const struct program *p, const struct unit *u, int64_t slot, float *scratch) {
    const struct layer *v = p->layers + u->layer;
    const int64_t size = v->pool_kernel ? v->pool_kernel : 1, step = v->pool_kernel ? v->pool_stride : 1;
    const int64_t first = u->begin * step, last = (u->end - 1) * step + size, across = v->places[1];
    const int direct = !v->pool_kernel && !v->residual;
    float *image = scratch, *patches = image + v->image[0] * v->image[1] * v->image[2];
    float *wide = patches + ROWS * v->inputs;
    float *aside = wide + (direct ? 0 : (last - first) * across * v->columns);
    for (int64_t row = 0; row < p->batch; row++) {
        images(p, v, slot, row, image, aside);
        float *y = number(p, slot, row, v->offset, 0);
        float *to = direct ? y + first * across * v->columns : wide;
        for (int64_t place = first * across; place < last * across; place += ROWS, to += ROWS * v->columns) {
            const int64_t rows = last * across - place < ROWS ? last * across - place : ROWS;
            cut(v, image, place, rows, patches);
            product(rows, (int)p->half, patches, v->inputs, v->inputs, u->weight, u->row, u->numbers, v->columns,
                    u->bias, to, v->columns, direct && v->relu);
        }
        if (direct) continue;
        const struct block *added = p->blocks + v->first + v->blocks - 1;
        if (v->residual) gather(p, added, slot, row, aside, aside + added->width);
        finished(v, u->begin, u->end, wide, first, v->residual ? aside : NULL, y);
    }
    dropped(p, v, slot, u->begin * v->output[1] * v->columns, u->end * v->output[1] * v->columns);
}

static void share(const struct program *p, int64_t slot, int64_t stage, int64_t thread) {
    const int64_t *span = p->spans + 2 * (thread * p->stages + stage);
    float *scratch = p->scratch + thread * p->scratch_size;
    for (int64_t i = span[0]; i < span[1]; i++) {
        const struct unit *u = p->units + i;
        switch (p->layers[u->layer].op) {
        case LINEAR: linear(p, u, slot, scratch); break;
        case LSTM: lstm(p, u, slot, scratch); break;
        default: convolution(p, u, slot, scratch);
        }
    }
}
