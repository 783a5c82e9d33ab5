"""Reads an Outlook .msg file with nothing but MS-CFB and MS-OXMSG: the witness against which the
reader of bobbin is held. It shares no code and no library with it.

Usage: read_msg.py FILE
Prints one JSON object per property: path, name (of a named one), tag, value. Names, tags and values
are written as `bobbin message props --json` writes them."""

import datetime
import json
import struct
import sys

FREE = 0xFFFFFFFF
END = 0xFFFFFFFE


class CompoundFile:
    def __init__(self, data):
        self.data = data
        self.sector_bytes = 1 << struct.unpack_from("<H", data, 30)[0]
        (first_directory,) = struct.unpack_from("<I", data, 48)
        first_mini, first_difat = struct.unpack_from("<I", data, 60)[0], struct.unpack_from("<I", data, 68)[0]
        difat = list(struct.unpack_from("<109I", data, 76))
        per_sector = self.sector_bytes // 4
        while first_difat not in (END, FREE):
            entries = struct.unpack(f"<{per_sector}I", self.sector(first_difat))
            difat += entries[:-1]
            first_difat = entries[-1]
        self.fat = []
        for number in difat:
            if number not in (FREE, END):
                self.fat += struct.unpack(f"<{per_sector}I", self.sector(number))
        directory = self.chain(first_directory)
        self.entries = [directory[i:i + 128] for i in range(0, len(directory), 128)]
        self.mini = self.chain(self.start(0))
        mini_fat = self.chain(first_mini)
        self.mini_fat = struct.unpack(f"<{len(mini_fat) // 4}I", mini_fat)

    def sector(self, number):
        at = (number + 1) * self.sector_bytes
        return self.data[at:at + self.sector_bytes].ljust(self.sector_bytes, b"\0")

    def chain(self, number):
        parts = []
        while number not in (END, FREE):
            parts.append(self.sector(number))
            number = self.fat[number]
        return b"".join(parts)

    def start(self, entry):
        return struct.unpack_from("<I", self.entries[entry], 116)[0]

    def content(self, entry):
        size = struct.unpack_from("<I", self.entries[entry], 120)[0]
        if size >= 4096:
            return self.chain(self.start(entry))[:size]
        parts, number = [], self.start(entry)
        while number not in (END, FREE) and size:
            parts.append(self.mini[number * 64:number * 64 + 64])
            number = self.mini_fat[number]
        return b"".join(parts)[:size]

    def children(self, entry):
        """Names to entries of a storage: its tree, walked."""
        found, todo = {}, [struct.unpack_from("<I", self.entries[entry], 76)[0]]
        while todo:
            child = todo.pop()
            if child == FREE:
                continue
            raw = self.entries[child]
            name = raw[:struct.unpack_from("<H", raw, 64)[0] - 2].decode("utf-16-le")
            found[name] = child
            todo += struct.unpack_from("<II", raw, 68)
        return found


def guid(raw):
    a, b, c = struct.unpack_from("<IHH", raw)
    return "{%08X-%04X-%04X-%s-%s}" % (a, b, c, raw[8:10].hex().upper(), raw[10:16].hex().upper())


def file_time(ticks):
    if ticks < 0:
        return str(ticks)
    seconds, rest = divmod(ticks, 10_000_000)
    moment = datetime.datetime(1601, 1, 1) + datetime.timedelta(seconds=seconds)
    return moment.strftime("%Y-%m-%dT%H:%M:%S").rjust(19, "0") + ".%07dZ" % rest


FIXED = {0x02: "<h", 0x03: "<i", 0x04: "<f", 0x05: "<d", 0x06: "<q", 0x07: "<d", 0x0B: "<H",
         0x14: "<q", 0x40: "<q"}
LOCALES = {0x0411: 932, 0x0419: 1251, 0x0412: 949, 0x0804: 936}


def fixed(kind, raw):
    (value,) = struct.unpack_from(FIXED[kind], raw)
    if kind == 0x0B:
        return value != 0
    return file_time(value) if kind == 0x40 else value


class Message:
    def __init__(self, file):
        self.file = file
        self.names = self.read_names()
        self.read("message", "", 0, 32, "cp1252")

    def read_names(self):
        file, names = self.file, {}
        streams = file.children(file.children(0)["__nameid_version1.0"])
        sets, entries, texts = (
            file.content(streams[f"__substg1.0_{i:08X}"]) if f"__substg1.0_{i:08X}" in streams else b""
            for i in (0x00020102, 0x00030102, 0x00040102))
        for at in range(0, len(entries) - 7, 8):
            number, which, index = struct.unpack_from("<IHH", entries, at)
            where = which >> 1
            if where == 1:
                owner = "{00020328-0000-0000-C000-000000000046}"
            elif where == 2:
                owner = "{00020329-0000-0000-C000-000000000046}"
            else:
                owner = guid(sets[(where - 3) * 16:])
            if which & 1:
                (size,) = struct.unpack_from("<I", texts, number)
                name = texts[number + 4:number + 4 + size].decode("utf-16-le")
            else:
                name = "0x%04X" % number
            names[0x8000 + index] = f"{owner}/{name}"
        return names

    def code_page(self, entries, inherited):
        values = {struct.unpack_from("<I", e)[0]: struct.unpack_from("<I", e, 8)[0] for e in entries}
        for tag in (0x3FFD0003, 0x3FDE0003, 0x3FF10003):
            page = values.get(tag)
            if tag == 0x3FF10003 and page is not None:
                page = LOCALES.get(page, 1252)
            if page and page != 1200:
                return {65001: "utf-8", 20127: "cp1252", 50220: "iso2022_jp", 50221: "iso2022_jp",
                        28591: "latin-1"}.get(page, f"cp{page}")
        return inherited

    def text(self, kind, raw, encoding):
        encoding = encoding if kind == 0x1E else "utf-16-le"
        return raw.decode(encoding, "replace").rstrip("\0")

    def single(self, kind, raw, encoding):
        if kind in (0x1E, 0x1F):
            return self.text(kind, raw, encoding)
        return guid(raw) if kind == 0x48 else raw.hex()

    def value(self, tag, inline, streams, encoding):
        """None when there is no value."""
        kind, stream = tag & 0xFFFF, streams.get(f"__substg1.0_{tag:08X}")
        content = self.file.content
        if kind in FIXED:
            return fixed(kind, inline)
        if not kind & 0x1000:
            if kind not in (0x1E, 0x1F, 0x48, 0x102):
                return None
            return self.single(kind, content(stream) if stream is not None else b"", encoding)
        if stream is None:
            return None
        kind &= 0xFFF
        raw = content(stream)
        if kind in (0x1E, 0x1F, 0x102):
            count = len(raw) // (8 if kind == 0x102 else 4)
            return [self.single(kind, content(streams[f"__substg1.0_{tag:08X}-{i:08X}"]), encoding)
                    for i in range(count)] or None
        size = 16 if kind == 0x48 else struct.calcsize(FIXED[kind])
        pieces = [raw[i:i + size] for i in range(0, len(raw) - size + 1, size)]
        return [guid(p) if kind == 0x48 else fixed(kind, p) for p in pieces] or None

    def read(self, path, prefix, storage, header, encoding):
        streams = self.file.children(storage)
        raw = self.file.content(streams["__properties_version1.0"])[header:]
        entries = [raw[i:i + 16] for i in range(0, len(raw) - 15, 16)]
        encoding = self.code_page(entries, encoding)
        for entry in entries:
            (tag,) = struct.unpack_from("<I", entry)
            value = self.value(tag, entry[8:], streams, encoding)
            if value is None:
                continue
            if tag & 0xEFFF == 0x1E:
                tag += 1
            print(json.dumps({"path": path, "name": self.names.get(tag >> 16) if tag >= 0x80000000 else None,
                              "tag": "0x%08X" % tag, "value": value}))
        numbers = {"recip": 0, "attach": 0}
        for name in sorted(streams):
            kind = name[2:].split("_")[0]
            if kind not in numbers:
                continue
            part = ("recipient/%d" if kind == "recip" else "attachment/%d") % numbers[kind]
            numbers[kind] += 1
            self.read(prefix + part, prefix + part + "/", streams[name], 8, encoding)
            children = self.file.children(streams[name])
            embedded = children.get("__substg1.0_3701000D")
            if kind == "attach" and embedded is not None:
                if "__properties_version1.0" in self.file.children(embedded):
                    inner = prefix + part + "/message"
                    self.read(inner, inner + "/", embedded, 24, encoding)
                else:
                    print(json.dumps({"path": prefix + part, "name": None, "tag": "0x37010102",
                                      "value": None}))


with open(sys.argv[1], "rb") as opened:
    Message(CompoundFile(opened.read()))
