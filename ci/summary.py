# SPDX-License-Identifier: MIT
"""Print "N passed, N failed" for meson's testlog.json; exit 1 unless every test ran and passed."""
import json
import sys

GOOD = ('OK', 'EXPECTEDFAIL')

passed = failed = 0
try:
    with open(sys.argv[1], encoding='utf-8') as log:
        for line in log:
            test = json.loads(line)
            if test['result'] in GOOD:
                passed += 1
            else:
                failed += 1
                print(f"{test['result']}: {test['name']}")
except FileNotFoundError:
    print('no test ran')
    failed = 1
print(f'{passed} passed, {failed} failed')
sys.exit(1 if failed or not passed else 0)
