// SPDX-License-Identifier: GPL-2.0
/*
 * SHA-256, written for plainness: the names are those of FIPS 180-4.
 */
#include <string.h>

#include <linux/types.h>

#include "sha256.h"

#define BLOCK	64	/* bytes */
#define ROUNDS	64

/* The fractions of the cube roots of the first 64 primes. */
static const __u32 k[ROUNDS] = {
	0x428a2f98, 0x71374491, 0xb5c0fbcf, 0xe9b5dba5,
	0x3956c25b, 0x59f111f1, 0x923f82a4, 0xab1c5ed5,
	0xd807aa98, 0x12835b01, 0x243185be, 0x550c7dc3,
	0x72be5d74, 0x80deb1fe, 0x9bdc06a7, 0xc19bf174,
	0xe49b69c1, 0xefbe4786, 0x0fc19dc6, 0x240ca1cc,
	0x2de92c6f, 0x4a7484aa, 0x5cb0a9dc, 0x76f988da,
	0x983e5152, 0xa831c66d, 0xb00327c8, 0xbf597fc7,
	0xc6e00bf3, 0xd5a79147, 0x06ca6351, 0x14292967,
	0x27b70a85, 0x2e1b2138, 0x4d2c6dfc, 0x53380d13,
	0x650a7354, 0x766a0abb, 0x81c2c92e, 0x92722c85,
	0xa2bfe8a1, 0xa81a664b, 0xc24b8b70, 0xc76c51a3,
	0xd192e819, 0xd6990624, 0xf40e3585, 0x106aa070,
	0x19a4c116, 0x1e376c08, 0x2748774c, 0x34b0bcb5,
	0x391c0cb3, 0x4ed8aa4a, 0x5b9cca4f, 0x682e6ff3,
	0x748f82ee, 0x78a5636f, 0x84c87814, 0x8cc70208,
	0x90befffa, 0xa4506ceb, 0xbef9a3f7, 0xc67178f2,
};

static __u32 rotr(__u32 x, unsigned int n)
{
	return x >> n | x << (32 - n);
}

static __u32 load_be32(const unsigned char *p)
{
	return (__u32)p[0] << 24 | (__u32)p[1] << 16 |
	       (__u32)p[2] << 8 | p[3];
}

static void store_be32(unsigned char *p, __u32 x)
{
	p[0] = x >> 24;
	p[1] = x >> 16;
	p[2] = x >> 8;
	p[3] = x;
}

static void schedule(__u32 w[ROUNDS], const unsigned char *block)
{
	int t;

	for (t = 0; t < 16; t++)
		w[t] = load_be32(block + 4 * t);
	for (; t < ROUNDS; t++) {
		__u32 x = w[t - 15], y = w[t - 2];

		w[t] = w[t - 16] + (rotr(x, 7) ^ rotr(x, 18) ^ x >> 3) +
		       w[t - 7] + (rotr(y, 17) ^ rotr(y, 19) ^ y >> 10);
	}
}

static void compress(__u32 state[8], const unsigned char *block)
{
	__u32 w[ROUNDS], v[8];
	int t;

	schedule(w, block);
	memcpy(v, state, sizeof(v));

	for (t = 0; t < ROUNDS; t++) {
		__u32 a = v[0], b = v[1], c = v[2];
		__u32 e = v[4], f = v[5], g = v[6];
		__u32 t1 = v[7] + (rotr(e, 6) ^ rotr(e, 11) ^ rotr(e, 25)) +
			      ((e & f) ^ (~e & g)) + k[t] + w[t];
		__u32 t2 = (rotr(a, 2) ^ rotr(a, 13) ^ rotr(a, 22)) +
			      ((a & b) ^ (a & c) ^ (b & c));

		v[7] = g;
		v[6] = f;
		v[5] = e;
		v[4] = v[3] + t1;
		v[3] = c;
		v[2] = b;
		v[1] = a;
		v[0] = t1 + t2;
	}

	for (t = 0; t < 8; t++)
		state[t] += v[t];
}

void sha256(const void *data, size_t length,
	    unsigned char digest[SHA256_DIGEST])
{
	/* the fractions of the square roots of the first 8 primes */
	__u32 state[8] = {
		0x6a09e667, 0xbb67ae85, 0x3c6ef372, 0xa54ff53a,
		0x510e527f, 0x9b05688c, 0x1f83d9ab, 0x5be0cd19,
	};
	unsigned char tail[2 * BLOCK] = { 0 };
	__u64 bits = (__u64)length * 8;
	const unsigned char *p = data;
	size_t tail_length;
	int i;

	for (; length >= BLOCK; length -= BLOCK, p += BLOCK)
		compress(state, p);

	/* a bit that is set, zeroes, and the number of bits */
	tail_length = length + 9 > BLOCK ? 2 * BLOCK : BLOCK;
	memcpy(tail, p, length);
	tail[length] = 0x80;
	store_be32(tail + tail_length - 8, bits >> 32);
	store_be32(tail + tail_length - 4, bits);
	for (p = tail; p < tail + tail_length; p += BLOCK)
		compress(state, p);

	for (i = 0; i < 8; i++)
		store_be32(digest + 4 * i, state[i]);
}
