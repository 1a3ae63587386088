//! One line per request, in Heroku's exact form, to the journal. A request's [`record::Record`] writes its line when it ends, however it
//! ends; [`buffer::Buffer`] gathers a thread's lines; [`sink`] is the one thread that touches the disk, so that a slow disk delays no
//! request. Lines that cannot be kept are counted, never waited for.

pub(crate) mod buffer;
pub(crate) mod line;
pub(crate) mod record;
pub(crate) mod sink;
