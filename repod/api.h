// SPDX-License-Identifier: Apache-2.0
/* The catalogue as JSON; private to repod/. Pure. */
#pragma once

#include "base/json.h"
#include "repod/catalogue.h"

/** api_index: (transfer full) /api/v1/index: the repository and its images; of one that has none to show, "error". */
GBytes *api_index(const Catalogue *catalogue);

/** api_history: (transfer full) /api/v1/history: the versions that are kept, and each image's revisions. */
GBytes *api_history(const Catalogue *catalogue);

/** api_image: (transfer full) /api/v1/images/NAME: of each architecture the image with its revisions; NULL: there is none. */
GBytes *api_image(const Catalogue *catalogue, const char *name);

/** api_error: (transfer full) {"error": ...} */
GBytes *api_error(const char *message);
