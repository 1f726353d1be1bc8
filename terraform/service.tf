locals {
  iap     = length(var.iap_members) > 0
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

  iap_enabled = local.iap

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

    dynamic "vpc_access" {
      for_each = var.vpc[*]
      content {
        egress = vpc_access.value.all_traffic ? "ALL_TRAFFIC" : "PRIVATE_RANGES_ONLY"
        network_interfaces {
          network    = vpc_access.value.network
          subnetwork = lookup(vpc_access.value.subnetworks, each.value, null)
        }
      }
    }

    containers {
      # Unnamed, it is given a name, which Terraform would then plan to remove.
      name = var.service

      # Until the first deploy. Answers every path with 200, so the probes as well.
      image = "us-docker.pkg.dev/cloudrun/container/hello"

      dynamic "env" {
        for_each = merge(
          var.env,
          { GOOGLE_CLOUD_PROJECT = var.project_id }, # the trace field of a log line; Cloud Run does not set it
          var.metrics_sidecar ? { METRICS_PORT = local.metrics_port } : {},
        )
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
        cpu_idle          = var.cpu_idle # with limits given, the default is false
        startup_cpu_boost = true         # Python starts before nginx does
      }

      # By this, of two containers, Cloud Run and gcloud know the one that serves.
      ports {
        container_port = 8080 # the default
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

    # After the one that serves: a deploy's image is ignored by its place (below). The version is that of
    # Google's own example. It is started after what it asks, and ended before it.
    dynamic "containers" {
      for_each = google_secret_manager_secret_version.metrics
      content {
        name       = "metrics"
        image      = "us-docker.pkg.dev/cloud-ops-agents-artifacts/cloud-run-gmp-sidecar/cloud-run-gmp-sidecar:1.2.0"
        depends_on = [var.service]
        resources {
          limits   = { cpu = 1, memory = "512Mi" } # Cloud Run's defaults, of which Google names no other
          cpu_idle = var.cpu_idle
        }
        liveness_probe {
          timeout_seconds = 30 # of 1, and every 30 of 10 seconds: as in Google's example
          period_seconds  = 30
          http_get {
            path = "/liveness"
            port = 13133
          }
        }
        volume_mounts {
          name       = "metrics"
          mount_path = "/etc/rungmp"
        }
      }
    }
    dynamic "volumes" {
      for_each = google_secret_manager_secret_version.metrics
      content {
        name = "metrics"
        secret {
          secret = google_secret_manager_secret.metrics[0].secret_id
          items {
            path    = "config.yaml"
            version = volumes.value.version
          }
        }
      }
    }
  }

  # Cloud Run looks at once whether a revision may read its secrets.
  depends_on = [
    google_secret_manager_secret_iam_member.runtime,
    google_secret_manager_secret_iam_member.metrics,
  ]

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
