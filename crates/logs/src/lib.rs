//! The log hub: merges what all writers put into the journal, and serves it.
