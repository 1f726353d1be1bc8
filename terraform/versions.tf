terraform {
  # Validations refer to other variables (1.9) and the tests set values while planning (1.11).
  required_version = ">= 1.11"

  required_providers {
    google = {
      source  = "hashicorp/google"
      version = "~> 7.45" # a major version may change defaults and remove arguments
    }
  }

  # The bucket is made by bootstrap/. A backend takes no variables: scripts/terraform names it, and
  # the prefix, to init.
  backend "gcs" {}
}

provider "google" {
  project = var.project_id
  region  = var.region

  default_labels = local.labels

  # A person's credentials belong to a project of Google's, which the budget API refuses as the
  # project whose quota is used. With these two it is this project, for every call.
  user_project_override = true
  billing_project       = var.project_id
}

locals {
  labels = merge({ service = var.service }, var.labels)
}

data "google_project" "this" {}

# A state is one service's for good. Settings of another, applied to it by mistake, would plan to
# delete the one and make the other; this refuses the plan. It keeps the first name that it was given.
resource "terraform_data" "owner" {
  input = "${var.service} in ${var.project_id}"

  lifecycle {
    ignore_changes = [input]
    postcondition {
      condition     = self.output == "${var.service} in ${var.project_id}"
      error_message = "This state belongs to ${self.output}, and the settings are those of ${var.service} in ${var.project_id}. Run scripts/terraform, with ENV=..., which keeps them apart. To rename a service, destroy it first."
    }
  }
}
