# Who may do what. Each list is complete: one role more or less fails.

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

run "one_build" {
  command = plan

  assert {
    condition = toset([for grant in google_project_iam_member.build_logs : "${grant.role} ${grant.member}"]) == toset([
      "roles/logging.logWriter ${google_service_account.deploy.member}",
      "roles/logging.logWriter ${google_service_account.pull_request[0].member}",
      "roles/logging.logWriter ${google_service_account.rebuild.member}",
    ]) && length(google_project_iam_member.deploy_reads_provenance) == 0 && length(google_project_iam_member.deploy_scans) == 0
    error_message = "On the project the identities of builds may write logs."
  }
  assert {
    condition     = google_project_iam_member.deploy_reads_metrics.role == "roles/monitoring.viewer" && google_project_iam_member.deploy_reads_metrics.member == google_service_account.deploy.member
    error_message = "The deploy identity compares what Cloud Monitoring knows of two revisions."
  }
  assert {
    condition = toset([
      "${google_project_iam_member.rebuild_starts_builds.role} ${google_project_iam_member.rebuild_starts_builds.member}",
      "${google_service_account_iam_member.rebuild_as_main.role} on ${google_service_account_iam_member.rebuild_as_main.service_account_id} ${google_service_account_iam_member.rebuild_as_main.member}",
      "${google_artifact_registry_repository_iam_member.rebuild_reads_images.role} ${google_artifact_registry_repository_iam_member.rebuild_reads_images.member}",
      one([for grant in google_cloud_run_v2_service_iam_member.rebuild_reads_service : "${grant.name} ${grant.role} ${grant.member}"]),
      ]) == toset([for grant in [
        "roles/cloudbuild.builds.editor",
        "roles/iam.serviceAccountUser on ${google_service_account.deploy.name}",
        "roles/artifactregistry.reader",
        "hello-fcgi roles/run.viewer",
    ] : "${grant} ${google_service_account.rebuild.member}"])
    error_message = "The rebuild identity looks at what serves, and starts the main trigger."
  }
  assert {
    condition = toset([for grant in google_artifact_registry_repository_iam_member.push : "${grant.repository} ${grant.role} ${grant.member}"]) == toset([
      "hello-fcgi roles/artifactregistry.writer ${google_service_account.deploy.member}",
      "hello-fcgi-cache roles/artifactregistry.writer ${google_service_account.deploy.member}",
    ]) && length(google_artifact_registry_repository_iam_member.deploy_reads_images) == 0
    error_message = "The deploy identity pushes, so it writes to both repositories; nobody else touches them."
  }
  assert {
    condition = [for grant in google_cloud_run_v2_service_iam_member.deploy : "${grant.name} ${grant.role} ${grant.member}"] == [
      "hello-fcgi roles/run.developer ${google_service_account.deploy.member}",
    ]
    error_message = "The deploy identity is a developer of this service."
  }
  assert {
    condition     = google_service_account_iam_member.deploy_as_runtime.service_account_id == google_service_account.runtime.name && google_service_account_iam_member.deploy_as_runtime.role == "roles/iam.serviceAccountUser" && google_service_account_iam_member.deploy_as_runtime.member == google_service_account.deploy.member
    error_message = "The deploy identity may act as the runtime identity."
  }
  assert {
    condition     = length(google_service_account_iam_member.deploy_identity_token) == 0 && length(google_cloud_run_v2_service_iam_member.deploy_check) == 0 && length(google_cloud_run_v2_service_iam_member.uptime_check) == 0
    error_message = "A public service is called without any right."
  }
  assert {
    condition     = length(google_service_account.build) == 0
    error_message = "One build needs one identity."
  }
}

run "connection" {
  command = plan

  assert {
    condition     = google_secret_manager_secret_iam_member.connection.secret_id == "hello-fcgi-github-token" && google_secret_manager_secret_iam_member.connection.role == "roles/secretmanager.secretAccessor" && google_secret_manager_secret_iam_member.connection.member == "serviceAccount:service-123456789012@gcp-sa-cloudbuild.iam.gserviceaccount.com"
    error_message = "Cloud Build's own agent, and nobody else, reads the token."
  }
}

run "secrets" {
  command = plan
  variables {
    secrets = {
      PASSWORD = { secret = "hello-password", version = "7" }
      OLD      = { secret = "hello-password", version = "6" }
      KEY      = { secret = "hello-key", version = "1" }
    }
  }

  assert {
    condition = [for grant in google_secret_manager_secret_iam_member.runtime : "${grant.secret_id} ${grant.role} ${grant.member}"] == [
      "hello-key roles/secretmanager.secretAccessor ${google_service_account.runtime.member}",
      "hello-password roles/secretmanager.secretAccessor ${google_service_account.runtime.member}",
    ]
    error_message = "The running service, and nobody else, reads its secrets."
  }
}

run "private" {
  command = plan
  variables {
    public = false
  }

  assert {
    condition = [for grant in google_cloud_run_v2_service_iam_member.deploy_check : "${grant.name} ${grant.role} ${grant.member}"] == [
      "hello-fcgi roles/run.invoker ${google_service_account.deploy.member}",
    ]
    error_message = "The deploy identity has to be able to call a private candidate."
  }
  assert {
    condition = [for grant in google_service_account_iam_member.deploy_identity_token : "${grant.service_account_id} ${grant.role} ${grant.member}"] == [
      "${google_service_account.deploy.name} roles/iam.serviceAccountOpenIdTokenCreator ${google_service_account.deploy.member}",
    ]
    error_message = "The deploy identity issues identity tokens for itself, and for nobody else."
  }
  assert {
    condition = [for grant in google_cloud_run_v2_service_iam_member.uptime_check : "${grant.name} ${grant.role} ${grant.member}"] == [
      "hello-fcgi roles/run.invoker serviceAccount:service-123456789012@gcp-sa-monitoring-notification.iam.gserviceaccount.com",
    ]
    error_message = "The uptime check has to be able to call a private service."
  }
}

run "two_builds" {
  command = plan
  variables {
    provenance = true
  }

  assert {
    condition = toset([for grant in concat(values(google_project_iam_member.build_logs), google_project_iam_member.deploy_reads_provenance) : "${grant.role} ${grant.member}"]) == toset([
      "roles/logging.logWriter ${google_service_account.build[0].member}",
      "roles/logging.logWriter ${google_service_account.deploy.member}",
      "roles/logging.logWriter ${google_service_account.pull_request[0].member}",
      "roles/logging.logWriter ${google_service_account.rebuild.member}",
      "roles/containeranalysis.occurrences.viewer ${google_service_account.deploy.member}",
    ])
    error_message = "On the project the identities of builds write logs, and the deploy identity reads provenance."
  }
  assert {
    condition = toset([for grant in concat(values(google_artifact_registry_repository_iam_member.push), google_artifact_registry_repository_iam_member.deploy_reads_images) : "${grant.repository} ${grant.role} ${grant.member}"]) == toset([
      "hello-fcgi roles/artifactregistry.writer ${google_service_account.build[0].member}",
      "hello-fcgi-cache roles/artifactregistry.writer ${google_service_account.build[0].member}",
      "hello-fcgi roles/artifactregistry.reader ${google_service_account.deploy.member}",
    ])
    error_message = "The build identity pushes, the deploy identity only reads images."
  }
  assert {
    condition     = alltrue([for grant in concat(values(google_cloud_run_v2_service_iam_member.deploy), [google_service_account_iam_member.deploy_as_runtime]) : grant.member == google_service_account.deploy.member])
    error_message = "The build identity must not deploy."
  }
  assert {
    condition     = google_service_account_iam_member.rebuild_as_main.service_account_id == google_service_account.build[0].name
    error_message = "The rebuild identity starts the trigger that builds, not the one that deploys."
  }
}
