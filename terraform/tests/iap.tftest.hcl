# A private service that people of an organisation reach with a browser.

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
  public                     = false
  iap_members                = ["group:staff@example.com", "domain:example.com"]
}

run "who_may_come" {
  command = plan

  assert {
    condition     = google_cloud_run_v2_service.app["europe-west1"].iap_enabled && !google_cloud_run_v2_service.app["europe-west1"].invoker_iam_disabled
    error_message = "Everybody has to come through the proxy."
  }
  assert {
    condition = toset([for grant in google_iap_web_cloud_run_service_iam_member.members : "${grant.cloud_run_service_name} ${grant.location} ${grant.role} ${grant.member}"]) == toset([
      for member in ["group:staff@example.com", "domain:example.com", google_service_account.deploy.member] : "hello-fcgi europe-west1 roles/iap.httpsResourceAccessor ${member}"
    ])
    error_message = "The proxy has to let the members through, and the rollout."
  }
  assert {
    condition = [for grant in concat(values(google_cloud_run_v2_service_iam_member.iap), values(google_cloud_run_v2_service_iam_member.uptime_check), values(google_cloud_run_v2_service_iam_member.deploy_check)) : "${grant.name} ${grant.role} ${grant.member}"] == [
      "hello-fcgi roles/run.invoker serviceAccount:service-123456789012@gcp-sa-iap.iam.gserviceaccount.com",
    ]
    error_message = "The proxy, and nobody else, calls the service."
  }
}

run "still_deploys" {
  command = plan

  assert {
    condition     = google_cloudbuild_trigger.merge[0].substitutions._PRIVATE == "iap" && contains(keys(google_project_service.api), "iap.googleapis.com") && contains(keys(google_project_service.api), "iamcredentials.googleapis.com")
    error_message = "The pipeline has to know that a candidate is behind the proxy."
  }
  assert {
    condition = [for grant in google_service_account_iam_member.deploy_signs : "${grant.service_account_id} ${grant.role} ${grant.member}"] == [
      "${google_service_account.deploy.name} roles/iam.serviceAccountTokenCreator ${google_service_account.deploy.member}",
    ] && length(google_service_account_iam_member.deploy_identity_token) == 0
    error_message = "The deploy identity signs tokens for itself, and for nobody else."
  }
}

run "not_watched_from_outside" {
  command = plan

  assert {
    condition     = length(google_monitoring_uptime_check_config.app) == 0 && length(google_monitoring_alert_policy.uptime) == 0
    error_message = "An uptime check cannot pass the proxy: it would always fail."
  }
}

run "a_rollout_that_was_left" {
  command = plan

  assert {
    condition = [for status in google_monitoring_uptime_check_config.candidate["europe-west1"].http_check[0].accepted_response_status_codes : coalesce(status.status_class, tostring(status.status_value))] == [
      "STATUS_CLASS_2XX", "STATUS_CLASS_3XX", "401", "403",
    ] && length(google_monitoring_uptime_check_config.candidate["europe-west1"].http_check[0].service_agent_authentication) == 0
    error_message = "Whatever the proxy answers says that there is a candidate; 404, and nothing, that there is none."
  }
  assert {
    condition     = startswith(google_monitoring_uptime_check_config.candidate["europe-west1"].monitored_resource[0].labels.host, "candidate---") && strcontains(google_monitoring_alert_policy.candidate.conditions[0].condition_threshold[0].filter, "metric.labels.check_id=") && google_monitoring_alert_policy.candidate.notification_channels == tolist([google_monitoring_notification_channel.email[0].id])
    error_message = "Behind the proxy, too, somebody has to be told of a tag that stays."
  }
}

run "in_public" {
  command = plan
  variables {
    public = true
  }
  expect_failures = [var.iap_members]
}

run "with_cdn" {
  command = plan
  variables {
    domain = { name = "hello.example.com", cdn = true }
  }
  expect_failures = [var.iap_members]
}

run "nobody_in_particular" {
  command = plan
  variables {
    iap_members = ["staff@example.com"]
  }
  expect_failures = [var.iap_members]
}
