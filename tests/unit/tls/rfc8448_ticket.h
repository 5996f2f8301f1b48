/* rfc8448_ticket.h: the NewSessionTicket message of RFC 8448 section 3. */
#ifndef RFC8448_TICKET_H
#define RFC8448_TICKET_H

static const char ticket_text[] = "040000c90000001efad6aac502000000b22c035d829359ee5ff7af4ec9000000"
				  "00262a6494dc486d2c8a34cb33fa"
				  "90bf1b0070ad3c498883c9367c09a2be785abc55cd226097a3a982117283f82a"
				  "03a143efd3ff5dd36d64e861be7f"
				  "d61d2827db279cce145077d454a3664d4e6da4d29ee03725a6a4dafcd0fc67d2"
				  "aea70529513e3da2677fa5906c5b"
				  "3f7d8f92f228bda40dda721470f9fbf297b5aea617646fac5c03272e970727c6"
				  "21a79141ef5f7de6505e5bfbc388"
				  "e93343694093934ae4d3570008002a000400000400";

#endif
