# SPDX-License-Identifier: MIT
# fork, pipes and signals in Perl.
use strict; use warnings; use POSIX ':sys_wait_h'; use IPC::Open3; $| = 1;
print "== open\n";
open(my $in, '-|', 'seq', '5') or die; print while <$in>; close $in;
open(my $out, '|-', 'tr a-z A-Z') or die; print $out "to upper\n"; close $out; print "$?\n";
my $pid = open(my $kid, '-|'); if (!$pid) { print "from the child\n"; exit 3 } print <$kid>; close $kid; print $? >> 8, "\n";
print "== backticks\n";
print `echo back`, scalar(`seq 1000 | tail -n 1`), system('sh', '-c', 'exit 4') >> 8, "\n";
print "== fork\n";
my %kids; for my $i (1 .. 20) { my $p = fork; if (!$p) { exit $i } $kids{$p} = $i }
my $ok = 0; while ((my $p = waitpid(-1, 0)) > 0) { $ok++ if $kids{$p} == $? >> 8 } print "$ok\n";
pipe(my $r, my $w); if (!fork) { close $r; print $w "line $_\n" for 1 .. 3; exit 0 } close $w; print while <$r>; wait;
print "== signals\n";
$SIG{USR1} = sub { print "got $_[0]\n" }; kill USR1 => $$;
eval { local $SIG{ALRM} = sub { die "alarm\n" }; alarm 1; select(undef, undef, undef, 20); }; print $@;
my $s = fork; if (!$s) { sleep 100; exit } kill TERM => $s; waitpid($s, 0); print $? & 127, "\n";
$SIG{CHLD} = 'IGNORE'; if (!fork) { exit 0 } print wait(), "\n"; $SIG{CHLD} = 'DEFAULT';
print "== open3\n";
my $p3 = open3(my $i3, my $o3, undef, 'sh', '-c', 'cat; echo err >&2'); print $i3 "in\n"; close $i3; print sort <$o3>; waitpid($p3, 0); print "$?\n";
print "== exec\n";
exec 'sh', '-c', 'echo $0 $1; exit 6', 'name', 'arg';
