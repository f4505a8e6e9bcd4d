# SPDX-License-Identifier: MIT
# A repository's life.
export GIT_AUTHOR_NAME=A GIT_AUTHOR_EMAIL=a@example.org GIT_COMMITTER_NAME=C GIT_COMMITTER_EMAIL=c@example.org
export GIT_AUTHOR_DATE='1000000000 +0000' GIT_COMMITTER_DATE='1000000000 +0000' GIT_CONFIG_NOSYSTEM=1 HOME=$PWD
git config --global init.defaultBranch main; git config --global gc.autoDetach false; git config --global safe.directory '*'
echo '== init'
git init repo | sed 's/in .*/in/'; cd repo || exit 1
echo '== add and commit'
seq 1000 >numbers; mkdir -p dir/sub; echo text >dir/sub/file; ln -s numbers link
git add .; git status --short; git commit -q -m first; git log --oneline
for i in 1 2 3 4 5; do echo $i >>numbers; git commit -qam "number $i"; done
git log --format='%h %an %s' --stat | head -n 40; git diff HEAD~2 | cat; git show --stat HEAD | cat
echo '== branches'
git checkout -q -b side HEAD~3; echo side >side; git add side; git commit -q -m side; git merge -q -m merged main; git log --graph --oneline | cat
git branch -a | cat; git tag -m tag v1; git describe; git rev-parse HEAD
echo '== hooks'
printf '#!/bin/sh\necho hook ran\n' >.git/hooks/pre-commit; chmod +x .git/hooks/pre-commit; echo x >x; git add x; git commit -q -m hooked
echo '== stash, grep, blame, bisect'
echo dirty >>numbers; git stash -q; git stash list; git stash pop -q; git status --short; git checkout -q numbers
git grep -n text; git blame -L 1000,1002 -s numbers | cat; git archive HEAD | tar t
echo '== gc'
git gc -q; git fsck; git count-objects -v | grep -v size; ls .git/objects/pack | wc -l
echo '== clone'
git clone -q . ../copy 2>&1; cd ../copy && git log --oneline | wc -l; git -c protocol.file.allow=always fetch -q --all; echo $?
