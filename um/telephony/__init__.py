"""SIP, SDP and RTP as engines, and their Twisted transports. Knows no application."""
