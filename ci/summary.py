# SPDX-License-Identifier: MIT
"""Print "N passed, N failed" for the testlog.json in a folder of logs, before it the end of what each failed test wrote; exit 1
unless every test ran and passed. The file all-ok beside it says that meson itself came to its end with status 0: a log that was
cut short proves nothing."""
import json
import os
import sys

GOOD = ('OK', 'EXPECTEDFAIL')
LINES = 30      # of a failed test's output

passed = failed = 0
try:
    with open(os.path.join(sys.argv[1], 'testlog.json'), encoding='utf-8') as log:
        for line in log:
            test = json.loads(line)
            if test['result'] in GOOD:
                passed += 1
            else:
                failed += 1
                print(f"{test['result']}: {test['name']}")
                written = (test.get('stdout') or '') + (test.get('stderr') or '')
                for text in written.splitlines()[-LINES:]:
                    print('    ' + text[:300])
except FileNotFoundError:
    print('no test ran')
    failed = 1
if not failed and not os.path.exists(os.path.join(sys.argv[1], 'all-ok')):
    print('the test run did not come to its end')
    failed = 1
print(f'{passed} passed, {failed} failed')
sys.exit(1 if failed or not passed else 0)
