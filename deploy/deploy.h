// SPDX-License-Identifier: Apache-2.0
/* VMs on a host: a cached image becomes N libvirt domains, or nothing at all. */
#pragma once

#include "base/cli.h"

extern const Verb DEPLOY_VERB_DEPLOY;
