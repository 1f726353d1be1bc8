# Who may do what. Every role is on the smallest resource that Google lets it be granted on; a role
# on the project is one that has no smaller place.

# --- The service ----------------------------------------------------------------------------

# Has no role but to read its own secrets and, with the sidecar, to write metrics: log lines go to
# stderr, and other metrics are the platform's.
resource "google_service_account" "runtime" {
  account_id   = "${var.service}-run"
  display_name = "${var.service}: the running service"

  depends_on = [google_project_service.api]
}

resource "google_secret_manager_secret_iam_member" "runtime" {
  for_each = toset([for each in values(var.secrets) : each.secret])

  secret_id = each.value
  role      = "roles/secretmanager.secretAccessor"
  member    = google_service_account.runtime.member

  depends_on = [google_project_service.api]
}

# --- Pull requests --------------------------------------------------------------------------

# Runs code that nobody has reviewed, so it may write its log and no more.
resource "google_service_account" "pull_request" {
  count = var.test_pull_requests ? 1 : 0

  account_id   = "${var.service}-pr"
  display_name = "${var.service}: tests of pull requests"

  depends_on = [google_project_service.api]
}

# --- Deploys, and pushes unless provenance is wanted ----------------------------------------

resource "google_service_account" "deploy" {
  account_id   = "${var.service}-deploy"
  display_name = "${var.service}: deploys"

  depends_on = [google_project_service.api]
}

# Not run.admin, which could open the service to everybody, and not on the project: the service is
# there already, so nothing has to be created.
resource "google_cloud_run_v2_service_iam_member" "deploy" {
  for_each = google_cloud_run_v2_service.app

  name     = each.value.name
  location = each.value.location
  role     = "roles/run.developer"
  member   = google_service_account.deploy.member
}

# A deploy hands the runtime identity to the new revision. It can hand over no other.
resource "google_service_account_iam_member" "deploy_as_runtime" {
  service_account_id = google_service_account.runtime.name
  role               = "roles/iam.serviceAccountUser"
  member             = google_service_account.deploy.member
}

# A private candidate is asked with an identity token: the right to call it, and the right to issue
# such a token for oneself, which the usual token creator role would widen to access tokens.
resource "google_cloud_run_v2_service_iam_member" "deploy_check" {
  for_each = var.public || local.iap ? {} : google_cloud_run_v2_service.app

  name     = each.value.name
  location = each.value.location
  role     = "roles/run.invoker"
  member   = google_service_account.deploy.member
}

resource "google_service_account_iam_member" "deploy_identity_token" {
  count = var.public || local.iap ? 0 : 1

  service_account_id = google_service_account.deploy.name
  role               = "roles/iam.serviceAccountOpenIdTokenCreator"
  member             = google_service_account.deploy.member
}

# Through Identity-Aware Proxy it comes with a token that it has signed itself, which only the wider
# role allows.
resource "google_service_account_iam_member" "deploy_signs" {
  count = local.iap ? 1 : 0

  service_account_id = google_service_account.deploy.name
  role               = "roles/iam.serviceAccountTokenCreator"
  member             = google_service_account.deploy.member
}

resource "google_iap_web_cloud_run_service_iam_member" "members" {
  for_each = local.iap ? {
    for pair in setproduct(local.regions, concat(sort(var.iap_members), ["deploy"])) : join(" ", pair) => { region = pair[0], member = pair[1] }
  } : {}

  cloud_run_service_name = google_cloud_run_v2_service.app[each.value.region].name
  location               = each.value.region
  role                   = "roles/iap.httpsResourceAccessor"
  member                 = each.value.member == "deploy" ? google_service_account.deploy.member : each.value.member
}

# A rollout compares the candidate's errors and latency with the old revision's.
resource "google_project_iam_member" "deploy_reads_metrics" {
  project = var.project_id
  role    = "roles/monitoring.viewer"
  member  = google_service_account.deploy.member
}

resource "google_project_iam_member" "deploy_scans" {
  count = var.scan_images ? 1 : 0

  project = var.project_id
  role    = "roles/ondemandscanning.admin" # there is none that only scans and reads
  member  = google_service_account.deploy.member
}

# It attaches to the image its bill of materials: a file, and a note that says where that is.
resource "google_storage_bucket_iam_member" "deploy_writes_sbom" {
  bucket = google_storage_bucket.sbom.name
  role   = "roles/storage.objectUser"
  member = google_service_account.deploy.member
}

resource "google_project_iam_member" "deploy_attaches_sbom" {
  for_each = toset(["roles/containeranalysis.notes.editor", "roles/containeranalysis.occurrences.editor"])

  project = var.project_id
  role    = each.value
  member  = google_service_account.deploy.member
}

# With provenance the image comes from another build: it is read, and so is what is attested of it.
resource "google_artifact_registry_repository_iam_member" "deploy_reads_images" {
  count = var.provenance ? 1 : 0

  location   = google_artifact_registry_repository.images.location
  repository = google_artifact_registry_repository.images.name
  role       = "roles/artifactregistry.reader"
  member     = google_service_account.deploy.member
}

resource "google_project_iam_member" "deploy_reads_provenance" {
  count = var.provenance ? 1 : 0

  project = var.project_id
  role    = "roles/containeranalysis.occurrences.viewer"
  member  = google_service_account.deploy.member
}

# --- Builds and pushes, with provenance -----------------------------------------------------

resource "google_service_account" "build" {
  count = var.provenance ? 1 : 0

  account_id   = "${var.service}-build"
  display_name = "${var.service}: builds and pushes"

  depends_on = [google_project_service.api]
}

resource "google_artifact_registry_repository_iam_member" "push" {
  for_each = {
    images = google_artifact_registry_repository.images
    cache  = google_artifact_registry_repository.cache
  }

  location   = each.value.location
  repository = each.value.name
  role       = "roles/artifactregistry.writer"
  member     = var.provenance ? google_service_account.build[0].member : google_service_account.deploy.member
}

# --- Rebuilds -------------------------------------------------------------------------------

# Compares the packages of a fresh build with those of what serves, and starts the main trigger when
# they differ. It takes the right to start any build as that trigger's identity: Google has no role for
# one trigger.
resource "google_service_account" "rebuild" {
  account_id   = "${var.service}-rebuild"
  display_name = "${var.service}: looks for new packages"

  depends_on = [google_project_service.api]
}

resource "google_artifact_registry_repository_iam_member" "rebuild_reads_images" {
  location   = google_artifact_registry_repository.images.location
  repository = google_artifact_registry_repository.images.name
  role       = "roles/artifactregistry.reader"
  member     = google_service_account.rebuild.member
}

resource "google_cloud_run_v2_service_iam_member" "rebuild_reads_service" {
  for_each = google_cloud_run_v2_service.app

  name     = each.value.name
  location = each.value.location
  role     = "roles/run.viewer"
  member   = google_service_account.rebuild.member
}

resource "google_project_iam_member" "rebuild_starts_builds" {
  project = var.project_id
  role    = "roles/cloudbuild.builds.editor"
  member  = google_service_account.rebuild.member
}

resource "google_service_account_iam_member" "rebuild_as_main" {
  service_account_id = var.provenance ? google_service_account.build[0].name : google_service_account.deploy.name
  role               = "roles/iam.serviceAccountUser"
  member             = google_service_account.rebuild.member
}

# --- All that build -------------------------------------------------------------------------

# Logs go to Cloud Logging only, so no build needs a bucket.
resource "google_project_iam_member" "build_logs" {
  for_each = merge(
    { deploy = google_service_account.deploy, rebuild = google_service_account.rebuild },
    { for account in google_service_account.pull_request : "pull_request" => account },
    { for account in google_service_account.build : "build" => account },
  )

  project = var.project_id
  role    = "roles/logging.logWriter"
  member  = each.value.member
}

# --- Google's own agents --------------------------------------------------------------------

# Cloud Build itself reads the token, not the identity of a build.
resource "google_secret_manager_secret_iam_member" "connection" {
  secret_id = local.github_token_secret
  role      = "roles/secretmanager.secretAccessor"
  member    = "serviceAccount:service-${data.google_project.this.number}@gcp-sa-cloudbuild.iam.gserviceaccount.com"

  depends_on = [google_project_service.api]
}

# Identity-Aware Proxy calls the service for those whom it has let through.
resource "google_cloud_run_v2_service_iam_member" "iap" {
  for_each = local.iap ? google_cloud_run_v2_service.app : {}

  name     = each.value.name
  location = each.value.location
  role     = "roles/run.invoker"
  member   = "serviceAccount:service-${data.google_project.this.number}@gcp-sa-iap.iam.gserviceaccount.com"
}

# The uptime check of a private service calls it with the identity of Cloud Monitoring.
resource "google_cloud_run_v2_service_iam_member" "uptime_check" {
  for_each = var.public || local.iap ? {} : google_cloud_run_v2_service.app

  name     = each.value.name
  location = each.value.location
  role     = "roles/run.invoker"
  member   = "serviceAccount:service-${data.google_project.this.number}@gcp-sa-monitoring-notification.iam.gserviceaccount.com"

  # Google makes the agent on first use.
  depends_on = [google_monitoring_uptime_check_config.app]
}
