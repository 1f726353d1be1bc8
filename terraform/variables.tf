# --- What it is and where -------------------------------------------------------------------

variable "project_id" {
  description = "ID of the Google Cloud project that everything is made in."
  type        = string

  validation {
    condition     = can(regex("^[a-z][a-z0-9-]{4,28}[a-z0-9]$", var.project_id))
    error_message = "project_id is not a project ID (6 to 30 lower-case letters, digits and hyphens). Take the ID, not the name or the number: gcloud projects list."
  }
}

variable "region" {
  description = "Region of the service, the images and the builds, for example europe-west1."
  type        = string

  validation {
    condition     = can(regex("^[a-z]+-[a-z]+[0-9]+$", var.region))
    error_message = "region is not a region like europe-west1 (a zone has one more letter at its end). List them: gcloud run regions list."
  }
}

variable "additional_regions" {
  description = "Further regions that serve. A rollout visits region first, then these in order."
  type        = list(string)
  default     = []

  validation {
    condition     = alltrue([for region in var.additional_regions : can(regex("^[a-z]+-[a-z]+[0-9]+$", region))])
    error_message = "additional_regions holds something that is not a region like europe-west1. List them: gcloud run regions list."
  }
  validation {
    condition     = length(distinct(concat([var.region], var.additional_regions))) == 1 + length(var.additional_regions)
    error_message = "additional_regions names a region twice, or the one in region. Name each once."
  }
}

variable "repository" {
  description = "GitHub repository whose main branch is deployed, as owner/name."
  type        = string

  validation {
    condition     = can(regex("^[A-Za-z0-9-]+/[A-Za-z0-9._-]+$", var.repository))
    error_message = "repository is not owner/name. Give it without https://github.com/ and without further path."
  }
}

variable "github_app_installation_id" {
  description = "Number at the end of the address of the Cloud Build app's settings on GitHub."
  type        = number

  validation {
    condition     = var.github_app_installation_id > 0 && floor(var.github_app_installation_id) == var.github_app_installation_id
    error_message = "github_app_installation_id is not a positive whole number. Read it from the end of the address https://github.com/settings/installations/NUMBER."
  }
}

variable "github_token_secret" {
  description = "ID of the secret in Secret Manager that holds the GitHub token of the connection."
  type        = string
  default     = "github-token"

  validation {
    condition     = can(regex("^[A-Za-z0-9_-]{1,255}$", var.github_token_secret))
    error_message = "github_token_secret is not a secret's ID (letters, digits, hyphens, underscores). Give the ID only, never the token and no path."
  }
}

# --- The service ----------------------------------------------------------------------------

variable "greeting" {
  description = "First word of the greeting."
  type        = string
  default     = "Hello"

  validation {
    condition     = can(regex("^\\P{Cc}{1,64}$", var.greeting))
    error_message = "greeting has to be 1 to 64 characters without control characters: the responder does not start otherwise."
  }
}

variable "name" {
  description = "Who is greeted when the request names nobody."
  type        = string
  default     = "World"

  validation {
    condition     = can(regex("^\\P{Cc}{1,64}$", var.name))
    error_message = "name has to be 1 to 64 characters without control characters: the responder does not start otherwise."
  }
}

variable "public" {
  description = "Whether anybody may call the service. When false, callers need roles/run.invoker."
  type        = bool
  default     = true
}

variable "cpu" {
  description = "vCPUs of an instance."
  type        = number
  default     = 1

  validation {
    condition     = contains([1, 2, 4, 6, 8], var.cpu)
    error_message = "cpu has to be 1, 2, 4, 6 or 8: with less than one Cloud Run gives an instance one request at a time."
  }
}

variable "memory" {
  description = "Memory of an instance, files in /tmp included."
  type        = string
  default     = "512Mi"

  validation {
    condition     = can(regex("^[1-9][0-9]*(Mi|Gi)$", var.memory))
    error_message = "memory is not a number with Mi or Gi behind it, for example 512Mi."
  }
}

variable "concurrency" {
  description = "Requests that one instance is given at once before another is started."
  type        = number
  default     = 500 # make bench runs 1000 without an error; half of it leaves time to start the next

  validation {
    condition     = var.concurrency >= 1 && var.concurrency <= 1000 && floor(var.concurrency) == var.concurrency
    error_message = "concurrency has to be a whole number from 1 to 1000, which is the most that Cloud Run allows."
  }
}

variable "min_instances" {
  description = "Instances per region that are kept running; 0 costs nothing at rest but starts cold."
  type        = number
  default     = 0

  validation {
    condition     = var.min_instances >= 0 && floor(var.min_instances) == var.min_instances
    error_message = "min_instances has to be a whole number, 0 or more."
  }
  validation {
    condition     = var.min_instances <= var.max_instances
    error_message = "min_instances is above max_instances. Raise max_instances or lower min_instances."
  }
}

variable "max_instances" {
  description = "Instances per region at most: the bound on what a flood of requests can cost."
  type        = number
  default     = 10

  validation {
    condition     = var.max_instances >= 2 && var.max_instances <= 1000 && floor(var.max_instances) == var.max_instances
    error_message = "max_instances has to be a whole number from 2 to 1000: during a rollout the old and the new revision need an instance each."
  }
}

variable "deletion_protection" {
  description = "Whether Terraform refuses to delete the service."
  type        = bool
  default     = true
}

# --- Delivery -------------------------------------------------------------------------------

variable "provenance" {
  description = "Whether one build pushes the image with provenance and another one, with other rights, deploys it. When false, one build does both and there is no provenance."
  type        = bool
  default     = false
}

variable "deploy_approval" {
  description = "Whether somebody with roles/cloudbuild.builds.approver has to approve each build that deploys."
  type        = bool
  default     = false
}

variable "binary_authorization" {
  description = "What happens to an image without the attestation that provenance brings: off, dry_run (logged) or enforced (refused)."
  type        = string
  default     = "off"

  validation {
    condition     = contains(["off", "dry_run", "enforced"], var.binary_authorization)
    error_message = "binary_authorization has to be off, dry_run or enforced."
  }
  validation {
    condition     = var.binary_authorization == "off" || var.provenance
    error_message = "binary_authorization looks for an attestation that no image has without provenance: every deploy would be refused, or logged as one. Set provenance = true."
  }
}

variable "scan_images" {
  description = "Whether every pushed image is scanned for known vulnerabilities, which is billed per image."
  type        = bool
  default     = false
}

# --- Domain ---------------------------------------------------------------------------------

variable "domain" {
  description = <<-EOT
    Domain of the service; null serves at the run.app address only.
    name: for example hello.example.com.
    load_balancer: false replaces the load balancer by Cloud Run's domain mapping, for a demo.
    keep_run_app_url: true leaves the run.app address open until the domain's records are in place.
    managed_zone: true makes a Cloud DNS zone for the domain with all its records.
    cdn: true lets Cloud CDN keep what the responder's Cache-Control allows.
    requests_per_minute: what one client address may send before it is answered 429.
  EOT
  type = object({
    name                = string
    load_balancer       = optional(bool, true)
    keep_run_app_url    = optional(bool, false)
    managed_zone        = optional(bool, false)
    cdn                 = optional(bool, false)
    requests_per_minute = optional(number, 600)
  })
  default = null

  validation {
    condition     = var.domain == null || can(regex("^([a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?\\.)+[a-z]{2,63}$", var.domain.name))
    error_message = "domain.name is not a domain like hello.example.com. Give it in lower case, without https:// and without a dot at its end."
  }
  validation {
    condition     = try(var.domain.load_balancer || !anytrue([var.domain.keep_run_app_url, var.domain.managed_zone, var.domain.cdn]), true)
    error_message = "domain.keep_run_app_url, managed_zone and cdn belong to the load balancer. Leave them out, or load_balancer = false."
  }
  validation {
    condition     = try(var.domain.load_balancer || length(var.additional_regions) == 0, true)
    error_message = "A domain mapping leads to one region only. Leave out additional_regions, or domain.load_balancer = false."
  }
  validation {
    condition     = try(var.domain.requests_per_minute >= 1 && floor(var.domain.requests_per_minute) == var.domain.requests_per_minute, true)
    error_message = "domain.requests_per_minute has to be a whole number, 1 or more."
  }
}

# --- Who is told ----------------------------------------------------------------------------

variable "alert_email" {
  description = "Address that alerts are sent to; null shows them in the console only."
  type        = string
  default     = null

  validation {
    condition     = var.alert_email == null || can(regex("^[^@\\s]+@[^@\\s]+\\.[^@\\s]+$", var.alert_email))
    error_message = "alert_email is not an e-mail address. Leave it out if nobody is to be told."
  }
}

variable "budget" {
  description = "Monthly budget of the project, in the currency of the billing account; null sets none."
  type = object({
    billing_account = string
    amount          = number
  })
  default = null

  validation {
    condition     = var.budget == null || can(regex("^[0-9A-F]{6}-[0-9A-F]{6}-[0-9A-F]{6}$", var.budget.billing_account))
    error_message = "budget.billing_account is not like 012345-6789AB-CDEF01. List them: gcloud billing accounts list."
  }
  validation {
    condition     = try(var.budget.amount >= 1 && floor(var.budget.amount) == var.budget.amount, true)
    error_message = "budget.amount has to be a whole number, 1 or more."
  }
}
