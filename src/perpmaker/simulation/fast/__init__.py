"""The compiled fast path of backtests: market data that leads to nothing is taken in without Python.

Nothing here decides. What fills, is paid, is said or is asked for stays Python's, the same code as without the fast path;
`kernel.skip` only carries books, queue places and clocks forward to where the next such thing happens. Needs numba (the
research extra). docs/reference/benchmarks.md tells how fast.
"""
