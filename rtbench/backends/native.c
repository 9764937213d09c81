/* One tick of a graph on one thread, or on several that stay. Values lie in frames (layout.py). */
#define _GNU_SOURCE
#include <pthread.h>
#include <sched.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <time.h>

#include "native_layers.h"

/* ---- threads ---------------------------------------------------------------------------------------------------- */

struct team {
    const struct program *p;
    pthread_t *threads;
    pthread_mutex_t mutex;
    pthread_cond_t wake;
    _Alignas(64) atomic_uint_fast64_t epoch;   /* ticks begun */
    _Alignas(64) atomic_uint_fast64_t arrived; /* at barriers, all threads together */
    _Alignas(64) atomic_int parked;
    atomic_int stop;
    int64_t slot, started, passed;
    int core; /* of the caller, -1: wherever */
    unsigned generation;
};
struct member { struct team *team; int64_t index; int core; };

static atomic_uint forks; /* threads do not survive a fork: a child starts its own */
static void forked(void) { atomic_fetch_add(&forks, 1); }
__attribute__((constructor)) static void watch_forks(void) { pthread_atfork(NULL, NULL, forked); }

INLINE void relax(void) {
#if defined(__x86_64__) || defined(__i386__)
    __builtin_ia32_pause();
#elif defined(__aarch64__)
    __asm__ volatile("yield");
#endif
}

static int64_t now_ns(void) {
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return t.tv_sec * 1000000000LL + t.tv_nsec;
}

static void arrive(struct team *t) { atomic_fetch_add(&t->arrived, 1); }

static void await(struct team *t, uint64_t wanted) {
    for (unsigned turns = 0; atomic_load_explicit(&t->arrived, memory_order_acquire) < wanted; turns++) {
        relax();
        if (turns > 4096) sched_yield(); /* more threads than cores: the one waited for needs this one's */
    }
}

/* the stages of one tick; everybody has arrived `before` times at barriers when it begins */
static void tick(struct team *t, int64_t index, uint64_t before) {
    const struct program *p = t->p;
    for (int64_t stage = 0; stage < p->stages; stage++) {
        share(p, t->slot, stage, index);
        arrive(t);
        if (index == 0 || stage + 1 < p->stages) await(t, before + (uint64_t)(p->threads * (stage + 1)));
    }
}

static void keep_to(int core) {
#ifdef __linux__
    if (core < 0) return;
    cpu_set_t set;
    CPU_ZERO(&set);
    CPU_SET(core, &set);
    pthread_setaffinity_np(pthread_self(), sizeof set, &set);
#else
    (void)core;
#endif
}

static void *work(void *given) {
    struct member self = *(struct member *)given;
    struct team *t = self.team;
    free(given);
    keep_to(self.core);
    uint64_t seen = 0;
    for (;;) {
        int64_t deadline = now_ns() + t->p->spin_ns;
        for (unsigned turns = 1; atomic_load_explicit(&t->epoch, memory_order_acquire) == seen; turns++) {
            relax();
            if (turns % 64 || now_ns() < deadline) continue;
            pthread_mutex_lock(&t->mutex);
            atomic_fetch_add(&t->parked, 1);
            while (atomic_load(&t->epoch) == seen) pthread_cond_wait(&t->wake, &t->mutex);
            atomic_fetch_sub(&t->parked, 1);
            pthread_mutex_unlock(&t->mutex);
        }
        if (atomic_load(&t->stop)) return NULL;
        tick(t, self.index, seen * (uint64_t)(t->p->stages * t->p->threads));
        seen++;
    }
}

static void begin(struct team *t) {
    atomic_fetch_add(&t->epoch, 1);
    if (!atomic_load(&t->parked)) return;
    pthread_mutex_lock(&t->mutex);
    pthread_cond_broadcast(&t->wake);
    pthread_mutex_unlock(&t->mutex);
}

/* cores of their own: the caller stays where it is, the others take the next ones that are allowed */
static void cores(const struct program *p, int found[]) {
    for (int64_t i = 0; i < p->threads; i++) found[i] = -1;
#ifdef __linux__
    cpu_set_t set;
    int allowed[CPU_SETSIZE], count = 0, here = sched_getcpu(), at = 0;
    if (!p->pin || sched_getaffinity(0, sizeof set, &set)) return;
    for (int core = 0; core < CPU_SETSIZE; core++)
        if (CPU_ISSET(core, &set)) { if (core == here) at = count; allowed[count++] = core; }
    if (count < p->threads) return;
    for (int64_t i = 0; i < p->threads; i++) found[i] = allowed[(at + i) % count];
#endif
}

static int start(struct team *t) {
    int found[t->p->threads];
    pthread_mutex_init(&t->mutex, NULL);
    pthread_cond_init(&t->wake, NULL);
    atomic_store(&t->epoch, 0);
    atomic_store(&t->arrived, 0);
    atomic_store(&t->parked, 0);
    t->passed = 0;
    t->generation = atomic_load(&forks);
    cores(t->p, found);
    t->core = found[0];
    for (t->started = 1; t->started < t->p->threads; t->started++) {
        struct member *member = malloc(sizeof *member);
        if (!member) return 1;
        *member = (struct member){t, t->started, found[t->started]};
        if (pthread_create(t->threads + t->started, NULL, work, member)) { free(member); return 1; }
    }
    return 0;
}

/* ---- what Python calls ------------------------------------------------------------------------------------------ */

/* NULL if there is no memory; `p` must outlive it */
void *rtbench_open(const struct program *p) {
    struct team *t = aligned_alloc(64, (sizeof *t + 63) / 64 * 64);
    if (!t) return NULL;
    memset(t, 0, sizeof *t);
    t->p = p;
    t->threads = calloc((size_t)p->threads, sizeof *t->threads);
    if (!t->threads) { free(t); return NULL; }
    return t;
}

static void stop(struct team *t) {
    if (!t->started || t->generation != atomic_load(&forks)) return;
    atomic_store(&t->stop, 1);
    begin(t);
    for (int64_t i = 1; i < t->started; i++) pthread_join(t->threads[i], NULL);
}

void rtbench_close(void *given) {
    struct team *t = given;
    stop(t);
    free(t->threads);
    free(t);
}

/* one tick into frame `slot`; 1 if the threads could not be started */
int rtbench_tick(void *given, int64_t slot) {
    struct team *t = given;
    const struct program *p = t->p;
    if (p->threads == 1) {
        for (int64_t stage = 0; stage < p->stages; stage++) share(p, slot, stage, 0);
        return 0;
    }
    if (!t->started || t->generation != atomic_load(&forks)) {
        if (start(t)) { stop(t); t->started = 0; return 1; }
    }
#ifdef __linux__
    if (t->core >= 0 && sched_getcpu() != t->core) keep_to(t->core); /* where it is, one of the others may be kept */
#endif
    t->slot = slot;
    begin(t);
    tick(t, 0, (uint64_t)(t->passed * p->stages * p->threads));
    t->passed++;
    return 0;
}
