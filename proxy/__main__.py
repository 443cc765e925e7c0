"""``python -m proxy`` is ``slotway``."""

from proxy.cli import main

if __name__ == "__main__":
    main()
