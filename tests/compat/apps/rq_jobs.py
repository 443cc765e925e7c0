"""What RQ's workers are asked to do."""


def multiply(x, y):
    return x * y


def fail():
    raise RuntimeError("on purpose")
