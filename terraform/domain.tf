locals {
  load_balancer        = try(var.domain.load_balancer, false)
  managed_zone         = local.load_balancer && try(var.domain.managed_zone, false)
  behind_load_balancer = local.load_balancer && !try(var.domain.keep_run_app_url, false)
}

# --- Certificate ----------------------------------------------------------------------------

# Proves the ownership of the domain by a record in DNS, so the certificate is there before the
# domain leads here. A certificate that is proved by answering at the domain could come only after.
resource "google_certificate_manager_dns_authorization" "domain" {
  count = local.load_balancer ? 1 : 0

  name   = var.service
  domain = var.domain.name

  depends_on = [google_project_service.api]
}

resource "google_certificate_manager_certificate" "domain" {
  count = local.load_balancer ? 1 : 0

  name = var.service
  managed {
    domains            = [var.domain.name]
    dns_authorizations = [google_certificate_manager_dns_authorization.domain[0].id]
  }
}

resource "google_certificate_manager_certificate_map" "domain" {
  count = local.load_balancer ? 1 : 0

  name = var.service

  depends_on = [google_project_service.api]
}

resource "google_certificate_manager_certificate_map_entry" "domain" {
  count = local.load_balancer ? 1 : 0

  name         = var.service
  map          = google_certificate_manager_certificate_map.domain[0].name
  hostname     = var.domain.name
  certificates = [google_certificate_manager_certificate.domain[0].id]
}

# --- Backends -------------------------------------------------------------------------------

resource "google_compute_region_network_endpoint_group" "app" {
  for_each = local.load_balancer ? google_cloud_run_v2_service.app : {}

  name   = var.service
  region = each.value.location
  cloud_run {
    service = each.value.name
  }

  # A region that leaves is taken out of the backend first and deleted then.
  lifecycle {
    create_before_destroy = true
  }
}

# Leads to the revision with the tag, whatever its share of the traffic.
resource "google_compute_region_network_endpoint_group" "candidate" {
  for_each = local.behind_load_balancer ? google_cloud_run_v2_service.app : {}

  name   = "${var.service}-candidate"
  region = each.value.location
  cloud_run {
    service = each.value.name
    tag     = "candidate"
  }
}

resource "google_compute_backend_service" "app" {
  count = local.load_balancer ? 1 : 0

  name                  = var.service
  load_balancing_scheme = "EXTERNAL_MANAGED" # the default is the classic one, without header routing
  security_policy       = google_compute_security_policy.edge[0].id
  enable_cdn            = var.domain.cdn

  # Off by default, and then nobody sees whom Cloud Armor refuses. What need not be kept of it is left out by what it
  # is, and not by chance (logging.tf).
  log_config {
    enable      = true
    sample_rate = 1
  }

  dynamic "backend" {
    for_each = google_compute_region_network_endpoint_group.app
    content {
      group = backend.value.id
    }
  }

  # A region's health would need a readiness probe, which is a preview, and an instance that always
  # runs. Instead a region that answers 5xx five times in a row is left out for half a minute. All
  # three are named because Google's and the provider's documents give different defaults, some of
  # which (5xx counting in 0 % of cases, 10 % of regions left out) would do nothing.
  dynamic "outlier_detection" {
    for_each = length(local.regions) > 1 ? [1] : []
    content {
      consecutive_errors           = 5
      enforcing_consecutive_errors = 100
      max_ejection_percent         = 50
    }
  }

  # How long an answer may be kept is the responder's decision, not a guess from its type.
  dynamic "cdn_policy" {
    for_each = var.domain.cdn ? [1] : []
    content {
      cache_mode = "USE_ORIGIN_HEADERS"
      cache_key_policy {
        include_query_string = true # may hold the name to greet; host and protocol are always the same
      }
    }
  }
}

# Without CDN: a candidate is judged by its own answers.
resource "google_compute_backend_service" "candidate" {
  for_each = google_compute_region_network_endpoint_group.candidate

  name                  = "${var.service}-candidate-${each.key}"
  load_balancing_scheme = "EXTERNAL_MANAGED"
  security_policy       = google_compute_security_policy.edge[0].id

  backend {
    group = each.value.id
  }

  lifecycle {
    create_before_destroy = true
  }
}

resource "google_compute_security_policy" "edge" {
  count = local.load_balancer ? 1 : 0

  name = var.service

  rule {
    description = "Answers 429 to an address that asks too often"
    action      = "throttle"
    priority    = 1000
    match {
      versioned_expr = "SRC_IPS_V1"
      config {
        src_ip_ranges = ["*"]
      }
    }
    rate_limit_options {
      conform_action = "allow"
      exceed_action  = "deny(429)"
      enforce_on_key = "IP" # by default all clients share one count
      rate_limit_threshold {
        count        = var.domain.requests_per_minute
        interval_sec = 60
      }
    }
  }

  rule {
    description = "A policy has to end with this rule"
    action      = "allow"
    priority    = 2147483647
    match {
      versioned_expr = "SRC_IPS_V1"
      config {
        src_ip_ranges = ["*"]
      }
    }
  }

  depends_on = [google_project_service.api]
}

# --- HTTPS ----------------------------------------------------------------------------------

resource "google_compute_url_map" "app" {
  count = local.load_balancer ? 1 : 0

  name            = var.service
  default_service = google_compute_backend_service.app[0].id

  # X-Candidate: REGION asks that region's candidate. Anybody may send it, and outside a rollout
  # gets 404 since nothing has the tag.
  dynamic "host_rule" {
    for_each = local.behind_load_balancer ? [1] : []
    content {
      hosts        = [var.domain.name]
      path_matcher = "candidates"
    }
  }
  dynamic "path_matcher" {
    for_each = local.behind_load_balancer ? [1] : []
    content {
      name            = "candidates"
      default_service = google_compute_backend_service.app[0].id

      dynamic "route_rules" {
        for_each = local.regions
        content {
          priority = route_rules.key + 1
          service  = google_compute_backend_service.candidate[route_rules.value].id
          match_rules {
            prefix_match = "/"
            header_matches {
              header_name = "X-Candidate"
              exact_match = route_rules.value
            }
          }
        }
      }
    }
  }
}

resource "google_compute_ssl_policy" "modern" {
  count = local.load_balancer ? 1 : 0

  name            = var.service
  profile         = "MODERN"  # the default still offers what browsers dropped years ago
  min_tls_version = "TLS_1_2" # likewise, 1.0

  depends_on = [google_project_service.api]
}

resource "google_compute_target_https_proxy" "app" {
  count = local.load_balancer ? 1 : 0

  name            = var.service
  url_map         = google_compute_url_map.app[0].id
  certificate_map = "//certificatemanager.googleapis.com/${google_certificate_manager_certificate_map.domain[0].id}"
  ssl_policy      = google_compute_ssl_policy.modern[0].id

  # A map without an entry serves no certificate.
  depends_on = [google_certificate_manager_certificate_map_entry.domain]
}

# Reserved, so that the record in DNS outlives the load balancer's parts.
resource "google_compute_global_address" "app" {
  count = local.load_balancer ? 1 : 0

  name = var.service

  depends_on = [google_project_service.api]
}

resource "google_compute_global_forwarding_rule" "https" {
  count = local.load_balancer ? 1 : 0

  name                  = "${var.service}-https"
  load_balancing_scheme = "EXTERNAL_MANAGED" # as the backend's
  ip_address            = google_compute_global_address.app[0].id
  port_range            = "443"
  target                = google_compute_target_https_proxy.app[0].id
}

# --- HTTP, which leads to HTTPS -------------------------------------------------------------

resource "google_compute_url_map" "redirect" {
  count = local.load_balancer ? 1 : 0

  name = "${var.service}-redirect"
  default_url_redirect {
    https_redirect = true
    strip_query    = false # the query carries the name to greet
  }

  depends_on = [google_project_service.api]
}

resource "google_compute_target_http_proxy" "redirect" {
  count = local.load_balancer ? 1 : 0

  name    = "${var.service}-redirect"
  url_map = google_compute_url_map.redirect[0].id
}

resource "google_compute_global_forwarding_rule" "http" {
  count = local.load_balancer ? 1 : 0

  name                  = "${var.service}-http"
  load_balancing_scheme = "EXTERNAL_MANAGED" # one address, one scheme
  ip_address            = google_compute_global_address.app[0].id
  port_range            = "80"
  target                = google_compute_target_http_proxy.redirect[0].id
}

# --- DNS ------------------------------------------------------------------------------------

locals {
  load_balancer_records = local.load_balancer ? {
    address = {
      name = "${var.domain.name}."
      type = "A"
      data = google_compute_global_address.app[0].address
    }
    authorization = google_certificate_manager_dns_authorization.domain[0].dns_resource_record[0]
  } : {}

  mapping_records = [
    for record in flatten(google_cloud_run_domain_mapping.app[*].status[*].resource_records) : {
      name = "${var.domain.name}."
      type = record.type
      data = record.rrdata
    }
  ]
}

resource "google_dns_managed_zone" "domain" {
  count = local.managed_zone ? 1 : 0

  name     = var.service
  dns_name = "${var.domain.name}."

  depends_on = [google_project_service.api]
}

resource "google_dns_record_set" "domain" {
  for_each = { for use, record in local.load_balancer_records : use => record if local.managed_zone }

  managed_zone = google_dns_managed_zone.domain[0].name
  name         = each.value.name
  type         = each.value.type
  rrdatas      = [each.value.data]
  ttl          = 300 # by default a name server's own, often a day: too long for a mistake
}

# --- The simple way, for a demo -------------------------------------------------------------

# No address, balancer or rate limit to pay for. Google offers it in some regions, never made it
# generally available, and wants the domain verified beforehand.
resource "google_cloud_run_domain_mapping" "app" {
  count = var.domain == null || local.load_balancer ? 0 : 1

  name     = var.domain.name
  location = var.region
  metadata {
    namespace = var.project_id
  }
  spec {
    route_name = google_cloud_run_v2_service.app[var.region].name
  }
}
