"""GRVT, natively: session, signing, wire schema, parsing, feed and gateway."""
