"""How fast every page is in a library of a million books, and how that grows with the library."""
