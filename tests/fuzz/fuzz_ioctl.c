/* SPDX-License-Identifier: BSD-3-Clause */
/* The ioctls, on files that are open already, and what waits for pins. */
#include "tests/fuzz/input.h"
#include "tests/fuzz/kernel.h"
#include "tests/fuzz/request.h"
#include "tests/fuzz/serve.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	serve(data, size, request_of_pins);
	return 0;
}
