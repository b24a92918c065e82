"""The frames of SPDY/3.1, over which kubectl forwards ports when a server has no web sockets."""

import struct
import threading
import zlib

# The dictionary of the SPDY/3 specification: words with their lengths, and then text without.
WORDS = """options head post put delete trace accept accept-charset accept-encoding accept-language accept-ranges age allow
authorization cache-control connection content-base content-encoding content-language content-length content-location
content-md5 content-range content-type date etag expect expires from host if-match if-modified-since if-none-match
if-range if-unmodified-since last-modified location max-forwards pragma proxy-authenticate proxy-authorization range
referer retry-after server te trailer transfer-encoding upgrade user-agent vary via warning www-authenticate method get
status 200_OK version HTTP/1.1 url public set-cookie keep-alive origin""".split()
TAIL = (
    b"100101201202205206300302303304305306307402405406407408409410411412413414415416417502504505203 Non-Authoritative "
    b"Information204 No Content301 Moved Permanently400 Bad Request401 Unauthorized403 Forbidden404 Not Found500 Internal "
    b"Server Error501 Not Implemented503 Service UnavailableJan Feb Mar Apr May Jun Jul Aug Sept Oct Nov Dec 00:00:00 Mon, "
    b"Tue, Wed, Thu, Fri, Sat, Sun, GMTchunked,text/html,image/png,image/jpg,image/gif,application/xml,"
    b"application/xhtml+xml,text/plain,text/javascript,publicprivatemax-age=gzip,deflate,sdchcharset=utf-8"
    b"charset=iso-8859-1,utf-,*,enq=0."
)
DICTIONARY = b"".join(struct.pack(">I", len(word)) + word.replace("_", " ").encode() for word in WORDS) + TAIL

SYN_STREAM, SYN_REPLY, RST_STREAM, PING, GOAWAY = 1, 2, 3, 6, 7
FIN = 1


class Frames:
    """The frames of one connection. Several threads may write."""

    def __init__(self, reader, writer):
        self.reader, self.writer, self.lock = reader, writer, threading.Lock()
        self.inflate = zlib.decompressobj(zdict=DICTIONARY)
        self.deflate = zlib.compressobj(zdict=DICTIONARY)

    def read(self):
        """The next frame: its type (None for data), its stream, its flags, and its headers or its content."""
        head = self.reader.read(8)
        if len(head) < 8:
            return None
        first, second = struct.unpack(">II", head)
        flags, body = second >> 24, self.reader.read(second & 0xFFFFFF)
        if not first >> 31:
            return None, first, flags, body
        type = first & 0xFFFF
        stream = struct.unpack(">I", body[:4])[0] & 0x7FFFFFFF if len(body) >= 4 else 0
        return type, stream, flags, self._headers(body[10:]) if type == SYN_STREAM else body

    def _headers(self, block):
        text = self.inflate.decompress(block)
        count, at, found = struct.unpack(">I", text[:4])[0], 4, {}
        for _ in range(count):
            parts = []
            for _ in range(2):
                length = struct.unpack(">I", text[at : at + 4])[0]
                parts.append(text[at + 4 : at + 4 + length].decode())
                at += 4 + length
            found[parts[0].lower()] = parts[1]
        return found

    def _control(self, type, flags, body):
        self.writer.write(struct.pack(">II", 0x80030000 | type, flags << 24 | len(body)) + body)
        self.writer.flush()

    def accept(self, stream):
        """Says that a stream that the client opened is open."""
        with self.lock:
            block = self.deflate.compress(struct.pack(">I", 0)) + self.deflate.flush(zlib.Z_SYNC_FLUSH)
            self._control(SYN_REPLY, 0, struct.pack(">I", stream) + block)

    def pong(self, body):
        with self.lock:
            self._control(PING, 0, body)

    def send(self, stream, content, last=False):
        with self.lock:
            self.writer.write(struct.pack(">II", stream, (FIN if last else 0) << 24 | len(content)) + content)
            self.writer.flush()
