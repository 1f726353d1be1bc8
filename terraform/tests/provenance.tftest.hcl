# Two builds, one that pushes and one that deploys, and Binary Authorization.

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
  provenance                 = true
}

run "build_only_pushes" {
  command = plan

  assert {
    condition     = length(google_cloudbuild_trigger.merge) == 0 && google_cloudbuild_trigger.build[0].filename == "cloudbuild/build.yaml" && google_cloudbuild_trigger.build[0].repository_event_config[0].push[0].branch == "^main$"
    error_message = "A merge to main has to run cloudbuild/build.yaml alone."
  }
  assert {
    condition     = google_cloudbuild_trigger.build[0].service_account == google_service_account.build[0].id
    error_message = "The build has to run as the identity that may only push."
  }
  assert {
    condition = google_cloudbuild_trigger.build[0].substitutions == tomap({
      _IMAGE = "europe-west1-docker.pkg.dev/example-project/hello-fcgi/hello-fcgi"
      _CACHE = "europe-west1-docker.pkg.dev/example-project/hello-fcgi-cache/hello-fcgi"
    })
    error_message = "The substitutions are not those that cloudbuild/build.yaml reads."
  }
}

run "deploy_only_deploys" {
  command = plan

  assert {
    condition     = google_cloudbuild_trigger.deploy[0].git_file_source[0].path == "cloudbuild/deploy.yaml" && google_cloudbuild_trigger.deploy[0].git_file_source[0].revision == "refs/heads/main" && google_cloudbuild_trigger.deploy[0].source_to_build[0].ref == "refs/heads/main"
    error_message = "The deploy has to run cloudbuild/deploy.yaml of main."
  }
  assert {
    condition     = google_cloudbuild_trigger.deploy[0].service_account == google_service_account.deploy.id && length(google_cloudbuild_trigger.deploy[0].repository_event_config) == 0
    error_message = "The deploy has to run as the identity that may only deploy, and not on a push."
  }
  assert {
    condition     = google_cloudbuild_trigger.deploy[0].pubsub_config[0].topic == "projects/example-project/topics/gcr"
    error_message = "The deploy has to start with what Artifact Registry publishes."
  }
  assert {
    condition = google_cloudbuild_trigger.deploy[0].substitutions == tomap({
      _ACTION           = "$(body.message.data.action)"
      _DIGEST           = "$(body.message.data.digest)"
      _TAG              = "$(body.message.data.tag)"
      _IMAGE            = "europe-west1-docker.pkg.dev/example-project/hello-fcgi/hello-fcgi"
      _SERVICE          = "hello-fcgi"
      _REGIONS          = "europe-west1"
      _PRIVATE          = "false"
      _CANDIDATE_ORIGIN = ""
      _SCAN             = ""
      _SBOM             = "example-project-hello-fcgi-sbom"
    })
    error_message = "The substitutions are not those that cloudbuild/deploy.yaml reads."
  }
  assert {
    condition     = alltrue([for api in ["pubsub", "containeranalysis", "binaryauthorization"] : contains(keys(google_project_service.api), "${api}.googleapis.com")])
    error_message = "Messages, provenance and the attestor that the first build makes have their APIs."
  }
  assert {
    condition     = length(google_binary_authorization_policy.project) == 0 && length(google_cloud_run_v2_service.app["europe-west1"].binary_authorization) == 0
    error_message = "Provenance alone refuses nothing."
  }
}

# The pattern in the filter, tried on what the registry publishes.
run "only_new_commits_of_this_image_start_a_deploy" {
  command = plan

  assert {
    condition     = startswith(google_cloudbuild_trigger.deploy[0].filter, "_ACTION == \"INSERT\" && _TAG.matches(\"^") && endswith(google_cloudbuild_trigger.deploy[0].filter, "$\")")
    error_message = "Only a new tag, matched as a whole, may start a deploy."
  }
  assert {
    condition = [
      for tag in [
        "europe-west1-docker.pkg.dev/example-project/hello-fcgi/hello-fcgi:0123456789abcdef0123456789abcdef01234567",
        "europe-west1-docker.pkg.dev/example-project/hello-fcgi/hello-fcgi:0123456789abcdef0123456789abcdef01234567-20261125T1858Z",
        "",
        "europe-west1-docker.pkg.dev/example-project/hello-fcgi/hello-fcgi:latest",
        "europe-west1-docker.pkg.dev/example-project/hello-fcgi/hello-fcgi:sha256-0123456789abcdef0123456789abcdef01234567.sig",
        "europe-west1-docker.pkg.dev/example-project/hello-fcgi-cache/hello-fcgi:0123456789abcdef0123456789abcdef01234567",
        "europe-west1-docker.pkg.dev/example-project/hello-fcgi/other:0123456789abcdef0123456789abcdef01234567",
        "europe-west1-dockerxpkg.dev/example-project/hello-fcgi/hello-fcgi:0123456789abcdef0123456789abcdef01234567",
      ] : can(regex(split("\"", google_cloudbuild_trigger.deploy[0].filter)[3], tag))
    ] == [true, true, false, false, false, false, false, false]
    error_message = "A message that is not a new commit of this image would start a deploy, or the right one would not."
  }
}

run "approval_is_for_the_deploy" {
  command = plan
  variables {
    deploy_approval = true
  }

  assert {
    condition     = google_cloudbuild_trigger.deploy[0].approval_config[0].approval_required && length(google_cloudbuild_trigger.build[0].approval_config) == 0
    error_message = "deploy_approval has to hold the deploy, not the build."
  }
}

run "failures_of_both_are_told" {
  command = plan

  assert {
    condition     = strcontains(google_monitoring_alert_policy.builds.conditions[0].condition_matched_log[0].filter, "build_trigger_id=(\"id-of-build\" OR \"id-of-deploy\" OR \"id-of-rebuild\")")
    error_message = "Both builds have to be watched."
  }
  assert {
    condition     = output.trigger == "hello-fcgi-build" && google_cloudbuild_trigger.rebuild.substitutions._TRIGGER == "hello-fcgi-build"
    error_message = "The first build is started at the trigger that builds."
  }
}

run "dry_run" {
  command = plan
  variables {
    binary_authorization = "dry_run"
  }

  assert {
    condition     = google_binary_authorization_policy.project[0].default_admission_rule[0].enforcement_mode == "DRYRUN_AUDIT_LOG_ONLY"
    error_message = "A dry run must not refuse anything."
  }
  assert {
    condition     = google_cloud_run_v2_service.app["europe-west1"].binary_authorization[0].use_default
    error_message = "The service has to follow the project's policy."
  }
}

run "enforced" {
  command = plan
  variables {
    binary_authorization = "enforced"
  }

  assert {
    condition     = google_binary_authorization_policy.project[0].default_admission_rule[0].enforcement_mode == "ENFORCED_BLOCK_AND_AUDIT_LOG" && google_binary_authorization_policy.project[0].default_admission_rule[0].evaluation_mode == "REQUIRE_ATTESTATION" && google_binary_authorization_policy.project[0].default_admission_rule[0].require_attestations_by == toset(["projects/example-project/attestors/built-by-cloud-build"])
    error_message = "An image that Cloud Build did not attest has to be refused."
  }
  assert {
    condition     = [for pattern in google_binary_authorization_policy.project[0].admission_whitelist_patterns : pattern.name_pattern] == ["us-docker.pkg.dev/cloudrun/container/*"]
    error_message = "Nothing but Google's placeholder is excepted."
  }
}
