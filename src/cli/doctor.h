/* What doctor's checks are made of, for those that stand in files of their own. */
#ifndef CS_CLI_DOCTOR_H
#define CS_CLI_DOCTOR_H

#include "base/config.h"
#include "base/op.h"

#define FINDING_TEXT_SIZE 700

enum verdict { FINE, WARNING, FAULT };

struct finding {
	enum verdict verdict;
	char detail[FINDING_TEXT_SIZE];
	char mend[FINDING_TEXT_SIZE]; /* what to do; empty when fine */
};

void finding_say(struct finding *, enum verdict, const char *format, ...) __attribute__((format(printf, 3, 4)));
void finding_mend(struct finding *, const char *format, ...) __attribute__((format(printf, 2, 3)));

/* The Redis of the settings: does it answer, will it take writes, and will it still have them tomorrow? */
void doctor_check_redis(const struct config *, struct arena *, struct finding *);

#endif
