/* SPDX-License-Identifier: BSD-3-Clause */
/* Any image: mounted, walked, modified, unmounted; and once more, if the input says so. */
#include "fs/fs.h"
#include "tests/fuzz/edit.h"
#include "tests/fuzz/input.h"
#include "tests/fuzz/stage.h"
#include "tests/fuzz/use.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct input in = { data, size };
	struct stage *s = stage_get(input_8(&in));
	unsigned int how = input_8(&in);
	struct ddfs_fs_options opt = use_options(how);

	edit_image(s, &in);
	s->ram.media.readonly = opt.readonly && opt.lazytime;
	if (!use_image(s, &opt) && how & 1)
		use_image(s, &opt);
	stage_mend(s);
	return 0;
}
