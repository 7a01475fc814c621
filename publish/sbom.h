// SPDX-License-Identifier: Apache-2.0
/* The list of an image's packages as an SPDX 2.3 document. Pure. */
#pragma once

#include "guest/guest.h"

/** PublishSbom: what the document is about. Borrowed; NULL where not known. */
typedef struct {
    const char *name; /* the image's name in the repository */
    const char *arch;
    const char *sha512; /* of the published file */
    int64_t created;    /* unix seconds */
    const GuestInfo *guest;
} PublishSbom;

/**
 * publish_sbom_print: (transfer full) JSON. The same input gives the same text: packages are sorted, and the document is
 * named after the image's digest. Source: SPDX specification 2.3; package-url/purl-spec.
 */
char *publish_sbom_print(const PublishSbom *sbom);

/**
 * publish_sbom_purl: (transfer full) (nullable) the package URL, "pkg:deb/debian/bash@5.2.15-2?arch=amd64&distro=debian-12";
 * NULL for package managers that have no URL type.
 */
char *publish_sbom_purl(const GuestInfo *guest, const GuestPackage *package);
