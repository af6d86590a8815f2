//! Ways through a real DNS on loopback.
