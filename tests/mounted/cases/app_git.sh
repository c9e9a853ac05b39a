# SPDX-License-Identifier: BSD-3-Clause
# timeout: 180
# git: a repository with some hundred files, changed, cloned inside, repacked, checked.

set -eu
export GIT_CONFIG_NOSYSTEM=1 GIT_CONFIG_GLOBAL=/dev/null HOME=$PWD
export GIT_AUTHOR_NAME=A GIT_AUTHOR_EMAIL=a@example.org
export GIT_COMMITTER_NAME=A GIT_COMMITTER_EMAIL=a@example.org

files=$(awk -v scale="${DDFS_SCALE:-1}" 'BEGIN { n = int(400 * scale); print n < 40 ? 40 : n }')

git init -q -b main one
cd one
for number in $(seq "$files"); do
	mkdir -p "d$((number % 20))/e$((number % 3))"
	seq "$number" $((number + 200)) >"d$((number % 20))/e$((number % 3))/f$number"
done
ln -s d1 link
printf '#!/bin/sh\n' >program
chmod +x program
git add .
git commit -q -m first
[ -z "$(git status --porcelain)" ]

for number in $(seq 1 7 "$files"); do
	echo changed >>"d$((number % 20))/e$((number % 3))/f$number"
done
git mv d1 moved
git commit -q -a -m second
git checkout -q -b other HEAD~1
echo other >other
git add other
git commit -q -m third
git merge -q -m merged main
[ -z "$(git status --porcelain)" ]
cd ..

git clone -q one two
git clone -q --no-local one three
git -C two fsck --full --strict
git -C one gc -q --prune=now
git -C one fsck --full --strict
[ "$(git -C one rev-parse 'HEAD^{tree}')" = "$(git -C three rev-parse 'HEAD^{tree}')" ]
diff -r --no-dereference --exclude=.git one two
git -C two fetch -q origin
[ -z "$(git -C two status --porcelain)" ]
