//! The plain HTTP/1.1 client of the black-box tests.

pub use contract::http::{Response, connect, get, read_response};
