#!/usr/bin/env python3
"""Join ulbench -v output with ulcount marks: ulj.py PREFIX [full|json]
PREFIX.txt serial output, PREFIX.bin counters.  Per operation, median over rounds:
  insn   retired instructions (string instructions counted once)   = kern+user arch
  kern   of them in the kernel
  repB   bytes moved/filled by kernel string instructions
  sys irq cr3 tlb msr pio mmio hlt   events
  cyc    estimated native cycles, see COST
"""
import json, os, re, statistics, sys
sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
import ulc

# cycles on a recent x86-64 server under KVM with EPT/NPT; order of magnitude only
COST = dict(ipc=1.5, syscall=70, iret=250, cr3=150, tlb=120, msr=80, fsbase=20, pio=2500, mmio=2500,
            lock=18, xsave=100, cpuid=1500, hlt=3000, rep_start=25, rep_bytes_per_cycle=32)

def arch(c, pre):
    it, st = c[('k' if pre == 'kern' else 'u') + 'repit'], c[('k' if pre == 'kern' else 'u') + 'repstart']
    return c[pre] - (it - st if st else 0)

def cycles(c):
    k = COST
    v = (arch(c, 'kern') + arch(c, 'user')) / k['ipc']
    v += c['syscall'] * k['syscall'] + c['iret'] * k['iret'] + c['cr3'] * k['cr3']
    v += (c['invlpg'] + c['invpcid'] + c['crx']) * k['tlb'] + c['wrmsr'] * k['msr'] + c['fsbase'] * k['fsbase']
    v += c['pio'] * k['pio'] + (c['mmio_r'] + c['mmio_w']) * k['mmio'] + c['hlt'] * k['hlt']
    v += c['lock'] * k['lock'] + c['xsave'] * k['xsave'] + c['cpuid'] * k['cpuid']
    v += (c['krepstart'] + c['urepstart']) * k['rep_start'] + (c['krepbytes'] + c['urepbytes']) / k['rep_bytes_per_cycle']
    return v

def join(prefix):
    _, marks = ulc.load(prefix + '.bin')
    pairs, b = [], None
    for i, c in marks:
        if i == 0xb1: b = c
        elif i == 0xe1 and b: pairs.append(ulc.diff(b, c)); b = None
    res, p, ops = {}, 0, {}
    for line in open(prefix + '.txt', errors='replace'):
        m = re.match(r'#(\w+) (\d+) (\d+)\s*$', line)
        if m:
            name, n, o = m[1], int(m[2]), int(m[3])
            rows = [{k: v / o for k, v in c.items()} for c in pairs[p:p + n]]
            p += n
            ops[name] = rows
            continue
        m = re.match(r'(\w+) (nan|[\d.]+) (\S+)\s*$', line)
        if m and m[1] in ops:
            rows = ops[m[1]]
            r = {'value': m[2], 'unit': m[3]}
            if rows and m[2] != 'nan':
                med = {k: statistics.median(x[k] for x in rows) for k in rows[0]}
                r.update(raw=med['kern'] + med['user'], insn=arch(med, 'kern') + arch(med, 'user'), kern=arch(med, 'kern'),
                         repB=med['krepbytes'], sys=med['syscall'], irq=med['iret'], cr3=med['cr3'],
                         tlb=med['invlpg'] + med['invpcid'] + med['crx'], msr=med['wrmsr'] + med['fsbase'], pio=med['pio'],
                         mmio=med['mmio_r'] + med['mmio_w'], hlt=med['hlt'], lock=med['lock'], cyc=cycles(med))
            res[m[1]] = r
    return res

if __name__ == '__main__':
    r = join(sys.argv[1])
    if sys.argv[2:] == ['json']:
        print(json.dumps(r)); sys.exit()
    cols = 'raw insn kern repB sys irq cr3 tlb msr pio mmio hlt lock cyc'.split()
    print('%-16s %12s ' % ('name', 'ns') + ' '.join('%9s' % c for c in cols))
    for n, d in r.items():
        print('%-16s %12s ' % (n, d['value']) + ' '.join('%9s' % ('%.0f' % d[c] if d[c] >= 100 else '%.3g' % d[c]) for c in cols if c in d))
