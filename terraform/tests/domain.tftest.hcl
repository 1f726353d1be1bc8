# A custom domain: the load balancer, and the mapping that stands in for it.

mock_provider "google" {
  source          = "./tests/mocks"
  override_during = plan
}

variables {
  project_id                 = "example-project"
  region                     = "europe-west1"
  repository                 = "example/hello"
  github_app_installation_id = 1234
  alert_email                = "oncall@example.com"
  domain                     = { name = "hello.example.com" }
}

run "only_way_in_with_a_certificate" {
  command = plan

  assert {
    condition     = google_cloud_run_v2_service.app["europe-west1"].ingress == "INGRESS_TRAFFIC_INTERNAL_LOAD_BALANCER"
    error_message = "The run.app address must not lead around the rate limit."
  }
  assert {
    condition     = output.url == "https://hello.example.com"
    error_message = "The address of the service has to be the domain."
  }
  assert {
    condition     = keys(google_monitoring_uptime_check_config.app) == ["hello.example.com"] && google_monitoring_uptime_check_config.app["hello.example.com"].monitored_resource[0].labels.host == "hello.example.com"
    error_message = "The uptime check has to ask the domain."
  }
  assert {
    condition     = length(google_cloud_run_domain_mapping.app) == 0
    error_message = "Behind a load balancer there is no mapping."
  }
  assert {
    condition     = google_certificate_manager_dns_authorization.domain[0].domain == "hello.example.com"
    error_message = "The domain has to be proved by DNS, so that the certificate comes before the cut-over."
  }
  assert {
    condition     = google_certificate_manager_certificate.domain[0].managed[0].domains == tolist(["hello.example.com"]) && google_certificate_manager_certificate.domain[0].managed[0].dns_authorizations == tolist([google_certificate_manager_dns_authorization.domain[0].id])
    error_message = "The certificate has to be for the domain, by that proof."
  }
  assert {
    condition     = google_certificate_manager_certificate_map_entry.domain[0].hostname == "hello.example.com" && google_certificate_manager_certificate_map_entry.domain[0].certificates == tolist([google_certificate_manager_certificate.domain[0].id])
    error_message = "The map has to give the domain its certificate."
  }
  assert {
    condition     = google_compute_target_https_proxy.app[0].certificate_map == "//certificatemanager.googleapis.com/${google_certificate_manager_certificate_map.domain[0].id}"
    error_message = "The proxy has to use the map."
  }
}

run "https_and_redirect" {
  command = plan

  assert {
    condition     = google_compute_global_forwarding_rule.https[0].port_range == "443" && google_compute_global_forwarding_rule.https[0].target == google_compute_target_https_proxy.app[0].id && google_compute_global_forwarding_rule.https[0].load_balancing_scheme == "EXTERNAL_MANAGED"
    error_message = "Port 443 has to lead to the HTTPS proxy."
  }
  assert {
    condition     = google_compute_ssl_policy.modern[0].profile == "MODERN" && google_compute_ssl_policy.modern[0].min_tls_version == "TLS_1_2" && google_compute_target_https_proxy.app[0].ssl_policy == google_compute_ssl_policy.modern[0].id
    error_message = "The proxy has to refuse TLS below 1.2."
  }
  assert {
    condition     = google_compute_url_map.redirect[0].default_url_redirect[0].https_redirect && !google_compute_url_map.redirect[0].default_url_redirect[0].strip_query
    error_message = "HTTP has to lead to HTTPS, with the name to greet."
  }
  assert {
    condition     = google_compute_global_forwarding_rule.http[0].port_range == "80" && google_compute_global_forwarding_rule.http[0].target == google_compute_target_http_proxy.redirect[0].id && google_compute_target_http_proxy.redirect[0].url_map == google_compute_url_map.redirect[0].id
    error_message = "Port 80 has to lead to the redirect."
  }
  assert {
    condition     = google_compute_global_forwarding_rule.http[0].ip_address == google_compute_global_forwarding_rule.https[0].ip_address && google_compute_global_forwarding_rule.http[0].ip_address == google_compute_global_address.app[0].id
    error_message = "Both ports have to be on the reserved address."
  }
}

run "backend_with_a_rate_limit" {
  command = plan

  assert {
    condition     = google_compute_region_network_endpoint_group.app["europe-west1"].cloud_run[0].service == "hello-fcgi" && google_compute_region_network_endpoint_group.app["europe-west1"].cloud_run[0].tag == null
    error_message = "The backend has to be the service, whatever revisions serve."
  }
  assert {
    condition     = [for backend in google_compute_backend_service.app[0].backend : backend.group] == [google_compute_region_network_endpoint_group.app["europe-west1"].id] && google_compute_url_map.app[0].default_service == google_compute_backend_service.app[0].id
    error_message = "The domain has to lead to the service."
  }
  assert {
    condition     = !google_compute_backend_service.app[0].enable_cdn && length(google_compute_backend_service.app[0].outlier_detection) == 0
    error_message = "No CDN unless asked for, and nothing to switch over to with one region."
  }
  assert {
    condition     = one([for rule in google_compute_security_policy.edge[0].rule : rule if rule.action == "throttle"]).rate_limit_options[0].exceed_action == "deny(429)" && one([for rule in google_compute_security_policy.edge[0].rule : rule if rule.action == "throttle"]).rate_limit_options[0].enforce_on_key == "IP"
    error_message = "An address that asks too often has to be answered 429."
  }
  assert {
    condition     = one([for rule in google_compute_security_policy.edge[0].rule : rule if rule.action == "throttle"]).rate_limit_options[0].rate_limit_threshold[0].count == 600 && one([for rule in google_compute_security_policy.edge[0].rule : rule if rule.action == "throttle"]).rate_limit_options[0].rate_limit_threshold[0].interval_sec == 60
    error_message = "The limit has to be 600 requests a minute."
  }
  assert {
    condition     = alltrue([for backend in concat(google_compute_backend_service.app, values(google_compute_backend_service.candidate)) : backend.security_policy == google_compute_security_policy.edge[0].id])
    error_message = "Every backend has to be behind the limit, that of the candidate as well."
  }
}

run "candidate" {
  command = plan

  assert {
    condition     = google_cloudbuild_trigger.merge[0].substitutions._CANDIDATE_ORIGIN == "https://hello.example.com"
    error_message = "The pipeline has to ask the candidate through the domain."
  }
  assert {
    condition     = google_compute_region_network_endpoint_group.candidate["europe-west1"].cloud_run[0].tag == "candidate" && google_compute_region_network_endpoint_group.candidate["europe-west1"].cloud_run[0].service == "hello-fcgi"
    error_message = "The candidate's backend has to follow the tag."
  }
  assert {
    condition     = one(google_compute_url_map.app[0].host_rule).hosts == toset(["hello.example.com"]) && one(google_compute_url_map.app[0].host_rule).path_matcher == google_compute_url_map.app[0].path_matcher[0].name
    error_message = "The domain has to be looked at for the field of a candidate."
  }
  assert {
    condition     = one(google_compute_url_map.app[0].path_matcher[0].route_rules).match_rules[0].header_matches[0].header_name == "X-Candidate" && one(google_compute_url_map.app[0].path_matcher[0].route_rules).match_rules[0].header_matches[0].exact_match == "europe-west1" && one(google_compute_url_map.app[0].path_matcher[0].route_rules).service == google_compute_backend_service.candidate["europe-west1"].id
    error_message = "X-Candidate: europe-west1 has to lead to that region's candidate."
  }
  assert {
    condition     = google_compute_url_map.app[0].path_matcher[0].default_service == google_compute_backend_service.app[0].id
    error_message = "Every other request has to get what serves."
  }
}

run "records_to_set" {
  command = plan

  assert {
    condition = toset(output.dns_records) == toset([
      { name = "hello.example.com.", type = "A", data = "203.0.113.7" },
      { name = "_acme-challenge.hello.example.com.", type = "CNAME", data = "token.authorize.certificatemanager.goog." },
    ])
    error_message = "The domain's two records have to be told."
  }
  assert {
    condition     = output.commands.certificate == "gcloud certificate-manager certificates describe hello-fcgi --project=example-project --format='value(managed.state)'"
    error_message = "How to see whether the certificate is there has to be told."
  }
  assert {
    condition     = length(google_dns_managed_zone.domain) == 0 && length(google_dns_record_set.domain) == 0 && !contains(keys(google_project_service.api), "dns.googleapis.com")
    error_message = "No zone unless asked for."
  }
}

run "managed_zone" {
  command = plan
  variables {
    domain = { name = "hello.example.com", managed_zone = true }
  }

  assert {
    condition     = google_dns_managed_zone.domain[0].dns_name == "hello.example.com."
    error_message = "The zone has to be the domain's."
  }
  assert {
    condition     = { for record in google_dns_record_set.domain : "${record.type} ${record.name}" => one(record.rrdatas) } == { for record in output.dns_records : "${record.type} ${record.name}" => record.data }
    error_message = "The zone has to hold the records that are told."
  }
  assert {
    condition     = output.name_servers == ["ns-cloud-a1.googledomains.com.", "ns-cloud-a2.googledomains.com."]
    error_message = "Where the zone is has to be told."
  }
}

run "cdn" {
  command = plan
  variables {
    domain = { name = "hello.example.com", cdn = true }
  }

  assert {
    condition     = google_compute_backend_service.app[0].enable_cdn && google_compute_backend_service.app[0].cdn_policy[0].cache_mode == "USE_ORIGIN_HEADERS"
    error_message = "The CDN has to keep what the responder allows."
  }
  assert {
    condition     = google_compute_backend_service.app[0].cdn_policy[0].cache_key_policy[0].include_query_string
    error_message = "Two names to greet must not share an answer."
  }
  assert {
    condition     = google_compute_backend_service.candidate["europe-west1"].enable_cdn != true
    error_message = "The CDN must not answer for a candidate."
  }
}

run "before_the_cut_over" {
  command = plan
  variables {
    domain = { name = "hello.example.com", keep_run_app_url = true }
  }

  assert {
    condition     = google_cloud_run_v2_service.app["europe-west1"].ingress == "INGRESS_TRAFFIC_ALL" && google_cloudbuild_trigger.merge[0].substitutions._CANDIDATE_ORIGIN == "" && keys(google_monitoring_uptime_check_config.app) == ["europe-west1"] && output.url == "https://hello-fcgi-abc123-ew.a.run.app"
    error_message = "Until the domain leads here everything has to go on at the run.app address."
  }
  assert {
    condition     = length(google_certificate_manager_certificate.domain) == 1 && length(google_compute_global_forwarding_rule.https) == 1 && length(output.dns_records) == 2
    error_message = "The load balancer and its certificate have to be there before the cut-over."
  }
}

run "mapping" {
  command = plan
  variables {
    domain = { name = "hello.example.com", load_balancer = false }
  }

  assert {
    condition     = google_cloud_run_domain_mapping.app[0].name == "hello.example.com" && google_cloud_run_domain_mapping.app[0].spec[0].route_name == "hello-fcgi" && output.url == "https://hello.example.com"
    error_message = "The mapping has to lead from the domain to the service."
  }
  assert {
    condition     = length(google_compute_global_forwarding_rule.https) == 0 && length(google_compute_global_address.app) == 0 && length(google_compute_security_policy.edge) == 0 && !contains(keys(google_project_service.api), "compute.googleapis.com")
    error_message = "A mapping needs nothing of a load balancer."
  }
  assert {
    condition     = google_cloud_run_v2_service.app["europe-west1"].ingress == "INGRESS_TRAFFIC_ALL" && google_cloudbuild_trigger.merge[0].substitutions._CANDIDATE_ORIGIN == ""
    error_message = "A mapped service is open at its run.app address too."
  }
}
