# SPDX-License-Identifier: BSD-3-Clause
# timeout: 300
# A C program built inside with make: devdaxfs's own filesystem library.

set -eu
root=$(readlink -f "$DDFS_CASES/../../..")
mkdir src src/include
cp -r "$root/fs" "$root/layout" src/
few=$(awk -v scale="${DDFS_SCALE:-1}" 'BEGIN { print (scale < 1) ? 4 : 1000 }')

cat >src/main.c <<'END'
#include <stdio.h>
int part(void);
int main(void)
{
	printf("built %d\n", part());
	return 0;
}
END
echo 'int part(void) { return 42; }' >src/part.c
cat >src/Makefile <<'END'
FILES := $(wordlist 1,$(FEW),$(wildcard fs/*.c))
CFLAGS := -std=gnu11 -D_GNU_SOURCE -I. -O0
all: program libfs.a
program: main.o part.o
	$(CC) -o $@ $^
libfs.a: $(FILES:.c=.o)
	ar rcs $@ $^
clean:
	rm -f program libfs.a *.o fs/*.o
END

make -s -C src -j2 FEW="$few"
[ "$(src/program)" = "built 42" ]
ar t src/libfs.a | sort >first
make -C src FEW="$few" | grep -q 'Nothing to be done'

# What was touched is built again, and only that.
sleep 1.1
echo 'int part(void) { return 43; }' >src/part.c
make -s -C src FEW="$few"
[ "$(src/program)" = "built 43" ]
ar t src/libfs.a | sort | cmp first -
make -s -C src FEW="$few" clean
