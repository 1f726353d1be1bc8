# They stay enabled when this is destroyed: something else in the project may use them by then.
resource "google_project_service" "api" {
  for_each = toset(concat(
    [
      "artifactregistry.googleapis.com",
      "cloudbuild.googleapis.com",
      "iam.googleapis.com",
      "logging.googleapis.com",
      "monitoring.googleapis.com",
      "run.googleapis.com",
      "secretmanager.googleapis.com", # the connection's token
    ],
    var.public ? [] : ["iamcredentials.googleapis.com"], # identity tokens
    var.provenance ? ["containeranalysis.googleapis.com", "pubsub.googleapis.com"] : [],
    var.scan_images ? ["containerscanning.googleapis.com"] : [],
    var.binary_authorization == "off" ? [] : ["binaryauthorization.googleapis.com"],
    local.load_balancer ? ["certificatemanager.googleapis.com", "compute.googleapis.com"] : [],
    local.managed_zone ? ["dns.googleapis.com"] : [],
    var.budget == null ? [] : ["billingbudgets.googleapis.com"],
  ))

  service = each.value
}
