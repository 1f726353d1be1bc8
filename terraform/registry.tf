locals {
  image = "${var.region}-docker.pkg.dev/${var.project_id}/${google_artifact_registry_repository.images.repository_id}/${var.service}"
  cache = "${var.region}-docker.pkg.dev/${var.project_id}/${google_artifact_registry_repository.cache.repository_id}/${var.service}"
}

resource "google_artifact_registry_repository" "images" {
  repository_id = var.service
  description   = "Images by commit"
  location      = var.region
  format        = "DOCKER"

  # The tag is the commit. What was tested under it is what a rollback gets.
  docker_config {
    immutable_tags = true
  }

  # The default follows the project, where somebody else may switch on billed scanning.
  vulnerability_scanning_config {
    enablement_config = var.scan_images ? "INHERITED" : "DISABLED"
  }

  # Without policies every image stays and is billed for good. Keeping outweighs deleting: fifty
  # versions can be rolled back to, however old they are.
  cleanup_policies {
    id     = "keep-recent-versions"
    action = "KEEP"
    most_recent_versions {
      keep_count = 50
    }
  }
  cleanup_policies {
    id     = "delete-old-versions"
    action = "DELETE"
    condition {
      tag_state  = "ANY"
      older_than = "7776000s" # 90 days
    }
  }

  depends_on = [google_project_service.api]
}

# Apart from the images, since what speeds up a build has a tag that moves.
resource "google_artifact_registry_repository" "cache" {
  repository_id = "${var.service}-cache"
  description   = "Layers that the next build starts from"
  location      = var.region
  format        = "DOCKER"

  # Layers of the test stage never run in production.
  vulnerability_scanning_config {
    enablement_config = "DISABLED"
  }

  # A build without a cache is slower and nothing worse.
  cleanup_policies {
    id     = "delete-old-versions"
    action = "DELETE"
    condition {
      tag_state  = "ANY"
      older_than = "1209600s" # 14 days
    }
  }

  depends_on = [google_project_service.api]
}

# The bill of materials of each image, which Artifact Registry shows beside it and keeps here.
resource "google_storage_bucket" "sbom" {
  name     = "${var.project_id}-${var.service}-sbom" # bucket names are unique in the world
  location = var.region

  uniform_bucket_level_access = true
  public_access_prevention    = "enforced"
  force_destroy               = true # the images that it is about go as well

  lifecycle_rule {
    action {
      type = "Delete"
    }
    condition {
      age = 365 # days; an image that still serves then has been rebuilt
    }
  }

  depends_on = [google_project_service.api]
}
