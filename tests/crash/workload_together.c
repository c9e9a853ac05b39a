/* SPDX-License-Identifier: BSD-3-Clause */
/* Two operations at the same time: what they share is the log, a bitmap, a block of the inode
 * table, a directory, a file, or nothing at all. */
#include "tests/crash/workload.h"

const char workload_together_stage[] =
	"mkdir d; mkdir e; create a; write a 0 5000; create b; write b 0 9000; link b l; "
	"setxattr b user.k 20; create d/x; write d/x 0 9000; create d/y; create e/z; "
	"write e/z 0 9000; mkdir d/k; mkdir e/k; symlink d/s 20";

const char *const workload_together[] = {
	/* inodes that are neighbours in the table, and directories of their own */
	"chmod a 0600 & chmod b 0640",
	"touch d/x & chown e/z 7 8",
	"create d/n & create e/n",
	"create n & mkdir d/n",
	"mkdir d/n & mkdir e/n",
	"symlink d/n 10 & mknod e/n fifo",
	"link a d/n & link b e/n",
	"unlink d/y & create e/n",
	"rename d/x d/w & rename e/z e/w",
	"rename d/y d/w & chmod e/z 0600",
	"setattr a 3000 0640 3 4 5000 & touch b",
	/* an inode in two directories, or two that change places */
	"link b d/n & link b e/n",
	"link a d/n & chmod a 0600",
	"link d/x e/n & unlink d/x",
	"rename d/x e/x & rename e/z d/z",
	"rename d/x e/z & unlink e/z",
	"rename d/k e/n & rename e/k d/n",
	"rename d e/d & create d/n",
	"exchange d/x e/z & chmod d/x 0600",
	"exchange d/x e/z & exchange d/k e/k",
	/* one directory */
	"create d/n & create d/m",
	"create d/n & create d/n",
	"create d/n & unlink d/x",
	"unlink d/y & unlink d/x",
	"unlink d/x & unlink d/x",
	"rename d/x d/w & rename d/y d/v",
	"rename d/x d/y & rename d/y d/x",
	"rename d/x d/y & unlink d/y",
	"mkdir d/n & rmdir d/k",
	"rmdir d/k & create d/k/n",
	"rmdir d/k & rename d/x d/k/x",
	"chmod d 02755 & create d/n",
	"acl d default 0770 & mkdir d/n",
	"mkdir d; mkdir e; many d 0 17 200; many e 0 17 200 | create d/017~200 & create e/017~200",
	"mkdir d; mkdir e; many d 0 18 200; many e 0 18 200 | unlink d/003~200 & unlink e/003~200",
	"mkdir d; mkdir e; many d 0 300 200; create e/z | create d/300~200 & rename e/z e/w~200",
	/* the bitmap: blocks are taken and freed */
	"append a 10000 & append b 10000",
	"write a 20000 5000 & write d/x 20000 5000",
	"write a 20000 5000 & truncate d/x 0",
	"append a 10000 & unlink d/x",
	"unlink d/x & unlink e/z",
	"truncate d/x 0 & truncate e/z 4096",
	"truncate d/x 100 & unlink e/z",
	"fallocate a alloc 0 40000 & fallocate b punch 0 4096",
	"fallocate a keep 8192 20000 & append d/x 5000",
	"fallocate d/x collapse 0 4096 & append e/z 10000",
	"fallocate d/x insert 4096 8192 & fallocate e/z punch 4096 4096",
	"fallocate d/x zero 2000 9000 & unlink e/z",
	"fallocate a alloc 0 4M & fallocate b alloc 0 4M",
	"fallocate a alloc 0 6M & mkdir d/n",
	"copy d/x a 0 0 9000 & copy b e/z 0 0 9000",
	"setxattr a user.k 2000 & setxattr d/x user.k 2000",
	"setxattr a user.big 9000 & removexattr b user.k",
	"symlink d/n 100 & symlink e/n 100",
	"symlink d/n 100 & unlink d/x",
	"rename d/x d/y & rename e/z e/n",
	"create a; extents a 10; create b; extents b 10 | truncate a 0 & truncate b 0",
	"create a; extents a 10; create b; extents b 5 | write a 0 81920 & unlink b",
	"create a; extents a 60; create b | truncate a 4096 & append b 30000",
	"create f; create a; create b; write a 0 100000; fill f 4 | truncate a 0 & append b 8192",
	/* contents, in place */
	"write a 0 100 & write b 4000 300",
	"write a 0 100 & append b 10000",
	"write d/x 0 9000 & unlink e/z",
	"write d/x 4096 4096 & copy b a 0 0 5000",
	/* one file */
	"write a 0 100 & write a 50 1000",
	"append a 3 & append a 5",
	"append a 3 & truncate a 10",
	"truncate a 0 & unlink a",
	"write a 4990 300 & rename a d/n",
	"write a 0 100 & setxattr a user.k 10",
	"utimes a 1000 2000 3000 & write a 0 100",
	"chmod a 06755 & write a 0 100",
	"acl a access 0750 & chmod a 0600",
	"setxattr a user.k 10 & setxattr a user.j 2000",
	/* what makes durable */
	"fsync a & append b 10000",
	"sync & create d/n",
	"sync & write a 0 5000",
	"osync a & write b 0 9000",
	"syncrange b 0 0 & write b 0 9000",
	"create a; utimes a 1 2 3; write a 0 100; mkdir d | writeback & create d/n",
	/* the orphan directory */
	"mkdir d; mkdir e; create d/a; write d/a 0 9000; create e/b; write e/b 0 9000; open d/a; "
	"open e/b | unlink d/a & unlink e/b",
	"mkdir d; mkdir e; create d/a; write d/a 0 9000; create e/b; write e/b 0 9000; open d/a; "
	"unlink d/a; open e/b | release d/a & unlink e/b",
	"mkdir d; create d/a; write d/a 0 9000; create b; write b 0 9000; open d/a; open b; "
	"unlink d/a; unlink b | release d/a & release b",
	"mkdir d; create d/a; write d/a 0 9000; open d/a; unlink d/a | release d/a & create d/n",
	"mkdir d; create d/a; open d/a; unlink d/a; create b | write @d/a 0 9000 & append b 5000",
	"mkdir d; mkdir e; create d/a; extents d/a 60; create e/b; extents e/b 60 | "
	"unlink d/a & unlink e/b",
	"mkdir d; create d/a; extents d/a 60; create b | unlink d/a & append b 20000",
	"mkdir d; mkdir e; create d/a; write d/a 0 9000; open d/a; create e/b; create e/c; "
	"write e/c 0 9000; open e/c | unlink d/a & rename e/b e/c",
	/* the inode table grows */
	"mkdir d; mkdir e; many d 0 238 10 | create d/n & create e/n",
	"mkdir d; mkdir e; many d 0 237 10 | create d/n & create e/n",
	"mkdir d; mkdir e; many d 0 238 10; create a | create e/n & append a 9000",
	"mkdir d; mkdir e; many d 0 500 10; fewer d 4 500 10 | statfs & create e/n",
	"mkdir d; mkdir e; create e/z; many d 0 500 10; fewer d 4 500 10 | statfs & unlink e/z",
	/* the mount becomes read-only */
	"create d/n & remount ro",
	"unlink d/x & remount ro",
	"append a 10000 & remount ro",
	"create a; mkdir d; open a; unlink a | release a & remount ro",
	"create a; write a 0 9000; write a 0 10; mkdir d | mkdir d/n & remount ro",
	/* files of DAX units, and pins: then it is the daemon that dies */
	"with dax=always; create a; write a 0 9000; create b | fault a 4096 20000 & fault b 0 9000",
	"with dax=always align=2M; create a; create b | write a 0 100 & write b 0 100",
	"with dax=always align=2M; create a; write a 0 100; create b | truncate a 0 & append b "
	"9000",
	"with pinned dax=always; create a; write a 0 9000; create b; write b 0 9000 | "
	"pin a 0 4096 & pin b 0 9000",
	"with pinned dax=always; create a; write a 0 9000; create b; write b 0 9000; pin b 0 4096 "
	"| "
	"pin a 0 4096 & unpin b",
	"with pinned dax=always; mkdir d; create d/a; write d/a 0 9000; pin d/a 0 9000; create b | "
	"unlink d/a & append b 9000",
	"with pinned dax=always; mkdir d; create d/a; write d/a 0 9000; pin d/a 0 9000; "
	"unlink d/a; create b; write b 0 9000 | unpin @d/a & truncate b 0",
	"with pinned dax=always; create a; write a 0 9000; create b; write b 0 9000 | "
	"pin a 0 9000 & truncate b 0",
	"with pinned dax=always; create a; write a 0 9000 | pin a 0 9000 & unlink a",
};
const size_t workload_nr_together = sizeof(workload_together) / sizeof(workload_together[0]);
