//! People, passwords and tokens.
