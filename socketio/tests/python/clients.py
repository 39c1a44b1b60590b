"""The Python client, unmodified, against the conformance example at the URL given as argument."""

import sys
import threading

import socketio

URL = sys.argv[1]
WAIT_SECONDS = 10


def talk(transports):
    """Exchanges text, binary and acknowledgements over these transports."""
    client = socketio.Client(reconnection=False)
    got_it = threading.Event()
    takes = []
    binary = threading.Event()

    @client.on("ack")
    def ack():
        return 5, {"test": True}

    @client.on("got it")
    def answered(*_):
        got_it.set()

    @client.on("takeUtf8")
    def utf8(text, *_):
        takes.append(text)

    @client.on("doge")
    def doge(data, *_):
        assert data == b"asdfasdf", data
        binary.set()

    client.connect(URL, auth={"token": "t"}, transports=transports, namespaces=["/", "/foo"], wait_timeout=WAIT_SECONDS)
    assert client.call("echo", {"a": [1, "é"]}, timeout=WAIT_SECONDS) == {"a": [1, "é"]}
    assert client.call("getId", timeout=WAIT_SECONDS) == client.get_sid("/")
    assert client.call("getId", namespace="/foo", timeout=WAIT_SECONDS) == client.get_sid("/foo")
    assert client.call("getHandshake", timeout=WAIT_SECONDS)["auth"] == {"token": "t"}
    client.emit("getUtf8")
    client.emit("doge")
    client.emit("ack")
    assert binary.wait(WAIT_SECONDS), "no binary event"
    assert got_it.wait(WAIT_SECONDS), "the acknowledgement was not understood"
    assert takes[:2] == ["てすと", "Я Б Г Д Ж Й"], takes
    for number in range(500):
        assert client.call("echo", number, timeout=WAIT_SECONDS) == number
    client.disconnect()
    print("ok", transports)


def refused():
    """Hears why it may not join."""
    client = socketio.Client(reconnection=False)
    errors = []
    client.on("connect_error", errors.append, namespace="/no")
    try:
        client.connect(URL, namespaces=["/no"], wait_timeout=2)
        raise AssertionError("joined")
    except socketio.exceptions.ConnectionError:
        pass
    assert errors and errors[0]["message"] == "Auth failed (custom namespace)", errors
    print("ok refused")


for chosen in (["polling"], ["websocket"], None):
    talk(chosen)
refused()
