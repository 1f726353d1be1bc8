# What serves. Committed, so that everybody applies the same, and what was merged can be reverted. A
# secret's value belongs into Secret Manager and never in here. variables.tf has every setting.

project_id                 = "my-project"
region                     = "europe-west1"
repository                 = "my-name/hello-fcgi"
github_app_installation_id = 12345678

# Without an address, alerts are seen by those only who look at the console.
alert_email = "oncall@example.com"
