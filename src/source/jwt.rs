//! Owns: `source = "jwt"`, a JWS signed on this machine.
//! Does not: decide when, or keep the key's bytes.
