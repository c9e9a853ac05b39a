/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * What an input changes of an image: a list of edits, each of one structure, with the checksum made
 * to fit again if the edit says so. A few bytes make a whole damaged image, and fuzzing gets
 * behind the checksums.
 */
#ifndef DDFS_FUZZ_EDIT_H
#define DDFS_FUZZ_EDIT_H

struct input;
struct stage;

/* Takes edits from the input until one says that it is the last, or there are no more bytes. */
void edit_image(struct stage *s, struct input *in);

#endif
