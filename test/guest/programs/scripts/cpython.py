# SPDX-License-Identifier: MIT
"""CPython's own tests, one line for each: cpython.py MODULE... (test_os, test_asyncio.test_events, ...)

A line is "RESULT module.Class.test OUTCOME": ok, skipped and why, FAILED; what failed follows as the tests print it. A test
that does not end shows every thread's stack and ends the run with status 1.
"""
import faulthandler
import os
import sys
import tempfile
import time
import unittest

# A test's own limit, and by how much those in the tests are multiplied: an emulated machine is slow.
LIMIT, SLOW = int(os.environ.get('LIMIT', '300')), 5


class Result(unittest.TestResult):
    def __init__(self, module):
        super().__init__()
        self.module, self.bad = module, []

    def startTest(self, test):
        super().startTest(test)
        faulthandler.dump_traceback_later(LIMIT, exit=True)
        self.outcome = 'ok'
        print('START', self.name(test), flush=True)

    def name(self, test):
        return f'{self.module}:' + '.'.join(str(test.id()).replace(' ', '_').split('.')[-2:])

    def note(self, test, outcome, err=None):
        """Counts once for a test of several sub-tests; also for what is set up for a class or a module."""
        self.outcome = outcome
        if err:
            print(f'--- {test}\n{self._exc_info_to_string(err, test)}', flush=True)
        if not isinstance(test, unittest.TestCase):
            self.say(self.name(test))

    def say(self, name):
        print('\nRESULT', name, self.outcome, flush=True)

    def stopTest(self, test):
        super().stopTest(test)
        faulthandler.cancel_dump_traceback_later()
        self.say(self.name(test))

    def addError(self, test, err):
        self.note(test, 'FAILED', err)

    addFailure = addError

    def addSubTest(self, test, subtest, err):
        if err:
            print('---', subtest)
            self.note(test, 'FAILED', err)

    def addSkip(self, test, reason):
        self.note(test, 'skipped ' + ' '.join(reason.split()))

    def addExpectedFailure(self, test, err):
        self.note(test, 'ok')

    def addUnexpectedSuccess(self, test):
        self.note(test, 'FAILED')


def chosen(suite, only, leave):
    """The tests of a suite without those with a word of leave in their names; of those that have one of only, where it has any."""
    out = unittest.TestSuite()
    for t in suite:
        if isinstance(t, unittest.TestSuite):
            out.addTest(chosen(t, only, leave))
        elif not any(w in t.id() for w in leave) and (not only or any(w in t.id() for w in only)):
            out.addTest(t)
    return out


def main(args):
    from test import support
    support.use_resources = []
    for name in 'LOOPBACK_TIMEOUT', 'INTERNET_TIMEOUT', 'SHORT_TIMEOUT', 'LONG_TIMEOUT':
        setattr(support, name, getattr(support, name) * SLOW)
    only, leave = (os.environ.get(v, '').split() for v in ('ONLY', 'LEAVE'))
    for module in args:
        with tempfile.TemporaryDirectory(prefix='cpython.') as work:
            os.chdir(work)
            # A suite of its own for each, since what is set up for a module is kept until the next one begins.
            suite = unittest.defaultTestLoader.loadTestsFromName('test.' + module)
            began = time.monotonic()
            chosen(suite, only, leave).run(Result(module))
            print('MODULE', module, round(time.monotonic() - began, 1), flush=True)
            support.reap_children()
            os.chdir('/')


if __name__ == '__main__':
    main(sys.argv[1:])
