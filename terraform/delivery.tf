# --- The connection to GitHub ---------------------------------------------------------------

locals {
  github_token_secret = coalesce(var.github_token_secret, "${var.service}-github-token")
}

resource "google_cloudbuildv2_connection" "github" {
  name     = var.service
  location = var.region

  github_config {
    app_installation_id = var.github_app_installation_id
    authorizer_credential {
      oauth_token_secret_version = "projects/${var.project_id}/secrets/${local.github_token_secret}/versions/latest"
    }
  }

  # The token is read on creation. A grant takes a while to be known everywhere, and the half minute
  # in which the service starts is usually enough.
  depends_on = [
    google_secret_manager_secret_iam_member.connection,
    google_cloud_run_v2_service.app,
  ]
}

resource "google_cloudbuildv2_repository" "source" {
  name              = var.service
  location          = var.region # of the connection; the default is global
  parent_connection = google_cloudbuildv2_connection.github.name
  remote_uri        = "https://github.com/${var.repository}.git"
}

# --- Triggers -------------------------------------------------------------------------------

locals {
  deploy_substitutions = {
    _IMAGE   = local.image
    _SERVICE = var.service
    _REGIONS = join(" ", local.regions)
    _PRIVATE = local.iap ? "iap" : tostring(!var.public)

    _SBOM = google_storage_bucket.sbom.name

    # Where images are scanned for a rollout: the one of three parts of the world that the region is in.
    _SCAN = var.scan_images ? lookup({ europe = "europe", asia = "asia", australia = "asia" }, split("-", var.region)[0], "us") : ""

    # Behind the load balancer the address of a candidate is out of a build's reach.
    _CANDIDATE_ORIGIN = local.behind_load_balancer ? "https://${var.domain.name}" : ""
  }

  # The first is the one that a push to main starts.
  main_triggers = concat(
    google_cloudbuild_trigger.merge,
    google_cloudbuild_trigger.build,
    google_cloudbuild_trigger.deploy,
  )
}

resource "google_cloudbuild_trigger" "pull_request" {
  count = var.test_pull_requests ? 1 : 0

  name            = "${var.service}-pull-request"
  description     = "Tests a pull request"
  location        = var.region # of the connection; the default is global
  service_account = google_service_account.pull_request[0].id
  filename        = "cloudbuild.pr.yaml"

  repository_event_config {
    repository = google_cloudbuildv2_repository.source.id
    pull_request {
      branch = "^main$"

      # A stranger's code runs once somebody of the repository has commented /gcbrun.
      comment_control = "COMMENTS_ENABLED_FOR_EXTERNAL_CONTRIBUTORS_ONLY"
    }
  }

  # Whoever opened the pull request sees why it failed without access to the project.
  include_build_logs = "INCLUDE_BUILD_LOGS_WITH_STATUS"
}

# One build that tests, pushes and deploys.
resource "google_cloudbuild_trigger" "merge" {
  count = var.provenance ? 0 : 1

  name            = "${var.service}-merge"
  description     = "Builds and deploys a commit on main"
  location        = var.region
  service_account = google_service_account.deploy.id
  filename        = "cloudbuild.yaml"

  repository_event_config {
    repository = google_cloudbuildv2_repository.source.id
    push {
      branch = "^main$" # anchored: main-old would match otherwise
    }
  }

  approval_config {
    approval_required = var.deploy_approval
  }

  substitutions = merge(local.deploy_substitutions, { _CACHE = local.cache })
}

# With provenance: one build that pushes ...
resource "google_cloudbuild_trigger" "build" {
  count = var.provenance ? 1 : 0

  name            = "${var.service}-build"
  description     = "Builds and pushes a commit on main"
  location        = var.region
  service_account = google_service_account.build[0].id
  filename        = "cloudbuild/build.yaml"

  repository_event_config {
    repository = google_cloudbuildv2_repository.source.id
    push {
      branch = "^main$"
    }
  }

  substitutions = { _IMAGE = local.image, _CACHE = local.cache }
}

# ... and one that deploys what the registry says was pushed. The topic is the project's, and its name
# Artifact Registry's: bootstrap/ makes it, once for all services of the project.
resource "google_cloudbuild_trigger" "deploy" {
  count = var.provenance ? 1 : 0

  name            = "${var.service}-deploy"
  description     = "Deploys an image that was pushed"
  location        = var.region
  service_account = google_service_account.deploy.id

  pubsub_config {
    topic = "projects/${var.project_id}/topics/gcr"
  }
  source_to_build {
    repository = google_cloudbuildv2_repository.source.id
    ref        = "refs/heads/main"
    repo_type  = "GITHUB"
  }
  git_file_source {
    repository = google_cloudbuildv2_repository.source.id
    path       = "cloudbuild/deploy.yaml"
    revision   = "refs/heads/main"
    repo_type  = "GITHUB"
  }

  # Every change in every repository of the project is published. Only a new tag that is a commit
  # of this image, or a rebuild of one, may start a build, or wait for approval: not a deletion, not a digest without a
  # tag, not a signature, not the cache.
  filter = "_ACTION == \"INSERT\" && _TAG.matches(\"^${replace(local.image, ".", "[.]")}:[0-9a-f]{40}(-[0-9]{8}T[0-9]{4}Z)?$\")"

  approval_config {
    approval_required = var.deploy_approval
  }

  substitutions = merge(local.deploy_substitutions, {
    _ACTION = "$(body.message.data.action)"
    _DIGEST = "$(body.message.data.digest)"
    _TAG    = "$(body.message.data.tag)"
  })
}

# --- Rebuilds -------------------------------------------------------------------------------

# There whether or not a clock starts it: make rebuild does as well.
resource "google_pubsub_topic" "rebuild" {
  name = "${var.service}-rebuild"

  depends_on = [google_project_service.api]
}

resource "google_cloudbuild_trigger" "rebuild" {
  name            = "${var.service}-rebuild"
  description     = "Rebuilds main if Debian has newer packages"
  location        = var.region
  service_account = google_service_account.rebuild.id

  # A message, and not a call of the trigger: so the clock needs no identity, and no right to builds.
  pubsub_config {
    topic = google_pubsub_topic.rebuild.id
  }
  source_to_build {
    repository = google_cloudbuildv2_repository.source.id
    ref        = "refs/heads/main"
    repo_type  = "GITHUB"
  }
  git_file_source {
    repository = google_cloudbuildv2_repository.source.id
    path       = "cloudbuild/rebuild.yaml"
    revision   = "refs/heads/main"
    repo_type  = "GITHUB"
  }

  substitutions = {
    _SERVICE = var.service
    _REGIONS = join(" ", local.regions)
    _REGION  = var.region
    _TRIGGER = local.main_triggers[0].name
  }
}

resource "google_cloud_scheduler_job" "rebuild" {
  count = var.rebuild_schedule == null ? 0 : 1

  name        = "${var.service}-rebuild"
  description = "Has main rebuilt if Debian has newer packages"
  region      = var.region
  schedule    = var.rebuild_schedule
  time_zone   = "Etc/UTC"

  pubsub_target {
    topic_name = google_pubsub_topic.rebuild.id
    data       = base64encode("{}") # one has to be there; nobody reads it
  }
}
