//! The log hub: what all writers put into the journal, merged in order and served.
//!
//! [`Hub`] answers two questions about an app: what were its last lines ([`Hub::query`]), and what comes next ([`Hub::tail`], from
//! any point). It also writes the server's own lines and deletes what is old. Every answer is read from the journal, so it is the
//! same before and after a restart of the server; the index over it lives in memory and is made anew.
//!
//! ```text
//! writers' segments --inotify--> index (times, apps, marks) --> search (last N)
//!                                                         \--> merge (feeds in order) --> tail --> reader
//! ```
//!
//! Lines that are lost anywhere are counted and shown in the stream where they are missing, in Heroku's words: L11 a tail's reader was
//! too slow, L12 the writer had no room, L13 the journal lost them.
//!
//! It must not write into anybody's segments but the server's own, delete a segment that may still grow, or change what is kept.
//! Secrets are blanked on the way out, by whoever hands lines on and knows what is secret at that moment ([`Redactor`]).

mod cursor;
mod filter;
mod hub;
mod index;
mod line;
mod merge;
mod redact;
mod render;
mod retention;
mod search;
mod settings;
mod tail;

pub use cursor::{Cursor, InvalidCursor, MAX_CURSOR_CHARS};
pub use filter::{Filter, NameFilter};
pub use hub::{Clock, Hub, HubError, HubStatus, OwnLine};
pub use index::{Damage, IndexError};
pub use line::{Line, OrderKey, Source};
pub use redact::{MIN_SECRET_CHARS, REDACTED, Redactor};
pub use render::{render, render_instant};
pub use settings::{
    DEFAULT_QUERY_LINES, HubSettings, MAX_COUNTED_LINES, MAX_QUERY_LINES, MAX_TAILS, REORDER_MILLIS,
    Retention, SLOW_READER_SECONDS, TAIL_BUFFER_LINES,
};
pub use tail::{Start, Tail};
