/* The program's name and version, once. */
#ifndef CS_BASE_VERSION_H
#define CS_BASE_VERSION_H

#define CS_NAME    "context-store"
#define CS_VERSION "0.1.0"

#endif
