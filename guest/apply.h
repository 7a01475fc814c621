// SPDX-License-Identifier: Apache-2.0
/* Carries out a plan on the guest that is mounted in the appliance. */
#pragma once

#include "guest/appliance.h"
#include "guest/plan.h"

/** apply_plan: every operation in order; the first failure ends it. @has_selinux: label what is new. */
bool apply_plan(Appliance *appliance, const Plan *plan, bool has_selinux, const char *label, GError **error);
