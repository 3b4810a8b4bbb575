"""A page in a browser, for people who use no terminal: it runs on their own machine, and asks no other."""
