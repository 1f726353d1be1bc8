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
  failures = "${local.metric["request_count"]} AND metric.labels.response_code_class=\"5xx\""
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
  uptime_hosts = local.behind_load_balancer ? {
    (var.domain.name) = var.domain.name
  } : { for region, service in google_cloud_run_v2_service.app : region => trimprefix(service.uri, "https://") }
}

resource "google_monitoring_uptime_check_config" "app" {
  for_each = local.uptime_hosts

  display_name = "${var.service}: ${each.key}"
  period       = "60s" # of 300: it is also the traffic that the objectives need in a quiet hour
  timeout      = "10s"

  monitored_resource {
    type   = "uptime_url"
    labels = { project_id = var.project_id, host = each.value }
  }

  http_check {
    use_ssl      = true
    validate_ssl = true

    dynamic "service_agent_authentication" {
      for_each = var.public ? [] : [1]
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

resource "google_monitoring_alert_policy" "uptime" {
  display_name          = "${var.service}: does not answer"
  combiner              = "OR" # of one condition for each address
  severity              = "CRITICAL"
  notification_channels = local.channels

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

  depends_on = [google_project_service.api]
}

# Ratios of requests, so that a client's mistake (4xx) counts as an answer and not as a failure.
resource "google_monitoring_slo" "availability" {
  service             = google_monitoring_custom_service.app.service_id
  slo_id              = "availability"
  display_name        = "99.9 % of requests are answered without 5xx"
  goal                = 0.999
  rolling_period_days = 28 # whole weeks, so that every window has as many week-ends

  request_based_sli {
    good_total_ratio {
      total_service_filter = local.metric["request_count"]
      bad_service_filter   = local.failures
    }
  }
}

resource "google_monitoring_slo" "latency" {
  service             = google_monitoring_custom_service.app.service_id
  slo_id              = "latency"
  display_name        = "99 % of requests are answered within 300 ms"
  goal                = 0.99
  rolling_period_days = 28

  request_based_sli {
    distribution_cut {
      distribution_filter = local.metric["request_latencies"]
      range {
        max = 300 # the metric is in milliseconds
      }
    }
  }
}

# A burn rate of 1 uses up the error budget in exactly 28 days. The long window says that it
# matters, the short one that it still goes on: without it an alert stays for hours after the end.
#
# The uptime check alone sends some 360 requests an hour, so one failure in a quiet hour is a burn
# rate of 2.8 and wakes nobody.
locals {
  objectives = {
    availability = google_monitoring_slo.availability
    latency      = google_monitoring_slo.latency
  }
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
    content = "${local.objectives[each.value.objective].display_name}: at this rate the error budget of 28 days is gone in ${floor(28 * 24 / each.value.rate)} hours."
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

  conditions {
    display_name = "More than 80 % of ${var.max_instances} instances in a region"
    condition_threshold {
      filter          = local.metric["container/instance_count"]
      comparison      = "COMPARISON_GT"
      threshold_value = 0.8 * var.max_instances
      duration        = "300s" # a rollout has twice the instances for a moment
      aggregations {
        alignment_period     = "60s"
        per_series_aligner   = "ALIGN_MAX"
        cross_series_reducer = "REDUCE_SUM" # of revisions, active and idle
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

# A build that is cancelled, or killed in the middle, may not get to put the traffic back.
resource "google_monitoring_alert_policy" "split" {
  display_name          = "${var.service}: a rollout is stuck"
  combiner              = "OR" # of one condition
  severity              = "WARNING"
  notification_channels = local.channels

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

# Cloud Build has no metric of its builds. Its own last line starts with ERROR, those of the steps
# start with the step. Pull requests may fail: their trigger is not among these.
resource "google_monitoring_alert_policy" "builds" {
  display_name          = "${var.service}: a build of main failed"
  combiner              = "OR" # of one condition
  severity              = "WARNING"
  notification_channels = local.channels

  conditions {
    display_name = "A build ended with an error"
    condition_matched_log {
      filter = join(" AND ", [
        "resource.type=\"build\"",
        "resource.labels.build_trigger_id=(${join(" OR ", [for trigger in local.main_triggers : "\"${trigger.trigger_id}\""])})",
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
