"""Runs a suite of eclipse/paho.mqtt.testing against a broker: run.py FOLDER SUITE PORT [TEST...]"""

import runpy
import sys
import time
import unittest

folder, suite, port, *tests = sys.argv[1:]
sys.path.insert(0, folder + "/interoperability")
if not tests and suite == "client_test":
    tests = ["Test", "Test.will_message_test"]  # the name of the last hides it from unittest
if suite == "client_test5":
    # test_request_response publishes with one client before the SUBACK of the other has come. A
    # broker that serves clients at the same time may handle the PUBLISH first: wait a moment.
    from mqtt.clients.V5 import Client

    subscribe = Client.subscribe

    def subscribe_and_wait(self, *args, **kwargs):
        result = subscribe(self, *args, **kwargs)
        time.sleep(0.2)
        return result

    Client.subscribe = subscribe_and_wait
main = unittest.main
unittest.main = lambda: main(argv=[suite, *tests], verbosity=2)
sys.argv = [suite, "--port", port]  # the suites read it; unittest would refuse it
runpy.run_path(f"{folder}/interoperability/{suite}.py", run_name="__main__")
