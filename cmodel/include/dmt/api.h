/* SPDX-License-Identifier: Apache-2.0
 * Version and linkage of the library's interface. The version of the whole
 * release is stated here and nowhere else: the Makefile, the command, dmt.pc
 * and the shared library's name take it from here; opendmt.core is checked. */
#ifndef DMT_API_H
#define DMT_API_H

#define DMT_VERSION_MAJOR 0
#define DMT_VERSION_MINOR 1
#define DMT_VERSION_PATCH 0

/* For users that want something newer: #if DMT_VERSION >= DMT_VERSION_OF(0, 2, 0). */
#define DMT_VERSION_OF(major, minor, patch) ((major)*1000000 + (minor)*1000 + (patch))
#define DMT_VERSION                         DMT_VERSION_OF(DMT_VERSION_MAJOR, DMT_VERSION_MINOR, DMT_VERSION_PATCH)

/* Around the functions of each public header: C linkage for C++, and seen
 * outside the shared library, which hides everything else. */
#ifdef __cplusplus
#define DMT_API_BEGIN                                                                                        \
    _Pragma("GCC visibility push(default)") extern "C"                                                       \
    {
#define DMT_API_END                                                                                          \
    }                                                                                                        \
    _Pragma("GCC visibility pop")
#else
#define DMT_API_BEGIN _Pragma("GCC visibility push(default)")
#define DMT_API_END   _Pragma("GCC visibility pop")
#endif

DMT_API_BEGIN

/** DMT_VERSION of the library that is running, which may not be that of the headers. */
int dmt_version(void);
/** The same as text, "0.1.0". */
const char *dmt_version_text(void);

DMT_API_END

#endif
