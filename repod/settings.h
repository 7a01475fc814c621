// SPDX-License-Identifier: Apache-2.0
/* What is to be done, from the command line and the configuration together; private to repod/. */
#pragma once

#include "repod/config.h"
#include "repod/repod.h"

/** settings_read: the configuration, with what @options say instead. Raises this process's limit of open files as far as it
 * may go, and lowers the number of connections to what that allows. */
Config *settings_read(const RepodOptions *options, GError **error);
