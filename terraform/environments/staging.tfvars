# What is looked at before production: everything a second time, under a name of its own. In the same
# project here; another project_id keeps rights and quotas apart as well.

service                    = "hello-fcgi-staging"
project_id                 = "my-project"
region                     = "europe-west1"
repository                 = "my-name/hello-fcgi"
github_app_installation_id = 12345678

alert_email         = "oncall@example.com"
max_instances       = 2
deletion_protection = false
test_pull_requests  = false # production's trigger does
