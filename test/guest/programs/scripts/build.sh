# SPDX-License-Identifier: MIT
# make -j4 builds a C program of some files with gcc.
mkdir src; i=0
while [ $i -lt 8 ]; do
    printf '#include <math.h>\n#include <stdio.h>\n#include <string.h>\nint f%d(int x);\nint f%d(int x)\n{\n    char s[64];\n    snprintf(s, sizeof(s), "%%d %%.3f", x, sqrt(x));\n    return (int)strlen(s) * %d;\n}\n' $i $i $i >src/f$i.c
    i=$((i + 1))
done
cat >src/main.c <<'END'
#include <pthread.h>
#include <stdio.h>
#include "all.h"
static void *run(void *arg) { *(int *)arg = TOTAL(100); return 0; }
int main(void) { int n; pthread_t t; pthread_create(&t, 0, run, &n); pthread_join(t, 0); printf("%d\n", n); return 42; }
END
cat >Makefile <<'END'
N := 0 1 2 3 4 5 6 7
OBJ := $(N:%=src/f%.o) src/main.o
prog: $(OBJ) libextra.a
	$(CC) -o $@ $(OBJ) -lm -lpthread
src/main.o: src/all.h
src/all.h:
	for n in $(N); do echo "int f$$n(int);"; done >$@; echo '#define TOTAL(x) (f1(x) + f7(x))' >>$@
libextra.a: src/f0.o
	ar rcs $@ $^
%.o: %.c
	$(CC) -O2 -Wall -g -c -o $@ $<
check: prog
	./prog; test $$? = 42
clean:
	rm -f prog $(OBJ) src/all.h
.PHONY: check clean
END
echo '== make -j4'
make -s -j4 CC=gcc prog; echo $?
echo '== the program'
./prog; echo $?
make -s CC=gcc check
echo '== nothing to do'
make CC=gcc prog
touch src/f3.c; make -n CC=gcc prog
echo '== static'
gcc -static -o static src/f1.c -lm -Dmain=unused -x c - <<'END'
#undef main
#include <stdio.h>
int f1(int);
int main(void) { printf("static %d\n", f1(2)); return 0; }
END
./static
echo '== errors'
echo 'int main(void) { return x; }' >bad.c; gcc bad.c; echo $?
make -s nothing; echo $?
