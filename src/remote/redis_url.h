/* Where a Redis is, read from one line.
 *
 *     redis://[[user]:password@]host[:port][/db][?db=N]      host: a name, an IPv4 address, or [an IPv6 address]
 *     unix://[[user]:password@]/path/to/socket[?db=N]
 *
 * Port 6379 and database 0 where none is named. User, password and path are percent-decoded (RFC 3986, 2.1); `user@` without
 * a colon names a user whose password comes from elsewhere. rediss:// (TLS) is understood and refused with what works
 * instead, and so is everything unknown: a setting that is silently ignored is worse than an error. No message repeats
 * the password.
 * Threads: plain values. Errors: VALIDATION, LIMIT_EXCEEDED (memory). */
#ifndef CS_REMOTE_REDIS_URL_H
#define CS_REMOTE_REDIS_URL_H

#include "base/error.h"

#define REDIS_PORT         6379
#define REDIS_URL_MAX      4096 /* bytes */
#define REDIS_USER_MAX     256
#define REDIS_HOST_MAX     253   /* RFC 1035, 2.3.4 */
#define REDIS_DATABASE_MAX 65535 /* servers have 16 unless told otherwise */

/* NUL-terminated strings, never NULL but where said so. */
struct redis_url {
	char *host;     /* without brackets; NULL: a Unix socket */
	char *path;     /* of the Unix socket; NULL: TCP */
	char *user;     /* "" : the server's default user */
	char *password; /* "" : none */
	char *shown; /* the whole without password, canonical: "redis://user@host:6379/0", "unix:///run/redis.sock?db=0" */
	uint16_t port;
	unsigned database;
};

CS_CHECKED enum cs_status redis_url_parse(struct slice text, struct redis_url *ret_url, struct cs_error *);
/* Wipes the password first. Takes NULL and what is all zero. */
void redis_url_release(struct redis_url *);

#endif
