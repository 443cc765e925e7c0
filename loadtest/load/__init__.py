"""What locustfile.py and ramp.py are made of.

``client``, ``mixes`` and ``hooks`` import locust, which patches the whole
interpreter for gevent, so only locust's own processes may import them. The
rest is plain functions: ``zipf``, ``mixture``, ``schedules``, ``thresholds``
and ``timeline`` serve the run, ``steps``, ``plot`` and ``summary`` the report
of a ramp; ``panels`` draws for ``plot`` and for the soak.
"""
