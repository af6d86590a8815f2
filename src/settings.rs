//! The configuration as read and checked.
