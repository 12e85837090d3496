/* Calls this code base does not make. Included before every file by the Makefile.
 *
 * Each has a safer twin: snprintf or buffer_printf for sprintf; memcpy with a known length for strcpy, strncpy and
 * strcat; slices for strtok; strtoll or slice_to_i64 for atoi; gmtime_r for gmtime; getrandom for rand. Variable length
 * arrays are refused by -Wvla. A system header that declares one of these names is included first, so that the poison
 * hits uses only. */
#ifndef CS_BASE_BANNED_H
#define CS_BASE_BANNED_H

#include <alloca.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

/* clang with _FORTIFY_SOURCE has macros of these names, and refuses to poison a macro. */
#undef sprintf
#undef vsprintf

#pragma GCC poison sprintf vsprintf strcpy strcat strncpy strncat strtok atoi atol atoll gmtime localtime ctime        \
	asctime rand srand gets

#endif
