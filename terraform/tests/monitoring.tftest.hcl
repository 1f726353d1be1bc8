# Objectives, alerts, who is told, and the budget.

mock_provider "google" {
  source          = "./tests/mocks"
  override_during = plan
}

variables {
  project_id                 = "example-project"
  region                     = "europe-west1"
  repository                 = "example/hello"
  github_app_installation_id = 1234
  alert_email                = "oncall@example.com"
}

run "objectives" {
  command = plan

  assert {
    condition     = google_monitoring_slo.availability.goal == 0.999 && google_monitoring_slo.availability.rolling_period_days == 30 && google_monitoring_slo.latency.goal == 0.99 && google_monitoring_slo.latency.rolling_period_days == 30 && length(google_monitoring_slo.edge) == 0
    error_message = "The objectives are 99.9 % available and 99 % fast, over 30 days."
  }
  assert {
    condition = { for use, filter in {
      total = google_monitoring_slo.availability.request_based_sli[0].good_total_ratio[0].total_service_filter
      bad   = google_monitoring_slo.availability.request_based_sli[0].good_total_ratio[0].bad_service_filter
      } : use => filter } == { for use, name in { total = "requests", bad = "failures" } :
      use => "metric.type=\"logging.googleapis.com/user/hello-fcgi-${name}\" AND resource.type=\"cloud_run_revision\""
    }
    error_message = "Requests and failures have to be those that the log counts."
  }
  assert {
    condition     = google_logging_metric.requests["failures"].filter == "${google_logging_metric.requests["requests"].filter} AND (httpRequest.status>=500 OR httpRequest.status=429)" && strcontains(google_logging_metric.requests["requests"].filter, "log_id(\"run.googleapis.com/requests\")")
    error_message = "A failure is, of all requests, a 5xx or a 429 for want of an instance, and nothing else."
  }
  assert {
    condition     = google_monitoring_slo.latency.request_based_sli[0].distribution_cut[0].range[0].max == 300
    error_message = "Fast is within 300 ms."
  }
  assert {
    condition     = alltrue([for filter in [google_logging_metric.requests["requests"].filter, google_monitoring_slo.latency.request_based_sli[0].distribution_cut[0].distribution_filter] : strcontains(filter, "resource.labels.service_name=\"hello-fcgi\"") && !strcontains(filter, "location")])
    error_message = "The objectives have to be about this service, in all its regions."
  }
}

run "objective_of_the_domain" {
  command = plan
  variables {
    domain = { name = "hello.example.com" }
  }

  assert {
    condition     = google_monitoring_slo.edge[0].request_based_sli[0].good_total_ratio[0].bad_service_filter == "${google_monitoring_slo.edge[0].request_based_sli[0].good_total_ratio[0].total_service_filter} AND metric.labels.response_code_class=500" && strcontains(google_monitoring_slo.edge[0].request_based_sli[0].good_total_ratio[0].total_service_filter, "resource.labels.url_map_name=\"hello-fcgi\"")
    error_message = "What the load balancer itself answers 5xx has to count."
  }
  assert {
    condition     = length(google_monitoring_alert_policy.burn_rate) == 9 && strcontains(google_monitoring_alert_policy.burn_rate["edge-fast"].conditions[0].condition_threshold[0].filter, "serviceLevelObjectives/edge")
    error_message = "The domain's budget has to be watched like the others."
  }
}

# A threshold is the share of the budget that is gone by the end of the long window, times how often
# that window fits into the period.
run "rates_fit_the_period" {
  command = plan

  assert {
    condition = alltrue([for name, share in { fast = 0.02, medium = 0.05, slow = 0.1 } :
      abs(google_monitoring_alert_policy.burn_rate["availability-${name}"].conditions[0].condition_threshold[0].threshold_value - share * google_monitoring_slo.availability.rolling_period_days * 86400 / { fast = 3600, medium = 21600, slow = 86400 }[name]) < 0.001
    ])
    error_message = "The thresholds are not those of the objectives' period."
  }
  assert {
    condition     = strcontains(google_monitoring_alert_policy.burn_rate["availability-fast"].documentation[0].content, "the error budget of 30 days is gone in 50 hours")
    error_message = "The alert has to say how long the budget lasts."
  }
}

run "what_is_kept_of_the_log" {
  command = plan

  assert {
    condition     = google_logging_project_exclusion.answered[0].filter == "${google_logging_metric.requests["requests"].filter} AND httpRequest.status<400 AND httpRequest.latency<\"1s\" AND sample(insertId, 0.9)" && length(google_logging_project_exclusion.passed_on) == 0
    error_message = "Nine of ten requests that were answered in time have to be left out, and no other entry."
  }
}

run "all_of_the_log" {
  command = plan
  variables {
    request_log_share = 1
  }

  assert {
    condition     = length(google_logging_project_exclusion.answered) == 0
    error_message = "request_log_share = 1 has to keep everything."
  }
}

run "what_the_load_balancer_refuses" {
  command = plan
  variables {
    domain            = { name = "hello.example.com" }
    request_log_share = 0.25
  }

  assert {
    condition     = google_compute_backend_service.app[0].log_config[0].enable && google_compute_backend_service.app[0].log_config[0].sample_rate == 1
    error_message = "Each failure of the load balancer's has to be logged."
  }
  assert {
    condition     = google_logging_project_exclusion.passed_on[0].filter == "resource.type=\"http_load_balancer\" AND resource.labels.url_map_name=(\"hello-fcgi\" OR \"hello-fcgi-redirect\") AND httpRequest.status<400"
    error_message = "What was passed on and answered is in Cloud Run's log already."
  }
  assert {
    condition     = google_logging_project_exclusion.refused[0].filter == "resource.type=\"http_load_balancer\" AND resource.labels.url_map_name=(\"hello-fcgi\" OR \"hello-fcgi-redirect\") AND httpRequest.status=429 AND sample(insertId, 0.75)"
    error_message = "Of a flood a share has to be logged."
  }
}

run "burn_rates" {
  command = plan

  assert {
    condition = {
      for name, policy in google_monitoring_alert_policy.burn_rate : name => [
        for condition in policy.conditions : "${condition.condition_threshold[0].filter} ${condition.condition_threshold[0].comparison} ${condition.condition_threshold[0].threshold_value} ${condition.condition_threshold[0].duration}"
      ]
      } == {
      for row in flatten([for objective in ["availability", "latency"] : [
        { name = "${objective}-fast", objective = objective, rate = 14.4, windows = ["3600s", "300s"] },
        { name = "${objective}-medium", objective = objective, rate = 6, windows = ["21600s", "1800s"] },
        { name = "${objective}-slow", objective = objective, rate = 3, windows = ["86400s", "7200s"] },
        ]]) : row.name => [
        for window in row.windows : "select_slo_burn_rate(\"projects/123456789012/services/hello-fcgi/serviceLevelObjectives/${row.objective}\", \"${window}\") COMPARISON_GT ${row.rate} 0s"
      ]
    }
    error_message = "The alerts are 14.4 over 1 h and 5 min, 6 over 6 h and 30 min, 3 over 1 day and 2 h, for both objectives."
  }
  assert {
    condition     = alltrue([for policy in google_monitoring_alert_policy.burn_rate : policy.combiner == "AND"])
    error_message = "Both windows have to burn: that is what makes an alert end."
  }
  assert {
    condition     = { for name, policy in google_monitoring_alert_policy.burn_rate : split("-", name)[1] => policy.severity... } == { fast = ["CRITICAL", "CRITICAL"], medium = ["CRITICAL", "CRITICAL"], slow = ["WARNING", "WARNING"] }
    error_message = "A fast and a medium burn page, a slow one is a ticket."
  }
}

run "uptime_and_builds" {
  command = plan

  assert {
    condition     = google_monitoring_uptime_check_config.app["europe-west1"].monitored_resource[0].labels == tomap({ project_id = "example-project", host = "hello-fcgi-abc123-ew.a.run.app" })
    error_message = "The uptime check has to ask the run.app address."
  }
  assert {
    condition     = google_monitoring_uptime_check_config.app["europe-west1"].http_check[0].use_ssl && google_monitoring_uptime_check_config.app["europe-west1"].http_check[0].validate_ssl && google_monitoring_uptime_check_config.app["europe-west1"].period == "60s"
    error_message = "The uptime check has to ask every minute by HTTPS, and look at the certificate."
  }
  assert {
    condition = [
      for body in [
        "{\"version\": \"1.0.0\", \"commit\": \"0123456789abcdef0123456789abcdef01234567\", \"service\": \"hello-fcgi\"}\n",
        "{\"version\":\"1.0.0\",\"commit\":\"0123456789abcdef0123456789abcdef01234567\"}",
        "<!doctype html>\n<title>Congratulations | Cloud Run</title>\n<p>It's running!",
        "ok\n",
        "{\"version\": \"1.0.0\", \"commit\": \"unknown\"}",
      ] : can(regex("^(?:${one(google_monitoring_uptime_check_config.app["europe-west1"].content_matchers).content})$", body))
    ] == [true, true, false, false, false] && google_monitoring_uptime_check_config.app["europe-west1"].http_check[0].path == "/version"
    error_message = "The uptime check has to read what came: Google's placeholder answers 200 too."
  }
  assert {
    condition     = google_monitoring_alert_policy.uptime[0].severity == "CRITICAL" && length(google_monitoring_alert_policy.uptime[0].conditions) == 1
    error_message = "No answer pages."
  }
  assert {
    condition     = strcontains(google_monitoring_alert_policy.uptime[0].conditions[0].condition_threshold[0].filter, "metric.labels.check_id=\"id-of-check\"") && google_monitoring_alert_policy.uptime[0].conditions[0].condition_threshold[0].aggregations[0].cross_series_reducer == "REDUCE_COUNT_FALSE" && google_monitoring_alert_policy.uptime[0].conditions[0].condition_threshold[0].comparison == "COMPARISON_GT" && google_monitoring_alert_policy.uptime[0].conditions[0].condition_threshold[0].threshold_value == 1
    error_message = "No answer at more than one place pages: a single one may be the place's own trouble."
  }
  assert {
    condition     = google_monitoring_alert_policy.builds.conditions[0].condition_matched_log[0].filter == "resource.type=\"build\" AND resource.labels.build_trigger_id=(\"id-of-merge\" OR \"id-of-rebuild\") AND textPayload=~\"^ERROR\""
    error_message = "A failed build of main has to be told, that of a pull request not."
  }
  assert {
    condition     = google_monitoring_alert_policy.builds.alert_strategy[0].notification_rate_limit[0].period == "300s"
    error_message = "Google takes an alert on a log only with a limit on its notifications."
  }
}

run "limits" {
  command = plan
  variables {
    max_instances = 20
  }

  assert {
    condition     = google_monitoring_alert_policy.instances.conditions[0].condition_threshold[0].threshold_value == 16 && google_monitoring_alert_policy.instances.conditions[0].condition_threshold[0].aggregations[0].group_by_fields == tolist(["resource.label.location"])
    error_message = "More than 80 % of a region's instances have to be told."
  }
  assert {
    condition     = strcontains(google_monitoring_alert_policy.instances.conditions[0].condition_threshold[0].filter, "container/instance_count") && strcontains(google_monitoring_alert_policy.instances.conditions[0].condition_threshold[0].filter, "state=\"active\"") && google_monitoring_alert_policy.instances.conditions[0].condition_threshold[0].aggregations[0].cross_series_reducer == "REDUCE_SUM" && google_monitoring_alert_policy.instances.conditions[0].condition_threshold[0].duration == "300s"
    error_message = "The instances of all revisions count together, once a rollout's have had time to go."
  }
}

run "stuck_rollout" {
  command = plan

  assert {
    condition     = google_monitoring_alert_policy.split.conditions[0].condition_prometheus_query_language[0].query == "count by (location) (sum by (location, revision_name) (rate(run_googleapis_com:request_count{monitored_resource=\"cloud_run_revision\", service_name=\"hello-fcgi\"}[10m])) > 0) > 1" && google_monitoring_alert_policy.split.conditions[0].condition_prometheus_query_language[0].duration == "1800s"
    error_message = "Two revisions that answer in one region for half an hour have to be told."
  }
}

run "left_rollout" {
  command = plan

  assert {
    condition     = google_monitoring_uptime_check_config.candidate["europe-west1"].monitored_resource[0].labels.host == "candidate---hello-fcgi-abc123-ew.a.run.app" && google_monitoring_uptime_check_config.candidate["europe-west1"].http_check[0].path == "/health"
    error_message = "The address that a revision has by the tag has to be asked."
  }
  assert {
    condition     = strcontains(google_monitoring_alert_policy.candidate.conditions[0].condition_threshold[0].filter, "metric.labels.check_id=\"id-of-candidate\"") && google_monitoring_alert_policy.candidate.conditions[0].condition_threshold[0].aggregations[0].cross_series_reducer == "REDUCE_COUNT_TRUE" && google_monitoring_alert_policy.candidate.conditions[0].condition_threshold[0].comparison == "COMPARISON_GT" && google_monitoring_alert_policy.candidate.conditions[0].condition_threshold[0].duration == "1200s"
    error_message = "A tag that is there for longer than a rollout takes has to be told, whatever the traffic is."
  }
}

run "left_rollout_behind_a_domain_in_three_regions" {
  command = plan
  variables {
    domain             = { name = "hello.example.com" }
    additional_regions = ["us-central1", "asia-east1"]
  }

  assert {
    condition     = { for region, check in google_monitoring_uptime_check_config.candidate : region => "${check.monitored_resource[0].labels.host} ${check.http_check[0].headers.X-Candidate}" } == { for region in ["asia-east1", "europe-west1", "us-central1"] : region => "hello.example.com ${region}" }
    error_message = "Each region's candidate has to be asked as the rollout asks it."
  }
  assert {
    condition     = [for condition in google_monitoring_alert_policy.candidate.conditions : condition.condition_threshold[0].duration] == ["3000s", "3000s", "3000s"]
    error_message = "The alert has to wait for as long as a rollout over all regions may take."
  }
}

run "its_own_errors" {
  command = plan

  assert {
    condition     = google_monitoring_alert_policy.errors.conditions[0].condition_matched_log[0].filter == "resource.type=\"cloud_run_revision\" AND resource.labels.service_name=\"hello-fcgi\" AND (log_id(\"run.googleapis.com/stdout\") OR log_id(\"run.googleapis.com/stderr\") OR log_id(\"run.googleapis.com/varlog/system\")) AND (severity>=ERROR OR jsonPayload.message=~\"^worker [0-9]+ .* is replaced\")" && google_monitoring_alert_policy.errors.alert_strategy[0].notification_rate_limit[0].period == "3600s"
    error_message = "What the service itself calls an error, and a worker that died, has to be told, once an hour at most."
  }
}

run "dashboard" {
  command = plan

  assert {
    condition = alltrue([for number in [
      "request_count", "response_code_class", "hello-fcgi-failures", "request_latencies", "revision_name", "container/instance_count",
      "container/startup_latencies", "container/cpu/utilizations", "container/memory/utilizations",
      "serviceLevelObjectives/availability", "serviceLevelObjectives/latency", "severity>=WARNING", "jsonPayload.component=",
      "httpRequest.status=429",
    ] : strcontains(replace(google_monitoring_dashboard.app.dashboard_json, "\\u003e", ">"), number)])
    error_message = "A number that somebody on call looks at first is missing."
  }

  assert {
    condition     = length([for tile in jsondecode(google_monitoring_dashboard.app.dashboard_json).mosaicLayout.tiles : tile if can(tile.widget.xyChart) || can(tile.widget.logsPanel)]) == 10
    error_message = "The dashboard has eight charts and two views of the log."
  }
  assert {
    condition     = length(distinct([for tile in jsondecode(google_monitoring_dashboard.app.dashboard_json).mosaicLayout.tiles : "${try(tile.xPos, 0)} ${try(tile.yPos, 0)}"])) == 10
    error_message = "Two tiles lie on each other."
  }
  assert {
    condition     = !can(regex(":0[,}]|REDUCE_NONE|\\[\\]|null", google_monitoring_dashboard.app.dashboard_json))
    error_message = "Google drops what is zero, empty or the first of an enumeration: a difference in every plan."
  }
}

run "what_to_do" {
  command = plan

  assert {
    condition     = alltrue([for policy in concat(values(google_monitoring_alert_policy.burn_rate), google_monitoring_alert_policy.uptime, [google_monitoring_alert_policy.candidate, google_monitoring_alert_policy.errors, google_monitoring_alert_policy.instances, google_monitoring_alert_policy.split, google_monitoring_alert_policy.builds]) : policy.documentation[0].links[0].url == "https://github.com/example/hello/blob/main/docs/runbook.md"])
    error_message = "Every alert has to lead to the runbook."
  }
}

run "nobody_to_tell" {
  command = plan
  variables {
    alert_email = null
  }
  expect_failures = [check.somebody_is_told]

  assert {
    condition     = length(google_monitoring_notification_channel.email) == 0
    error_message = "Without an address there is no channel."
  }
  assert {
    condition     = alltrue([for policy in concat(values(google_monitoring_alert_policy.burn_rate), google_monitoring_alert_policy.uptime, [google_monitoring_alert_policy.candidate, google_monitoring_alert_policy.errors, google_monitoring_alert_policy.instances, google_monitoring_alert_policy.split, google_monitoring_alert_policy.builds]) : length(policy.notification_channels) == 0]) && length(google_monitoring_alert_policy.burn_rate) == 6
    error_message = "The alerts have to be there without an address, for the console."
  }
  assert {
    condition     = length(google_billing_budget.project) == 0 && !contains(keys(google_project_service.api), "billingbudgets.googleapis.com")
    error_message = "Without a billing account there is no budget."
  }
}

run "somebody_to_tell" {
  command = plan
  variables {
    budget = { billing_account = "012345-6789AB-CDEF01", amount = 20 }
  }

  assert {
    condition     = google_monitoring_notification_channel.email[0].type == "email" && google_monitoring_notification_channel.email[0].labels == tomap({ email_address = "oncall@example.com" })
    error_message = "The channel has to be the address."
  }
  assert {
    condition     = alltrue([for policy in concat(values(google_monitoring_alert_policy.burn_rate), google_monitoring_alert_policy.uptime, [google_monitoring_alert_policy.candidate, google_monitoring_alert_policy.errors, google_monitoring_alert_policy.instances, google_monitoring_alert_policy.split, google_monitoring_alert_policy.builds]) : policy.notification_channels == tolist([google_monitoring_notification_channel.email[0].id])])
    error_message = "Every alert has to reach the address."
  }
  assert {
    condition     = google_billing_budget.project[0].amount[0].specified_amount[0].units == "20" && google_billing_budget.project[0].budget_filter[0].projects == toset(["projects/123456789012"])
    error_message = "The budget has to be this project's."
  }
  assert {
    condition     = [for rule in google_billing_budget.project[0].threshold_rules : "${rule.threshold_percent} ${coalesce(rule.spend_basis, "CURRENT_SPEND")}"] == ["0.5 CURRENT_SPEND", "1 CURRENT_SPEND", "1 FORECASTED_SPEND"]
    error_message = "Half, all, and soon all of the budget have to be told."
  }
  assert {
    condition     = google_billing_budget.project[0].all_updates_rule[0].monitoring_notification_channels == tolist([google_monitoring_notification_channel.email[0].id])
    error_message = "The budget has to reach the address."
  }
}
