"""The laws that predictions use: pure functions of numbers or numpy arrays, units in the names, a source for each.

Every function broadcasts like a numpy function, and refuses arguments outside its range with ValueError.
"""
