"""RESP, the language of Redis: encode, decode (hiredis), every text the proxy itself says."""
