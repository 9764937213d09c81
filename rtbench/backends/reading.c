/* Reading memory as fast as one core can: eight streams at once, which the prefetchers follow, and a sum for each half
 * of a stream's pair, so that nothing waits for an addition. */

#include <stdint.h>
#include <string.h>

typedef float vec __attribute__((vector_size(64)));

enum { STREAMS = 8, WIDE = sizeof(vec) / sizeof(float), PAIR = 2 * WIDE };

static vec loaded(const float *values) {
    vec found;
    memcpy(&found, values, sizeof found);
    return found;
}

/* the sum of `count` numbers, `times` over: whole groups of STREAMS * PAIR, what is left over is not read */
float rtbench_read(const float *values, int64_t count, int64_t times) {
    int64_t stream = count / STREAMS / PAIR * PAIR;
    vec sums[STREAMS] = {{0}};
    for (int64_t time = 0; time < times; time++) {
        for (int64_t at = 0; at < stream; at += PAIR)
            for (int k = 0; k < STREAMS; k++) {
                const float *from = values + k * stream + at;
                sums[2 * k % STREAMS] += loaded(from);
                sums[(2 * k + 1) % STREAMS] += loaded(from + WIDE);
            }
        __asm__ volatile("" ::: "memory"); /* every time anew */
    }
    float all = 0;
    for (int k = 0; k < STREAMS; k++)
        for (int i = 0; i < WIDE; i++) all += sums[k][i];
    return all;
}
