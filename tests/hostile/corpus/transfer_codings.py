"""TE.TE: Transfer-Encoding in all the spellings that some server takes for chunked."""

from tests.hostile.building import SMUGGLED, lines, post
from tests.hostile.entry import Entry, Seen, passed, refused

POST = b"POST /a HTTP/1.1"
BODY = b"0\r\n\r\n" + SMUGGLED

# No server may read these as chunked, and none may skip them either: 400, or 501 for a coding
# that is not known (RFC 9112, section 6.1).
BAD = {
    "xchunked": b"Transfer-Encoding: xchunked",
    "chunkedx": b"Transfer-Encoding: chunkedx",
    "chunk": b"Transfer-Encoding: chunk",
    "identity": b"Transfer-Encoding: identity",
    "gzip": b"Transfer-Encoding: gzip",
    "nonsense": b"Transfer-Encoding: x",
    "empty": b"Transfer-Encoding:",
    "blank": b"Transfer-Encoding:  \t ",
    "comma alone": b"Transfer-Encoding: ,",
    "comma behind": b"Transfer-Encoding: chunked,",
    "comma in front": b"Transfer-Encoding: ,chunked",
    "chunked then identity": b"Transfer-Encoding: chunked, identity",
    "identity then chunked": b"Transfer-Encoding: identity, chunked",
    "gzip then chunked": b"Transfer-Encoding: gzip, chunked",
    "chunked then gzip": b"Transfer-Encoding: chunked, gzip",
    "chunked then nonsense": b"Transfer-Encoding: chunked, x",
    "twice in a list": b"Transfer-Encoding: chunked, chunked",
    "two words": b"Transfer-Encoding: chunked chunked",
    "split word": b"Transfer-Encoding: chun ked",
    "quoted": b'Transfer-Encoding: "chunked"',
    "single quotes": b"Transfer-Encoding: 'chunked'",
    "parameter": b"Transfer-Encoding: chunked;q=1",
    "semicolon": b"Transfer-Encoding: chunked;",
    "vertical tab in front": b"Transfer-Encoding:\x0bchunked",
    "form feed in front": b"Transfer-Encoding:\x0cchunked",
    "vertical tab behind": b"Transfer-Encoding: chunked\x0b",
    "form feed behind": b"Transfer-Encoding: chunked\x0c",
    "NUL behind": b"Transfer-Encoding: chunked\0",
    "NUL in front": b"Transfer-Encoding: \0chunked",
    "backspace": b"Transfer-Encoding: chunkedx\x08",
    "DEL": b"Transfer-Encoding: chunked\x7f",
    "no-break space in front": b"Transfer-Encoding: \xa0chunked",
    "no-break space behind": b"Transfer-Encoding: chunked\xa0",
    "next line behind": b"Transfer-Encoding: chunked\x85",
    "byte order mark": b"Transfer-Encoding: \xef\xbb\xbfchunked",
    "Kelvin sign": b"Transfer-Encoding: chun\xe2\x84\xaaed",
    "bare CR behind": b"Transfer-Encoding: chunked\r",
    "bare CR in front": b"Transfer-Encoding: \rchunked",
    "bare LF in front": b"Transfer-Encoding:\n chunked",
    "folded value": b"Transfer-Encoding:\r\n chunked",
    "folded with tab": b"Transfer-Encoding:\r\n\tchunked",
    "folded second word": b"Transfer-Encoding: chunked\r\n , identity",
    "space before colon": b"Transfer-Encoding : chunked",
    "tab before colon": b"Transfer-Encoding\t: chunked",
    "CRLF before colon": b"Transfer-Encoding\r\n: chunked",
    "NUL before colon": b"Transfer-Encoding\0: chunked",
    "vertical tab before colon": b"Transfer-Encoding\x0b: chunked",
    "high byte before colon": b"Transfer-Encoding\xa0: chunked",
    "quoted name": b'"Transfer-Encoding": chunked',
    "space in the name": b"Transfer Encoding: chunked",
    "no colon": b"Transfer-Encoding chunked",
    "equals sign": b"Transfer-Encoding= chunked",
    "space before the name": b" Transfer-Encoding: chunked",
    "tab before the name": b"\tTransfer-Encoding: chunked",
    "folded onto another": b"X: y\r\n Transfer-Encoding: chunked",
    "behind a bare LF": b"X: y\nTransfer-Encoding: chunked",
    "behind a bare CR": b"X: y\rTransfer-Encoding: chunked",
    "in the name behind a bare LF": b"X\nTransfer-Encoding: chunked",
    "two lines": b"Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked",
    "chunked and identity lines": b"Transfer-Encoding: chunked\r\nTransfer-Encoding: identity",
    "identity and chunked lines": b"Transfer-Encoding: identity\r\nTransfer-Encoding: chunked",
    "chunked and nonsense lines": b"Transfer-Encoding: chunked\r\nTransfer-encoding: cow",
    "nonsense and chunked lines": b"Transfer-Encoding: cow\r\nTransfer-encoding: chunked",
    "empty and chunked lines": b"Transfer-Encoding:\r\nTransfer-Encoding: chunked",
}

# Only chunked in other letters or with blanks that the grammar allows.
GOOD = {
    "upper case": b"TRANSFER-ENCODING: CHUNKED",
    "mixed case": b"tRaNsFeR-eNcOdInG: ChUnKeD",
    "no blank": b"Transfer-Encoding:chunked",
}
BLANKS = {
    "tab in front": b"Transfer-Encoding:\tchunked",
    "many blanks": b"Transfer-Encoding: \t  chunked",
    "blank behind": b"Transfer-Encoding: chunked ",
    "tab behind": b"Transfer-Encoding: chunked\t",
}
# Other names, whatever they look like: the length frames the body, or the request is refused.
LOOKALIKES = {
    "underscore": b"Transfer_Encoding: chunked",
    "prefixed": b"X-Transfer-Encoding: chunked",
    "one letter more": b"Transfer-Encodings: chunked",
    "Content-Transfer-Encoding": b"Content-Transfer-Encoding: chunked",
    "dot": b"Transfer.Encoding: chunked",
}

SENT = Seen(b"POST /a HTTP/1.1", b"", fields=((b"content-length", None),))

ENTRIES = [
    *(
        Entry(f"{name}, alone", (post(line, body=BODY),), (refused(400, 501),))
        for name, line in BAD.items()
    ),
    *(
        Entry(
            f"{name}, beside a length",
            (post(line, b"Content-Length: %d" % len(BODY), body=BODY),),
            (refused(400, 501),),
        )
        for name, line in BAD.items()
    ),
    *(
        Entry(name, (post(line, body=b"0\r\n\r\n"),), (passed(SENT),))
        for name, line in GOOD.items()
    ),
    *(
        Entry(name, (post(line, body=b"0\r\n\r\n"),), (passed(SENT), refused(400)))
        for name, line in BLANKS.items()
    ),
    *(
        Entry(
            f"{name}, no coding at all",
            (post(line, b"Content-Length: %d" % len(BODY), body=BODY),),
            (passed(Seen(POST, BODY)), refused(400)),
        )
        for name, line in LOOKALIKES.items()
    ),
    Entry(
        "chunked in HTTP/1.0",
        (lines(b"POST /a HTTP/1.0", b"Host: hub", b"Transfer-Encoding: chunked") + BODY,),
        (refused(400),),
    ),
    Entry(
        "chunked on a GET",
        (lines(b"GET /a HTTP/1.1", b"Host: hub", b"Transfer-Encoding: chunked") + b"0\r\n\r\n",),
        (passed(Seen(b"GET /a HTTP/1.1", b"")), refused(400)),
    ),
]
