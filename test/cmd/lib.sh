# SPDX-License-Identifier: MIT
# Helpers of the tests of the alcove command. Usage of a test: NAME.sh ALCOVE MINI [MORE]; MINI is the stand-in for the libOS.
set -u
ALCOVE=$(realpath "$1")
ALCOVE_KERNEL=$(realpath "$2")
export ALCOVE_KERNEL
unset SOURCE_DATE_EPOCH
work=$(mktemp -d "${TMPDIR:-/tmp}/alcove-cmd.XXXXXX")
trap 'chmod -R u+rwx "$work"; rm -rf "$work"' EXIT
mkdir "$work/tmp"
TMPDIR=$work/tmp
export TMPDIR
cd "$work" || exit 1
failures=0
checks=0

bad()
{
    failures=$((failures + 1))
    [ "$failures" -gt 20 ] || printf 'FAILED: %.300s\n' "$*"
}

# check DESCRIPTION COMMAND...: the command succeeds.
check()
{
    checks=$((checks + 1))
    what=$1
    shift
    "$@" >check.out 2>&1 || { bad "$what"; tail -n 5 check.out | cut -c 1-300; }
}

# same DESCRIPTION WANT GOT
same()
{
    checks=$((checks + 1))
    [ "$2" = "$3" ] || bad "$1: want '$2', got '$3'"
}

# refused STATUS PATTERN COMMAND...: exit status, exactly one line on stderr that begins "alcove: " and matches, nothing on
# stdout, no image, nothing left in the temporary directory.
refused()
{
    checks=$((checks + 1))
    want=$1
    pattern=$2
    shift 2
    rm -f bad.elf
    "$@" >out.txt 2>err.txt
    got=$?
    [ "$got" -eq "$want" ] || bad "$*: exit status $got, not $want"
    [ "$(wc -l <err.txt)" -eq 1 ] || { bad "$*: not one line"; head -n 5 err.txt | cut -c 1-300; }
    grep -q "^alcove: " err.txt || bad "$*: does not begin with 'alcove: '"
    grep -Eq -- "$pattern" err.txt || { bad "$*: does not say '$pattern'"; head -n 5 err.txt | cut -c 1-300; }
    [ ! -s out.txt ] || bad "$*: wrote to stdout"
    [ ! -e bad.elf ] || bad "$*: left an image"
    # shellcheck disable=SC2010
    [ -z "$(ls -A . | grep '\.tmp$')" ] || bad "$*: left an unfinished file"
    [ -z "$(ls -A tmp)" ] || bad "$*: left temporary files"
}

finish()
{
    echo "$checks checks, $failures failed"
    [ "$failures" -eq 0 ] && [ "$checks" -gt 0 ]
}
