//! A real Asterisk that sends us AudioSocket: optional, like every test that needs the lab.
