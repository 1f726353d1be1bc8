"""The second gate: the judgement against known values, and what Cloud Monitoring is asked."""

import metrics
import pytest
from cloud import PROJECT, REGION, SERVICE
from gcloud import Failure
from judgement import Seen, by_chance, judge, percentile, without
from outcome import NEW, check

# --- The judgement ------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("table", "expected"),
    [
        ((3, 4, 1, 4), 17 / 70),  # Fisher's lady, who tasted tea
        ((4, 4, 0, 4), 1 / 70),
        ((11, 14, 1, 10), 0.001379728),  # R: fisher.test(matrix(c(11,3,1,9),2), alternative="g")
        ((0, 10, 0, 10), 1),
        ((5, 10, 0, 0), 1),  # nothing to compare with
        ((0, 10, 10, 10), 1),
    ],
)
def test_the_probability_of_chance_is_the_known_one(table, expected):
    assert by_chance(*table) == pytest.approx(expected, rel=1e-6)


def test_the_probability_of_chance_is_found_for_many_requests():
    assert by_chance(20_000, 1_000_000, 10_000, 1_000_000) < 1e-100


FAST = [(100, 990), (200, 10)]


@pytest.mark.parametrize(
    ("mine", "others", "says"),
    [
        ((99, 99, []), (100, 0, []), "inconclusive: 99 requests"),
        ((100, 1, []), (100, 0, []), None),  # not above 1 %
        ((100, 2, []), (100, 0, []), None),  # by chance one time in four
        ((100, 9, []), (100, 0, []), "9 of 100 requests failed"),
        ((1000, 50, []), (1000, 50, []), None),  # as bad as what is there
        ((1000, 20, []), (1000, 2, []), "20 of 1000"),
        ((1000, 0, [(301, 989), (400, 11)]), (1000, 0, FAST), "p99 400 ms"),
        ((1000, 0, [(250, 1000)]), (1000, 0, [(100, 1000)]), None),  # slower, and quick enough
        ((1000, 0, [(400, 1000)]), (1000, 0, [(300, 1000)]), None),  # slow, and not much slower
        ((499, 0, [(900, 499)]), (1000, 0, FAST), None),
        ((500, 0, [(900, 500)]), (100, 0, [(100, 100)]), "p99 900 ms"),  # few of the old one
        ((500, 0, [(900, 500)]), (99, 0, [(100, 99)]), None),  # which has no p99
        ((500, 0, [(900, 500)]), (0, 0, []), None),
    ],
)
def test_a_candidate_is_judged_by_errors_and_by_latency(mine, others, says):
    wrong, said = judge(Seen(*mine), Seen(*others))
    if says and "inconclusive" in says:
        assert wrong is None and says in said
    else:
        assert (says is None and wrong is None) or says in wrong, (wrong, said)


def test_own_requests_are_subtracted_as_the_quickest():
    seen = without(Seen(160, 3, [(10, 50), (100, 100), (900, 10)]), 60)
    assert seen == Seen(100, 3, [(10, 0), (100, 90), (900, 10)])
    assert percentile(seen.latencies, 0.9) == 100 and percentile(seen.latencies, 0.91) == 900


# --- The gate -----------------------------------------------------------------------------------

OLD_NAME, NEW_NAME = f"{SERVICE}-00001-abc", f"{SERVICE}-00002-abc"


class Named:
    def __init__(self, name, region=None):
        self.name, self.region = name, region


class Region:
    """What the gate looks at of a region's rollout."""

    def __init__(self):
        self.name, self.candidate, self.said = REGION, NEW_NAME, []
        self.service, self.serving = Named(SERVICE, REGION), Named(OLD_NAME)

    def say(self, text):
        self.said.append(text)


class Clock:
    now = 1_800_000_000

    def time(self):
        return self.now

    monotonic = time

    def sleep(self, seconds):
        self.now += seconds


@pytest.fixture
def region():
    return Region()


@pytest.fixture
def gate(cloud, monkeypatch):
    """A gate that asks the stand-in, half an hour after there was none."""
    for name, value in cloud.environment().items():
        monkeypatch.setenv(name, value)
    clock = Clock()
    cloud.monitoring.now = clock.time
    return metrics.Gate(PROJECT, clock=clock)


def requests(cloud, revision, count, begin, seconds, failing=0, duration=20):
    """So many requests, evenly in so many seconds, of which the first ones fail."""
    for number in range(count):
        when = begin + seconds * number / count
        status = 503 if number < failing else 200
        cloud.monitoring.requests.append((when, REGION, revision, status, duration))


def judged(cloud, gate, region, mine, others, probes=0):
    """The judgement after a share at which these requests came."""
    clock = gate.clock
    requests(cloud, OLD_NAME, 3000, clock.now - 900, 800)
    longer = gate.prepare([region])
    assert longer == gate.seconds(region) == 300, region.said
    begun, clock.now = clock.now, clock.now + 300
    requests(cloud, NEW_NAME, *mine[:1], begun + 1, 118, *mine[1:])
    requests(cloud, OLD_NAME, *others[:1], begun + 1, 118, *others[1:])
    gate.judge(region, begun, [begun + 60] * probes)
    return region.said[-1]


def test_a_candidate_whose_users_see_more_errors_fails(cloud, gate, region):
    with pytest.raises(Failure, match="does worse for its users: 30 of 600 requests failed"):
        judged(cloud, gate, region, (600, 30), (600, 0))


def test_a_candidate_that_is_much_slower_fails(cloud, gate, region):
    with pytest.raises(Failure, match="p99"):
        judged(cloud, gate, region, (600, 0, 900), (600, 0, 90))


def test_a_candidate_that_does_as_well_passes_and_the_numbers_are_said(cloud, gate, region):
    said = judged(cloud, gate, region, (600, 1), (600, 1))
    assert "1 of 600 requests failed, and of the old revision's 1 of 600; p99" in said


def test_own_requests_do_not_count(cloud, gate, region):
    assert "inconclusive: 90 requests" in judged(cloud, gate, region, (120, 0), (600, 0), probes=30)


def test_what_is_reported_late_is_waited_for_and_what_is_not_complete_left_out(cloud, gate, region):
    cloud.monitoring.lag = 240
    said = judged(cloud, gate, region, (600, 0), (600, 0))
    assert "of 30" in said, said  # half of it has come


def test_where_few_requests_come_nobody_waits(cloud, gate, region):
    requests(cloud, OLD_NAME, 900, gate.clock.now - 899.5, 900)
    assert gate.prepare([region]) == 0 == gate.seconds(region)
    assert "inconclusive, 600 requests in 10 minutes are too few" in region.said[0]


def test_metrics_that_cannot_be_read_are_no_judgement_and_it_is_said(cloud, gate, region):
    cloud.monitoring.fails = True
    assert gate.prepare([region]) == 0
    assert "inconclusive, they cannot be read" in region.said[-1]
    assert "roles/monitoring.viewer" in region.said[0]


@pytest.mark.parametrize("how", [{"fails": True}, {"busy": 10**6}])
def test_metrics_that_were_there_and_cannot_be_read_at_the_end_fail(cloud, gate, region, how):
    requests(cloud, OLD_NAME, 3000, gate.clock.now - 900, 800)
    gate.prepare([region])
    vars(cloud.monitoring).update(how)
    with pytest.raises(Failure, match="there are requests to judge by, and the metrics cannot be read"):
        gate.judge(region, gate.clock.now - 300, [])


def test_metrics_that_come_at_another_try_are_judged(cloud, gate, region):
    requests(cloud, OLD_NAME, 3000, gate.clock.now - 900, 800)
    cloud.monitoring.busy = 2
    assert gate.prepare([region]) == 300
    cloud.monitoring.busy = 2
    gate.judge(region, gate.clock.now - 300, [])
    assert "inconclusive: 0 requests" in region.said[-1]


def test_buckets_of_each_kind_are_understood():
    for options, expected in [
        ({"explicitBuckets": {"bounds": [1, 2]}}, [(1, 5), (2, 6), (float("inf"), 7)]),
        (
            {"linearBuckets": {"numFiniteBuckets": 1, "width": 2, "offset": 1}},
            [(1, 5), (3, 6), (float("inf"), 7)],
        ),
        (
            {"exponentialBuckets": {"numFiniteBuckets": 1, "growthFactor": 3, "scale": 2}},
            [(2, 5), (6, 6), (float("inf"), 7)],
        ),
    ]:
        value = {"bucketOptions": options, "bucketCounts": ["5", "6", "7"]}
        assert metrics.buckets(value) == expected


def test_a_rollout_asks_and_says_that_it_is_inconclusive(cloud, repository):
    ended = cloud.rollout(repository.new, ROLLOUT_METRICS="auto")
    check(ended, cloud, 0, {NEW: 100}, "metrics: inconclusive, 0 requests", "has 10 %")
