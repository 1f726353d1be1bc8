# What one gets with the four required variables alone.

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

run "service" {
  command = plan

  assert {
    condition     = keys(google_cloud_run_v2_service.app) == ["europe-west1"]
    error_message = "There has to be one service, in the region."
  }
  assert {
    condition     = google_cloud_run_v2_service.app["europe-west1"].invoker_iam_disabled && google_cloud_run_v2_service.app["europe-west1"].ingress == "INGRESS_TRAFFIC_ALL"
    error_message = "A public greeting has to be open to everybody at its run.app address."
  }
  assert {
    condition     = google_cloud_run_v2_service.app["europe-west1"].deletion_protection
    error_message = "The service has to be protected from deletion."
  }
  assert {
    condition     = google_cloud_run_v2_service.app["europe-west1"].scaling[0].min_instance_count == 0 && google_cloud_run_v2_service.app["europe-west1"].scaling[0].max_instance_count == 10
    error_message = "The service has to scale from 0 to 10 instances."
  }
  assert {
    condition     = length(google_cloud_run_v2_service.app["europe-west1"].template[0].scaling) == 0
    error_message = "A revision must not have its own scaling: a minimum there keeps tagged revisions warm."
  }
  assert {
    condition     = google_cloud_run_v2_service.app["europe-west1"].template[0].max_instance_request_concurrency == 500 && google_cloud_run_v2_service.app["europe-west1"].template[0].timeout == "10s"
    error_message = "An instance has to take 500 requests of at most 10 s."
  }
  assert {
    condition     = google_cloud_run_v2_service.app["europe-west1"].template[0].service_account == google_service_account.runtime.email
    error_message = "The service has to run as its own identity."
  }
  assert {
    condition     = length(google_cloud_run_v2_service.app["europe-west1"].binary_authorization) == 0 && length(google_binary_authorization_policy.project) == 0
    error_message = "Binary Authorization has to be off, and the project's policy left alone."
  }
  assert {
    condition = { for variable in google_cloud_run_v2_service.app["europe-west1"].template[0].containers[0].env : variable.name => variable.value } == {
      GOOGLE_CLOUD_PROJECT = "example-project"
    }
    error_message = "The container has to be told its project, and for the rest have its own defaults."
  }
  assert {
    condition     = google_cloud_run_v2_service.app["europe-west1"].template[0].containers[0].resources[0].limits == tomap({ cpu = "1", memory = "512Mi" })
    error_message = "An instance has to have 1 vCPU and 512 MiB."
  }
  assert {
    condition     = google_cloud_run_v2_service.app["europe-west1"].template[0].containers[0].resources[0].cpu_idle && google_cloud_run_v2_service.app["europe-west1"].template[0].containers[0].resources[0].startup_cpu_boost
    error_message = "The CPU has to be billed during requests only, and boosted at the start."
  }
  assert {
    condition     = google_cloud_run_v2_service.app["europe-west1"].template[0].containers[0].startup_probe[0].http_get[0].path == "/ready" && google_cloud_run_v2_service.app["europe-west1"].template[0].containers[0].startup_probe[0].period_seconds == 1 && google_cloud_run_v2_service.app["europe-west1"].template[0].containers[0].startup_probe[0].failure_threshold == 30
    error_message = "The start has to be probed at /ready every second, for 30 seconds."
  }
  assert {
    condition     = google_cloud_run_v2_service.app["europe-west1"].template[0].containers[0].liveness_probe[0].http_get[0].path == "/health"
    error_message = "Liveness has to be probed at /health."
  }
  assert {
    condition     = length(google_cloud_run_v2_service.app["europe-west1"].template[0].containers) == 1 && length(google_cloud_run_v2_service.app["europe-west1"].template[0].vpc_access) == 0 && length(google_cloud_run_v2_service.app["europe-west1"].template[0].volumes) == 0 && google_cloud_run_v2_service.app["europe-west1"].iap_enabled == false
    error_message = "No second container, network or proxy unless asked for."
  }
}

run "settings_arrive" {
  command = plan
  variables {
    env                 = { GREETING = "Grüß Gott,", GREETING_NAME = "Universe", OTHER = "" }
    secrets             = { PASSWORD = { secret = "hello-password", version = "7" }, KEY = { secret = "hello-key", version = "1" } }
    cpu                 = 2
    cpu_idle            = false
    vpc                 = { network = "inside", subnetworks = { europe-west1 = "inside-eu" } }
    memory              = "1Gi"
    concurrency         = 80
    min_instances       = 3
    max_instances       = 7
    deletion_protection = false
    github_token_secret = "another-token"
  }

  assert {
    condition     = { for variable in google_cloud_run_v2_service.app["europe-west1"].template[0].containers[0].env : variable.name => variable.value if length(variable.value_source) == 0 } == { GREETING = "Grüß Gott,", GREETING_NAME = "Universe", OTHER = "", GOOGLE_CLOUD_PROJECT = "example-project" }
    error_message = "The environment has to reach the container."
  }
  assert {
    condition     = { for variable in google_cloud_run_v2_service.app["europe-west1"].template[0].containers[0].env : variable.name => "${variable.value_source[0].secret_key_ref[0].secret} ${variable.value_source[0].secret_key_ref[0].version}" if length(variable.value_source) > 0 } == { PASSWORD = "hello-password 7", KEY = "hello-key 1" }
    error_message = "The secrets have to reach the container, each in its version."
  }
  assert {
    condition     = google_cloud_run_v2_service.app["europe-west1"].template[0].containers[0].resources[0].limits == tomap({ cpu = "2", memory = "1Gi" }) && google_cloud_run_v2_service.app["europe-west1"].template[0].max_instance_request_concurrency == 80
    error_message = "cpu, memory and concurrency have to reach the instance."
  }
  assert {
    condition     = !google_cloud_run_v2_service.app["europe-west1"].template[0].containers[0].resources[0].cpu_idle
    error_message = "cpu_idle has to reach the instance."
  }
  assert {
    condition     = google_cloud_run_v2_service.app["europe-west1"].template[0].vpc_access[0].egress == "PRIVATE_RANGES_ONLY" && one(google_cloud_run_v2_service.app["europe-west1"].template[0].vpc_access[0].network_interfaces).network == "inside" && one(google_cloud_run_v2_service.app["europe-west1"].template[0].vpc_access[0].network_interfaces).subnetwork == "inside-eu" && contains(keys(google_project_service.api), "compute.googleapis.com")
    error_message = "The service has to reach its network, in the region's own subnetwork, and the Internet directly."
  }
  assert {
    condition     = google_cloud_run_v2_service.app["europe-west1"].scaling[0].min_instance_count == 3 && google_cloud_run_v2_service.app["europe-west1"].scaling[0].max_instance_count == 7
    error_message = "min_instances and max_instances have to reach the service."
  }
  assert {
    condition     = !google_cloud_run_v2_service.app["europe-west1"].deletion_protection
    error_message = "deletion_protection has to reach the service."
  }
  assert {
    condition     = google_cloudbuildv2_connection.github.github_config[0].authorizer_credential[0].oauth_token_secret_version == "projects/example-project/secrets/another-token/versions/latest" && google_secret_manager_secret_iam_member.connection.secret_id == "another-token"
    error_message = "The connection has to use the secret, and be allowed to."
  }
}

# The pipeline's part: nothing in the configuration may claim it.
run "left_to_the_pipeline" {
  command = plan

  assert {
    condition     = google_cloud_run_v2_service.app["europe-west1"].template[0].containers[0].image == "us-docker.pkg.dev/cloudrun/container/hello"
    error_message = "A new service has to start with Google's placeholder: there is no image of ours yet."
  }
  assert {
    condition     = length(google_cloud_run_v2_service.app["europe-west1"].traffic) == 0
    error_message = "The traffic belongs to the pipeline: a traffic block would take it back."
  }
  assert {
    condition     = google_cloud_run_v2_service.app["europe-west1"].template[0].revision == null && google_cloud_run_v2_service.app["europe-west1"].template[0].labels == null
    error_message = "The names and labels of revisions belong to the pipeline."
  }
  assert {
    condition     = google_cloud_run_v2_service.app["europe-west1"].template[0].containers[0].name == "hello-fcgi"
    error_message = "A container without a name is given one, which would be a difference in every plan."
  }
}

run "delivery" {
  command = plan

  assert {
    condition     = google_artifact_registry_repository.images.docker_config[0].immutable_tags
    error_message = "The tag of an image must not move."
  }
  assert {
    condition     = length(google_artifact_registry_repository.cache.docker_config) == 0
    error_message = "The tag of the cache has to move."
  }
  assert {
    condition     = { for policy in google_artifact_registry_repository.images.cleanup_policies : policy.id => policy.action } == { keep-recent-versions = "KEEP", delete-old-versions = "DELETE" }
    error_message = "Images need a policy that deletes old ones and one that keeps what a rollback needs."
  }
  assert {
    condition     = one([for policy in google_artifact_registry_repository.images.cleanup_policies : policy.most_recent_versions[0].keep_count if policy.action == "KEEP"]) == 50
    error_message = "Fifty versions have to stay for rollbacks."
  }
  assert {
    condition = {
      for name, repository in { images = google_artifact_registry_repository.images, cache = google_artifact_registry_repository.cache } :
      name => one([for policy in repository.cleanup_policies : "${policy.condition[0].tag_state} ${policy.condition[0].older_than}" if policy.action == "DELETE"])
    } == { images = "ANY ${90 * 24 * 3600}s", cache = "ANY ${14 * 24 * 3600}s" }
    error_message = "Images have to go after 90 days and layers after 14, with or without a tag."
  }
  assert {
    condition     = google_artifact_registry_repository.images.vulnerability_scanning_config[0].enablement_config == "DISABLED" && google_artifact_registry_repository.cache.vulnerability_scanning_config[0].enablement_config == "DISABLED"
    error_message = "Scanning is billed per image and has to be off until asked for."
  }
  assert {
    condition = keys(google_project_service.api) == [
      "artifactregistry.googleapis.com",
      "cloudbuild.googleapis.com",
      "cloudscheduler.googleapis.com",
      "containeranalysis.googleapis.com",
      "iam.googleapis.com",
      "logging.googleapis.com",
      "monitoring.googleapis.com",
      "pubsub.googleapis.com",
      "run.googleapis.com",
      "secretmanager.googleapis.com",
    ]
    error_message = "An API that nothing uses is enabled, or one that is used is missing."
  }
  assert {
    condition     = alltrue([for api in google_project_service.api : api.disable_on_destroy != true])
    error_message = "An API must not be switched off under something else in the project."
  }
  assert {
    condition     = google_cloudbuildv2_connection.github.github_config[0].app_installation_id == 1234
    error_message = "The connection has to use the app's installation."
  }
  assert {
    condition     = google_cloudbuildv2_connection.github.github_config[0].authorizer_credential[0].oauth_token_secret_version == "projects/example-project/secrets/hello-fcgi-github-token/versions/latest"
    error_message = "The connection has to use the newest version of the token."
  }
  assert {
    condition     = google_cloudbuildv2_repository.source.remote_uri == "https://github.com/example/hello.git"
    error_message = "The repository's address is wrong."
  }
  assert {
    condition     = length(google_cloudbuild_trigger.merge) == 1 && length(google_cloudbuild_trigger.build) == 0 && length(google_cloudbuild_trigger.deploy) == 0
    error_message = "Without provenance one trigger builds and deploys."
  }
  assert {
    condition     = google_cloudbuild_trigger.merge[0].filename == "cloudbuild.yaml" && google_cloudbuild_trigger.merge[0].repository_event_config[0].push[0].branch == "^main$"
    error_message = "A merge to main, and to no other branch, has to run cloudbuild.yaml."
  }
  assert {
    condition     = google_cloudbuild_trigger.merge[0].service_account == google_service_account.deploy.id
    error_message = "The deploy has to run as the deploy identity."
  }
  assert {
    condition = google_cloudbuild_trigger.merge[0].substitutions == tomap({
      _IMAGE            = "europe-west1-docker.pkg.dev/example-project/hello-fcgi/hello-fcgi"
      _CACHE            = "europe-west1-docker.pkg.dev/example-project/hello-fcgi-cache/hello-fcgi"
      _SERVICE          = "hello-fcgi"
      _REGIONS          = "europe-west1"
      _PRIVATE          = "false"
      _CANDIDATE_ORIGIN = ""
      _SCAN             = ""
      _SBOM             = "example-project-hello-fcgi-sbom"
    })
    error_message = "The substitutions are not those that cloudbuild.yaml reads."
  }
  assert {
    condition     = !google_cloudbuild_trigger.merge[0].approval_config[0].approval_required
    error_message = "A merge has to deploy without approval unless it is asked for."
  }
  assert {
    condition     = google_cloudbuild_trigger.pull_request[0].filename == "cloudbuild.pr.yaml" && google_cloudbuild_trigger.pull_request[0].repository_event_config[0].pull_request[0].branch == "^main$"
    error_message = "A pull request to main has to run cloudbuild.pr.yaml."
  }
  assert {
    condition     = google_cloudbuild_trigger.pull_request[0].repository_event_config[0].pull_request[0].comment_control == "COMMENTS_ENABLED_FOR_EXTERNAL_CONTRIBUTORS_ONLY"
    error_message = "A stranger's code must not run before somebody of the repository says so."
  }
  assert {
    condition     = google_cloudbuild_trigger.pull_request[0].service_account == google_service_account.pull_request[0].id && google_cloudbuild_trigger.pull_request[0].substitutions == null
    error_message = "A pull request has to run as the identity that may do nothing, and is told nothing."
  }
}

run "outputs" {
  command = plan

  assert {
    condition     = output.project_id == "example-project" && output.region == "europe-west1" && output.regions == "europe-west1" && output.service == "hello-fcgi"
    error_message = "The scripts have to learn where the service is."
  }
  assert {
    condition     = output.image == "europe-west1-docker.pkg.dev/example-project/hello-fcgi/hello-fcgi" && output.trigger == "hello-fcgi-merge"
    error_message = "A person has to learn where the images are and what deploys."
  }
  assert {
    condition     = output.commands == { first_build = "gcloud builds triggers run hello-fcgi-merge --project=example-project --region=europe-west1 --branch=main" }
    error_message = "What to run next is the first build."
  }
  assert {
    condition     = output.region_urls == { europe-west1 = "https://hello-fcgi-abc123-ew.a.run.app" } && length(output.name_servers) == 0
    error_message = "Each region has its address, and without a zone there are no name servers."
  }
}

run "scanning_when_asked_for" {
  command = plan
  variables {
    scan_images = true
  }

  assert {
    condition     = google_artifact_registry_repository.images.vulnerability_scanning_config[0].enablement_config == "INHERITED" && contains(keys(google_project_service.api), "containerscanning.googleapis.com")
    error_message = "scan_images has to scan images."
  }
  assert {
    condition     = google_cloudbuild_trigger.merge[0].substitutions._SCAN == "europe" && contains(keys(google_project_service.api), "ondemandscanning.googleapis.com")
    error_message = "scan_images has to scan for a rollout, in the part of the world that the region is in."
  }
  assert {
    condition     = google_artifact_registry_repository.cache.vulnerability_scanning_config[0].enablement_config == "DISABLED"
    error_message = "The cache is never run, so it is never scanned."
  }
}

run "bills_of_materials" {
  command = plan

  assert {
    condition     = google_storage_bucket.sbom.uniform_bucket_level_access && google_storage_bucket.sbom.public_access_prevention == "enforced" && google_storage_bucket_iam_member.deploy_writes_sbom.role == "roles/storage.objectUser" && google_storage_bucket_iam_member.deploy_writes_sbom.member == google_service_account.deploy.member
    error_message = "The deploy identity has to write bills of materials into a bucket that is nobody else's."
  }
}

run "rebuilds" {
  command = plan

  assert {
    condition     = google_cloud_scheduler_job.rebuild[0].schedule == "0 4 * * 1" && google_cloud_scheduler_job.rebuild[0].time_zone == "Etc/UTC" && google_cloud_scheduler_job.rebuild[0].pubsub_target[0].topic_name == google_pubsub_topic.rebuild.id
    error_message = "The clock has to send its message every week."
  }
  assert {
    condition     = google_cloudbuild_trigger.rebuild.pubsub_config[0].topic == google_pubsub_topic.rebuild.id && google_cloudbuild_trigger.rebuild.service_account == google_service_account.rebuild.id
    error_message = "The message has to start the rebuild, as an identity of its own."
  }
  assert {
    condition     = google_cloudbuild_trigger.rebuild.git_file_source[0].path == "cloudbuild/rebuild.yaml" && google_cloudbuild_trigger.rebuild.git_file_source[0].revision == "refs/heads/main" && google_cloudbuild_trigger.rebuild.source_to_build[0].ref == "refs/heads/main"
    error_message = "The rebuild has to run cloudbuild/rebuild.yaml of main."
  }
  assert {
    condition     = google_cloudbuild_trigger.rebuild.substitutions == tomap({ _SERVICE = "hello-fcgi", _REGIONS = "europe-west1", _REGION = "europe-west1", _TRIGGER = "hello-fcgi-merge" }) && output.rebuild_trigger == "hello-fcgi-rebuild"
    error_message = "The substitutions are not those that cloudbuild/rebuild.yaml reads."
  }
}

run "rebuilds_by_hand_only" {
  command = plan
  variables {
    rebuild_schedule = null
  }

  assert {
    condition     = length(google_cloud_scheduler_job.rebuild) == 0 && google_cloudbuild_trigger.rebuild.name == "hello-fcgi-rebuild" && !contains(keys(google_project_service.api), "cloudscheduler.googleapis.com")
    error_message = "Without a schedule there is no clock, but make rebuild still has its trigger."
  }
}

run "approval_when_asked_for" {
  command = plan
  variables {
    deploy_approval = true
  }

  assert {
    condition     = google_cloudbuild_trigger.merge[0].approval_config[0].approval_required
    error_message = "deploy_approval has to hold the build that deploys."
  }
  assert {
    condition     = length(google_cloudbuild_trigger.pull_request[0].approval_config) == 0
    error_message = "Nobody has to approve a test."
  }
}

run "no_domain" {
  command = plan

  assert {
    condition     = length(concat(google_compute_global_forwarding_rule.https, google_compute_global_forwarding_rule.http)) == 0 && length(google_compute_global_address.app) == 0 && length(google_cloud_run_domain_mapping.app) == 0
    error_message = "Without a domain there is nothing of a load balancer or a mapping to pay for."
  }
  assert {
    condition     = output.url == "https://hello-fcgi-abc123-ew.a.run.app" && length(output.dns_records) == 0
    error_message = "Without a domain the run.app address is the one, and needs no records."
  }
}
