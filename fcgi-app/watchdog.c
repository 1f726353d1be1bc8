#include "watchdog.h"

#include <signal.h>

/*
 * Where the system refuses to wake the parent, the next beat tries again.
 *
 * Sequentially consistent, here and in watchdog_rest: each side writes its own word and then reads
 * the other's, so that at least one of them sees what the other has written.
 */
void watchdog_busy(struct shared *shared, struct activity *activity)
{
    atomic_store(&activity->busy, true);
    count(&activity->beat, 1);
    if (!atomic_load(&shared->watched) && !atomic_exchange(&shared->watched, true) &&
        kill(shared->parent, WATCHDOG_SIGNAL) < 0)
        atomic_store(&shared->watched, false);
}

void watchdog_idle(struct activity *activity)
{
    atomic_store_explicit(&activity->busy, false, memory_order_release);
}

int watchdog_look(struct watched *watched, const struct activity *activity, bool *quiet)
{
    const uint64_t beat = atomic_load(&activity->beat);
    const bool busy = atomic_load(&activity->busy) || watched->stopped;
    const bool moved = beat != watched->beat;
    watched->beat = beat;
    watched->looks = busy && !moved ? watched->looks + 1 : 0;
    *quiet = *quiet && !busy && !moved;
    return watched->looks;
}

bool watchdog_rest(struct shared *shared)
{
    atomic_store(&shared->watched, false);
    for (int i = 0; i < shared->slots_used; i++) {
        if (atomic_load(&shared->slots[i].activity.busy)) {
            atomic_store(&shared->watched, true);
            return false;
        }
    }
    return true;
}
