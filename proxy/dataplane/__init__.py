"""The fast half: frames, tables, queues and sockets, compiled by Cython."""
