# They stay enabled when this is destroyed: something else in the project may use them by then. What
# Terraform needs before it can enable anything is enabled by hand (docs/deploy.md, step 1).
resource "google_project_service" "api" {
  for_each = toset(concat(
    [
      "artifactregistry.googleapis.com",
      "cloudbuild.googleapis.com",
      "containeranalysis.googleapis.com", # bills of materials, and provenance
      "iam.googleapis.com",
      "logging.googleapis.com",
      "monitoring.googleapis.com",
      "pubsub.googleapis.com", # the clock's messages, and the registry's
      "run.googleapis.com",
      "secretmanager.googleapis.com", # the connection's token
    ],
    var.public ? [] : ["iamcredentials.googleapis.com"], # identity tokens
    # Binary Authorization long before it is switched on: what it will ask, the attestor, is made by
    # the first build that finds it enabled.
    var.provenance ? ["binaryauthorization.googleapis.com"] : [],
    var.scan_images ? ["containerscanning.googleapis.com", "ondemandscanning.googleapis.com"] : [],
    var.rebuild_schedule == null ? [] : ["cloudscheduler.googleapis.com"],
    local.iap ? ["iap.googleapis.com"] : [],
    local.load_balancer ? ["certificatemanager.googleapis.com"] : [],
    local.load_balancer || var.vpc != null ? ["compute.googleapis.com"] : [],
    local.managed_zone ? ["dns.googleapis.com"] : [],
    var.budget == null ? [] : ["billingbudgets.googleapis.com"],
  ))

  service = each.value
}
