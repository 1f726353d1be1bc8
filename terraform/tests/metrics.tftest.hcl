# The optional second container, which hands on the responder's own metrics.

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
  metrics_sidecar            = true
  cpu_idle                   = false
}

run "collector" {
  command = plan

  assert {
    condition     = [for container in google_cloud_run_v2_service.app["europe-west1"].template[0].containers : container.name] == ["hello-fcgi", "metrics"] && length(google_cloud_run_v2_service.app["europe-west1"].template[0].containers[1].ports) == 0 && google_cloud_run_v2_service.app["europe-west1"].template[0].containers[0].ports[0].container_port == 8080
    error_message = "The service has to come first, and alone to have a port: by these a deploy finds it."
  }
  assert {
    condition     = can(regex(":[0-9]+[.][0-9]+[.][0-9]+$", google_cloud_run_v2_service.app["europe-west1"].template[0].containers[1].image))
    error_message = "The collector has to be pinned."
  }
  assert {
    condition     = google_cloud_run_v2_service.app["europe-west1"].template[0].containers[1].depends_on == tolist(["hello-fcgi"]) && !google_cloud_run_v2_service.app["europe-west1"].template[0].containers[1].resources[0].cpu_idle
    error_message = "The collector has to start after what it asks, and to have CPU when it asks."
  }
  assert {
    condition     = { for variable in google_cloud_run_v2_service.app["europe-west1"].template[0].containers[0].env : variable.name => variable.value }.METRICS_PORT == "9091"
    error_message = "The service has to answer with its metrics."
  }
}

run "its_configuration" {
  command = plan

  assert {
    condition     = yamldecode(google_secret_manager_secret_version.metrics[0].secret_data).kind == "RunMonitoring" && yamldecode(google_secret_manager_secret_version.metrics[0].secret_data).spec.endpoints[0].port == 9091 && yamldecode(google_secret_manager_secret_version.metrics[0].secret_data).spec.endpoints[0].path == "/metrics"
    error_message = "The collector has to ask where the service answers."
  }
  assert {
    condition     = one(google_cloud_run_v2_service.app["europe-west1"].template[0].volumes).secret[0].secret == "hello-fcgi-metrics" && one(google_cloud_run_v2_service.app["europe-west1"].template[0].volumes).secret[0].items[0].path == "config.yaml" && one(google_cloud_run_v2_service.app["europe-west1"].template[0].volumes).secret[0].items[0].version == "1" && one(google_cloud_run_v2_service.app["europe-west1"].template[0].containers[1].volume_mounts).mount_path == "/etc/rungmp"
    error_message = "The collector has to find its configuration, in the version that this is about."
  }
  assert {
    condition     = google_secret_manager_secret_iam_member.metrics[0].member == google_service_account.runtime.member && google_secret_manager_secret_iam_member.metrics[0].role == "roles/secretmanager.secretAccessor" && google_project_iam_member.runtime_writes_metrics[0].member == google_service_account.runtime.member && google_project_iam_member.runtime_writes_metrics[0].role == "roles/monitoring.metricWriter"
    error_message = "The running service has to read the configuration and write metrics, and no more."
  }
}

run "off_by_default" {
  command = plan
  variables {
    metrics_sidecar = false
    cpu_idle        = true
  }

  assert {
    condition     = length(google_secret_manager_secret.metrics) == 0 && length(google_project_iam_member.runtime_writes_metrics) == 0 && !contains([for variable in google_cloud_run_v2_service.app["europe-west1"].template[0].containers[0].env : variable.name], "METRICS_PORT")
    error_message = "Nobody pays for what was not asked for."
  }
}

run "without_cpu_between_requests" {
  command = plan
  variables {
    cpu_idle = true
  }
  expect_failures = [check.metrics_sidecar_has_cpu]
}
