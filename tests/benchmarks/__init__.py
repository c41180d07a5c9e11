"""How fast Quire is beside its floors and its peers: `python -m tests.benchmarks [name ...]`, or `make bench`.

Programs, not tests: they judge nothing by themselves, and milliseconds differ from one machine and one minute to the
next. What counts are the ratios, so everything that is compared takes turns (A B C A B C ...) in one process.
"""
