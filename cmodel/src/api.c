/* SPDX-License-Identifier: Apache-2.0 */
#include "dmt/api.h"

#define TEXT_(x) #x
#define TEXT(x)  TEXT_(x)

int dmt_version(void)
{
    return DMT_VERSION;
}

const char *dmt_version_text(void)
{
    return TEXT(DMT_VERSION_MAJOR) "." TEXT(DMT_VERSION_MINOR) "." TEXT(DMT_VERSION_PATCH);
}
