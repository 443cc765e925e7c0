"""What soak.py is made of.

``repertoire`` says what is asked and ``learning`` what the right answers are; ``steps``, ``guest``
and ``visits`` are the clients, ``crowd`` is the loop that they all live in. ``watcher`` looks at
the proxy, ``trouble`` happens to the cluster, and ``course`` is the soak from beginning to end.
Pure are ``repertoire``, ``sample`` (what is measured), ``verdict`` (what it means) and ``report``
(how it is told).
"""
