/* SPDX-License-Identifier: GPL-2.0 */
/*
 * SHA-256, as FIPS 180-4 has it.
 */
#ifndef SHA256_H
#define SHA256_H

#include <stddef.h>

#define SHA256_DIGEST	32	/* bytes */

/**
 * sha256 - hash bytes that are all there
 * @data: the bytes
 * @length: how many
 * @digest: filled in
 */
void sha256(const void *data, size_t length,
	    unsigned char digest[SHA256_DIGEST]);

#endif /* SHA256_H */
