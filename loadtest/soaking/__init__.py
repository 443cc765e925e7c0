"""What soak.py is made of.

``repertoire`` says what is asked and ``learning`` what the right answers are; ``steps``, ``guest``
and ``visits`` are the clients, ``crowd`` is the loop that they all live in. ``sample`` is what is
measured, ``watcher`` measures it, ``verdict`` judges it and ``report`` tells it; these three
and ``repertoire`` are pure.
"""
