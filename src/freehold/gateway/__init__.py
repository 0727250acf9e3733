"""The request path: who asks, how sensitive, where it may run, in which order, how sure, proven and priced."""
