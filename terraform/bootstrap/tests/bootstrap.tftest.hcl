mock_provider "google" {}

variables {
  project_id = "example-project"
  region     = "europe-west1"
}

run "bucket" {
  command = plan

  assert {
    condition     = google_storage_bucket.state.name == "example-project-terraform-state" && google_storage_bucket.state.location == "europe-west1"
    error_message = "The bucket has to be the project's, in the region."
  }
  assert {
    condition     = google_storage_bucket.state.versioning[0].enabled && one(one(google_storage_bucket.state.lifecycle_rule).condition).num_newer_versions == 10
    error_message = "An overwritten state has to be kept, ten times."
  }
  assert {
    condition     = google_storage_bucket.state.uniform_bucket_level_access && google_storage_bucket.state.public_access_prevention == "enforced"
    error_message = "Nobody but those with access to the bucket may read a state."
  }
  assert {
    condition     = google_storage_bucket.state.soft_delete_policy[0].retention_duration_seconds == 30 * 24 * 3600
    error_message = "A deleted state has to be kept for 30 days."
  }
  assert {
    condition     = output.bucket == "example-project-terraform-state"
    error_message = "The bucket has to be called what scripts/terraform expects."
  }
  assert {
    condition     = google_pubsub_topic.images.name == "gcr" && google_project_service.pubsub.disable_on_destroy == false
    error_message = "The registry tells its topic, whose name is fixed."
  }
}

run "mistakes" {
  command = plan
  variables {
    project_id = "My project"
    region     = "europe-west1-b"
    labels     = { Team = "web" }
  }
  expect_failures = [var.project_id, var.region, var.labels]
}
