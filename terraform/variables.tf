# --- What it is and where -------------------------------------------------------------------

variable "service" {
  description = "Name of the service, from which all other names follow. Two in one project need two names."
  type        = string
  default     = "hello-fcgi"

  # Of all names that are made from it, that of an identity is the shortest: 30 characters, with
  # -rebuild at its end, and 6 at least, with -pr.
  validation {
    condition     = can(regex("^[a-z][a-z0-9-]{1,20}[a-z0-9]$", var.service))
    error_message = "service has to be 3 to 22 lower-case letters, digits and hyphens, a letter first and no hyphen last: the identities are called like it with up to -rebuild behind it, and Google allows them 30 characters."
  }
}

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
  description = "ID of the secret in Secret Manager that holds the GitHub token of the connection; null is SERVICE-github-token."
  type        = string
  default     = null # one each: what is destroyed of one service takes no right away from another

  validation {
    condition     = var.github_token_secret == null || can(regex("^[A-Za-z0-9_-]{1,255}$", var.github_token_secret))
    error_message = "github_token_secret is not a secret's ID (letters, digits, hyphens, underscores). Give the ID only, never the token and no path."
  }
}

variable "labels" {
  description = "Labels of everything that takes labels, besides `service`: for the billing report, say."
  type        = map(string)
  default     = {}

  validation {
    condition     = alltrue([for name, value in var.labels : can(regex("^[a-z][a-z0-9_-]{0,62}$", name)) && can(regex("^[a-z0-9_-]{0,63}$", value))])
    error_message = "labels has a name or value that Google refuses. Both have up to 63 lower-case letters, digits, hyphens and underscores, a name with a letter first."
  }
}

# --- The service ----------------------------------------------------------------------------

# What the responder and the start refuse, and an instance with it, is refused here as well.
locals {
  settings = {
    ACCESS_LOG      = "^(all|errors|off)$"
    CACHE           = "^(on|off)$"
    DRAIN_DELAY     = "^[0-8]$" # Cloud Run kills 10 seconds after it has asked for the end
    GREETING        = "^\\P{Cc}{1,64}$"
    GREETING_NAME   = "^\\P{Cc}{1,64}$"
    LOG_FORMAT      = "^(json|text)$"
    LOG_LEVEL       = "^(debug|info|warning|error)$"
    REQUEST_TIMEOUT = "^[1-9]$" # nginx gives up after 5 seconds, Cloud Run after 10
    SANDBOX         = "^(on|off)$"
    WAITING_WORKERS = "^([1-9]|[1-5][0-9]|6[0-4])$"
    WORKERS         = "^([1-9]|[1-5][0-9]|6[0-4])$"
  }
  # Cloud Run's own, and what is set from something else.
  reserved = "^(PORT|K_.*|CLOUD_RUN_.*|RUN_DIR|RESPONDER|GOOGLE_CLOUD_PROJECT|METRICS_PORT)$"
}

variable "env" {
  description = "Environment of the container: the settings of README.md, and whatever else the code reads."
  type        = map(string)
  default     = {}

  validation {
    condition     = alltrue([for name in keys(var.env) : can(regex("^[A-Za-z_][A-Za-z0-9_]*$", name)) && !can(regex(local.reserved, name))])
    error_message = "env has a name that is none, or that is set already: PORT, K_..., RUN_DIR, GOOGLE_CLOUD_PROJECT and METRICS_PORT are not for env."
  }
  validation {
    condition     = alltrue([for name, value in var.env : can(regex(lookup(local.settings, name, ""), value))])
    error_message = "env has a value that the service does not start with: ${join(", ", [for name, value in var.env : "${name} = ${value}" if !can(regex(lookup(local.settings, name, ""), value))])}. What is allowed is in README.md."
  }
}

variable "secrets" {
  description = "Environment variables whose values are in Secret Manager: for each the secret's ID and the number of its version. The service's identity, and nobody else, is given access."
  type        = map(object({ secret = string, version = string }))
  default     = {}

  validation {
    condition     = alltrue([for name in keys(var.secrets) : can(regex("^[A-Za-z_][A-Za-z0-9_]*$", name)) && !can(regex(local.reserved, name))])
    error_message = "secrets has a name that is none, or that is set already: PORT, K_..., RUN_DIR, GOOGLE_CLOUD_PROJECT and METRICS_PORT are not for secrets."
  }
  validation {
    condition     = length(setintersection(keys(var.secrets), concat(keys(var.env), keys(local.settings)))) == 0
    error_message = "secrets names what env has, or a setting that is no secret. Name each once, and settings in env."
  }
  validation {
    condition     = alltrue([for each in values(var.secrets) : can(regex("^[A-Za-z0-9_-]{1,255}$", each.secret))])
    error_message = "secrets: secret is not a secret's ID (letters, digits, hyphens, underscores). Give the ID only, never the value and no path."
  }
  validation {
    condition     = alltrue([for each in values(var.secrets) : can(regex("^[1-9][0-9]*$", each.version))])
    error_message = "secrets: version is not a number. With latest, two instances of one revision could have two values, and going back would not bring the old one: gcloud secrets versions list SECRET."
  }
}

variable "public" {
  description = "Whether anybody may call the service. When false, callers need roles/run.invoker, or are among iap_members."
  type        = bool
  default     = true
}

variable "iap_members" {
  description = "Who may come, with a browser, through Identity-Aware Proxy, like group:staff@example.com, in a project of an organisation. Needs public = false; when empty, there is no such proxy."
  type        = set(string)
  default     = []

  validation {
    condition     = alltrue([for member in var.iap_members : can(regex("^(user|group|domain|serviceAccount):[^@\\s]+(@[^@\\s]+)?$", member))])
    error_message = "iap_members holds something that is not like user:somebody@example.com, group:..., domain:example.com or serviceAccount:...."
  }
  validation {
    condition     = length(var.iap_members) == 0 || !var.public
    error_message = "iap_members are those who may come, and public = true lets everybody in. Set public = false."
  }
  validation {
    condition     = length(var.iap_members) == 0 || !try(var.domain.cdn, false)
    error_message = "iap_members: Identity-Aware Proxy and Cloud CDN exclude each other. Leave out domain.cdn."
  }
}

variable "vpc" {
  description = <<-EOT
    Network that the service reaches its own network's addresses through; null is none, as it calls nobody.
    network: its name, or its path where it is another project's.
    subnetworks: for each region the name of the subnetwork; without, the one that is called like the network.
    all_traffic: true sends everything there, what is meant for the Internet as well.
  EOT
  type = object({
    network     = string
    subnetworks = optional(map(string), {})
    all_traffic = optional(bool, false)
  })
  default = null

  validation {
    condition     = var.vpc == null || length(setsubtract(keys(try(var.vpc.subnetworks, {})), concat([var.region], var.additional_regions))) == 0
    error_message = "vpc.subnetworks names a region in which nothing serves. Its keys are from region and additional_regions."
  }
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

variable "cpu_idle" {
  description = "Whether an instance's CPU is given, and billed, only while it answers. false: always; dearer at rest, cheaper under steady load, since requests cost nothing then (docs/deploy.md)."
  type        = bool
  default     = true
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
  description = "Instances per region at most: the bound on what CPU and memory can cost. It does not bound what requests, logs and data cost (docs/deploy.md)."
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

variable "metrics_sidecar" {
  description = "Whether a second container in each instance hands the responder's own metrics to Managed Service for Prometheus. It wants cpu_idle = false, doubles the instance, and costs by the sample (docs/deploy.md)."
  type        = bool
  default     = false
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

variable "test_pull_requests" {
  description = "Whether pull requests are tested. When two services come from one repository, one is enough."
  type        = bool
  default     = true
}

variable "rebuild_schedule" {
  description = "When main is built anew without cache, in UTC as for cron, and rolled out if a package of the image has changed; null is never."
  type        = string
  default     = "0 4 * * 1" # Monday at 4: whoever looks at it has the week before them

  validation {
    condition     = var.rebuild_schedule == null || can(regex("^(\\S+ ){4}\\S+$", var.rebuild_schedule))
    error_message = "rebuild_schedule is not five fields as cron has them: minute, hour, day, month, day of the week. Leave it out for Mondays, or null for never."
  }
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
    condition     = try(var.domain.requests_per_minute >= 200 && floor(var.domain.requests_per_minute) == var.domain.requests_per_minute, true)
    error_message = "domain.requests_per_minute has to be a whole number, 200 or more: the checks of a rollout alone are some 90 a minute, from one address."
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

variable "request_log_share" {
  description = "Share of the answered requests that Cloud Run's request log and the load balancer's keep, 0 to 1. What failed or took a second is kept whole."
  type        = number
  default     = 0.1 # a flood is a tenth of the entries, and a quiet service still has hundreds a day

  validation {
    condition     = var.request_log_share >= 0 && var.request_log_share <= 1
    error_message = "request_log_share is a share: 0 keeps nothing of what was answered, 0.1 a tenth, 1 everything."
  }
}

variable "budget" {
  description = "Monthly budget of the project: its billing account and, in the currency of that, the amount. null sets none."
  type = object({
    billing_account = string
    amount          = optional(number, 50)
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
