/* Seen by clang-tidy only (scripts/lint includes it before every file): what its analyzer cannot know across files, that
 * cs_fail never returns CS_OK. Without it every `return cs_fail(...)` looks as if a ret_ argument could be missing after
 * success. Statement expressions, because a function would count against the depth to which the analyzer looks into calls. */
#ifndef CS_SCRIPTS_LINT_ANALYZER_H
#define CS_SCRIPTS_LINT_ANALYZER_H

#include "base/error.h"

#define CS_NOT_OK(call)                                                                                                        \
	({                                                                                                                     \
		enum cs_status cs_not_ok_ = (call);                                                                            \
		if (cs_not_ok_ == CS_OK)                                                                                       \
			__builtin_unreachable();                                                                               \
		cs_not_ok_;                                                                                                    \
	})
#define cs_fail(...)        CS_NOT_OK(cs_fail(__VA_ARGS__))
#define cs_fail_memory(err) CS_NOT_OK(cs_fail_memory(err))

#endif
