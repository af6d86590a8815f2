//! Who is believed.
