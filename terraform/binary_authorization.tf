# The project has one policy, which is there from the start and allows everything. This overwrites
# it, so it is left alone while nobody wants Binary Authorization.
resource "google_binary_authorization_policy" "project" {
  count = var.binary_authorization == "off" ? 0 : 1

  default_admission_rule {
    evaluation_mode         = "REQUIRE_ATTESTATION"
    enforcement_mode        = var.binary_authorization == "enforced" ? "ENFORCED_BLOCK_AND_AUDIT_LOG" : "DRYRUN_AUDIT_LOG_ONLY"
    require_attestations_by = ["projects/${var.project_id}/attestors/built-by-cloud-build"]
  }

  # The placeholder that a service starts with, here and in a region added later, is Google's.
  admission_whitelist_patterns {
    name_pattern = "us-docker.pkg.dev/cloudrun/container/*"
  }

  depends_on = [google_project_service.api]
}
