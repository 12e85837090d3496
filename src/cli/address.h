/* Addresses to listen on: is one loopback, is its port free, and who has it if not. Threads: the main one. */
#ifndef CS_CLI_ADDRESS_H
#define CS_CLI_ADDRESS_H

#include "base/error.h"
#include "base/slice.h"

/* 127.0.0.0/8, ::1, localhost. */
bool address_is_loopback(struct slice host);

/* Could a socket of its own be bound there now? A look and no reservation. It asks without SO_REUSEPORT, so that
 * another server of this user, which shares its port among its loops, counts as in use: two servers on one port would
 * each get half of the requests. Errors: CS_UNAVAILABLE that says why, who has the port if that can be seen, and what
 * to do. */
CS_CHECKED enum cs_status address_check(struct slice host, int64_t port, struct cs_error *);

/* "http://127.0.0.1:8000", with brackets round an IPv6 address. */
void address_url(struct slice host, int64_t port, char *text, size_t size);

#endif
