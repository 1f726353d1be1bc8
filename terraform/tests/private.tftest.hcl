# A service that only those with roles/run.invoker may call, and that still deploys.

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
}

run "closed" {
  command = plan

  assert {
    condition     = !google_cloud_run_v2_service.app["europe-west1"].invoker_iam_disabled
    error_message = "A private service has to ask who calls."
  }
}

run "still_deploys" {
  command = plan

  assert {
    condition     = google_cloudbuild_trigger.merge[0].substitutions._PRIVATE == "true"
    error_message = "The pipeline has to know that a candidate wants an identity token."
  }
  assert {
    condition     = contains(keys(google_project_service.api), "iamcredentials.googleapis.com")
    error_message = "Identity tokens need the API that issues them."
  }
}

run "still_watched" {
  command = plan

  assert {
    condition     = google_monitoring_uptime_check_config.app["europe-west1"].http_check[0].service_agent_authentication[0].type == "OIDC_TOKEN"
    error_message = "The uptime check of a private service has to show who it is."
  }
  assert {
    condition     = contains([for code in google_monitoring_uptime_check_config.candidate["europe-west1"].http_check[0].accepted_response_status_codes : code.status_value], 401)
    error_message = "A candidate that refuses the check is there: a rollout that was left has to be told of."
  }
}

run "at_a_domain" {
  command = plan
  variables {
    domain = { name = "hello.example.com" }
  }

  assert {
    condition     = google_cloud_run_v2_service.app["europe-west1"].custom_audiences == tolist(["https://hello.example.com"])
    error_message = "A token for the domain has to be accepted."
  }
}

run "at_a_mapped_domain" {
  command = plan
  variables {
    domain = { name = "hello.example.com", load_balancer = false }
  }

  assert {
    condition     = google_cloud_run_v2_service.app["europe-west1"].custom_audiences == tolist(["https://hello.example.com"])
    error_message = "A token for the mapped domain has to be accepted."
  }
}
