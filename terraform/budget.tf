# Tells, and stops nothing. What bounds the cost, and how far, is in docs/deploy.md.
resource "google_billing_budget" "project" {
  count = var.budget == null ? 0 : 1

  billing_account = var.budget.billing_account
  display_name    = "${var.service}: ${var.project_id}"

  # Without it the budget would count the whole billing account.
  budget_filter {
    projects = ["projects/${data.google_project.this.number}"]
  }

  amount {
    specified_amount {
      units = tostring(var.budget.amount)
    }
  }

  threshold_rules {
    threshold_percent = 0.5
  }
  threshold_rules {
    threshold_percent = 1
  }
  threshold_rules {
    threshold_percent = 1
    spend_basis       = "FORECASTED_SPEND" # days before it is spent
  }

  # Besides the administrators of the billing account, who may be other people.
  dynamic "all_updates_rule" {
    for_each = var.alert_email == null ? [] : [1]
    content {
      monitoring_notification_channels = local.channels
    }
  }
}
