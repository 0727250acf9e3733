"""The way out through another process, which alone has a network: both ends of a Unix socket, and what goes over it.

``way.Way`` is the server's end: it takes the place of connections beyond this device, client by client. ``serve.Line``
is the broker's. Between them go frames (``frames.py``), one call at a time on each connection:

```
server → broker   HELLO, at the begin of a connection
server → broker   INTENT what is to leave and by which label, then the exact body
broker → server   PERMIT once that is on its disk; or FAULT
server → broker   SEND the permit, method, path, headers
broker → server   HEAD, PIECE…, END; or FAULT at any place
```

Who closes the connection leaves: the broker then closes the upstream's in the same tick. docs/decisions/0036 says why.
"""
