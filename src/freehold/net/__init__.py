"""The only room that opens outbound connections: the egress broker, our HTTP/1.1 client, model sources.

``broker.Broker`` makes one ``client.HttpClient`` per configured upstream. Beyond this device a request needs an
``EgressPermit``; every host is resolved once, checked against its zone and dialled by number.
"""
