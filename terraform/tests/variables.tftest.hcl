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
}

run "edges_are_accepted" {
  command = plan
  variables {
    additional_regions   = ["northamerica-northeast2", "me-central1"]
    repository           = "Example-1/hello.fcgi_2"
    greeting             = "Grüß Gott,"
    name                 = "🌍🌍🌍🌍🌍🌍🌍🌍🌍🌍🌍🌍🌍🌍🌍🌍🌍🌍🌍🌍🌍🌍🌍🌍🌍🌍🌍🌍🌍🌍🌍🌍🌍🌍🌍🌍🌍🌍🌍🌍🌍🌍🌍🌍🌍🌍🌍🌍🌍🌍🌍🌍🌍🌍🌍🌍🌍🌍🌍🌍🌍🌍🌍🌍" # 64
    cpu                  = 8
    memory               = "32Gi"
    concurrency          = 1000
    min_instances        = 2
    max_instances        = 2
    binary_authorization = "dry_run"
    provenance           = true
    domain               = { name = "a.b-c.example.co", requests_per_minute = 1 }
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
    greeting                   = ""
    name                       = "two\nlines"
    cpu                        = 3
    memory                     = "512MB"
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
    var.greeting,
    var.name,
    var.cpu,
    var.memory,
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
    greeting                   = "sixty-five characters 2345678901234567890123456789012345678901234"
    name                       = "🌍🌍🌍🌍🌍🌍🌍🌍🌍🌍🌍🌍🌍🌍🌍🌍🌍🌍🌍🌍🌍🌍🌍🌍🌍🌍🌍🌍🌍🌍🌍🌍🌍🌍🌍🌍🌍🌍🌍🌍🌍🌍🌍🌍🌍🌍🌍🌍🌍🌍🌍🌍🌍🌍🌍🌍🌍🌍🌍🌍🌍🌍🌍🌍🌍" # 65
    cpu                        = 0.5
    memory                     = "0Mi"
    concurrency                = 1001
    max_instances              = 1001
    domain                     = { name = "hello.example.com", requests_per_minute = 0 }
    budget                     = { billing_account = "012345-6789AB-CDEF01", amount = 0.5 }
  }
  expect_failures = [
    var.project_id,
    var.repository,
    var.github_app_installation_id,
    var.greeting,
    var.name,
    var.cpu,
    var.memory,
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
