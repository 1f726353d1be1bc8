# What the platform would answer, as far as something is built from it or a test compares it. The
# rest is made up by Terraform.

mock_data "google_project" {
  defaults = {
    number = "123456789012"
  }
}

# --- Identities -----------------------------------------------------------------------------

override_resource {
  target = google_service_account.runtime
  values = {
    id     = "projects/example-project/serviceAccounts/hello-fcgi-run@example-project.iam.gserviceaccount.com"
    name   = "projects/example-project/serviceAccounts/hello-fcgi-run@example-project.iam.gserviceaccount.com"
    email  = "hello-fcgi-run@example-project.iam.gserviceaccount.com"
    member = "serviceAccount:hello-fcgi-run@example-project.iam.gserviceaccount.com"
  }
}

override_resource {
  target = google_service_account.rebuild
  values = {
    id     = "projects/example-project/serviceAccounts/hello-fcgi-rebuild@example-project.iam.gserviceaccount.com"
    name   = "projects/example-project/serviceAccounts/hello-fcgi-rebuild@example-project.iam.gserviceaccount.com"
    email  = "hello-fcgi-rebuild@example-project.iam.gserviceaccount.com"
    member = "serviceAccount:hello-fcgi-rebuild@example-project.iam.gserviceaccount.com"
  }
}

override_resource {
  target = google_service_account.deploy
  values = {
    id     = "projects/example-project/serviceAccounts/hello-fcgi-deploy@example-project.iam.gserviceaccount.com"
    name   = "projects/example-project/serviceAccounts/hello-fcgi-deploy@example-project.iam.gserviceaccount.com"
    email  = "hello-fcgi-deploy@example-project.iam.gserviceaccount.com"
    member = "serviceAccount:hello-fcgi-deploy@example-project.iam.gserviceaccount.com"
  }
}

override_resource {
  target = google_service_account.build
  values = {
    id     = "projects/example-project/serviceAccounts/hello-fcgi-build@example-project.iam.gserviceaccount.com"
    name   = "projects/example-project/serviceAccounts/hello-fcgi-build@example-project.iam.gserviceaccount.com"
    email  = "hello-fcgi-build@example-project.iam.gserviceaccount.com"
    member = "serviceAccount:hello-fcgi-build@example-project.iam.gserviceaccount.com"
  }
}

override_resource {
  target = google_service_account.pull_request
  values = {
    id     = "projects/example-project/serviceAccounts/hello-fcgi-pr@example-project.iam.gserviceaccount.com"
    name   = "projects/example-project/serviceAccounts/hello-fcgi-pr@example-project.iam.gserviceaccount.com"
    email  = "hello-fcgi-pr@example-project.iam.gserviceaccount.com"
    member = "serviceAccount:hello-fcgi-pr@example-project.iam.gserviceaccount.com"
  }
}

# --- Service and delivery -------------------------------------------------------------------

mock_resource "google_cloud_run_v2_service" {
  defaults = {
    uri = "https://hello-fcgi-abc123-ew.a.run.app"
  }
}

override_resource {
  target = google_artifact_registry_repository.images
  values = {
    name = "hello-fcgi"
  }
}

override_resource {
  target = google_artifact_registry_repository.cache
  values = {
    name = "hello-fcgi-cache"
  }
}

override_resource {
  target = google_cloudbuild_trigger.merge
  values = {
    trigger_id = "id-of-merge"
  }
}

override_resource {
  target = google_cloudbuild_trigger.build
  values = {
    trigger_id = "id-of-build"
  }
}

override_resource {
  target = google_cloudbuild_trigger.deploy
  values = {
    trigger_id = "id-of-deploy"
  }
}

override_resource {
  target = google_cloudbuild_trigger.pull_request
  values = {
    trigger_id = "id-of-pull-request"
  }
}

mock_resource "google_pubsub_topic" {
  defaults = {
    id = "projects/example-project/topics/hello-fcgi-rebuild"
  }
}

override_resource {
  target = google_cloudbuild_trigger.rebuild
  values = {
    trigger_id = "id-of-rebuild"
  }
}

mock_resource "google_secret_manager_secret_version" {
  defaults = {
    version = "1"
  }
}

# --- Domain ---------------------------------------------------------------------------------

mock_resource "google_certificate_manager_dns_authorization" {
  defaults = {
    id = "projects/example-project/locations/global/dnsAuthorizations/hello-fcgi"
    dns_resource_record = [{
      name = "_acme-challenge.hello.example.com."
      type = "CNAME"
      data = "token.authorize.certificatemanager.goog."
    }]
  }
}

mock_resource "google_certificate_manager_certificate" {
  defaults = {
    id = "projects/example-project/locations/global/certificates/hello-fcgi"
  }
}

mock_resource "google_certificate_manager_certificate_map" {
  defaults = {
    id = "projects/example-project/locations/global/certificateMaps/hello-fcgi"
  }
}

mock_resource "google_dns_managed_zone" {
  defaults = {
    name_servers = ["ns-cloud-a1.googledomains.com.", "ns-cloud-a2.googledomains.com."]
  }
}

mock_resource "google_compute_global_address" {
  defaults = {
    id      = "projects/example-project/global/addresses/hello-fcgi"
    address = "203.0.113.7"
  }
}

mock_resource "google_compute_security_policy" {
  defaults = {
    id = "projects/example-project/global/securityPolicies/hello-fcgi"
  }
}

mock_resource "google_compute_ssl_policy" {
  defaults = {
    id = "projects/example-project/global/sslPolicies/hello-fcgi"
  }
}

mock_resource "google_compute_target_https_proxy" {
  defaults = {
    id = "projects/example-project/global/targetHttpsProxies/hello-fcgi"
  }
}

mock_resource "google_compute_target_http_proxy" {
  defaults = {
    id = "projects/example-project/global/targetHttpProxies/hello-fcgi-redirect"
  }
}

override_resource {
  target = google_compute_url_map.app
  values = {
    id = "projects/example-project/global/urlMaps/hello-fcgi"
  }
}

override_resource {
  target = google_compute_url_map.redirect
  values = {
    id = "projects/example-project/global/urlMaps/hello-fcgi-redirect"
  }
}

override_resource {
  target = google_compute_backend_service.app
  values = {
    id = "projects/example-project/global/backendServices/hello-fcgi"
  }
}

override_resource {
  target = google_compute_backend_service.candidate["europe-west1"]
  values = {
    id = "projects/example-project/global/backendServices/hello-fcgi-candidate-europe-west1"
  }
}

override_resource {
  target = google_compute_region_network_endpoint_group.app["europe-west1"]
  values = {
    id = "projects/example-project/regions/europe-west1/networkEndpointGroups/hello-fcgi"
  }
}

override_resource {
  target = google_compute_region_network_endpoint_group.candidate["europe-west1"]
  values = {
    id = "projects/example-project/regions/europe-west1/networkEndpointGroups/hello-fcgi-candidate"
  }
}

override_resource {
  target = google_compute_backend_service.candidate["us-central1"]
  values = {
    id = "projects/example-project/global/backendServices/hello-fcgi-candidate-us-central1"
  }
}

override_resource {
  target = google_compute_region_network_endpoint_group.app["us-central1"]
  values = {
    id = "projects/example-project/regions/us-central1/networkEndpointGroups/hello-fcgi"
  }
}

override_resource {
  target = google_compute_region_network_endpoint_group.candidate["us-central1"]
  values = {
    id = "projects/example-project/regions/us-central1/networkEndpointGroups/hello-fcgi-candidate"
  }
}

# --- Monitoring -----------------------------------------------------------------------------

mock_resource "google_monitoring_notification_channel" {
  defaults = {
    id = "projects/example-project/notificationChannels/1"
  }
}

mock_resource "google_monitoring_uptime_check_config" {
  defaults = {
    uptime_check_id = "id-of-check"
  }
}

override_resource {
  target = google_monitoring_uptime_check_config.candidate
  values = {
    uptime_check_id = "id-of-candidate"
  }
}

override_resource {
  target = google_monitoring_slo.availability
  values = {
    name = "projects/123456789012/services/hello-fcgi/serviceLevelObjectives/availability"
  }
}

override_resource {
  target = google_monitoring_slo.edge
  values = {
    name = "projects/123456789012/services/hello-fcgi/serviceLevelObjectives/edge"
  }
}

override_resource {
  target = google_monitoring_slo.latency
  values = {
    name = "projects/123456789012/services/hello-fcgi/serviceLevelObjectives/latency"
  }
}
