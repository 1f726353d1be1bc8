# What an on-call person looks at first: does it answer, how fast, is it the new revision, is it the
# limit, what does it say.
locals {
  # How the series of a metric become lines.
  rate          = { perSeriesAligner = "ALIGN_RATE", crossSeriesReducer = "REDUCE_SUM" }
  by_answer     = merge(local.rate, { groupByFields = ["metric.label.response_code_class"] })
  by_revision   = merge(local.rate, { groupByFields = ["resource.label.location", "resource.label.revision_name"] })
  by_region     = { perSeriesAligner = "ALIGN_MAX", crossSeriesReducer = "REDUCE_SUM", groupByFields = ["resource.label.location"] }
  percentile_50 = { perSeriesAligner = "ALIGN_DELTA", crossSeriesReducer = "REDUCE_PERCENTILE_50" }
  percentile_95 = { perSeriesAligner = "ALIGN_DELTA", crossSeriesReducer = "REDUCE_PERCENTILE_95" }
  percentile_99 = { perSeriesAligner = "ALIGN_DELTA", crossSeriesReducer = "REDUCE_PERCENTILE_99" }
  latest        = { perSeriesAligner = "ALIGN_NEXT_OLDER" }

  charts = [
    {
      title = "Requests per second, by kind of answer"
      lines = [{ filter = local.metric["request_count"], how = local.by_answer }]
    },
    {
      title = "Latency in ms: 50, 95 and 99 %"
      lines = [for percentile in [local.percentile_50, local.percentile_95, local.percentile_99] : {
        filter = local.metric["request_latencies"]
        how    = percentile
      }]
    },
    {
      title = "Requests per second, by revision"
      lines = [{ filter = local.metric["request_count"], how = local.by_revision }]
    },
    {
      title = "5xx, and 429 for want of an instance, per second, by revision"
      lines = [{ filter = local.counted["failures"], how = local.by_revision }]
    },
    {
      title = "Instances, by region (at most ${var.max_instances})"
      lines = [{ filter = local.metric["container/instance_count"], how = local.by_region }]
    },
    {
      title = "Start of an instance in ms, 99 %"
      lines = [{ filter = local.metric["container/startup_latencies"], how = local.percentile_99 }]
    },
    {
      title = "CPU and memory in use, 99 %"
      lines = [for resource in ["cpu", "memory"] : {
        filter = local.metric["container/${resource}/utilizations"]
        how    = local.percentile_99
      }]
    },
    {
      title = "Error budgets left, of 1"
      lines = [for objective in local.objectives : {
        filter = "select_slo_budget_fraction(\"${objective.name}\")"
        how    = local.latest
      }]
    },
  ]

  widgets = concat(
    [for chart in local.charts : {
      title = chart.title
      xyChart = {
        dataSets = [for line in chart.lines : {
          timeSeriesQuery = {
            timeSeriesFilter = {
              filter      = line.filter
              aggregation = merge({ alignmentPeriod = "60s" }, line.how)
            }
          }
        }]
      }
    }],
    [
      # Which component says it, about which request, in which trace.
      { title = "What the service says", logsPanel = { filter = "${local.of_service} AND jsonPayload.component=(\"nginx\" OR \"responder\" OR \"supervisor\") AND severity>=WARNING" } },
      { title = "Requests that failed", logsPanel = { filter = google_logging_metric.requests["failures"].filter } },
    ],
  )
}

resource "google_monitoring_dashboard" "app" {
  dashboard_json = jsonencode({
    displayName = var.service
    mosaicLayout = {
      columns = 48
      tiles = [for index, widget in local.widgets : merge(
        { width = 24, height = 16, widget = widget },
        # Google drops zeros, and what it drops would be a difference in every plan.
        index % 2 == 0 ? {} : { xPos = 24 },
        index < 2 ? {} : { yPos = 16 * floor(index / 2) },
      )]
    }
  })
}
