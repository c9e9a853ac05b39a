/* SPDX-License-Identifier: BSD-3-Clause */
/* Any requests that the kernel could send: each is answered once, nothing stays held, and the
 * filesystem holds what it should. */
#include "tests/fuzz/input.h"
#include "tests/fuzz/kernel.h"
#include "tests/fuzz/request.h"
#include "tests/fuzz/serve.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	serve(data, size, request_any);
	return 0;
}
