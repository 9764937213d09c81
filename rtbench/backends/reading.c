/* Reading memory as fast as one core can: eight independent sums, so that nothing waits for an addition. */

#include <stdint.h>
#include <string.h>

typedef float vec __attribute__((vector_size(64)));

enum { SUMS = 8, NUMBERS = SUMS * (int)(sizeof(vec) / sizeof(float)) };

/* the sum of `count` numbers (whole groups of NUMBERS; what is left over is not read), `times` over */
float rtbench_read(const float *values, int64_t count, int64_t times) {
    vec sums[SUMS] = {{0}};
    for (int64_t time = 0; time < times; time++) {
        for (int64_t at = 0; at + NUMBERS <= count; at += NUMBERS)
            for (int k = 0; k < SUMS; k++) {
                vec next;
                memcpy(&next, values + at + k * (int64_t)(sizeof(vec) / sizeof(float)), sizeof next);
                sums[k] += next;
            }
        __asm__ volatile("" ::: "memory"); /* every time anew */
    }
    float all = 0;
    for (int k = 0; k < SUMS; k++)
        for (unsigned i = 0; i < sizeof(vec) / sizeof(float); i++) all += sums[k][i];
    return all;
}
