"""The words of the product: frozen values and protocols, standard library only, no I/O."""
