output "url" {
  description = "Where the service answers."
  value       = try(!var.domain.keep_run_app_url, false) ? "https://${var.domain.name}" : google_cloud_run_v2_service.app[var.region].uri
}

output "region_urls" {
  description = "Address of the service of each region; behind a load balancer they do not answer."
  value       = { for region, service in google_cloud_run_v2_service.app : region => service.uri }
}

output "dns_records" {
  description = "Records that the domain needs. A managed zone has them already."
  value       = concat(values(local.load_balancer_records), local.mapping_records)
}

output "name_servers" {
  description = "Name servers of the managed zone, for the NS record of the domain in the zone above it."
  value       = flatten(google_dns_managed_zone.domain[*].name_servers)
}

# Read by make deploy, push, status and rollback.
output "project_id" {
  description = "Project that everything is in."
  value       = var.project_id
}

output "region" {
  description = "Region of the triggers and the images."
  value       = var.region
}

output "regions" {
  description = "Regions that serve, in the order of a rollout, separated by spaces."
  value       = join(" ", local.regions)
}

output "service" {
  description = "Name of the Cloud Run services."
  value       = var.service
}

output "image" {
  description = "Image in the registry, without tag."
  value       = local.image
}

output "trigger" {
  description = "Trigger that takes a commit from main to traffic."
  value       = local.main_triggers[0].name
}

output "deploy_trigger" {
  description = "Trigger that deploys an image that was pushed, where provenance is wanted; else empty."
  value       = join("", google_cloudbuild_trigger.deploy[*].name)
}

output "rebuild_trigger" {
  description = "Trigger that rebuilds main if Debian has newer packages."
  value       = google_cloudbuild_trigger.rebuild.name
}

output "commands" {
  description = "What to run next."
  value = merge(
    { first_build = "gcloud builds triggers run ${local.main_triggers[0].name} --project=${var.project_id} --region=${var.region} --branch=main" },
    local.load_balancer ? { certificate = "gcloud certificate-manager certificates describe ${var.service} --project=${var.project_id} --format='value(managed.state)'" } : {},
  )
}
