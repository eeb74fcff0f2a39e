"""``python -m astra_registry`` is the command ``astra-registry``."""

from astra_registry.cli import main

if __name__ == "__main__":
    main()
