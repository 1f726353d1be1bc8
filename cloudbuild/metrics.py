"""The second gate: what Cloud Monitoring knows of the candidate's users (docs/rollout.md).

Reports come up to three minutes late, so the share that is judged lasts five, and what is judged is
the part of it that is complete. That is time, which buys nothing where too few requests come:
whether it is taken is decided by how many came lately.
"""

import datetime
import time

from command_line import Failure, seconds
from gcloud import PATIENCE, PAUSE
from google_api import Api, Conflict, Unanswered
from judgement import ENOUGH_FOR_ERRORS, Seen, judge, without

LAG = 180  # seconds in which a report may come
LASTS = seconds("ROLLOUT_JUDGED", "300")  # seconds that the judged share lasts
BEFORE = 600  # seconds before the rollout from which the rate of requests is taken


class Unreadable(Exception):
    """Cloud Monitoring has not answered what was asked: no judgement, either way."""


def timestamp(seconds):
    moment = datetime.datetime.fromtimestamp(seconds, datetime.timezone.utc)
    return moment.strftime("%Y-%m-%dT%H:%M:%SZ")


def bounds(options):
    """The upper bounds of a distribution's buckets, the last one aside, which has none."""
    if "explicitBuckets" in options:
        return options["explicitBuckets"]["bounds"]
    if "linearBuckets" in options:
        linear = options["linearBuckets"]
        return [
            linear["offset"] + linear["width"] * k for k in range(linear["numFiniteBuckets"] + 1)
        ]
    power = options["exponentialBuckets"]
    return [
        power["scale"] * power["growthFactor"] ** k for k in range(power["numFiniteBuckets"] + 1)
    ]


def buckets(distribution):
    """Pairs of an upper bound and a count."""
    counts = [int(count) for count in distribution.get("bucketCounts", [])]
    if not counts:
        return []
    limits = [*bounds(distribution["bucketOptions"]), float("inf")]
    return list(zip(limits, counts))


class Monitoring:
    def __init__(self, project, clock=time):
        self.path, self.api, self.clock = f"v3/projects/{project}/timeSeries", Api("monitoring"), clock

    def series(self, metric, service, begin, end, *labels):
        """One value for each combination of the labels: all that came from begin to end, in whole seconds, or their
        period would be one point and a second of another."""
        begin, end = int(begin), int(end)
        condition = (
            f'metric.type="run.googleapis.com/{metric}" AND resource.type="cloud_run_revision"'
            f' AND resource.labels.service_name="{service.name}"'
            f' AND resource.labels.location="{service.region}"'
        )
        query = {
            "filter": condition,
            "interval.startTime": timestamp(begin),
            "interval.endTime": timestamp(end),
            "aggregation.alignmentPeriod": f"{end - begin}s",
            "aggregation.perSeriesAligner": "ALIGN_DELTA",
            "aggregation.crossSeriesReducer": "REDUCE_SUM",
            "aggregation.groupByFields": labels,
        }
        page = ""
        while True:
            answer = self.get(pageToken=page, **query)
            for one in answer.get("timeSeries", []):
                words = {**one.get("resource", {}).get("labels", {}),
                         **one.get("metric", {}).get("labels", {})}  # fmt: skip
                for point in one.get("points", []):
                    yield words, point["value"]
            page = answer.get("nextPageToken", "")
            if not page:
                return

    def get(self, **query):
        deadline = self.clock.monotonic() + PATIENCE
        while True:
            try:
                return self.api.call("GET", self.path, **query)
            except (Conflict, Failure) as failure:
                raise Unreadable(str(failure))
            except Unanswered as failure:
                if self.clock.monotonic() > deadline:
                    raise Unreadable(str(failure))
            self.clock.sleep(PAUSE)

    def seen(self, service, revision, begin, end):
        """What came of requests to a revision, its tag's address included."""
        count = {}
        labels = "resource.labels.revision_name", "metric.labels.response_code_class"
        for words, value in self.series("request_count", service, begin, end, *labels):
            if words.get("revision_name") == revision:
                kind = words.get("response_code_class")
                count[kind] = count.get(kind, 0) + int(value.get("int64Value", 0))
        latencies = []
        for words, value in self.series("request_latencies", service, begin, end, labels[0]):
            if words.get("revision_name") == revision:
                latencies += buckets(value.get("distributionValue", {}))
        return Seen(sum(count.values()), count.get("5xx", 0), latencies)


class Gate:
    def __init__(self, project, clock=time):
        self.monitoring, self.clock = Monitoring(project, clock), clock
        self.judged = set()  # the regions in which enough requests come

    def prepare(self, regions):
        """Finds out where there is something to judge. Returns how much longer that takes."""
        for region in regions:
            try:
                self.look(region)
            except (Unreadable, KeyError, ValueError) as reason:
                region.say(f"metrics: inconclusive, they cannot be read: {reason!r}. It needs"
                           " roles/monitoring.viewer, which Terraform grants")  # fmt: skip
        return LASTS * len(self.judged)

    def look(self, region):
        end = self.clock.time() - LAG
        seen = self.monitoring.seen(region.service, region.serving.name, end - BEFORE, end)
        expected = seen.requests / BEFORE * (LASTS - LAG) / 2  # half of them for the candidate
        if expected >= ENOUGH_FOR_ERRORS:
            self.judged.add(region.name)
        else:
            region.say(f"metrics: inconclusive, {seen.requests} requests in {BEFORE / 60:.0f}"
                       " minutes are too few; the rollout's own requests decide")  # fmt: skip

    def seconds(self, region):
        """How long the judged share has to last."""
        return LASTS if region.name in self.judged else 0

    def judge(self, region, begun, probes):
        """Fails when the candidate does worse than the revision that it replaces. The probes are
        the times of the rollout's own requests."""
        if region.name not in self.judged:
            return
        end = self.clock.time() - LAG
        try:
            mine, others = (
                self.monitoring.seen(region.service, name, begun, end)
                for name in (region.candidate, region.serving.name)
            )
        except (Unreadable, KeyError, ValueError) as reason:
            raise Failure(f"{region.name}: there are requests to judge by, and the metrics cannot be read: {reason!r}")
        own = sum(begun <= moment <= end for moment in probes)
        wrong, said = judge(without(mine, own), others)
        if wrong:
            raise Failure(f"{region.name}: {region.candidate} does worse for its users: {wrong}")
        region.say(f"metrics: {said}")
