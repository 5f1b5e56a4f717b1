"""Every number of the published report, computed again by code that shares nothing with it.

Nothing of ``reports`` is imported here: pandas, numpy and scipy read the data again. Each section
has ``check(page, records)``, which claims on the page what it has computed.
"""
