locals {
  regions = concat([var.region], var.additional_regions)
}

# One service per region and not one for all: a rollout can stop after the first.
resource "google_cloud_run_v2_service" "app" {
  for_each = toset(local.regions)

  name     = var.service
  location = each.value

  # With a load balancer in front, nothing leads around its rate limit.
  ingress              = local.behind_load_balancer ? "INGRESS_TRAFFIC_INTERNAL_LOAD_BALANCER" : "INGRESS_TRAFFIC_ALL"
  deletion_protection  = var.deletion_protection
  invoker_iam_disabled = var.public # works where the organisation forbids allUsers, and names nobody

  # A token for a private service names who it is for: callers know the domain only.
  custom_audiences = !var.public && var.domain != null ? ["https://${var.domain.name}"] : null

  # Here and not in the template: a minimum there would keep every tagged revision warm.
  scaling {
    min_instance_count = var.min_instances
    max_instance_count = var.max_instances
  }

  dynamic "binary_authorization" {
    for_each = var.binary_authorization == "off" ? [] : [1]
    content {
      use_default = true # the project's policy
    }
  }

  template {
    service_account                  = google_service_account.runtime.email # the default is shared, and often an editor of the project
    timeout                          = "10s"                                # of 300: nginx gives up after 5
    max_instance_request_concurrency = var.concurrency

    containers {
      # Unnamed, it is given a name, which Terraform would then plan to remove.
      name = var.service

      # Until the first deploy. Answers every path with 200, so the probes as well.
      image = "us-docker.pkg.dev/cloudrun/container/hello"

      dynamic "env" {
        for_each = merge(var.env, {
          GOOGLE_CLOUD_PROJECT = var.project_id # the trace field of a log line; Cloud Run does not set it
        })
        content {
          name  = env.key
          value = env.value
        }
      }
      dynamic "env" {
        for_each = var.secrets
        content {
          name = env.key
          value_source {
            secret_key_ref {
              secret  = env.value.secret
              version = env.value.version
            }
          }
        }
      }

      resources {
        limits            = { cpu = var.cpu, memory = var.memory }
        cpu_idle          = true # billed while it answers; with limits given, the default is always
        startup_cpu_boost = true # Python starts before nginx does
      }

      # /ready answers once nginx and the responder do. It is asked every second, since with the
      # default of ten a start of half a second would keep its first request waiting for ten; and 30
      # times, as long as the default.
      startup_probe {
        period_seconds    = 1
        failure_threshold = 30
        http_get {
          path = "/ready"
        }
      }
      liveness_probe {
        http_get {
          path = "/health"
        }
      }
    }
  }

  # Cloud Run looks at once whether a revision may read its secrets.
  depends_on = [google_secret_manager_secret_iam_member.runtime]

  # A deploy sets these; traffic is its as well, by not being mentioned. See docs/deploy.md.
  lifecycle {
    ignore_changes = [
      client,
      client_version,
      template[0].containers[0].image,
      template[0].labels,
    ]
  }
}
