/* One tick of a graph on one thread, or on several that stay. Values lie in frames (layout.py). */
#define _GNU_SOURCE
#include <pthread.h>
#include <sched.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <time.h>
#ifdef __linux__
#include <sys/syscall.h>
#include <unistd.h>
#endif

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
    int core;    /* of the caller, -1: wherever */
    int crowded; /* fewer cores than threads that are to have one each */
    unsigned generation;
#ifdef __linux__
    cpu_set_t allowed; /* where the caller may be when nobody keeps it */
    pid_t kept;        /* the thread that is kept to `core`, 0: none */
#endif
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

/* ---- cores ------------------------------------------------------------------------------------------------------ */

#ifdef __linux__
/* Whoever has ticked is kept to a core, and stays there between ticks: what it was allowed before is remembered, for the
 * next acting of the same thread, and given back when the acting is closed. */
static _Thread_local cpu_set_t before;
static _Thread_local int own = -1;

static int is_only(const cpu_set_t *set, int core) { return core >= 0 && CPU_COUNT(set) == 1 && CPU_ISSET(core, set); }

static int allowed(cpu_set_t *set) {
    if (sched_getaffinity(0, sizeof *set, set)) return 1;
    if (is_only(set, own)) *set = before;
    return 0;
}

static void release(struct team *t) {
    cpu_set_t now;
    if (t->kept && !sched_getaffinity(t->kept, sizeof now, &now) && is_only(&now, t->core))
        sched_setaffinity(t->kept, sizeof t->allowed, &t->allowed);
    t->kept = 0;
}

static void keep(struct team *t) {
    cpu_set_t found, only;
    const pid_t self = (pid_t)syscall(SYS_gettid);
    if (t->kept != self) release(t);
    if (allowed(&found) || !CPU_ISSET(t->core, &found)) return; /* others have moved it: it stays where they want it */
    before = t->allowed = found;
    own = t->core;
    CPU_ZERO(&only);
    CPU_SET(t->core, &only);
    if (!sched_setaffinity(0, sizeof only, &only)) t->kept = self;
}
#endif

/* a thread of the team to its core, or to wherever the caller may be when nobody keeps it */
static void keep_member(const struct member *self) {
#ifdef __linux__
    cpu_set_t set = self->team->allowed;
    if (self->core >= 0) {
        CPU_ZERO(&set);
        CPU_SET(self->core, &set);
    }
    if (CPU_COUNT(&set)) sched_setaffinity(0, sizeof set, &set);
#else
    (void)self;
#endif
}

static void *work(void *given) {
    struct member self = *(struct member *)given;
    struct team *t = self.team;
    free(given);
    keep_member(&self);
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
static void cores(struct team *t, int found[]) {
    const struct program *p = t->p;
    for (int64_t i = 0; i < p->threads; i++) found[i] = -1;
    t->crowded = 0;
#ifdef __linux__
    int each[CPU_SETSIZE], count = 0, here = sched_getcpu(), at = 0;
    t->kept = 0;
    CPU_ZERO(&t->allowed);
    if (allowed(&t->allowed) || !p->pin) return;
    for (int core = 0; core < CPU_SETSIZE; core++)
        if (CPU_ISSET(core, &t->allowed)) { if (core == here) at = count; each[count++] = core; }
    t->crowded = count < p->threads;
    if (t->crowded) return;
    for (int64_t i = 0; i < p->threads; i++) found[i] = each[(at + i) % count];
#endif
}

static int start(struct team *t) {
    int found[t->p->threads];
    pthread_mutex_init(&t->mutex, NULL);
    pthread_cond_init(&t->wake, NULL);
    atomic_store(&t->epoch, 0);
    atomic_store(&t->arrived, 0);
    atomic_store(&t->parked, 0);
    atomic_store(&t->stop, 0);
    t->passed = 0;
    t->generation = atomic_load(&forks);
    cores(t, found);
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

static int alive(struct team *t) { return t->started && t->generation == atomic_load(&forks); }

static void stop(struct team *t) {
    if (!alive(t)) return;
    atomic_store(&t->stop, 1);
    begin(t);
    for (int64_t i = 1; i < t->started; i++) pthread_join(t->threads[i], NULL);
    pthread_mutex_destroy(&t->mutex);
    pthread_cond_destroy(&t->wake);
#ifdef __linux__
    release(t);
#endif
    t->started = 0;
}

void rtbench_close(void *given) {
    struct team *t = given;
    stop(t);
    free(t->threads);
    free(t);
}

enum { DONE, NO_THREADS, CROWDED };

/* one tick into frame `slot`: NO_THREADS if they could not be started, CROWDED (once) if they share cores */
int rtbench_tick(void *given, int64_t slot) {
    struct team *t = given;
    const struct program *p = t->p;
    int told = DONE;
    if (p->threads == 1) {
        for (int64_t stage = 0; stage < p->stages; stage++) share(p, slot, stage, 0);
        return told;
    }
    if (!alive(t)) {
        if (start(t)) { stop(t); return NO_THREADS; }
        if (t->crowded) told = CROWDED;
    }
#ifdef __linux__
    if (t->core >= 0 && sched_getcpu() != t->core) keep(t); /* where it is, one of the others may be kept */
#endif
    t->slot = slot;
    begin(t);
    tick(t, 0, (uint64_t)(t->passed * p->stages * p->threads));
    t->passed++;
    return told;
}
