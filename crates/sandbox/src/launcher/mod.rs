//! (launcher)
