terraform {
  # Validations refer to other variables (1.9) and the tests set values while planning (1.11).
  required_version = ">= 1.11"

  required_providers {
    google = {
      source  = "hashicorp/google"
      version = "~> 7.45" # a major version may change defaults and remove arguments
    }
  }

  # The bucket is made by bootstrap/ and given to terraform init: a backend takes no variables.
  backend "gcs" {
    prefix = "hello-fcgi"
  }
}

provider "google" {
  project = var.project_id
  region  = var.region

  # A person's credentials belong to a project of Google's, which the budget API refuses as the
  # project whose quota is used. With these two it is this project, for every call.
  user_project_override = true
  billing_project       = var.project_id
}

data "google_project" "this" {}
