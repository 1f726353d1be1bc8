# One service in each of two regions.

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
  additional_regions         = ["us-central1"]
}

run "a_service_each" {
  command = plan

  assert {
    condition     = { for region, service in google_cloud_run_v2_service.app : region => service.location } == { europe-west1 = "europe-west1", us-central1 = "us-central1" }
    error_message = "Each region has to have its own service."
  }
  assert {
    condition     = [for grant in google_cloud_run_v2_service_iam_member.deploy : "${grant.location} ${grant.role}"] == ["europe-west1 roles/run.developer", "us-central1 roles/run.developer"]
    error_message = "The deploy identity has to deploy to both."
  }
  assert {
    condition     = keys(google_monitoring_uptime_check_config.app) == ["europe-west1", "us-central1"] && length(google_monitoring_alert_policy.uptime[0].conditions) == 2
    error_message = "Both have to be watched."
  }
}

run "in_order" {
  command = plan
  variables {
    region             = "us-central1"
    additional_regions = ["europe-west1", "asia-northeast1"]
  }

  assert {
    condition     = google_cloudbuild_trigger.merge[0].substitutions._REGIONS == "us-central1 europe-west1 asia-northeast1" && output.regions == "us-central1 europe-west1 asia-northeast1"
    error_message = "A rollout has to visit the regions in the order given."
  }
  assert {
    condition     = startswith(output.image, "us-central1-docker.pkg.dev/") && google_cloudbuild_trigger.merge[0].location == "us-central1" && google_cloudbuildv2_connection.github.location == "us-central1"
    error_message = "Images and builds have to be in the first region."
  }
}

run "behind_one_domain" {
  command = plan
  variables {
    domain = { name = "hello.example.com" }
  }

  assert {
    condition     = toset([for backend in google_compute_backend_service.app[0].backend : backend.group]) == toset([for group in google_compute_region_network_endpoint_group.app : group.id]) && length(google_compute_region_network_endpoint_group.app) == 2
    error_message = "The domain has to lead to both regions."
  }
  assert {
    condition     = google_compute_backend_service.app[0].outlier_detection[0].consecutive_errors == 5 && google_compute_backend_service.app[0].outlier_detection[0].enforcing_consecutive_errors == 100 && google_compute_backend_service.app[0].outlier_detection[0].max_ejection_percent == 50
    error_message = "A region that answers 5xx five times in a row has to be left out, always and whole."
  }
  assert {
    condition = { for rule in google_compute_url_map.app[0].path_matcher[0].route_rules : rule.match_rules[0].header_matches[0].exact_match => rule.service } == {
      europe-west1 = google_compute_backend_service.candidate["europe-west1"].id
      us-central1  = google_compute_backend_service.candidate["us-central1"].id
    }
    error_message = "X-Candidate has to choose the region."
  }
}
