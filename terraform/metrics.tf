# The optional second container, Google's collector for Prometheus. What it asks and how often is a
# secret, since that is the only file that Cloud Run gives a container; nothing in it is secret.
#
# It asks by itself, so it wants CPU between requests too: without cpu_idle = false an instance at rest
# is asked late or not at all, and its last figures are lost.

locals {
  metrics_port = 9091 # on the loopback address, which the containers of an instance share
}

check "metrics_sidecar_has_cpu" {
  assert {
    condition     = !(var.metrics_sidecar && var.cpu_idle)
    error_message = "metrics_sidecar: with cpu_idle = true the collector has CPU only while a request is answered, and figures will be missing. Set cpu_idle = false, and see in docs/deploy.md what it costs."
  }
}

resource "google_secret_manager_secret" "metrics" {
  count = var.metrics_sidecar ? 1 : 0

  secret_id = "${var.service}-metrics"
  replication {
    auto {}
  }

  depends_on = [google_project_service.api]
}

resource "google_secret_manager_secret_version" "metrics" {
  count = var.metrics_sidecar ? 1 : 0

  secret = google_secret_manager_secret.metrics[0].id
  secret_data = yamlencode({
    apiVersion = "monitoring.googleapis.com/v1beta"
    kind       = "RunMonitoring"
    metadata   = { name = var.service }
    spec = {
      endpoints = [{
        port     = local.metrics_port
        path     = "/metrics"
        interval = "60s" # of 30: half the samples, which are what is billed
      }]
      targetLabels = { metadata = ["service", "revision", "instance"] }
    }
  })
}

resource "google_secret_manager_secret_iam_member" "metrics" {
  count = var.metrics_sidecar ? 1 : 0

  secret_id = google_secret_manager_secret.metrics[0].secret_id
  role      = "roles/secretmanager.secretAccessor"
  member    = google_service_account.runtime.member
}

resource "google_project_iam_member" "runtime_writes_metrics" {
  count = var.metrics_sidecar ? 1 : 0

  project = var.project_id
  role    = "roles/monitoring.metricWriter"
  member  = google_service_account.runtime.member
}
