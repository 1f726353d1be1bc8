"""Whether a candidate does worse than what it is to replace, judged by their users' requests.

Pure functions. Fisher's exact test and not a z test: at one error in a hundred requests, which is
where it matters, the normal distribution is a bad likeness of what chance does.
"""

import collections
import math

# What was seen of one revision: requests, those answered 5xx, and latencies in milliseconds as
# pairs of a bucket's upper bound and its count.
Seen = collections.namedtuple("Seen", "requests errors latencies")

# Requests of the candidate. Of the old revision a p99 wants 100, fewer have none but their slowest.
ENOUGH_FOR_ERRORS, ENOUGH_FOR_LATENCY, ENOUGH_TO_COMPARE = 100, 500, 100
ERRORS, CHANCE = 0.01, 0.01  # the share that is too much, and how seldom chance does as much
SLOW, SLOWER = 300, 1.5  # ms, and times the other revision's


def log_choose(n, k):
    return math.lgamma(n + 1) - math.lgamma(k + 1) - math.lgamma(n - k + 1)


def by_chance(errors, requests, other_errors, other_requests):
    """The probability that of all the errors of both at least as many fall on the first, if both
    are alike (Fisher's exact test, one-sided)."""
    every, total = errors + other_errors, requests + other_requests
    return min(1.0, sum(
        math.exp(
            log_choose(requests, k)
            + log_choose(other_requests, every - k)
            - log_choose(total, every)
        )
        for k in range(max(errors, every - other_requests), min(requests, every) + 1)
    ))  # fmt: skip


def percentile(latencies, share):
    """The latency that this share of the requests did not exceed: a bucket's upper bound."""
    left = share * sum(count for _, count in latencies)
    for bound, count in sorted(latencies):
        left -= count
        if count and left <= 0:
            return bound
    return 0.0


def without(seen, probes):
    """What is left without the rollout's own requests, none of which was an error. They are taken
    for the quickest ones, which is against the candidate."""
    latencies, left = [], probes
    for bound, count in sorted(seen.latencies):
        gone = min(left, count)
        latencies.append((bound, count - gone))
        left -= gone
    return Seen(max(0, seen.requests - probes), seen.errors, latencies)


def judge(candidate, previous):
    """Returns what is wrong, or None, and what is to be said of it."""
    if candidate.requests < ENOUGH_FOR_ERRORS:
        return None, f"inconclusive: {candidate.requests} requests, of {ENOUGH_FOR_ERRORS} at least"
    chance = by_chance(candidate.errors, candidate.requests, previous.errors, previous.requests)
    shares = (
        f"{candidate.errors} of {candidate.requests} requests failed, and of the old revision's"
        f" {previous.errors} of {previous.requests}"
    )
    if candidate.errors > ERRORS * candidate.requests and chance < CHANCE:
        return f"{shares}: by chance once in {1 / max(chance, 1e-9):.0f} rollouts", shares
    if candidate.requests < ENOUGH_FOR_LATENCY or previous.requests < ENOUGH_TO_COMPARE:
        return None, (
            f"{shares}; too few for a p99, for which {ENOUGH_FOR_LATENCY} are wanted, and of the old"
            f" revision {ENOUGH_TO_COMPARE}"
        )
    mine, others = (percentile(one.latencies, 0.99) for one in (candidate, previous))
    p99 = f"p99 {mine:.0f} ms, and of the old revision {others:.0f} ms"
    if mine > SLOW and mine > SLOWER * others:
        return p99, p99
    return None, f"{shares}; {p99}"
