"""Runs a suite of eclipse/paho.mqtt.testing against a broker: run.py FOLDER SUITE PORT [TEST...]"""

import runpy
import sys
import unittest

folder, suite, port, *tests = sys.argv[1:]
sys.path.insert(0, folder + "/interoperability")
if not tests and suite == "client_test":
    tests = ["Test", "Test.will_message_test"]  # the name of the last hides it from unittest
main = unittest.main
unittest.main = lambda: main(argv=[suite, *tests], verbosity=2)
sys.argv = [suite, "--port", port]  # the suites read it; unittest would refuse it
runpy.run_path(f"{folder}/interoperability/{suite}.py", run_name="__main__")
