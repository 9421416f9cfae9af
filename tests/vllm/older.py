"""Makes an older vLLM importable for parsing, from its unpacked wheel beside the installed release's libraries.

Only the Python of the wheel is used. Its compiled parts were linked against another torch and are not loaded: vLLM
logs that and goes on, since nothing is computed here.
"""

import importlib.abc
import importlib.machinery
import importlib.metadata
import sys
import types
import unittest.mock

# Libraries that older releases import at their start and that the installed one does not bring. Stand-ins do, since
# no flag depends on them.
STAND_INS = ["gguf", "diskcache"]


class Finder(importlib.abc.MetaPathFinder, importlib.abc.Loader):
    """Finds a stand-in for each of them and for whatever is inside."""

    def find_spec(self, name, path=None, target=None):
        if name.split(".")[0] in STAND_INS:
            return importlib.machinery.ModuleSpec(name, self, is_package=True)
        return None

    def create_module(self, spec):
        module = types.ModuleType(spec.name)
        module.__getattr__ = lambda name: unittest.mock.MagicMock(name=name)
        return module

    def exec_module(self, module):
        pass


def prepare(wheel, version):
    """Lets `import vllm` find the wheel's, and makes it believe that it is installed."""
    sys.path.insert(0, wheel)
    sys.meta_path.append(Finder())
    installed = importlib.metadata.version
    importlib.metadata.version = lambda name: version + "+cpu" if name == "vllm" else installed(name)
