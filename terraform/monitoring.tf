locals {
  channels = google_monitoring_notification_channel.email[*].id
  runbook  = "https://github.com/${var.repository}/blob/main/docs/runbook.md"

  # Filters, of all regions and revisions together.
  of_service = "resource.type=\"cloud_run_revision\" AND resource.labels.service_name=\"${var.service}\""
  metric = {
    for name in [
      "request_count",
      "request_latencies",
      "container/instance_count",
      "container/startup_latencies",
      "container/cpu/utilizations",
      "container/memory/utilizations",
    ] : name => "metric.type=\"run.googleapis.com/${name}\" AND ${local.of_service}"
  }
  # Counted from the log, since the metric knows only requests that an instance got: those that were
  # answered 429 because none was free are not in it.
  counted = { for name, metric in google_logging_metric.requests : name => "metric.type=\"logging.googleapis.com/user/${metric.name}\" AND resource.type=\"cloud_run_revision\"" }
  edge    = "metric.type=\"loadbalancing.googleapis.com/https/request_count\" AND resource.type=\"https_lb_rule\" AND resource.labels.url_map_name=\"${var.service}\""
}

check "somebody_is_told" {
  assert {
    condition     = var.alert_email != null
    error_message = "Nobody will be told when the service fails: alert_email is not set. Alerts are in the console only."
  }
}

resource "google_monitoring_notification_channel" "email" {
  count = var.alert_email == null ? 0 : 1

  display_name = "${var.service}: ${var.alert_email}"
  user_labels  = local.labels
  type         = "email"
  labels       = { email_address = var.alert_email }

  # Google refuses to delete one that an alert still names.
  lifecycle {
    create_before_destroy = true
  }

  depends_on = [google_project_service.api]
}

# --- From outside ---------------------------------------------------------------------------

locals {
  # Identity-Aware Proxy lets no such check through.
  uptime_hosts = local.iap ? {} : local.behind_load_balancer ? {
    (var.domain.name) = var.domain.name
  } : { for region, service in google_cloud_run_v2_service.app : region => trimprefix(service.uri, "https://") }
}

resource "google_monitoring_uptime_check_config" "app" {
  for_each = local.uptime_hosts

  display_name = "${var.service}: ${each.key}"
  user_labels  = local.labels
  period       = "60s" # of 300: it is also the traffic that the objectives need in a quiet hour
  timeout      = "10s"

  monitored_resource {
    type   = "uptime_url"
    labels = { project_id = var.project_id, host = each.value }
  }

  http_check {
    path         = "/version" # goes through nginx to the responder, past the cache
    use_ssl      = true
    validate_ssl = true

    dynamic "service_agent_authentication" {
      for_each = var.public ? [] : [1]
      content {
        type = "OIDC_TOKEN"
      }
    }
  }

  # Google's placeholder, or whatever else has taken the address, answers 200 as well.
  content_matchers {
    matcher = "MATCHES_REGEX"
    content = "(?s).*\"commit\": ?\"[0-9a-f]{40}\".*" # as a whole, should a part of the body not do
  }

  # Google refuses to delete one that an alert still names.
  lifecycle {
    create_before_destroy = true
  }
}

resource "google_monitoring_alert_policy" "uptime" {
  count = local.iap ? 0 : 1

  display_name          = "${var.service}: does not answer"
  combiner              = "OR" # of one condition for each address
  severity              = "CRITICAL"
  notification_channels = local.channels
  user_labels           = local.labels

  dynamic "conditions" {
    for_each = google_monitoring_uptime_check_config.app
    content {
      display_name = "${conditions.key} fails from more than one place"
      condition_threshold {
        filter = join(" AND ", [
          "resource.type=\"uptime_url\"",
          "metric.type=\"monitoring.googleapis.com/uptime_check/check_passed\"",
          "metric.labels.check_id=\"${conditions.value.uptime_check_id}\"",
        ])
        comparison      = "COMPARISON_GT"
        threshold_value = 1
        duration        = "60s"
        aggregations {
          alignment_period     = "1200s"
          per_series_aligner   = "ALIGN_NEXT_OLDER"
          cross_series_reducer = "REDUCE_COUNT_FALSE"
          group_by_fields      = ["resource.label.host"]
        }
      }
    }
  }

  documentation {
    content = "The uptime check of ${var.service} fails from more than one place in the world."
    links {
      display_name = "Runbook"
      url          = local.runbook
    }
  }
}

# --- Objectives -----------------------------------------------------------------------------

resource "google_monitoring_custom_service" "app" {
  service_id   = var.service
  display_name = var.service
  user_labels  = local.labels

  depends_on = [google_project_service.api]
}

# Ratios of requests, so that a client's mistake (4xx) counts as an answer and not as a failure; but
# 429 for want of an instance is one. 30 days, which the thresholds of the burn rates are made for.
resource "google_monitoring_slo" "availability" {
  service             = google_monitoring_custom_service.app.service_id
  slo_id              = "availability"
  display_name        = "99.9 % of requests are answered without 5xx and not for want of an instance 429"
  goal                = 0.999
  rolling_period_days = local.period
  user_labels         = local.labels

  request_based_sli {
    good_total_ratio {
      total_service_filter = local.counted["requests"]
      bad_service_filter   = local.counted["failures"]
    }
  }
}

# What users see at the domain: the load balancer's own 5xx as well, as when no backend can be reached.
resource "google_monitoring_slo" "edge" {
  count = local.load_balancer ? 1 : 0

  service             = google_monitoring_custom_service.app.service_id
  slo_id              = "edge"
  display_name        = "99.9 % of requests are answered without 5xx at the domain"
  goal                = 0.999
  rolling_period_days = local.period
  user_labels         = local.labels

  request_based_sli {
    good_total_ratio {
      total_service_filter = local.edge
      bad_service_filter   = "${local.edge} AND metric.labels.response_code_class=500"
    }
  }
}

resource "google_monitoring_slo" "latency" {
  service             = google_monitoring_custom_service.app.service_id
  slo_id              = "latency"
  display_name        = "99 % of requests are answered within 300 ms"
  goal                = 0.99
  rolling_period_days = local.period
  user_labels         = local.labels

  request_based_sli {
    distribution_cut {
      distribution_filter = local.metric["request_latencies"]
      range {
        max = 300 # the metric is in milliseconds
      }
    }
  }
}

# A burn rate of 1 uses up the error budget in exactly the period. The long window says that it
# matters, the short one that it still goes on: without it an alert stays for hours after the end.
#
# The uptime check alone sends some 360 requests an hour, so one failure in a quiet hour is a burn
# rate of 2.8 and wakes nobody.
locals {
  period = 30 # days
  objectives = merge(
    { availability = google_monitoring_slo.availability, latency = google_monitoring_slo.latency },
    { for objective in google_monitoring_slo.edge : "edge" => objective },
  )
  burn_rates = {
    fast   = { rate = 14.4, long = "3600s", short = "300s", severity = "CRITICAL" } # 2 % of the budget in 1 h
    medium = { rate = 6, long = "21600s", short = "1800s", severity = "CRITICAL" }  # 5 % in 6 h
    slow   = { rate = 3, long = "86400s", short = "7200s", severity = "WARNING" }   # 10 % in 1 day
  }
}

resource "google_monitoring_alert_policy" "burn_rate" {
  for_each = {
    for pair in setproduct(keys(local.objectives), keys(local.burn_rates)) :
    "${pair[0]}-${pair[1]}" => merge(local.burn_rates[pair[1]], { objective = pair[0], speed = pair[1] })
  }

  display_name          = "${var.service}: ${each.value.objective} budget burns ${each.value.speed}"
  combiner              = "AND"
  severity              = each.value.severity
  notification_channels = local.channels
  user_labels           = local.labels

  dynamic "conditions" {
    for_each = [each.value.long, each.value.short]
    content {
      display_name = "Burn rate above ${each.value.rate} over ${conditions.value}"
      condition_threshold {
        filter          = "select_slo_burn_rate(\"${local.objectives[each.value.objective].name}\", \"${conditions.value}\")"
        comparison      = "COMPARISON_GT"
        threshold_value = each.value.rate
        duration        = "0s" # the window is the duration
      }
    }
  }

  documentation {
    content = "${local.objectives[each.value.objective].display_name}: at this rate the error budget of ${local.period} days is gone in ${floor(local.period * 24 / each.value.rate)} hours."
    links {
      display_name = "Runbook"
      url          = local.runbook
    }
  }
}

# --- Limits and builds ----------------------------------------------------------------------

resource "google_monitoring_alert_policy" "instances" {
  display_name          = "${var.service}: close to its last instance"
  combiner              = "OR" # of one condition
  severity              = "WARNING"
  notification_channels = local.channels
  user_labels           = local.labels

  conditions {
    display_name = "More than 80 % of ${var.max_instances} instances in a region"
    condition_threshold {
      filter          = "${local.metric["container/instance_count"]} AND metric.labels.state=\"active\""
      comparison      = "COMPARISON_GT"
      threshold_value = 0.8 * var.max_instances
      duration        = "300s" # a rollout has twice the instances for a moment
      aggregations {
        alignment_period     = "60s"
        per_series_aligner   = "ALIGN_MAX"
        cross_series_reducer = "REDUCE_SUM" # of revisions; idle ones take nobody a place, and a rollout leaves some
        group_by_fields      = ["resource.label.location"]
      }
    }
  }

  documentation {
    content = "At ${var.max_instances} instances requests wait and are then answered 429. Either it is a flood, or max_instances is too low."
    links {
      display_name = "Runbook"
      url          = local.runbook
    }
  }
}

# A build that is cancelled, or killed in the middle, may not get to put the traffic back. Whatever it
# leaves that is not settled has the tag, so the address that a revision has by its tag is asked: it
# answers while a rollout goes on, and for longer than one may last only when that was killed. Behind
# Identity-Aware Proxy the answer is the proxy's refusal, which is as good: where no revision has the tag
# there is no such address, and Google answers 404 for anybody.
locals {
  # The proxy sends a browser to Google's page for signing in, which answers 200, and refuses others. Without one, who
  # may not call it is refused, and the check's token may be for another address than the service's: either way somebody
  # is there. Where there is no such address, it is a 404.
  refusals = [
    { class = "STATUS_CLASS_2XX", status = null },
    { class = "STATUS_CLASS_3XX", status = null },
    { class = null, status = 401 },
    { class = null, status = 403 },
  ]
}

resource "google_monitoring_uptime_check_config" "candidate" {
  for_each = google_cloud_run_v2_service.app

  display_name = "${var.service}: candidate in ${each.key}"
  period       = "300s" # the alert waits for longer
  timeout      = "10s"
  user_labels  = local.labels

  monitored_resource {
    type = "uptime_url"
    labels = {
      project_id = var.project_id
      host       = local.behind_load_balancer ? var.domain.name : "candidate---${trimprefix(each.value.uri, "https://")}"
    }
  }

  http_check {
    path         = "/health"
    use_ssl      = true
    validate_ssl = true
    headers      = local.behind_load_balancer ? { X-Candidate = each.key } : {}

    dynamic "accepted_response_status_codes" {
      for_each = local.iap || !var.public ? local.refusals : []
      content {
        status_class = accepted_response_status_codes.value.class
        status_value = accepted_response_status_codes.value.status
      }
    }

    dynamic "service_agent_authentication" {
      for_each = var.public || local.iap ? [] : [1]
      content {
        type = "OIDC_TOKEN"
      }
    }
  }

  # Google refuses to delete one that an alert still names.
  lifecycle {
    create_before_destroy = true
  }
}

resource "google_monitoring_alert_policy" "candidate" {
  display_name          = "${var.service}: a rollout was left"
  combiner              = "OR" # of one condition for each region
  severity              = "WARNING"
  notification_channels = local.channels
  user_labels           = local.labels

  dynamic "conditions" {
    for_each = google_monitoring_uptime_check_config.candidate
    content {
      display_name = "The candidate in ${conditions.key} has had its tag for longer than a rollout takes"
      condition_threshold {
        filter = join(" AND ", [
          "resource.type=\"uptime_url\"",
          "metric.type=\"monitoring.googleapis.com/uptime_check/check_passed\"",
          "metric.labels.check_id=\"${conditions.value.uptime_check_id}\"",
        ])
        comparison      = "COMPARISON_GT"
        threshold_value = 1                                                  # places that get an answer
        duration        = "${max(1200, 900 * length(local.regions) + 300)}s" # cloudbuild/rollout has 900 s for a region at most
        aggregations {
          alignment_period     = "600s" # two periods of the check
          per_series_aligner   = "ALIGN_NEXT_OLDER"
          cross_series_reducer = "REDUCE_COUNT_TRUE"
          group_by_fields      = ["resource.label.host"]
        }
      }
    }
  }

  documentation {
    content = "A revision has the tag candidate for longer than a rollout takes: a build was killed before it could finish or put back. The next rollout puts it back; make rollback does at once."
    links {
      display_name = "Runbook"
      url          = local.runbook
    }
  }
}

# A split without the tag is somebody's own, by hand.
resource "google_monitoring_alert_policy" "split" {
  display_name          = "${var.service}: the traffic is split"
  combiner              = "OR" # of one condition
  severity              = "WARNING"
  notification_channels = local.channels
  user_labels           = local.labels

  conditions {
    display_name = "Two revisions have been answering in a region for half an hour"
    condition_prometheus_query_language {
      query = join(" ", [
        "count by (location) (sum by (location, revision_name)",
        "(rate(run_googleapis_com:request_count{monitored_resource=\"cloud_run_revision\", service_name=\"${var.service}\"}[10m]))",
        "> 0) > 1",
      ])
      duration                  = "1800s" # a rollout takes a few minutes
      evaluation_interval       = "60s"   # of 30: nothing here is in that hurry
      disable_metric_validation = true    # a new project has no metric before its first request
    }
  }

  documentation {
    content = "Two revisions share the traffic, and no rollout takes this long. Look at the newest build and at make status, then finish it or put it back."
    links {
      display_name = "Runbook"
      url          = local.runbook
    }
  }
}

# The service's own lines, those of workers that died (a WARNING, since the request is tried again), and the
# platform's about instances, as of one that has no memory left. What it says of single requests is the
# objectives' part.
resource "google_monitoring_alert_policy" "errors" {
  display_name          = "${var.service}: reports an error"
  combiner              = "OR" # of one condition
  severity              = "WARNING"
  notification_channels = local.channels
  user_labels           = local.labels

  conditions {
    display_name = "A line of severity ERROR or above, or a worker that died"
    condition_matched_log {
      filter = "${local.of_service} AND (log_id(\"run.googleapis.com/stdout\") OR log_id(\"run.googleapis.com/stderr\") OR log_id(\"run.googleapis.com/varlog/system\")) AND (severity>=ERROR OR jsonPayload.message=~\"^worker [0-9]+ .* is replaced\")"
      label_extractors = {
        component = "EXTRACT(jsonPayload.component)"
      }
    }
  }

  alert_strategy {
    auto_close = "1800s"
    notification_rate_limit {
      period = "3600s" # a fault writes a line for each request
    }
  }

  documentation {
    content = "The service has written a line of severity ERROR or above. Users may or may not have noticed: the objectives say that."
    links {
      display_name = "Runbook"
      url          = local.runbook
    }
  }
}

# Cloud Build has no metric of its builds. Its own last line starts with ERROR, those of the steps
# start with the step. Pull requests may fail: their trigger is not among these.
resource "google_monitoring_alert_policy" "builds" {
  display_name          = "${var.service}: a build of main failed"
  combiner              = "OR" # of one condition
  severity              = "WARNING"
  notification_channels = local.channels
  user_labels           = local.labels

  conditions {
    display_name = "A build ended with an error"
    condition_matched_log {
      filter = join(" AND ", [
        "resource.type=\"build\"",
        "resource.labels.build_trigger_id=(${join(" OR ", [for trigger in concat(local.main_triggers, [google_cloudbuild_trigger.rebuild]) : "\"${trigger.trigger_id}\""])})",
        "textPayload=~\"^ERROR\"",
      ])
    }
  }

  # A log has no state that could end, so both are needed.
  alert_strategy {
    auto_close = "1800s"
    notification_rate_limit {
      period = "300s"
    }
  }

  documentation {
    content = "main is not what serves. The log of the build says why and whether the traffic was put back."
    links {
      display_name = "Runbook"
      url          = local.runbook
    }
  }
}
