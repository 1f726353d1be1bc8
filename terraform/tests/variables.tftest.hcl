# Mistakes are refused before anything is made. Each run makes one mistake in each of the variables
# that it expects to be refused.

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
}

run "edges_are_accepted" {
  command = plan
  variables {
    additional_regions   = ["northamerica-northeast2", "me-central1"]
    repository           = "Example-1/hello.fcgi_2"
    service              = "a-service-with-22-char"
    labels               = { a_team-1 = "" }
    env                  = { GREETING = "Grüß Gott,", GREETING_NAME = "🌍🌍🌍🌍🌍🌍🌍🌍🌍🌍🌍🌍🌍🌍🌍🌍🌍🌍🌍🌍🌍🌍🌍🌍🌍🌍🌍🌍🌍🌍🌍🌍🌍🌍🌍🌍🌍🌍🌍🌍🌍🌍🌍🌍🌍🌍🌍🌍🌍🌍🌍🌍🌍🌍🌍🌍🌍🌍🌍🌍🌍🌍🌍🌍", DRAIN_DELAY = "8", REQUEST_TIMEOUT = "9", WORKERS = "64", WAITING_WORKERS = "64", ACCESS_LOG = "all", LOG_FORMAT = "text", LOG_LEVEL = "debug", CACHE = "off", SANDBOX = "off", _other = "" } # 64 characters
    secrets              = { PASSWORD = { secret = "A_secret-1", version = "12" } }
    cpu                  = 8
    memory               = "32Gi"
    request_log_share    = 0
    rebuild_schedule     = "*/5 0 1,15 * MON-FRI"
    vpc                  = { network = "projects/host/global/networks/shared" }
    concurrency          = 1000
    min_instances        = 2
    max_instances        = 2
    binary_authorization = "dry_run"
    provenance           = true
    domain               = { name = "a.b-c.example.co", requests_per_minute = 200 }
    alert_email          = "on.call+hello@example.com"
    budget               = { billing_account = "012345-6789AB-CDEF01", amount = 1 }
  }
}

run "not_what_is_meant" {
  command = plan
  variables {
    project_id                 = "My project"
    region                     = "europe-west1-b"
    repository                 = "https://github.com/example/hello"
    github_app_installation_id = 0
    github_token_secret        = "projects/example-project/secrets/github-token"
    service                    = "Hello"
    labels                     = { Team = "web" }
    env                        = { GREETING = "" }
    cpu                        = 3
    memory                     = "512MB"
    rebuild_schedule           = "weekly"
    request_log_share          = -1
    concurrency                = 0
    max_instances              = 1
    provenance                 = true
    binary_authorization       = "on"
    alert_email                = "nobody"
    budget                     = { billing_account = "my account", amount = 20 }
  }
  expect_failures = [
    var.project_id,
    var.region,
    var.repository,
    var.github_app_installation_id,
    var.github_token_secret,
    var.service,
    var.labels,
    var.env,
    var.cpu,
    var.memory,
    var.request_log_share,
    var.rebuild_schedule,
    var.concurrency,
    var.max_instances,
    var.binary_authorization,
    var.alert_email,
    var.budget,
  ]
}

run "out_of_bounds" {
  command = plan
  variables {
    project_id                 = "short"
    repository                 = "example/hello/more"
    github_app_installation_id = 1.5
    service                    = "a-service-with-23-chars"
    labels                     = { team = "Web" }
    env                        = { GREETING_NAME = "🌍🌍🌍🌍🌍🌍🌍🌍🌍🌍🌍🌍🌍🌍🌍🌍🌍🌍🌍🌍🌍🌍🌍🌍🌍🌍🌍🌍🌍🌍🌍🌍🌍🌍🌍🌍🌍🌍🌍🌍🌍🌍🌍🌍🌍🌍🌍🌍🌍🌍🌍🌍🌍🌍🌍🌍🌍🌍🌍🌍🌍🌍🌍🌍🌍" } # 65
    cpu                        = 0.5
    memory                     = "0Mi"
    request_log_share          = 10
    concurrency                = 1001
    max_instances              = 1001
    domain                     = { name = "hello.example.com", requests_per_minute = 199 }
    budget                     = { billing_account = "012345-6789AB-CDEF01", amount = 0.5 }
  }
  expect_failures = [
    var.project_id,
    var.repository,
    var.github_app_installation_id,
    var.service,
    var.labels,
    var.env,
    var.cpu,
    var.memory,
    var.request_log_share,
    var.concurrency,
    var.max_instances,
    var.domain,
    var.budget,
  ]
}

# Apart from the others: what is compared with another variable is looked at once that one is right.
run "not_what_is_meant_beside_others" {
  command = plan
  variables {
    additional_regions = ["us"]
    min_instances      = -1
  }
  expect_failures = [var.additional_regions, var.min_instances]
}

run "not_a_domain" {
  command = plan
  variables {
    min_instances = 0.5
    domain        = { name = "https://hello.example.com" }
  }
  expect_failures = [var.min_instances, var.domain]
}

run "contradictions" {
  command = plan
  variables {
    additional_regions   = ["europe-west1"]
    min_instances        = 11
    binary_authorization = "enforced"
  }
  expect_failures = [
    var.additional_regions,
    var.min_instances,
    var.binary_authorization,
  ]
}

run "nothing_to_look_for" {
  command = plan
  variables {
    binary_authorization = "dry_run"
  }
  expect_failures = [var.binary_authorization]
}

run "a_network_elsewhere" {
  command = plan
  variables {
    vpc = { network = "inside", subnetworks = { us-central1 = "inside-us" } }
  }
  expect_failures = [var.vpc]
}

run "mapping_with_a_part_of_the_load_balancer" {
  command = plan
  variables {
    domain = { name = "hello.example.com", load_balancer = false, cdn = true }
  }
  expect_failures = [var.domain]
}

run "mapping_to_two_regions" {
  command = plan
  variables {
    additional_regions = ["us-central1"]
    domain             = { name = "hello.example.com", load_balancer = false }
  }
  expect_failures = [var.domain]
}

run "a_name_that_is_taken" {
  command = plan
  variables {
    service = "hi"
    env     = { K_SERVICE = "mine" }
  }
  expect_failures = [var.service, var.env]
}

run "a_name_that_is_none" {
  command = plan
  variables {
    env = { "2ND" = "" }
  }
  expect_failures = [var.env]
}

run "one_setting_of_many" {
  command = plan
  variables {
    env = { CACHE = "on", WORKERS = "65" }
  }
  expect_failures = [var.env]
}

run "a_secret_that_moves" {
  command = plan
  variables {
    secrets = { PASSWORD = { secret = "password", version = "latest" } }
  }
  expect_failures = [var.secrets]
}

run "a_secret_by_its_path" {
  command = plan
  variables {
    secrets = { PASSWORD = { secret = "projects/p/secrets/s", version = "1" } }
  }
  expect_failures = [var.secrets]
}

run "a_secret_that_is_a_setting" {
  command = plan
  variables {
    secrets = { GREETING = { secret = "greeting", version = "1" } }
  }
  expect_failures = [var.secrets]
}

run "a_secret_that_is_also_in_the_open" {
  command = plan
  variables {
    env     = { TOKEN = "in the open" }
    secrets = { TOKEN = { secret = "token", version = "1" } }
  }
  expect_failures = [var.secrets]
}

run "a_secret_with_a_name_that_is_taken" {
  command = plan
  variables {
    secrets = { PORT = { secret = "port", version = "1" } }
  }
  expect_failures = [var.secrets]
}
