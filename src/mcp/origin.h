/* Which Host and Origin a request may carry: the defence against DNS rebinding.
 *
 * A page of another site cannot forge these headers, so a browser that was tricked into resolving evil.example to
 * 127.0.0.1 still says "evil.example" here. Loopback names and addresses (localhost, 127.0.0.0/8, [::1]) pass on any
 * port; others only if configured: "example.com" (any port), "example.com:8443", or a whole origin such as
 * "vscode-webview://panel". Threads: plain functions. */
#ifndef CS_MCP_ORIGIN_H
#define CS_MCP_ORIGIN_H

#include "base/slice.h"

/* `configured` is a list separated by commas. `host` is the header's value: name or address, with or without a port. */
bool origin_host_allowed(struct slice configured, struct slice host);
/* `origin` is the header's value: scheme://host[:port]. "null" never passes. */
bool origin_allowed(struct slice configured, struct slice origin);

#endif
