/* Addresses that are not on the open web: this machine, the networks behind it, and what the IANA
 * keeps for special purposes. A page must not make Maliang fetch from there. */
#ifndef ML_DATA_PRIVATE_ADDRESS_H
#define ML_DATA_PRIVATE_ADDRESS_H

#include <sys/socket.h>

#define ML_ADDRESS_TEXT 64

/* What kind of address it is ("a loopback address"), or NULL when it is public. IPv6 addresses that
 * carry an IPv4 one (mapped, translated, 6to4, Teredo, ISATAP) are judged by that one too. Anything
 * but IPv4 and IPv6 is not public. */
const char *ml_private_address(const struct sockaddr *address);
/* The same for a host that is spelt as digits; NULL also for names. */
const char *ml_private_address_literal(const char *host);

/* "192.168.0.1", "fe80::1". */
void ml_private_address_text(const struct sockaddr *address, char out[ML_ADDRESS_TEXT]);

#endif
