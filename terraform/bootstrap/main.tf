# What a project has once, whatever number of services is in it: the bucket that keeps their states,
# and the registry's topic. The state of this stays where it is applied: it can be made again by
# importing both.

terraform {
  required_version = ">= 1.11" # as the root above

  required_providers {
    google = {
      source  = "hashicorp/google"
      version = "~> 7.45" # as the root above
    }
  }
}

variable "project_id" {
  description = "ID of the Google Cloud project."
  type        = string

  validation {
    condition     = can(regex("^[a-z][a-z0-9-]{4,28}[a-z0-9]$", var.project_id))
    error_message = "project_id is not a project ID (6 to 30 lower-case letters, digits and hyphens). Take the ID, not the name or the number: gcloud projects list."
  }
}

variable "region" {
  description = "Region of the bucket, for example europe-west1."
  type        = string

  validation {
    condition     = can(regex("^[a-z]+-[a-z]+[0-9]+$", var.region))
    error_message = "region is not a region like europe-west1 (a zone has one more letter at its end). List them: gcloud run regions list."
  }
}

variable "labels" {
  description = "Labels of everything that takes labels."
  type        = map(string)
  default     = {}

  validation {
    condition     = alltrue([for name, value in var.labels : can(regex("^[a-z][a-z0-9_-]{0,62}$", name)) && can(regex("^[a-z0-9_-]{0,63}$", value))])
    error_message = "labels has a name or value that Google refuses. Both have up to 63 lower-case letters, digits, hyphens and underscores, a name with a letter first."
  }
}

provider "google" {
  project        = var.project_id
  default_labels = var.labels
}

resource "google_storage_bucket" "state" {
  name     = "${var.project_id}-terraform-state" # project IDs are unique in the world, as bucket names have to be
  location = var.region

  # Access is the bucket's alone and never public: a state holds every address and identity.
  uniform_bucket_level_access = true
  public_access_prevention    = "enforced"

  # Another project with this project's state would replace it.
  lifecycle {
    prevent_destroy = true
  }

  # An overwritten or truncated state can be taken back. Ten versions, or the bucket only grows.
  versioning {
    enabled = true
  }
  lifecycle_rule {
    action {
      type = "Delete"
    }
    condition {
      num_newer_versions = 10
    }
  }

  # Of 7 days: a deleted state may be missed after a holiday only.
  soft_delete_policy {
    retention_duration_seconds = 2592000 # 30 days
  }
}

# Artifact Registry tells here what was pushed, if there is a topic of this very name. With provenance
# that starts a deploy; otherwise nobody listens, and it costs nothing.
resource "google_project_service" "pubsub" {
  service            = "pubsub.googleapis.com"
  disable_on_destroy = false
}

resource "google_pubsub_topic" "images" {
  name = "gcr"

  # As above; without it no push would start a deploy, and nobody would say so.
  lifecycle {
    prevent_destroy = true
  }

  depends_on = [google_project_service.pubsub]
}

output "bucket" {
  description = "Where the states are. scripts/terraform init knows it."
  value       = google_storage_bucket.state.name
}
