/* The tables of HTTP: which byte may stand where, and the words for a status.
 *
 * Byte classes are one table of 256 bytes (four cache lines, one load a byte) rather than comparisons, because a header
 * name is short and its bytes are spread over the whole of ASCII. Status words are a switch: it is asked once a reply.
 */
#include "net/http_parser.h"
#include "net/http_scan.h"

#define T HTTP_CHAR_TOKEN
#define H HTTP_CHAR_HOST
#define X HTTP_CHAR_HEX

const uint8_t http_char_class[256] = {
	['!'] = T | H,
	['#'] = T,
	['$'] = T | H,
	['%'] = T | H,
	['&'] = T | H,
	['\''] = T | H,
	['('] = H,
	[')'] = H,
	['*'] = T | H,
	['+'] = T | H,
	['-'] = T | H,
	['.'] = T | H,
	[':'] = H,
	[';'] = H,
	['='] = H,
	['['] = H,
	[']'] = H,
	['^'] = T,
	['_'] = T | H,
	['`'] = T,
	['|'] = T,
	['~'] = T | H,
	['0' ... '9'] = T | H | X,
	['A' ... 'F'] = T | H | X,
	['G' ... 'Z'] = T | H,
	['a' ... 'f'] = T | H | X,
	['g' ... 'z'] = T | H,
};

const char *http_reason(int status)
{
	switch (status) {
	case 100: return "Continue";
	case 101: return "Switching Protocols";
	case 200: return "OK";
	case 201: return "Created";
	case 202: return "Accepted";
	case 204: return "No Content";
	case 206: return "Partial Content";
	case 301: return "Moved Permanently";
	case 302: return "Found";
	case 303: return "See Other";
	case 304: return "Not Modified";
	case 307: return "Temporary Redirect";
	case 308: return "Permanent Redirect";
	case 400: return "Bad Request";
	case 401: return "Unauthorized";
	case 403: return "Forbidden";
	case 404: return "Not Found";
	case 405: return "Method Not Allowed";
	case 406: return "Not Acceptable";
	case 408: return "Request Timeout";
	case 409: return "Conflict";
	case 410: return "Gone";
	case 411: return "Length Required";
	case 413: return "Content Too Large";
	case 414: return "URI Too Long";
	case 415: return "Unsupported Media Type";
	case 417: return "Expectation Failed";
	case 421: return "Misdirected Request";
	case 422: return "Unprocessable Content";
	case 426: return "Upgrade Required";
	case 428: return "Precondition Required";
	case 429: return "Too Many Requests";
	case 431: return "Request Header Fields Too Large";
	case 500: return "Internal Server Error";
	case 501: return "Not Implemented";
	case 502: return "Bad Gateway";
	case 503: return "Service Unavailable";
	case 504: return "Gateway Timeout";
	case 505: return "HTTP Version Not Supported";
	default: return "";
	}
}
