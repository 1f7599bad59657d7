"""Replacements for the layers of NumPy CNN code that exists already: same names, faster.

:mod:`convolt.compat.deep_learning_from_scratch` is for the code of that book.
"""
