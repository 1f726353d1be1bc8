# What is kept of the logs, and what is counted of them. What is counted is counted before anything is
# left out.

locals {
  # The platform's own log of requests, which also has those that no instance took.
  request_log = "resource.type=\"cloud_run_revision\" AND resource.labels.service_name=\"${var.service}\" AND log_id(\"run.googleapis.com/requests\")"
  edge_log    = "resource.type=\"http_load_balancer\" AND resource.labels.url_map_name=(\"${var.service}\" OR \"${var.service}-redirect\")"
}

# By far the most entries are requests that were answered, and under a flood they would cost more than
# the CPU. The insertId is as good as random, so that a share of all is kept.
resource "google_logging_project_exclusion" "answered" {
  count = var.request_log_share == 1 ? 0 : 1

  name        = "${var.service}-answered"
  description = "Requests that were answered in time, but for a share"
  filter      = "${local.request_log} AND httpRequest.status<400 AND httpRequest.latency<\"1s\" AND sample(insertId, ${1 - var.request_log_share})"

  depends_on = [google_project_service.api]
}

# What the load balancer has passed on is in the log above. Its own is for what it refuses.
resource "google_logging_project_exclusion" "passed_on" {
  count = local.load_balancer ? 1 : 0

  name        = "${var.service}-passed-on"
  description = "Requests that the load balancer has passed on and were answered"
  filter      = "${local.edge_log} AND httpRequest.status<400"

  depends_on = [google_project_service.api]
}

# A flood is what Cloud Armor refuses: of that a share is enough.
resource "google_logging_project_exclusion" "refused" {
  count = local.load_balancer && var.request_log_share < 1 ? 1 : 0

  name        = "${var.service}-refused"
  description = "Requests that the load balancer has refused as too many, but for a share"
  filter      = "${local.edge_log} AND httpRequest.status=429 AND sample(insertId, ${1 - var.request_log_share})"

  depends_on = [google_project_service.api]
}

resource "google_logging_metric" "requests" {
  for_each = {
    requests = { filter = local.request_log, description = "Requests" }
    failures = {
      # 429 is Cloud Run's own word for: no instance is free, and none more may be started. Cloud Armor's
      # 429, to a client that asks too often, never gets this far.
      filter      = "${local.request_log} AND (httpRequest.status>=500 OR httpRequest.status=429)"
      description = "Requests that the service failed"
    }
  }

  name        = "${var.service}-${each.key}"
  description = each.value.description
  filter      = each.value.filter
  metric_descriptor {
    metric_kind = "DELTA"
    value_type  = "INT64"
  }

  depends_on = [google_project_service.api]
}
