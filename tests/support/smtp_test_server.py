#!/usr/bin/env python3
"""A real SMTP server on 127.0.0.1 that answers as it is told, for tests.

Prints its port. Writes into --directory:
  log           one line for each connection, command, and content without its end,
                "<connection> <text>"
  message.<n>   the content of each message it took, dots unstuffed, byte for byte
  envelope.<n>  connection, MAIL argument, one line for each accepted RCPT argument

--reply KEY=TEXT   what to answer; KEY is connect, ehlo, helo, starttls, auth, mail,
                   mail:<n> (the nth of a connection), rcpt, rcpt:<address>, data, dot, rset, quit, or content (then TEXT is acted on
                   once 100 bytes of content have come)
--once KEY=TEXT    the same, for the first time only
TEXT is reply lines joined by '|'; instead of a line, CLOSE closes the connection, HANG waits
until the client does, STALL stops reading for ever, WAIT is silent for 1.5 s, SPLIT sends the next line byte by byte.
"""
import argparse
import base64
import os
import socket
import ssl
import sys
import threading
import time

arguments = argparse.ArgumentParser()
arguments.add_argument("--directory", required=True)
arguments.add_argument("--reply", action="append", default=[])
arguments.add_argument("--once", action="append", default=[])
arguments.add_argument("--extension", action="append", default=[])
arguments.add_argument("--certificate")
arguments.add_argument("--key")
arguments.add_argument("--implicit-tls", action="store_true")
arguments.add_argument("--user")
arguments.add_argument("--password")
options = arguments.parse_args()

lock = threading.Lock()
replies = dict(item.split("=", 1) for item in options.reply)
once = dict(item.split("=", 1) for item in options.once)
message_count = 0
connection_count = 0


class Closed(Exception):
    pass


def log(text):
    with lock, open(os.path.join(options.directory, "log"), "a") as file:
        file.write(text + "\n")


def store(connection, sender, recipients, content):
    global message_count
    with lock:
        number = message_count
        message_count += 1
        for name, data in (
            ("message", content),
            ("envelope", "\n".join([str(connection), sender] + recipients).encode()),
        ):
            path = os.path.join(options.directory, "%s.%d" % (name, number))
            with open(path + ".tmp", "wb") as file:
                file.write(data)
            os.rename(path + ".tmp", path)


def tls_context():
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(options.certificate, options.key)
    return context


class Session:
    def __init__(self, connection, client):
        self.connection = connection
        self.socket = client
        self.tls = False
        if options.implicit_tls:
            self.start_tls()
        self.file = self.socket.makefile("rb")

    def start_tls(self):
        self.socket = tls_context().wrap_socket(self.socket, server_side=True)
        self.tls = True
        self.file = self.socket.makefile("rb")

    def answer(self, keys, default):
        """Sends the first answer there is for `keys`; returns its code."""
        text = default
        with lock:
            for key in keys:
                if key in once:
                    text = once.pop(key)
                    break
                if key in replies:
                    text = replies[key]
                    break
        code = ""
        split = False
        for line in text.split("|"):
            if line == "CLOSE":
                raise Closed
            if line == "HANG":
                while self.socket.recv(65536):
                    pass
                raise Closed
            if line == "STALL":
                threading.Event().wait()
            if line == "WAIT":
                time.sleep(1.5)
                continue
            if line == "SPLIT":
                split = True
                continue
            data = (line + "\r\n").encode()
            for piece in [data[i:i + 1] for i in range(len(data))] if split else [data]:
                self.socket.sendall(piece)
            code = line[:3]
        return code

    def line(self):
        line = self.file.readline()
        if not line:
            raise Closed
        text = line.rstrip(b"\r\n").decode("utf-8", "replace")
        log("%d %s" % (self.connection, text))
        return text

    def authenticate(self, argument):
        mechanism, _, initial = argument.partition(" ")
        if mechanism.upper() == "PLAIN":
            if not initial:
                self.socket.sendall(b"334 \r\n")
                initial = self.line()
            _, user, password = base64.b64decode(initial).decode().split("\0")
        else:
            if not initial:
                self.socket.sendall(b"334 VXNlcm5hbWU6\r\n")
                initial = self.line()
            self.socket.sendall(b"334 UGFzc3dvcmQ6\r\n")
            user = base64.b64decode(initial).decode()
            password = base64.b64decode(self.line()).decode()
        if (user, password) == (options.user, options.password):
            self.answer(["auth"], "235 2.7.0 welcome")
        else:
            self.answer(["auth"], "535 5.7.8 wrong user name or password")

    def content(self):
        """The content up to the final dot, which only CRLF . CRLF is."""
        lines = []
        size = 0
        while True:
            line = self.file.readline()
            if not line:
                log("%d lost in content after %r" % (self.connection, lines[-1:]))
                raise Closed
            size += len(line)
            if size >= 100 and ("content" in replies or "content" in once):
                self.answer(["content"], "")
            ended = not lines or lines[-1].endswith(b"\r\n")
            if line == b".\r\n" and ended:
                return b"".join(lines)
            lines.append(line[1:] if line.startswith(b".") and ended else line)

    def run(self):
        sender, recipients = None, []
        mail_count = 0
        self.answer(["connect"], "220 test ESMTP")
        while True:
            line = self.line()
            verb, _, argument = line.partition(" ")
            verb = verb.upper()
            if verb == "EHLO":
                extensions = list(options.extension)
                if options.certificate and not self.tls:
                    extensions.append("STARTTLS")
                lines = ["250-test"] + ["250-" + e for e in extensions] + ["250 8BITMIME"]
                self.answer(["ehlo"], "|".join(lines))
            elif verb == "HELO":
                self.answer(["helo"], "250 test")
            elif verb == "STARTTLS":
                if self.answer(["starttls"], "220 2.0.0 go ahead") == "220":
                    self.start_tls()
            elif verb == "AUTH":
                self.authenticate(argument)
            elif verb == "MAIL":
                mail_count += 1
                code = self.answer(["mail:%d" % mail_count, "mail"], "250 2.1.0 ok")
                sender, recipients = (argument if code == "250" else None), []
            elif verb == "RCPT":
                address = argument[argument.find("<") + 1:argument.rfind(">")]
                code = self.answer(["rcpt:" + address, "rcpt"], "250 2.1.5 ok")
                if code[:1] == "2":
                    recipients.append(address)
            elif verb == "DATA":
                if self.answer(["data"], "354 go ahead") == "354":
                    content = self.content()
                    log("%d ." % self.connection)
                    # Stored before the answer, so that who has the answer finds the message.
                    with lock:
                        planned = once.get("dot", replies.get("dot", "250"))
                    if planned[:1] not in "45":
                        store(self.connection, sender, recipients, content)
                    self.answer(["dot"], "250 2.0.0 taken")
                    sender, recipients = None, []
            elif verb == "RSET":
                self.answer(["rset"], "250 2.0.0 ok")
                sender, recipients = None, []
            elif verb == "QUIT":
                self.answer(["quit"], "221 2.0.0 bye")
                raise Closed
            else:
                self.socket.sendall(b"502 5.5.1 unknown command\r\n")


def serve(connection, client):
    log("%d connected" % connection)
    try:
        Session(connection, client).run()
    except (Closed, OSError, ssl.SSLError):
        pass
    finally:
        try:
            client.shutdown(socket.SHUT_RDWR)
        except OSError:
            pass
        client.close()


listener = socket.socket(socket.AF_INET, socket.SOCK_STREAM)
listener.bind(("127.0.0.1", 0))
listener.listen(128)
print(listener.getsockname()[1], flush=True)
while True:
    accepted, _ = listener.accept()
    connection_count += 1
    threading.Thread(target=serve, args=(connection_count, accepted), daemon=True).start()
