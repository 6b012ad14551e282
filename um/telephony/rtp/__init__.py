"""RTP packets, jitter, G.711 and telephone events."""
