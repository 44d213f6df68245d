"""Feed-forward networks of other people: a chain of layers and neurons, as NIR files hold them."""
