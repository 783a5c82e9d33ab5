"""Reads an Internet message with Python's email package and prints what a mail reader shows of it,
as one JSON object.

Usage: read_mail.py FILE"""

import email
import email.policy
import json
import sys


def addresses(message, field):
    header = message[field]
    return [[a.display_name, a.addr_spec] for a in header.addresses] if header else []


def text(part):
    return part.get_payload(decode=True).decode(part.get_content_charset("ascii")).replace("\r\n", "\n")


def read(message):
    shown = {"subject": message["subject"] or "", "from": addresses(message, "from"),
             "to": addresses(message, "to"), "cc": addresses(message, "cc"),
             "groups": [g.display_name for f in ("to", "cc") if message[f] for g in message[f].groups
                        if g.display_name is not None and not g.addresses],
             "has": sorted(name.lower() for name in message.keys()),
             "defects": [str(d) for part in message.walk() for d in part.defects],
             "plain": None, "html": None, "attachments": []}
    visit(message, shown)
    return shown


def visit(part, shown):
    kind = part.get_content_type()
    if kind == "message/rfc822":
        shown["attachments"].append({"message": read(part.get_payload(0))})
    elif part.is_multipart():
        for inner in part.get_payload():
            visit(inner, shown)
    elif part.get_content_disposition() is None and kind in ("text/plain", "text/html"):
        shown[kind[5:]] = text(part)
        if kind == "text/html":
            shown["html_charset"] = part.get_content_charset()
    else:
        shown["attachments"].append({"name": part.get_filename(), "type": kind,
                                     "inline": part.get_content_disposition() == "inline",
                                     "id": (part["content-id"] or "").strip("<>"),
                                     "data": part.get_payload(decode=True).hex()})


with open(sys.argv[1], "rb") as opened:
    print(json.dumps(read(email.message_from_binary_file(opened, policy=email.policy.default))))
