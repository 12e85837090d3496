/* The names of a backend's states. */
#include "port/backend.h"

const char *const backend_state_names[BACKEND_STATE_COUNT] = {
	[BACKEND_UP] = "up",
	[BACKEND_PROBING] = "probing",
	[BACKEND_DOWN] = "down",
};
